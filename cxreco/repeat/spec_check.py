"""All specs read at once, before any work is done by them."""

from collections.abc import Callable, Mapping
from typing import Any

from cxreco.errors import BadSpec
from cxreco.repeat.promotion import PromotionRules
from cxreco.repeat.training import TrainingSpec
from cxreco.repeat.value_training import ValueSpec
from cxreco.request.actions import Actions
from cxreco.request.need import NeedSpec
from cxreco.request.ranker import RankerSpec
from cxreco.respond.guardrails import Guardrails
from cxreco.respond.policy import Policy
from cxreco.respond.worth import Worth


def check_specs(specs: Mapping[str, Mapping[str, Any]], *, currency: str | None = None) -> None:
    """Read every spec of training and judging, so that a slip is said before the work, not in its midst.

    Parameters
    ----------
    currency
        Of the workspace; what outcomes are worth must be in it. None: not looked at.

    Raises
    ------
    BadSpec
        Naming the spec and the key.
    """
    readers: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
        "training": TrainingSpec.from_spec,
        "reward": Worth.from_spec,
        "need": NeedSpec.from_spec,
        "ranker": RankerSpec.from_spec,
        "actions": Actions.from_spec,
        "value": ValueSpec.from_spec,
        "guardrails": Guardrails.from_spec,
        "policy": Policy.from_spec,
        "promotion": PromotionRules.from_spec,
    }
    for name, read in readers.items():
        read(specs[name])
    stated = Worth.from_spec(specs["reward"]).currency
    if currency is not None and stated != currency:
        raise BadSpec(
            f"what outcomes are worth is in {stated}, the workspace counts in {currency}: say it in that, and set "
            f'currency = "{currency}" there',
            where="reward.toml, currency",
        )
