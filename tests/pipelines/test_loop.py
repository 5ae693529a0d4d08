"""The whole loop, small: a shop's history, an apprentice, three days of decisions, a verdict, and back."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from rich.console import Console

from cxreco.edge.champion import read_pointer
from cxreco.edge.settings import Settings
from cxreco.edge.store import DECISION
from cxreco.journey import Arm
from cxreco.pipelines import promote, retrain
from cxreco.pipelines.ingest import imported
from cxreco.pipelines.retrain import Round, turned
from cxreco.pipelines.season import Season
from cxreco.pipelines.simulate import lived, shop_of
from cxreco.pipelines.trials import Trials
from cxreco.pipelines.workspace import opened

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
ARMS = {Arm.CHAMPION: 60.0, Arm.RANDOM: 20.0, Arm.RULES: 10.0, Arm.HOLDOUT: 10.0}


@dataclass(frozen=True)
class Turned:
    """What came of two turns of the loop, with three days of decisions between them."""

    settings: Settings
    first: Round
    second: Round
    again: Round
    records: list[dict[str, Any]]
    differences: list[dict[str, Any]]


@pytest.fixture(scope="module")
def loop(tmp_path_factory) -> Iterator[Turned]:
    folder = tmp_path_factory.mktemp("loop")
    console = Console(quiet=True)
    settings = Settings(home=folder / "home", arms=ARMS, salt="tests", durability="relaxed", decide_deadline_ms=60_000)
    world = lived(shop_of("staples", customers=60, weeks=8), 5, folder / "shop", lambda _: None)
    said: list[str] = []
    with opened(settings) as workspace:
        for kind in ("items", "events"):
            report = imported(workspace, kind, folder / "shop" / f"{kind}.jsonl", None, console)
            assert report.n_events or report.items
        first = turned(workspace, said.append)
        season = Season("tests", world, settings)
        season.adopt(first.playbook)
        assert sum(season.days(3)) > 60
        rows = [row for rows in season.store.scan(kinds=[DECISION]) for row in rows]
        records = [orjson.loads(row.body) for row in rows]
        # What is live is the playbook itself; the season's own stand-in only watches beside it.
        season.engine.adopt("champion", first.playbook)
        differences = [season.engine.replay(record["decision_id"]).differences for record in records[::3]]
        season.close()
        workspace.shop.refresh()
        second, again = turned(workspace, said.append), turned(workspace, said.append)
    assert len(said) > 10
    yield Turned(
        settings=settings, first=first, second=second, again=again, records=records, differences=differences
    )  # fmt: skip


def test_the_first_is_the_apprentice_and_goes_live_for_there_is_no_other(loop: Turned) -> None:
    assert loop.first.playbook.apprentice
    assert loop.first.judgement is not None and loop.first.promoted
    assert "no champion yet" in loop.first.judgement.verdict.reasons[0]
    assert (loop.settings.home / "models" / "champion.md").read_text()
    assert loop.first.playbook.value.heads["base"].rows > 0


def test_every_decision_is_logged_with_its_probability(loop: Turned) -> None:
    assert {record["policy"]["arm"] for record in loop.records} == {"champion", "random", "rules", "holdout"}
    for record in loop.records:
        assert record["fallback"] == ""
        joint = record["candidates"]["joint"]
        assert sum(joint) == pytest.approx(1.0, abs=1e-9)
        assert record["propensity"]["joint"] == pytest.approx(joint[record["chosen"]], abs=1e-12)
        assert record["propensity"]["joint"] > 0.0


def test_decided_again_they_are_the_same(loop: Turned) -> None:
    assert len(loop.differences) > 20
    assert [found for found in loop.differences if found] == []


def test_the_next_is_judged_with_reasons(loop: Turned) -> None:
    judgement = loop.second.judgement
    assert judgement is not None and judgement.verdict.reasons
    assert loop.second.trial.version != loop.first.trial.version
    assert loop.second.trial.judged != loop.second.trial.version
    assert loop.second.trial.cut < loop.second.playbook.trained_to
    kept = Trials(loop.settings.home).all()
    assert [trial.version for trial in kept] == [loop.first.trial.version, loop.second.trial.version]
    assert kept[-1].reasons == judgement.verdict.reasons
    live = read_pointer(loop.settings.home)
    assert live is not None
    assert live.version == (loop.second if loop.second.promoted else loop.first).trial.version
    assert ("promote" if loop.second.promoted else "held back") in judgement.words("EUR")


def test_the_same_log_is_learned_from_once(loop: Turned) -> None:
    assert loop.again.judgement is None and not loop.again.promoted
    assert loop.again.playbook.version == loop.second.trial.version
    assert loop.again.trial.number == loop.second.trial.number


def test_the_champion_before_comes_back_and_goes_again(loop: Turned, capsys: pytest.CaptureFixture[str]) -> None:
    console, home = Console(width=200), loop.settings.home
    first, second = loop.first.trial.version, loop.second.trial.version
    assert promote.run(loop.settings, console, version=second) == 0
    assert promote.rollback(loop.settings, console) == 0
    back = read_pointer(home)
    assert back is not None and back.version == first
    assert promote.rollback(loop.settings, console) == 0
    forth = read_pointer(home)
    assert forth is not None and forth.version == second
    assert retrain.run(loop.settings, console) == 0
    out = capsys.readouterr().out
    assert f"{first} is the champion again" in out and "nothing to do" in out
