"""Shops whose share of wrong automatic orders is known as a function of certainty, category by category."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri

from cxreco.respond.ladder import Evidence

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

GAIN, LOSS = 2.5, 5.0
CATEGORIES = 6
KINDS = ("sure", "graded", "graded", "poor", "overconfident")
_GRID = 0.5 + 0.5 * betaincinv(1.3, 1.3, (np.arange(4_000) + 0.5) / 4_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """How often an order of a certainty is wrong: `ends` at certainty 0.5 and 1, a power between; `relapse` at the top.

    `customers` order; `alike` is the correlation, on the normal scale, of one customer's orders.
    """

    name: str
    kind: str
    ends: tuple[float, float]
    power: float
    relapse: float
    customers: int
    alike: float

    def wrong_share(self, certainty: F64) -> F64:
        """Return the true chance that an order of this certainty is wrong."""
        from_top = (2.0 * (1.0 - certainty)) ** self.power
        risen = self.relapse * np.maximum(certainty - 0.85, 0.0) / 0.15
        return np.clip(self.ends[1] + (self.ends[0] - self.ends[1]) * from_top + risen, 0.0, 1.0)

    def orders(self, rng: np.random.Generator) -> tuple[F64, Bool]:
        """Draw the orders of a period: certainty and wrong; a few customers order much."""
        counts = np.maximum(1, rng.lognormal(0.8, 0.9, self.customers).astype(np.int64))
        customer = np.repeat(np.arange(self.customers), counts)
        certainty = 0.5 + 0.5 * rng.beta(1.3, 1.3, customer.size)
        luck = self.alike**0.5 * rng.normal(size=self.customers)[customer]
        luck += (1.0 - self.alike) ** 0.5 * rng.normal(size=customer.size)
        return certainty, luck < ndtri(self.wrong_share(certainty))

    def at_or_above(self, threshold: float) -> tuple[float, float]:
        """Return the share of would-be orders at or above a certainty, and the true share of wrong ones among them."""
        above = _GRID[np.searchsorted(_GRID, threshold) :]
        return above.size / _GRID.size, float(self.wrong_share(above).mean()) if above.size else 0.0


def shop(rng: np.random.Generator, *, alike: float) -> list[Category]:
    """Draw a shop: some categories deserve a rung from some certainty on, some from none."""
    made = []
    for k in range(CATEGORIES):
        kind = str(rng.choice(KINDS))
        low, top = {
            "sure": (rng.uniform(0.03, 0.10), rng.uniform(0.005, 0.02)),
            "graded": (rng.uniform(0.2, 0.5), rng.uniform(0.01, 0.04)),
            "poor": (rng.uniform(0.4, 0.6), rng.uniform(0.2, 0.35)),
            "overconfident": (rng.uniform(0.2, 0.4), rng.uniform(0.02, 0.05)),
        }[kind]
        relapse = rng.uniform(0.1, 0.3) if kind == "overconfident" else 0.0
        made.append(Category(
            name=f"category {k}", kind=kind, ends=(float(low), float(top)), power=float(rng.uniform(0.7, 1.5)),
            relapse=float(relapse), customers=_customers(rng), alike=alike,
        ))  # fmt: skip
    return made


def undeserving(rng: np.random.Generator, level: float, *, alike: float) -> list[Category]:
    """Draw a shop where no rung deserves to open: a hair above the level at every certainty, the worst case."""
    return [
        Category(name=f"category {k}", kind="at the bar", ends=(1.02 * level,) * 2, power=1.0, relapse=0.0,
                 customers=_customers(rng), alike=alike)
        for k in range(CATEGORIES)
    ]  # fmt: skip


def _customers(rng: np.random.Generator) -> int:
    return int(rng.lognormal(np.log(150.0), 0.7))


def evidence_of(categories: list[Category], rng: np.random.Generator) -> Evidence:
    """Return a period's orders as the ladder is shown them."""
    drawn = [category.orders(rng) for category in categories]
    sizes = [certainty.size for certainty, _ in drawn]
    n = sum(sizes)
    certainty, wrong = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    return Evidence(
        category=[c.name for c, size in zip(categories, sizes, strict=True) for _ in range(size)],
        certainty=certainty,
        wrong=wrong,
        gain=GAIN * rng.lognormal(-0.18, 0.6, n),
        loss=LOSS * rng.lognormal(-0.18, 0.6, n),
    )
