"""What the shop takes: every order, return, complaint and contact with its money, told apart from priced goodwill."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import DAY

F64 = NDArray[np.float64]


class Entry(IntEnum):
    """What an entry is for."""

    ORDER = 0
    RETURN = 1
    COMPLAINT = 2
    UNSUBSCRIBE = 3
    CONTACT = 4
    CANCELLED = 5
    UNDONE = 6
    WRONG_AUTO = 7
    GOODWILL = 8


class Posting(NamedTuple):
    """One entry.

    `origin` is the moment, visit or execution that caused it, `at` when it falls due; `mode` is that of the decision
    at its origin ("alone" where the engine was not asked). `money` is booked, `goodwill` is priced only.
    """

    kind: Entry
    customer: int
    at: int
    origin: int
    mode: str
    money: float
    goodwill: float


@dataclass(slots=True)
class Ledger:
    """Postings in the order they were made; some fall due later."""

    start: int
    customers: int
    postings: list[Posting]

    def post(self, posting: Posting) -> None:
        """Add an entry."""
        self.postings.append(posting)

    def copy(self) -> "Ledger":
        """Return an independent copy."""
        return Ledger(self.start, self.customers, self.postings.copy())

    def money(self, since: int = 0, until: int | None = None) -> float:
        """Return the money that falls due in [since, until)."""
        return float(sum(p.money for p in self._due(since, until)))

    def per_customer(self, since: int = 0, until: int | None = None) -> F64:
        """Return money by customer, (customers,), of what falls due in [since, until)."""
        out = np.zeros(self.customers)
        for p in self._due(since, until):
            out[p.customer] += p.money
        return out

    def per_day(self, until: int | None = None) -> F64:
        """Return money by the day it falls due, from the world's first day on, (days,)."""
        due = self._due(0, until)
        days = np.array([(p.at - self.start) // DAY for p in due], dtype=np.int64)
        out = np.zeros(int(days.max()) + 1 if due else 0)
        np.add.at(out, days, np.array([p.money for p in due]))
        return out

    def table(self, since: int = 0, until: int | None = None) -> F64:
        """Return money by customer and day, (customers, days since `since`), for estimates clustered by customer."""
        begin = max(since, self.start)
        due = self._due(since, until)
        days = max(((p.at - begin) // DAY for p in due), default=-1) + 1
        out = np.zeros((self.customers, days))
        for p in due:
            out[p.customer, (p.at - begin) // DAY] += p.money
        return out

    def counts(self, since: int = 0, until: int | None = None) -> Mapping[str, Mapping[str, int]]:
        """Return how many of each kind of entry, by mode: `counts()["coach_behavior"]["unsubscribe"]`."""
        out: dict[str, dict[str, int]] = {}
        for p in self._due(since, until):
            of_mode = out.setdefault(p.mode, {})
            name = p.kind.name.lower()
            of_mode[name] = of_mode.get(name, 0) + 1
        return out

    def caused(self, since: int, until: int) -> F64:
        """Return money and goodwill by customer, (customers,), of what began in [since, until), due or not."""
        out = np.zeros(self.customers)
        for p in self.postings:
            if since <= p.origin < until:
                out[p.customer] += p.money + p.goodwill
        return out

    def _due(self, since: int, until: int | None) -> list[Posting]:
        return [p for p in self.postings if since <= p.at and (until is None or p.at < until)]
