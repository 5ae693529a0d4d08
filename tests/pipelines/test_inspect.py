"""One decision and one customer, looked at from the command line; here of a workspace without a champion."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from cxreco.cli import main
from cxreco.edge.engine import Engine
from cxreco.edge.settings import load_settings
from cxreco.edge.sqlite_store import SqliteStore
from cxreco.journey import DAY, MICROS, Moment
from cxreco.pipelines.inspect import _EXPECTED, _MONEY, _expected
from cxreco.respond.kernels import PARTS

AT = 20_000 * DAY


@pytest.fixture
def decision_id(home: Path) -> Iterator[str]:
    """Make a workspace in which C-1 bought once and was decided for once."""
    settings = load_settings()
    store = SqliteStore(settings.home / "log.db")
    engine = Engine(store, settings, clock=lambda: AT)
    engine.put_items([{"item_id": "tea", "title": "Green [tea]", "category": "drinks", "price": 4.0}])
    line = {"item_id": "tea", "quantity": 1, "price": 4.0}
    order = {"event_id": "e1", "type": "order_completed", "customer_id": "C-1", "order_id": "o1", "items": [line]}
    receipt = engine.ingest([{**order, "occurred_at": "2024-10-01T10:00:00+00:00"}])
    assert receipt.accepted == 1
    record = engine.decide(Moment(customer_id="C-1", at=AT - MICROS))
    store.close()
    yield record["decision_id"]


def leave(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


def test_a_decision_says_what_it_chose_from_and_why(decision_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave("why", decision_id) == 0
    told = capsys.readouterr().out
    assert decision_id in told
    assert "reason: a safe answer" in told
    assert "1.0000" in told


def test_a_replay_says_that_every_bit_is_the_same(decision_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave("replay", decision_id) == 0
    assert "every bit is the same" in " ".join(capsys.readouterr().out.split())


def test_an_export_holds_all_and_a_forgotten_customer_leaves_nothing(
    decision_id: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = home.parent / "kept.json"
    assert leave("export", "C-1", "--out", str(out)) == 0
    kept = orjson.loads(out.read_bytes())
    assert [event["event_id"] for event in kept["events"]] == ["e1"]
    assert [decision["decision_id"] for decision in kept["decisions"]] == [decision_id]
    capsys.readouterr()
    assert leave("export", "C-1") == 0
    assert orjson.loads(capsys.readouterr().out) == kept
    assert leave("forget", "C-1", "--yes") == 0
    assert leave("export", "C-1") == 1
    assert leave("why", decision_id) == 1
    assert leave("forget", "C-1", "--yes") == 0
    assert "nothing was kept" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["why", "replay", "export"])
def test_looking_makes_no_workspace(command: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(command, "nobody") == 1
    assert "no workspace" in capsys.readouterr().err
    assert not home.exists()


def test_chances_are_shown_as_chances_and_money_as_money(capsys: pytest.CaptureFixture[str]) -> None:
    parts = {"order": 0.25, "order_anyway": 0.2, "order_soon": 0.1, "margin": 6.5, "unsubscribed": 0.004, "wrong": 0.0}
    Console(width=100).print(_expected(parts))
    told = capsys.readouterr().out
    rows = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in told.splitlines() if "│" in line}
    assert rows["chance that they order, with this"] == "25.00%"
    assert rows["chance that they order soon, with this"] == "10.00%"
    assert rows["chance that they unsubscribe"] == "0.40%"
    assert rows["margin of an order, in money"] == "6.50"
    assert not any("wrong" in name for name in rows)


def test_every_part_of_a_value_is_known_for_a_chance_or_for_money() -> None:
    assert {*PARTS} == {*dict(_EXPECTED), "margin", *_MONEY}
