"""The whole loop, small: a shop's history, an apprentice, three days of decisions, a verdict, and back."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pandas as pd
import pytest
from rich.console import Console

from cxreco.edge.champion import CHALLENGER, read_pointer
from cxreco.edge.engine import Engine
from cxreco.edge.publishing import day_to_serve
from cxreco.edge.settings import Settings
from cxreco.edge.store import DECISION
from cxreco.journey import DAY, Arm
from cxreco.pipelines import evaluate, promote, results, retrain, watching
from cxreco.pipelines.decide import serving
from cxreco.pipelines.evaluate import Judgement
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.ingest import imported
from cxreco.pipelines.retrain import Round, turned
from cxreco.pipelines.season import Season
from cxreco.pipelines.simulate import lived, shop_of
from cxreco.pipelines.trials import Trials
from cxreco.pipelines.workspace import opened
from cxreco.repeat.evaluation import HARMS
from cxreco.repeat.harm import Watch, Watched
from cxreco.repeat.promotion import Check, Verdict

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


def test_what_is_champion_already_is_not_judged_against_itself(
    loop: Turned, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(width=300)
    promote.run(loop.settings, console, version=loop.second.trial.version)
    before = Trials(loop.settings.home).all()
    capsys.readouterr()
    for pipeline in (evaluate, promote):
        assert pipeline.run(loop.settings, console) == 0
        told = capsys.readouterr().out
        assert f"{loop.second.trial.version}, the latest challenger, is the champion already" in told
        assert "cxreco retrain" in told
    assert Trials(loop.settings.home).all() == before


def test_a_champions_first_decision_does_not_miss_the_statistics_of_the_day(loop: Turned) -> None:
    for file in (loop.settings.home / "populations").glob("*.npz"):
        file.unlink()
    assert promote.run(loop.settings, Console(quiet=True), version=loop.second.trial.version) == 0
    with opened(loop.settings) as workspace:
        engine = Engine(workspace.store, workspace.settings, clock=workspace.clock)
        # A server that starts now finds nothing to publish, and decides by what is there.
        assert engine.due_publication() is None
        at = day_to_serve(workspace.store, workspace.clock())
        assert engine.populations.version_at(at) == f"{at}-{workspace.store.position()}"


def test_a_training_run_explains_itself(loop: Turned) -> None:
    with opened(loop.settings) as workspace:
        registry, first, second = workspace.registry, loop.first.trial.version, loop.second.trial.version
        for name in ("ranker", "order", "modes"):
            table = registry.artifact(second, f"explanations/{name}.csv")
            picture = registry.artifact(second, f"explanations/{name}.png")
            assert table is not None and len(table.splitlines()) > 5
            assert picture is not None and picture.startswith(b"\x89PNG")
        # Nobody had answered the apprentice: there is no mode to explain yet, and the run says why there is no loop.
        assert registry.artifact(first, "explanations/modes.csv") is None
        lasts = pd.read_csv(io.BytesIO(registry.artifact(second, "explanations/cupboard.csv") or b""))
        assert lasts["category"].is_unique and (lasts["median_days"] > 0.0).all() and len(lasts) > 1
        assert b"cannot be told: no decision was logged" in (registry.artifact(first, "loop/loop.txt") or b"")
        assert b"cannot be told" in (registry.artifact(second, "loop/loop.txt") or b"")
        assert b"against leaving" not in (registry.artifact(first, "results/results.txt") or b"against leaving")
        assert registry.artifact(second, "results/arms.png")
        run = registry._client.get_run(registry._run(second)).data
        assert run.params["ranker.lightgbm.rounds"] == str(workspace.specs["ranker"]["lightgbm"]["rounds"])
        assert run.params["actions.action.respond.sought.mode"] == "respond_to_desire"
        assert {"arm.champion.money", "arm.champion.over_holdout.low"} <= set(run.metrics)
        card = (registry.artifact(second, "card.md") or b"").decode()
        assert not loop.second.promoted or f"answered decisions more, against {first}" in card


def test_results_are_told_in_euros_against_control(loop: Turned, capsys: pytest.CaptureFixture[str]) -> None:
    assert results.run(loop.settings, Console(width=80)) == 0
    told = capsys.readouterr().out
    assert "what each arm earned, EUR a customer and week" in told
    assert "champion against holdout: " in told and "however often one looks" in told
    assert "coach_behavior: " in told and "What learning is worth" in told
    assert max(len(line) for line in told.splitlines() if line and line[0] in "┏┃┡│└") <= 80


def test_one_held_back_for_lack_of_evidence_serves_the_challenger_arm_until_it_is_decided(loop: Turned) -> None:
    unsure = Judgement(verdict=Verdict(promote=False, kind="change", reasons=("too few",), needed=900, checks=()))
    worse = Check(name="unsubscribed", passed=False, value=1.0, limit=0.0, said="unsubscribed: worse")
    harmful = Judgement(verdict=Verdict(promote=False, kind="change", reasons=("w",), needed=None, checks=(worse,)))
    home, version = loop.settings.home, loop.second.trial.version
    with opened(loop.settings) as workspace:
        assert not promote.challenged(workspace, loop.second.trial, unsure)
        assert read_pointer(home, CHALLENGER) is None
    arms = {Arm.CHAMPION: 50.0, Arm.CHALLENGER: 50.0}
    with opened(loop.settings.model_copy(update={"arms": arms})) as workspace:
        assert promote.challenged(workspace, loop.second.trial, unsure)
        pointer = read_pointer(home, CHALLENGER)
        assert pointer is not None and pointer.version == version
        assert workspace.registry.reconcile()["challenger"] == version
        assert "serves the customers of the challenger arm" in (home / "models" / "challenger.md").read_text()
        engine = Engine(workspace.store, workspace.settings, clock=workspace.clock)
        served = serving(engine).playbooks[CHALLENGER]
        assert served.version == version
        assert not promote.challenged(workspace, loop.second.trial, harmful)
        assert read_pointer(home, CHALLENGER) is None and "challenger" not in workspace.registry.reconcile()
        assert not (home / "models" / "challenger.md").exists()


def test_a_champion_that_does_harm_is_rolled_back_and_the_reason_kept(
    loop: Turned, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = loop.first.trial.version, loop.second.trial.version
    with opened(loop.settings) as workspace:
        workspace.registry.promote(first)
        workspace.registry.promote(second)
        log = gathered(workspace, lambda _: None)
        champion = workspace.registry.live()
        assert champion is not None
        assert watching.watch_of(workspace, log, champion).reason == "it has decided nothing yet"
        assert watching.watched(workspace, log) == ""
        # The first has decided: laid over its own decisions beside the second, everything that is watched has a number.
        turned_round = replace(champion, version=first, previous=second)
        few = {**workspace.specs["promotion"], "support": {"min_ess": 5, "min_customers": 5}}
        loose = replace(workspace, specs=replace(workspace.specs, tables={**workspace.specs.tables, "promotion": few}))
        looked = watching.watch_of(loose, replace(log, now=log.now + 40 * DAY), turned_round)
        assert {each.name for each in looked.seen} == {*HARMS, "money"} and looked.harm == ()
        seen = Watched(name="unsubscribed", worse=0.02, low=0.01, high=0.03, limit=0.001, rate=0.02, cases=40)
        monkeypatch.setattr(watching, "watch_of", lambda *_: Watch(seen=(seen,)))
        reason = watching.watched(workspace, log)
        assert reason.startswith("unsubscribes: +20.0 in a thousand decisions")
        back = workspace.registry.live()
        assert back is not None and (back.version, back.previous) == (first, second)
        assert workspace.registry.reconcile()["champion"] == first
        assert workspace.registry.artifact(second, "rolled_back.txt") == reason.encode()
        card = (loop.settings.home / "models" / "champion.md").read_text()
        assert card.startswith(f"# Champion {first}") and reason in card
        kept = Trials(loop.settings.home).of(second)
        assert kept is not None and kept.rolled_back == reason
        monkeypatch.undo()
        assert "was itself rolled back" in watching.watch_of(workspace, log, back).reason
    assert promote.run(loop.settings, Console(width=300)) == 1
    told = capsys.readouterr().out
    assert "was rolled back for harm: unsubscribes" in told and f"cxreco promote {second}" in told
