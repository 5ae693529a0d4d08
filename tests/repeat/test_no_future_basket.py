"""No future basket reaches a feature: neither the customer's own nor, through what holds for all, anybody else's."""

from dataclasses import replace

import numpy as np
import pytest

from cxreco.journey import DAY, MICROS, Event, Item, Line
from cxreco.recognise.catalogue import Catalogue
from cxreco.recognise.codes import Codes
from cxreco.recognise.layout import Kind
from cxreco.recognise.replay import sort_ticks
from cxreco.recognise.ticks import rows_of, ticks_from
from cxreco.recognise.undated import PLACE, PLACE_DAYS, aligned
from cxreco.repeat.log import Log, published
from cxreco.request import training_rows
from cxreco.request.training_rows import ranker_rows
from cxreco.tables import CANDIDATES, DECISIONS, DecisionLog, empty

ITEMS = 30


def baskets(seed: int = 4, customers: int = 60) -> Log:
    """Return a log without dates: customers of 2 to 12 baskets, who start to count anywhere."""
    rng = np.random.default_rng(seed)
    codes = Codes()
    catalogue = Catalogue(codes)
    for i in range(ITEMS):
        catalogue.put(Item(item_id=f"i{i}", title=f"item {i}", category=f"c{i % 4}", price=1.0 + i % 5), 0)
    rows, seq = [], 0
    for customer in range(customers):
        start = int(rng.integers(0, 9))
        own = rng.choice(ITEMS, 6, replace=False)
        for place in range(start, start + int(rng.integers(2, 13))):
            items = [f"i{i}" for i in {*rng.choice(own, 2).tolist(), int(rng.integers(0, ITEMS))}]
            event = Event(
                event_id=str(seq), type="order_completed", customer_id=str(customer), occurred_at=place * DAY or 1,
                dated=False, lines=tuple(Line(item_id=item, price=1.0) for item in items),
            )  # fmt: skip
            rows += rows_of(event, seq=seq, customer=customer, codes=codes, catalogue=catalogue, decision=None)
            seq += 1
    ticks, now = aligned(sort_ticks(ticks_from(rows)))
    none = DecisionLog(decisions=empty(DECISIONS), candidates=empty(CANDIDATES), x=np.empty((0, 0), np.float32))
    return Log(
        ticks=ticks, customers=[str(c) for c in range(customers)], catalogue=catalogue, codes=codes, decisions=none,
        position=seq, now=now, dated=False,
    )  # fmt: skip


def rows_from(log: Log):
    training = published(log, since=log.now - 6 * PLACE, every_days=PLACE_DAYS)
    return ranker_rows(training, until=log.now, most=10**6)


@pytest.mark.parametrize("back", [1, 2, 4])
def test_other_baskets_from_a_place_on_change_nothing_before_it(back: int, monkeypatch) -> None:
    # A cart is a part of the coming basket, put there on purpose.
    monkeypatch.setattr(training_rows, "CART_SHARE", 0.0)
    log = baskets()
    ticks = log.ticks.copy()
    changed_from = log.now + MICROS - back * PLACE
    later = ticks["at"] >= changed_from
    lines = later & (ticks["kind"] == Kind.ORDER_LINE)
    assert lines.any() and not lines.all()
    ticks["item"][lines] = (ticks["item"][lines] + 11) % ITEMS
    ticks["quantity"][later], ticks["price"][later] = 40.0, 9.0
    one, other = (rows_from(each) for each in (log, replace(log, ticks=ticks)))
    # Up to and with the moments just before the first changed place: its baskets are labels there, not features.
    mine, theirs = (rows.take(np.flatnonzero(rows.at < changed_from)) for rows in (one, other))
    last = mine.at == changed_from - 1
    assert last.sum() > 20 and (~last).any()
    for name in ("at", "customer", "group", "code"):
        assert np.array_equal(getattr(mine, name), getattr(theirs, name))
    assert np.array_equal(mine.x, theirs.x, equal_nan=True)
    assert not np.array_equal(mine.y, theirs.y)
    if back > 1:
        assert not np.array_equal(one.x, other.x, equal_nan=True)


def test_what_comes_next_is_foretold_from_everything_known() -> None:
    log = baskets()
    rows = rows_from(log)
    assert rows.at.max() < log.ticks["at"].max() <= log.now - PLACE + DAY
    # The latest training moments stand to the latest baskets as the end of the log stands to what comes next.
    assert log.now - int(rows.at.max()) == pytest.approx(PLACE, abs=2_000_000)
