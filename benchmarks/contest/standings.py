"""From seasons to figures: takings, what separates policies, and how much of the gap each closed, with intervals.

Customers are the units: within a shop every policy had the same ones, so that differences are paired. Intervals over
seeds take each seed's mean as one number; they are honest and, with few seeds, wide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contest.seasons import third
from contest.ways import CEILING, FLOOR
from cxreco.repeat.intervals import clustered, t_interval

F64 = NDArray[np.float64]
Row = Mapping[str, Any]
RESAMPLED = 2_000
# Orders that a customer has in the log when the season begins.
TENURES: tuple[tuple[str, int, int], ...] = (("0-2 orders", 0, 3), ("3-9 orders", 3, 10), ("10+ orders", 10, 1 << 30))


class Interval(NamedTuple):
    """A figure and its 95 % interval."""

    mean: float
    low: float
    high: float

    def said(self, digits: int = 2, *, share: bool = False, signed: bool = False) -> str:
        """Return it for a table."""
        if share:
            return f"{self.mean:.0%} ({self.low:.0%} to {self.high:.0%})"
        mean = f"{self.mean:{'+' if signed else ''}.{digits}f}"
        return f"{mean} ({self.low:.{digits}f} to {self.high:.{digits}f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One world's seasons: the seeds in which all of the policies played, and the row of each policy and seed."""

    world: str
    customers: int
    history: int
    weeks: int
    seeds: tuple[int, ...]
    rows: Mapping[str, Sequence[Row]]

    @property
    def policies(self) -> tuple[str, ...]:
        """Return the policies."""
        return tuple(self.rows)

    def money(self, policy: str, what: str = "money") -> F64:
        """Return (seeds, customers) EUR per week of a policy: all weeks, or `late`, or the `regret`."""
        weeks = third(self.weeks) if what == "late" else self.weeks
        return np.array([row[what] for row in self.rows[policy]], dtype=np.float64) / weeks

    def takings(self, policy: str, what: str = "money") -> Interval:
        """Return EUR per customer-week, interval over customers."""
        return over(self.money(policy, what).ravel())

    def ahead(self, policy: str, rival: str, what: str = "money") -> Interval:
        """Return by how much a policy is ahead of a rival with the same customers, interval over customers."""
        return over((self.money(policy, what) - self.money(rival, what)).ravel())

    def ahead_by_seed(self, policy: str, rival: str) -> Interval:
        """Return the same, interval over seeds; unbounded with one."""
        return over((self.money(policy) - self.money(rival)).mean(axis=1))

    def closed(self, policy: str, what: str = "money") -> Interval | None:
        """Return the share of the gap between random and the oracle, resampling customers within seeds."""
        if FLOOR not in self.rows or CEILING not in self.rows:
            return None
        floor, ceiling, own = (self.money(name, what) for name in (FLOOR, CEILING, policy))
        share = (own.mean() - floor.mean()) / (ceiling.mean() - floor.mean())
        rng = np.random.default_rng(0)
        weights = rng.multinomial(self.customers, [1.0 / self.customers] * self.customers, (RESAMPLED, len(self.seeds)))
        low, high = (np.einsum("rsc,sc->r", weights, part) for part in (own - floor, ceiling - floor))
        bounds = np.quantile(low / high, (0.025, 0.975))
        return Interval(float(share), float(bounds[0]), float(bounds[1]))

    def weekly(self, policy: str) -> F64:
        """Return (weeks,) EUR per customer, mean over seeds."""
        return np.asarray(np.mean([row["weekly"] for row in self.rows[policy]], axis=0), dtype=np.float64)

    def worth(self, policy: str) -> F64:
        """Return (2, weeks) true worth per customer of what was chosen and of the best there was, mean over seeds."""
        return np.asarray(np.mean([row["got_best"] for row in self.rows[policy]], axis=0), dtype=np.float64)

    def mix(self, policy: str) -> F64:
        """Return (5, 5) decisions, best mode down and chosen mode across, sum over seeds."""
        return np.asarray(np.sum([row["confusion"] for row in self.rows[policy]], axis=0), dtype=np.float64)

    def summed(self, policy: str, what: str) -> F64:
        """Return an array of the rows per customer-week, mean over seeds."""
        total = np.sum([row[what] for row in self.rows[policy]], axis=0)
        return np.asarray(total / (self.customers * self.weeks * len(self.seeds)), dtype=np.float64)

    def count(self, policy: str, what: str) -> int:
        """Return how many entries of a kind, all seeds together."""
        return sum(int(row["counts"].get(what, 0)) for row in self.rows[policy])

    def booked(self, policy: str, mode: str) -> float:
        """Return EUR per customer-week that began with decisions of a mode, mean over seeds."""
        total = sum(float(row["money_by_mode"].get(mode, 0.0)) for row in self.rows[policy])
        return total / (self.customers * self.weeks * len(self.seeds))

    def of_tenure(self, policy: str, rival: str, low: int, high: int) -> tuple[int, Interval] | None:
        """Return customers with so many orders before the season, and by how much a policy is ahead among them."""
        orders = np.array([row["orders_before"] for row in self.rows[policy]])
        among = (orders >= low) & (orders < high)
        if among.sum() < 2:
            return None
        return int(among.sum()), over((self.money(policy) - self.money(rival))[among])


def over(values: F64) -> Interval:
    """Return the mean of values and its 95 % interval."""
    low, high = t_interval(clustered(values), 0.95) if values.size > 1 else (-np.inf, np.inf)
    return Interval(float(values.mean()), float(low), float(high))


def standings(rows: Sequence[Row], order: Sequence[str]) -> list[Standing]:
    """Return a standing for each kind of shop.

    All that is compared was lived in the same shops: the seeds are those that every policy has played; where there is
    none, policies that have not played as many as the others are left out.
    """
    shops: dict[tuple[Any, ...], dict[str, dict[int, Row]]] = {}
    for row in rows:
        shop = tuple(row[name] for name in ("world", "customers", "history", "weeks"))
        shops.setdefault(shop, {}).setdefault(row["policy"], {})[row["seed"]] = row
    made = []
    for (world, customers, history, weeks), policies in shops.items():
        most = max((set(by_seed) for by_seed in policies.values()), key=len)
        common = set.intersection(*(set(by_seed) for by_seed in policies.values())) or most
        full = {name: by_seed for name, by_seed in policies.items() if set(by_seed) >= common}
        place = {name: k for k, name in enumerate(order)}
        names = sorted(full, key=lambda name: (place.get(name, len(place)), name))
        seeds = tuple(sorted(common))
        made.append(
            Standing(
                world=world, customers=customers, history=history, weeks=weeks, seeds=seeds,
                rows={name: [full[name][seed] for seed in seeds] for name in names},
            )
        )  # fmt: skip
    return made
