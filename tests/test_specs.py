"""The default specs: each parses, and each is found through the package as after installation."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from cxreco.edge.specs import load_specs, set_number, write_default_specs
from cxreco.errors import BadSpec
from cxreco.repeat.promotion import PromotionRules
from cxreco.repeat.spec_check import check_specs
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


def test_one_number_is_set_and_all_else_stays(tmp_path: Path) -> None:
    set_number(tmp_path, "guardrails", "max_wrong_share", 0.35)
    default = (FOLDER / "guardrails.toml").read_text()
    changed = (tmp_path / "models" / "guardrails.toml").read_text()
    assert changed == default.replace("max_wrong_share = 0.10", "max_wrong_share = 0.35")
    set_number(tmp_path, "guardrails", "dismissals", 3)
    assert load_specs(tmp_path)["guardrails"]["certainty"]["max_wrong_share"] == 0.35
    assert load_specs(tmp_path)["guardrails"]["contacts"]["dismissals"] == 3


def test_any_way_to_write_a_number_is_found_and_a_longer_key_is_not(tmp_path: Path) -> None:
    path = tmp_path / "models" / "own.toml"
    path.parent.mkdir()
    for written in ("1", "-0.5", "1_000", "1e-3", "+2.5E+2", ".5  # half", "7 # seven"):
        path.write_text(f"# share = 3\nshare_of = 4\nshare={written}\n")
        set_number(tmp_path, "own", "share", 2)
        assert path.read_text().startswith("# share = 3\nshare_of = 4\nshare=2")


@pytest.mark.parametrize("text", ["", "share = 'none'\n", "[a]\nshare = 1\n[b]\nshare = 2\n", "share = [1]\n"])
def test_a_number_that_is_not_there_exactly_once_is_an_error_and_nothing_is_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models" / "own.toml"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(BadSpec, match="lines that set share to a number"):
        set_number(tmp_path, "own", "share", 3)
    assert path.read_text() == text
    with pytest.raises(BadSpec, match="no such spec"):
        set_number(tmp_path, "nobody", "share", 3)


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


@pytest.mark.parametrize(
    ("name", "old", "new", "where"),
    [
        ("guardrails", "most_per_week = 3", "most_per_week = -1", "guardrails.contacts.most_per_week"),
        ("guardrails", "most_per_week = 3", 'most_per_week = "3"', "guardrails.contacts.most_per_week"),
        ("guardrails", "most_per_week = 3", "most_per_week = 2.5", "guardrails.contacts.most_per_week"),
        ("guardrails", "max_order_value = 200.0", "max_order_value = nan", "automatic_execution.max_order_value"),
        ("guardrails", "opt_in = false", 'opt_in = "false"', "guardrails.marketing.opt_in"),
        ("guardrails", "opt_in = false", "opt_in = false\nopt_out = true", "guardrails.marketing.opt_out"),
        ("guardrails", "max_wrong_share", "max_wrong_shar", "guardrails.certainty.max_wrong_shar"),
        ("guardrails", "[satisfied]", "[satisfyed]", "guardrails.satisf"),
        ("guardrails", "notice_hours = 24", "notice_hours = -24", "guardrails.certainty.notice_hours"),
        ("policy", "gamma = ", "gamma = 'x'  # ", "policy.gamma"),
        ("ranker", "learning_rate", "learning_rat", "ranker.lightgbm.learning_rat"),
        ("ranker", "learning_rate = 0.03", "learning_rate = 0", "ranker.lightgbm.learning_rate"),
        ("ranker", "num_leaves = 15", "num_leaves = 1", "ranker.lightgbm.num_leaves"),
        ("need", "rounds = 100", "rounds = 0.5", "need.lightgbm.rounds"),
        ("training", "later_days = 63", "later_days = -1", "training.later_days"),
        ("training", "revisited = 4000", "revisited = 'all'", "training.revisited"),
        ("value", "rate = 0.004", "rate = 4", "value.unsubscribed.rate"),
        ("value", "sd_shared = 0.05", "sd_shared = 0", "value.order.sd_shared"),
        ("value", "rate = 0.12", "rate = nan", "value.base.rate"),
        ("promotion", "alpha = ", "alpha = 7  # ", "promotion.alpha"),
        ("reward", "complaint = ", "complaint = -1  # ", "reward.complaint"),
    ],
)
def test_a_slip_in_a_spec_is_named_before_anything_is_learned(
    tmp_path: Path, name: str, old: str, new: str, where: str
) -> None:
    write_default_specs(tmp_path)
    path = tmp_path / "models" / f"{name}.toml"
    check_specs(load_specs(tmp_path).tables)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(BadSpec, match=where.replace(".", r"\.")):
        check_specs(load_specs(tmp_path).tables)


def test_prices_of_outcomes_in_another_money_are_not_taken_for_ours(tmp_path: Path) -> None:
    tables = load_specs(tmp_path).tables
    check_specs(tables, currency="EUR")
    with pytest.raises(BadSpec, match=r"reward\.toml, currency.*in EUR, the workspace counts in JPY"):
        check_specs(tables, currency="JPY")
    check_specs({**tables, "reward": {**tables["reward"], "currency": "JPY"}}, currency="JPY")


def test_a_spec_that_nobody_reads_is_no_spec(tmp_path: Path) -> None:
    """Who edits `rankr.toml` would wait for a difference that never comes."""
    write_default_specs(tmp_path)
    (tmp_path / "models" / "rankr.toml").write_text("[lightgbm]\nrounds = 10\n")
    with pytest.raises(BadSpec, match=r"rankr\.toml: nobody reads a spec of that name"):
        load_specs(tmp_path)


def _plain(value: Any) -> dict[str, Any]:
    fields = {field: getattr(value, field) for field in value.__dataclass_fields__}
    return {name: dict(each) if hasattr(each, "items") else each for name, each in fields.items()}
