"""The default specs: each parses, and each is found through the package as after installation."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from cxreco.edge.specs import load_specs, write_default_specs
from cxreco.repeat.promotion import PromotionRules
from cxreco.repeat.training import TrainingSpec
from cxreco.repeat.value_training import ValueSpec
from cxreco.request.actions import Actions
from cxreco.request.need import NeedSpec
from cxreco.request.ranker import RankerSpec
from cxreco.respond.guardrails import Guardrails
from cxreco.respond.head_fitting import Trees
from cxreco.respond.policy import Policy
from cxreco.respond.worth import Worth

FOLDER = Path(__file__).resolve().parents[1] / "models"
SPECS = sorted(FOLDER.rglob("*.toml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_a_spec_is_toml_that_explains_itself(path: Path) -> None:
    text = path.read_text()
    assert tomllib.loads(text)
    assert text.startswith("#"), "a spec opens with a comment that says what it decides"


def test_the_package_carries_every_default() -> None:
    assert SPECS
    packaged = resources.files("cxreco") / "models"
    assert {entry.name for entry in packaged.iterdir() if entry.name.endswith(".toml")} == {p.name for p in SPECS}
    assert set(load_specs().tables) == {path.stem for path in SPECS}


def test_a_workspace_copy_changes_nothing_until_it_is_edited(tmp_path: Path) -> None:
    written = write_default_specs(tmp_path)
    assert {path.name for path in written} == {path.name for path in SPECS}
    assert load_specs(tmp_path).sha256 == load_specs().sha256
    written[0].write_text(written[0].read_text() + "\n# edited\n")
    assert load_specs(tmp_path).sha256 != load_specs().sha256
    assert write_default_specs(tmp_path) == []


# What reads each spec, and what it is without one. Named actions and beliefs have no defaults: they are the spec.
READ: dict[str, tuple[Any, Any]] = {
    "guardrails": (Guardrails.from_spec, Guardrails()),
    "need": (NeedSpec.from_spec, NeedSpec()),
    "policy": (Policy.from_spec, Policy()),
    "promotion": (PromotionRules.from_spec, PromotionRules()),
    "ranker": (RankerSpec.from_spec, RankerSpec()),
    "reward": (Worth.from_spec, Worth()),
    "training": (TrainingSpec.from_spec, TrainingSpec()),
    "value": (lambda spec: ValueSpec.from_spec(spec).trees, Trees()),
}
SELF_CONTAINED = {"actions": Actions.from_spec}


def test_every_spec_has_its_reader() -> None:
    assert {*READ, *SELF_CONTAINED} == {path.stem for path in SPECS}
    for name, read in SELF_CONTAINED.items():
        assert read(load_specs()[name])


@pytest.mark.parametrize("name", READ)
def test_what_a_spec_leaves_out_is_what_the_default_says(name: str) -> None:
    """A key deleted from a workspace's copy must mean what it meant before."""
    read, default = READ[name]
    assert _plain(read(load_specs()[name])) == _plain(default)


def _plain(value: Any) -> dict[str, Any]:
    fields = {field: getattr(value, field) for field in value.__dataclass_fields__}
    return {name: dict(each) if hasattr(each, "items") else each for name, each in fields.items()}
