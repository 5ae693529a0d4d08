"""The OpenAPI document is kept: whatever Schemathesis makes of it, no 5xx, no status and no shape it does not name."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cxreco.edge.api import create_app
from cxreco.edge.engine import Engine

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 10


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_what_the_document_says_is_what_is_answered(shop: Engine, mode: GenerationMode) -> None:
    document = schemathesis.openapi.from_asgi("/openapi.json", create_app(shop, background=False))
    tried = []
    for found in document.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def asked(case: Case) -> None:
            case.call_and_validate(checks=CHECKS)

        try:
            asked()
        except Unsatisfiable:
            # There is nothing to get wrong in a path without parameters.
            assert mode is GenerationMode.NEGATIVE
        else:
            tried.append(operation.label)
    assert {"POST /v1/decisions", "POST /v1/events", "PUT /v1/items"} <= set(tried)
