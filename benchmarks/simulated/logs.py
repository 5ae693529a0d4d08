"""Logs of a shop's decisions whose truth is known: modes and actions, customers who differ, money with a heavy tail."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# hold, two answers to a wish, three slates, two nudges, one order: mode and action as the engine draws them.
MODE: I64 = np.array([0, 1, 1, 2, 2, 2, 3, 3, 4], dtype=np.int64)
STARTS: I64 = np.array([0, 1, 3, 6, 8], dtype=np.int64)
CURATED, COACH = 2, 3
ACTIONS = MODE.size
PULL = np.array([-2.6, -1.9, -2.1, -2.3, -1.7, -2.0, -2.4, -1.8, -1.5])
PER_CUSTOMER = 5.0
MARGIN, SPREAD = 8.0, 0.9
BACK, LOSS = 0.08, 12.0
LEAVES, LOST = 0.01, 30.0
SOLD = MARGIN * (1.0 - BACK) - LOSS * BACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Temperatures of the logging and of the target policy, and what the logging one spreads evenly."""

    number: int
    logging: float
    target: float
    floor: float


OVERLAPS = {
    "good": Overlap(number=1, logging=1.5, target=0.8, floor=0.10),
    "fair": Overlap(number=2, logging=0.7, target=0.4, floor=0.10),
    "poor": Overlap(number=3, logging=0.35, target=0.25, floor=0.05),
    "hardly any": Overlap(number=4, logging=0.2, target=0.12, floor=0.02),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Moments, (n,) and (n, actions): who, what both policies would do, what it would bring, and a model of it.

    `near` is a policy near the target; `mean` the true expected money of each action.
    """

    customer: I64
    size: F64
    logged: F64
    wanted: F64
    near: F64
    chance: F64
    mean: F64
    q: F64

    @staticmethod
    def by_mode(policy: F64) -> F64:
        """Sum a policy's probabilities over each mode's actions, (n, 5)."""
        return np.add.reduceat(policy, STARTS, axis=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn(Moments):
    """What was done and what it brought, (n,)."""

    action: I64
    reward: F64


def moments(rng: np.random.Generator, n: int, overlap: Overlap) -> Moments:
    """Draw moments; a customer has a geometric number of them, tastes of their own, and a usual size of order."""
    counts = rng.geometric(1.0 / PER_CUSTOMER, n)
    customers = int(np.searchsorted(counts.cumsum(), n)) + 1
    customer = np.repeat(np.arange(customers), counts[:customers])[:n]
    size = rng.lognormal(-0.125, 0.5, customers)[customer]
    eager = 0.5 * rng.normal(size=customers)[customer][:, None]
    taste = 0.5 * rng.normal(size=(customers, ACTIONS))[customer]
    occasion = 0.7 * rng.normal(size=(n, ACTIONS))
    leaning = taste + occasion
    chance = 1.0 / (1.0 + np.exp(-(PULL + leaning + eager)))
    # What a policy goes by is half right: the shop's own scores of another day, and a newer model's.
    guess = 0.5 * leaning + 0.5 * PULL
    logged = _two_steps(guess + 0.5 * rng.normal(size=(n, ACTIONS)), overlap.logging)
    logged = (1.0 - overlap.floor) * logged + overlap.floor / ACTIONS
    wanted = _two_steps(guess + 0.3 * rng.normal(size=(n, ACTIONS)), overlap.target)
    left = np.where(MODE == COACH, LEAVES * LOST, 0.0)
    # The model knows neither the customer's eagerness nor their size of order, and thinks little of the shop's slates.
    known = PULL + 0.6 * leaning - np.where(MODE == CURATED, 0.6, 0.0)
    return Moments(
        customer=customer, size=size, logged=logged, wanted=wanted, near=0.8 * wanted + 0.2 * logged, chance=chance,
        mean=chance * size[:, None] * SOLD - left, q=SOLD / (1.0 + np.exp(-known)),
    )  # fmt: skip


def draw(rng: np.random.Generator, n: int, overlap: Overlap) -> Drawn:
    """Draw one log of n decisions."""
    now = moments(rng, n, overlap)
    row = np.arange(n)
    action = np.minimum((rng.random((n, 1)) > now.logged.cumsum(axis=1)).sum(axis=1), ACTIONS - 1).astype(np.int64)
    margin = MARGIN * rng.lognormal(-0.5 * SPREAD**2, SPREAD, n)
    order = now.size * np.where(rng.random(n) < BACK, -LOSS, margin)
    gone = (MODE[action] == COACH) & (rng.random(n) < LEAVES)
    reward = np.where(rng.random(n) < now.chance[row, action], order, 0.0) - LOST * gone
    return Drawn(**{name: getattr(now, name) for name in Moments.__dataclass_fields__}, action=action, reward=reward)


def _two_steps(score: F64, temperature: float) -> F64:
    """First the mode by its best action, then the action within the mode; the product, (n, actions)."""
    best = np.maximum.reduceat(score, STARTS, axis=1)
    mode = np.exp((best - best.max(axis=1, keepdims=True)) / temperature)
    inside = np.exp((score - best[:, MODE]) / temperature)
    mode /= mode.sum(axis=1, keepdims=True)
    joint: F64 = mode[:, MODE] * inside / np.add.reduceat(inside, STARTS, axis=1)[:, MODE]
    return joint


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """True money a decision, by what is estimated, with the standard error of its own Monte-Carlo sum."""

    values: dict[str, float]
    errors: dict[str, float]

    def of(self, name: str) -> float:
        """Return the truth of a row of the table; every estimator of the whole policy aims at the same."""
        return self.values.get(name, self.values["policy"])

    def error(self, name: str) -> float:
        """Return its Monte-Carlo standard error."""
        return self.errors.get(name, self.errors["policy"])


def truth_of(overlap: Overlap, *, chunks: int = 40, n: int = 40_000) -> Truth:
    """Sum the expected money over very many moments: no draw of actions or orders is in it."""
    sums: dict[str, list[tuple[float, float]]] = {}
    for chunk in range(chunks):
        now = moments(np.random.default_rng([9_999, overlap.number, chunk]), n, overlap)
        wanted, logged = now.by_mode(now.wanted), now.by_mode(now.logged)
        inside = np.add.reduceat(now.logged * now.mean, STARTS, axis=1) / logged
        curated = (now.wanted * now.mean)[:, MODE == CURATED].sum(axis=1)
        ones = np.ones(n)
        for name, (part, by) in {
            "policy": ((now.wanted * now.mean).sum(axis=1), ones),
            "choice of mode": ((wanted * inside).sum(axis=1), ones),
            "a mode's takings": (curated, wanted[:, CURATED]),
            "within a mode": (logged[:, CURATED] * curated / wanted[:, CURATED], logged[:, CURATED]),
            "difference of two": (((now.wanted - now.near) * now.mean).sum(axis=1), ones),
        }.items():
            sums.setdefault(name, []).append((float(part.mean()), float(by.mean())))
    values, errors = {}, {}
    for name, pairs in sums.items():
        parts, bys = np.array(pairs).T
        values[name] = float(parts.sum() / bys.sum())
        errors[name] = float((parts / bys).std(ddof=1) / chunks**0.5)
    return Truth(values=values, errors=errors)
