"""A corner shop of four items whose customers buy by habit, and may be made to say anything else."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from cxreco.journey import DAY, Event, Item, Line
from cxreco.recognise.catalogue import Catalogue
from cxreco.recognise.codes import Codes
from cxreco.recognise.market import Market, market_of
from cxreco.recognise.population import population_of
from cxreco.recognise.replay import sort_ticks
from cxreco.recognise.state import State
from cxreco.recognise.ticks import DecisionRef, rows_of, tick_of_decision, ticks_from

NOW = 20_500 * DAY + DAY // 2
ITEMS = {"tea": ("drinks", 4.5), "milk": ("dairy", 1.2), "bread": ("bakery", 3.0), "oats": ("cereal", 2.5)}
HABITS = ({"tea": 14, "milk": 4}, {"bread": 3, "milk": 5}, {"oats": 20, "tea": 10, "bread": 6})


class Corner:
    """The shop: `state` folds a customer's habits and whatever else was said, `days` counted from NOW."""

    def __init__(self) -> None:
        self.codes = Codes()
        self.catalogue = Catalogue(self.codes)
        for item_id, (category, price) in ITEMS.items():
            self.catalogue.put(Item(item_id=item_id, category=category, price=price, title=item_id), 0)
        rows = [row for n, habits in enumerate(HABITS) for row in self._bought(n, habits)]
        self.ticks = sort_ticks(ticks_from(rows))
        shelf = self.catalogue.shelf(NOW)
        self.market: Market = market_of(shelf, population_of(self.ticks, shelf, NOW // DAY * DAY), self.codes)

    def said(self, type_: str, customer: int, days: float, *, seq: int = 0, items: Sequence[str] = (), **fields: Any):
        """Return the ticks' rows of an event `days` before (or, negative, after) NOW."""
        at = NOW - round(days * DAY)
        lines = tuple(Line(item_id=item_id, price=ITEMS[item_id][1]) for item_id in items)
        event = Event(
            event_id=f"{type_}{at}{seq}", type=type_, customer_id=str(customer), occurred_at=at, lines=lines,
            fields=fields,
        )  # fmt: skip
        return rows_of(event, seq=seq, customer=customer, codes=self.codes, catalogue=self.catalogue, decision=None)

    def consent(self, customer: int, days: float, granted: bool, seq: int = 0, **limits: Any):
        return self.said(
            "consent_changed", customer, days, seq=seq, purpose="automatic_execution", granted=granted, limits=limits
        )

    def contacted(self, customer: int, days: float, *, mode: int = 3, seq: int = 0, channel: int = 1) -> State:
        at = NOW - round(days * DAY)
        ref = DecisionRef(ref=seq + 1, mode=mode, channel=channel, until=at + 30 * DAY, contact=True, at=at)
        return tick_of_decision(ref, at=at, seq=seq, customer=customer)

    def state(self, customer: int, *more: Any, until: float = 0.0) -> State:
        """Return the state `until` days before NOW; `more` are rows or ticks of what else happened."""
        parts = [self.ticks[self.ticks["customer"] == customer]]
        parts += [part if isinstance(part, np.ndarray) else ticks_from(part) for part in more]
        ticks = sort_ticks(np.concatenate(parts))
        state = State.empty()
        state.fold(ticks[ticks["at"] <= NOW - round(until * DAY)])
        return state

    def _bought(self, customer: int, habits: dict[str, int]):
        for day in range(60, 0, -1):
            items = [item_id for item_id, gap in habits.items() if day % gap == 1]
            if items:
                yield from self.said("product_viewed", customer, day + 0.1, item_id=items[0])
                yield from self.said("order_completed", customer, day, items=items, order_id=f"{customer}-{day}")


@pytest.fixture(scope="session")
def corner() -> Corner:
    return Corner()


@pytest.fixture(scope="session")
def now() -> int:
    return NOW


@pytest.fixture(scope="session")
def decided(corner, playbook) -> Callable[..., Any]:
    """Decide for a customer: `decided(moment, state)`; the latest state is the same unless it is named."""
    from cxreco.journey import Arm
    from cxreco.respond.decide import decide

    def run(moment, state, *, latest=None, book=None, decision_id="d-1", arm=Arm.CHAMPION):
        return decide(
            book or playbook, moment=moment, state=state, latest=latest or state, market=corner.market,
            decision_id=decision_id, arm=arm,
        )  # fmt: skip

    return run
