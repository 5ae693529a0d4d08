"""The next items of each customer: complete, ordered, available, and by the code that serves."""

from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest
from rich.console import Console

from cxreco.edge.settings import Settings, load_settings
from cxreco.errors import BadInput, NotFound
from cxreco.journey import MICROS, Moment, Surface
from cxreco.pipelines import ingest, rank
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.simulate import lived, shop_of
from cxreco.pipelines.train import trained
from cxreco.pipelines.workspace import opened
from cxreco.recognise.replay import latest_states
from cxreco.recognise.undated import PLACE
from cxreco.repeat.log import market_at
from cxreco.request.context import best
from cxreco.request.propose import context_of

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the settings of a small shop that was trained, without a champion."""
    home = tmp_path_factory.mktemp("shop")
    world = lived(shop_of("staples", customers=40, weeks=8), 3, home / "log", lambda _: None)
    settings = load_settings(home=home, durability="relaxed")
    with opened(settings, clock=lambda: world.now) as workspace:
        for kind in ("items", "events"):
            ingest.imported(workspace, kind, home / "log" / f"{kind}.jsonl", None, QUIET)
        trained(workspace, gathered(workspace, lambda _: None), lambda _: None)
    return settings


def someone(shop: Settings) -> str:
    first = orjson.loads((shop.home / "log" / "events.jsonl").read_bytes().splitlines()[0])
    return str(first["customer_id"])


def test_each_customer_gets_k_items_in_order_and_a_stranger_too(shop: Settings, tmp_path: Path) -> None:
    known = someone(shop)
    (tmp_path / "ids.txt").write_text(f"{known}\nstranger\n\n{known}\n")
    assert rank.run(shop, tmp_path / "ids.txt", 12, tmp_path / "next.parquet", QUIET) == 0
    table = pd.read_parquet(tmp_path / "next.parquet")
    assert list(table.columns) == ["customer_id", "item_id", "rank", "score"]
    assert list(dict.fromkeys(table["customer_id"])) == [known, "stranger"]
    for _, rows in table.groupby("customer_id"):
        assert rows["rank"].tolist() == list(range(1, 13))
        assert rows["item_id"].is_unique
        assert (np.diff(rows["score"]) <= 0.0).all()


def test_the_order_is_that_of_serving(shop: Settings, tmp_path: Path) -> None:
    known = someone(shop)
    (tmp_path / "ids.csv").write_text(f"name,customer_id\nx,{known}\n")
    rank.run(shop, tmp_path / "ids.csv", 5, tmp_path / "next.jsonl", QUIET)
    found = [orjson.loads(line)["item_id"] for line in (tmp_path / "next.jsonl").read_bytes().splitlines()]
    with opened(shop) as workspace:
        models, _ = rank._models(workspace)
        log = gathered(workspace, lambda _: None)
        market = market_at(log, log.now)
        state = latest_states(log.ticks)[log.customers.index(known)]
        sight = context_of(models, state, Moment(customer_id=known, at=log.now), market).sight
        first = best(sight, sight.buyable, 5)
    assert found == [log.codes.item_ids[code] for code in sight.codes[first].tolist()]


def test_scores_are_those_of_serving_to_the_bit(shop: Settings) -> None:
    with opened(shop) as workspace:
        models, _ = rank._models(workspace)
        log = gathered(workspace, lambda _: None)
        market = market_at(log, log.now)
    for state in latest_states(log.ticks).values():
        found = rank.ranked(models, state, log.now, market, 200)
        moment = Moment(customer_id="", at=log.now, surface=Surface.HOME)
        sight = context_of(models, state, moment, market).sight
        served = dict(zip(sight.codes[sight.buyable].tolist(), sight.score[sight.buyable].tolist(), strict=True))
        assert served.items() <= dict(zip(found.codes.tolist(), found.scores.tolist(), strict=True)).items()


def test_more_items_than_the_recalls_name_come_from_what_is_popular(shop: Settings) -> None:
    with opened(shop) as workspace:
        models, _ = rank._models(workspace)
        log = gathered(workspace, lambda _: None)
        market = market_at(log, log.now)
        row, found = next(rank.rankings(models, log, market, np.array([-1]), 1_000))
    there = np.flatnonzero(market.shelf.available & ~np.isnan(market.shelf.price))
    assert row == 0
    assert sorted(found.codes.tolist()) == there.tolist()


def test_a_log_without_dates_is_learned_from_and_ranked(tmp_path: Path) -> None:
    """Customers count from anywhere; each buys their own pair of items again and again, and something else."""
    rng = np.random.default_rng(2)
    items = [{"item_id": f"i{i}", "title": f"thing {i}", "category": "c", "price": 1.0} for i in range(30)]
    events = []
    for customer in range(60):
        start = int(rng.integers(0, 50))
        for place in range(start, start + int(rng.integers(3, 9))):
            bought = {2 * (customer % 10), 2 * (customer % 10) + 1, int(rng.integers(20, 30))}
            lines = [{"item_id": f"i{i}", "quantity": 1, "price": 1.0} for i in sorted(bought)]
            events.append({"event_id": f"{customer}-{place}", "type": "order_completed", "customer_id": f"c{customer}",
                           "order_id": f"{customer}-{place}", "sequence": place, "items": lines})  # fmt: skip
    for name, rows in (("items", items), ("events", events)):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    settings = load_settings(home=tmp_path / "home", durability="relaxed")
    with opened(settings) as workspace:
        for kind in ("items", "events"):
            ingest.imported(workspace, kind, tmp_path / f"{kind}.jsonl", None, QUIET)
        log = gathered(workspace, lambda _: None)
        trained(workspace, log, lambda _: None)
    assert not log.dated
    assert log.now - log.ticks["at"].max() == PLACE - MICROS
    (tmp_path / "ids.txt").write_text("".join(f"c{customer}\n" for customer in range(60)))
    rank.run(settings, tmp_path / "ids.txt", 2, tmp_path / "next.parquet", QUIET)
    found = pd.read_parquet(tmp_path / "next.parquet").groupby("customer_id")["item_id"].agg(set)
    own = [found[f"c{c}"] == {f"i{2 * (c % 10)}", f"i{2 * (c % 10) + 1}"} for c in range(60)]
    assert np.mean(own) > 0.9


def test_what_cannot_be_read_or_written_is_said(shop: Settings, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("\n")
    (tmp_path / "other.csv").write_text("id\n1\n")
    with pytest.raises(BadInput, match="holds no customer id"):
        rank.run(shop, tmp_path / "none.txt", 5, tmp_path / "next.jsonl", QUIET)
    with pytest.raises(BadInput, match="customer_id"):
        rank.run(shop, tmp_path / "other.csv", 5, tmp_path / "next.jsonl", QUIET)
    with pytest.raises(BadInput, match=r"\.parquet or \.jsonl"):
        rank.run(shop, tmp_path / "none.txt", 5, tmp_path / "next.csv", QUIET)


def test_nothing_trained_is_said(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("a\n")
    with pytest.raises(NotFound, match="train"):
        rank.run(load_settings(home=tmp_path / "empty"), tmp_path / "ids.txt", 5, tmp_path / "next.jsonl", QUIET)


def test_a_log_without_a_catalogue_is_told_apart_from_one_with_nothing_to_say(tmp_path: Path) -> None:
    """Nothing that has no catalogue row is ever offered: an empty file would hide it."""
    line = {"item_id": "tea", "quantity": 1, "price": 4.0}
    rows = [
        {"event_id": f"e{n}", "type": "order_completed", "customer_id": f"c{n % 5}", "order_id": f"o{n}",
         "occurred_at": f"2026-01-{n + 1:02}T10:00:00Z", "items": [line]}
        for n in range(25)
    ]  # fmt: skip
    (tmp_path / "events.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    settings, told = load_settings(home=tmp_path / "home", durability="relaxed"), list[str]()
    with opened(settings) as workspace:
        ingest.imported(workspace, "events", tmp_path / "events.jsonl", None, QUIET)
        trained(workspace, gathered(workspace, told.append), lambda _: None)
    assert any("nothing can be offered before `cxreco import items`" in what for what in told)
    (tmp_path / "ids.txt").write_text("c0\n")
    with pytest.raises(BadInput, match="no item has a catalogue row"):
        rank.run(settings, tmp_path / "ids.txt", 3, tmp_path / "next.jsonl", QUIET)
    assert not (tmp_path / "next.jsonl").exists()
