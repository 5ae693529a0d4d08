"""The trust ladder: automatic execution is earned, category by category.

shadow ("would have ordered") -> notice (announced, can be cancelled) -> automatic. A rung opens where Learn-then-Test
(Angelopoulos, Bates, Candès, Jordan and Lei 2021), pooled over customers, shows the share of wrong orders at or above a
certainty to be below `max_wrong_share` with `confidence`: thresholds are tested from the surest down, each by an exact
binomial p-value at the full level, stopping at the first that fails (fixed sequence testing): the family error holds.
A rung closes when orders go wrong of late, by a sum that forgets good times (Shin, Ramdas and Rinaldo 2023). Where the
orders placed on the word of history go wrong over all categories together, history opens none.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc

from cxreco.errors import BadSpec
from cxreco.journey import Rung

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
STEPS = 25
# Orders between two closings by mere chance, at least on average, where the share of wrong ones is the allowed one.
PATIENCE = 500.0
# The share of wrong orders, in times the allowed one, against which the sum of late ones bets.
DRIFT = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What certainty must be shown: see `models/guardrails.toml`, [certainty]."""

    max_wrong_share: float = 0.10
    confidence: float = 0.90
    notice_hours: int = 24
    least_certainty: float = 0.5

    def __post_init__(self) -> None:
        for name in ("max_wrong_share", "confidence", "least_certainty"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise BadSpec(f"must be between 0 and 1, got {getattr(self, name)}", where=f"certainty.{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Orders that were placed, or would have been: (n,) each.

    `category` is the category's name; `gain` the money a right order earns, `loss` what a wrong one costs.
    """

    category: Sequence[str]
    certainty: F64
    wrong: Bool
    gain: F64
    loss: F64

    @classmethod
    def none(cls) -> "Evidence":
        """Return no evidence at all."""
        empty = np.empty(0)
        return cls(category=(), certainty=empty, wrong=np.empty(0, dtype=bool), gain=empty, loss=empty)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Per category: the rung reached and the certainty asked for on it; a category not named is in shadow."""

    bar: Bar = Bar()
    notice: Mapping[str, float] = field(default_factory=dict)
    automatic: Mapping[str, float] = field(default_factory=dict)

    def rung(self, category: str, certainty: float) -> Rung:
        """Return the highest rung on which an order of this certainty may be placed."""
        if certainty >= self.automatic.get(category, np.inf):
            return Rung.AUTOMATIC
        if certainty >= self.notice.get(category, np.inf):
            return Rung.NOTICE
        return Rung.SHADOW

    def to_spec(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        bar = {name: getattr(self.bar, name) for name in Bar.__dataclass_fields__}
        return {"bar": bar, "notice": dict(self.notice), "automatic": dict(self.automatic)}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "Ladder":
        """Read what `to_spec` wrote."""
        return cls(bar=Bar(**spec["bar"]), notice=spec["notice"], automatic=spec["automatic"])


def climb(bar: Bar, shadow: Evidence, placed: Evidence) -> Ladder:
    """Return the ladder that the evidence has earned.

    Parameters
    ----------
    bar
        What must be shown.
    shadow
        Would-have-ordered evidence: opens the notice rung only. An order that was not then made unprompted is wrong.
    placed
        Orders really placed with notice or automatically, in the order of time: open the automatic rung, and close
        both again where they show it wrong, in all or of late.
    """
    notice = _open_categories(bar, shadow)
    automatic = _open_categories(bar, placed)
    for category in {*placed.category}:
        if _gone_wrong(placed.wrong[_among(placed, {category})], bar):
            notice.pop(category, None)
            automatic.pop(category, None)
    if _gone_wrong(placed.wrong[_among(placed, {*notice} - {*automatic})], bar):
        # History promised better than what came of it, though each category alone has too few orders to tell.
        notice.clear()
    return Ladder(bar=bar, notice=notice, automatic=automatic)


def open_threshold(certainty: F64, wrong: Bool, bar: Bar) -> float | None:
    """Return the lowest certainty at which the share of wrong orders is shown to be below the bar, or None."""
    lowest: float | None = None
    for threshold in np.linspace(0.99, bar.least_certainty, STEPS):
        rows = certainty >= threshold
        n = int(rows.sum())
        if n < least_orders(bar):
            # Too few to reject even without one wrong order: the sequence has not begun, testing would only stop it.
            continue
        if bdtr(int(wrong[rows].sum()), n, bar.max_wrong_share) > 1.0 - bar.confidence:
            break
        lowest = float(threshold)
    return lowest


def lately_worse(wrong: Bool, bar: Bar) -> bool:
    """Return whether the latest orders, (n,) in the order of time, speak for more wrong ones than allowed.

    The capital of bets on `DRIFT` times the allowed share starts anew at 1 whenever it falls below, so that no good
    past hides a bad present; at the allowed share it reaches `PATIENCE` once in as many orders at most.
    """
    allowed = bar.max_wrong_share
    stake = (min(DRIFT * allowed, 0.5 * (1.0 + allowed)) - allowed) / (allowed * (1.0 - allowed))
    capital = 1.0
    for one in wrong.tolist():
        capital = max(capital, 1.0) * (1.0 + stake * (float(one) - allowed))
    return capital >= PATIENCE


def least_orders(bar: Bar) -> int:
    """Return how many orders without a wrong one the first rung takes: 22 at 10 % and 90 %."""
    return int(np.ceil(np.log(1.0 - bar.confidence) / np.log(1.0 - bar.max_wrong_share)))


def _open_categories(bar: Bar, evidence: Evidence) -> dict[str, float]:
    names = np.array(evidence.category, dtype=object)
    opened: dict[str, float] = {}
    for category in sorted({*evidence.category}):
        rows = names == category
        threshold = open_threshold(evidence.certainty[rows], evidence.wrong[rows], bar)
        if threshold is None:
            continue
        sure = rows & (evidence.certainty >= threshold)
        net = np.where(evidence.wrong[sure], -evidence.loss[sure], evidence.gain[sure])
        if net.mean() > 0.0:
            opened[category] = threshold
    return opened


def _among(evidence: Evidence, categories: AbstractSet[str]) -> Bool:
    return np.array([category in categories for category in evidence.category], dtype=bool)


def _gone_wrong(wrong: Bool, bar: Bar) -> bool:
    """Return whether placed orders, (n,) in the order of time, speak against a rung, in all or of late."""
    return _surely_worse(wrong, bar) or lately_worse(wrong, bar)


def _surely_worse(wrong: Bool, bar: Bar) -> bool:
    """Return whether the share of wrong orders is shown to be above the bar."""
    rejected = int(wrong.sum())
    # At least none is certain, and outside what `bdtrc` takes.
    at_least = bdtrc(rejected - 1, wrong.size, bar.max_wrong_share) if rejected else 1.0
    return bool(at_least < 1.0 - bar.confidence)
