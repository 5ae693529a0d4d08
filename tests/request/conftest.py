"""A small shop with a known truth, for the tests of what could be done for a customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cxreco.journey import DAY, Event, Item, Line
from cxreco.recognise.catalogue import Catalogue
from cxreco.recognise.codes import Codes
from cxreco.recognise.market import Market, market_of
from cxreco.recognise.population import population_of
from cxreco.recognise.replay import sort_ticks
from cxreco.recognise.state import State
from cxreco.recognise.ticks import rows_of, ticks_from

SPECS = Path(__file__).resolve().parents[2] / "models"


class Shop:
    """A catalogue and a log that grows: customers are numbers, items are `i0`, `i1`, …"""

    def __init__(self) -> None:
        self.codes = Codes()
        self.catalogue = Catalogue(self.codes)
        self._rows: list[tuple[object, ...]] = []
        self._seq = 0

    def put(self, item_id: str, category: str, *, at: int = 0, **fields: object) -> None:
        given = {"title": f"{category} {item_id}", "price": 10.0, **fields}
        self.catalogue.put(Item(item_id=item_id, category=category, effective_at=at, **given), at)  # type: ignore[arg-type]

    def note(self, type_: str, customer: int, at: float, *, items: Sequence[str] = (), **fields: object) -> None:
        """Add an event at `at` days."""
        lines = tuple(Line(item_id=item, price=10.0) for item in items)
        event = Event(
            event_id=str(self._seq),
            type=type_,
            customer_id=str(customer),
            occurred_at=round(at * DAY),
            lines=lines,
            fields={key: value for key, value in fields.items() if value is not None},
        )
        self._rows.extend(
            rows_of(event, seq=self._seq, customer=customer, codes=self.codes, catalogue=self.catalogue, decision=None)
        )
        self._seq += 1

    def order(self, customer: int, at: float, *items: str) -> None:
        self.note("order_completed", customer, at, items=items, order_id=str(self._seq))

    @property
    def ticks(self) -> NDArray[np.void]:
        return sort_ticks(ticks_from(self._rows))  # type: ignore[arg-type]

    def market(self, at: float) -> Market:
        when = round(at * DAY)
        shelf = self.catalogue.shelf(when)
        return market_of(shelf, population_of(self.ticks, shelf, when), self.codes)

    def state(self, customer: int, at: float) -> State:
        ticks = self.ticks
        state = State.empty()
        state.fold(ticks[(ticks["customer"] == customer) & (ticks["at"] <= at * DAY)])
        return state


@dataclass(frozen=True)
class Habits:
    """A shop whose customers buy their own few items again and again; `gap[c, i]` days, NaN for not theirs."""

    shop: Shop
    gap: NDArray[np.float64]
    days: float


def habitual(*, customers: int = 120, items: int = 40, days: float = 220.0, seed: int = 11) -> Habits:
    """Return a shop of habits: each item of a customer on its own rhythm, gathered into weekly orders, plus strays."""
    rng = np.random.default_rng(seed)
    shop = Shop()
    for i in range(items):
        shop.put(f"i{i}", f"category{i % 8}", price=5.0 + i % 7)
    popular = 1.0 / np.arange(1, items + 1)
    gap = np.full((customers, items), np.nan)
    for c in range(customers):
        own = rng.choice(items, size=5, replace=False, p=popular / popular.sum())
        gap[c, own] = rng.uniform(8.0, 45.0, size=5)
        last = rng.uniform(-gap[c, own], 0.0)
        for day in np.arange(rng.uniform(0.0, 7.0), days, 7.0):
            due = day - last >= gap[c, own] * rng.lognormal(0.0, 0.15, size=5)
            bought = [f"i{i}" for i in own[due]]
            last[due] = day
            if rng.random() < 0.3:
                bought.append(f"i{rng.choice(items, p=popular / popular.sum())}")
            if rng.random() < 0.5:
                shop.note("product_viewed", c, day - 0.02, item_id=bought[0] if bought else "i0")
            if bought:
                shop.order(c, day, *dict.fromkeys(bought))
    return Habits(shop=shop, gap=gap, days=days)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture(scope="session")
def habits() -> Habits:
    return habitual()


@pytest.fixture(scope="session")
def specs() -> Path:
    return SPECS
