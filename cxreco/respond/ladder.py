"""The trust ladder: automatic execution is earned, category by category.

shadow ("would have ordered") -> notice (announced, can be cancelled) -> automatic. A rung opens where Learn-then-Test
(Angelopoulos, Bates, Candès, Jordan and Lei 2021), pooled over customers, shows the share of wrong orders at or above a
certainty to be below `max_wrong_share` with `confidence`. Thresholds are tested from the surest down, from where there
are orders enough, stopping at the first that fails (fixed sequence testing). Each test is an e-value, the capital of
bets against the allowed share (Waudby-Smith and Ramdas 2024), which holds however often one looks (Ville 1939; Xu,
Karampatziakis and Mineiro 2024). The categories share the error: the confidence is that of the whole shop.
A rung closes when orders go wrong of late, by a sum that forgets good times (Shin, Ramdas and Rinaldo 2023). Where the
orders placed on the word of history go wrong over all categories together, history opens none.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, betainc, betaln

from cxreco.errors import BadSpec
from cxreco.journey import Rung

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
STEPS = 25
# A sequence of thresholds begins where orders are enough to show this part of the allowed share.
BEGIN = 0.5
# The bets are spread over all shares below the allowed one, by Jeffreys' density.
_JEFFREYS = 0.5
# More orders than this are not foretold.
MOST_TOLD = 100_000
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


class Standing(NamedTuple):
    """What speaks for and against a category, in orders of at least the least certainty.

    `history` were only thought of, `placed` were placed; `against` says that those placed closed it. `more` is about
    how many orders more the next rung takes if as many go wrong as so far: 0 for no more, -1 where none will do.
    """

    history: int
    history_wrong: int
    placed: int
    placed_wrong: int
    against: bool
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Per category: the rung reached and the certainty asked for on it; a category not named is in shadow."""

    bar: Bar = Bar()
    notice: Mapping[str, float] = field(default_factory=dict)
    automatic: Mapping[str, float] = field(default_factory=dict)
    standings: Mapping[str, Standing] = field(default_factory=dict)

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
        standings = {name: list(standing) for name, standing in self.standings.items()}
        return {"bar": bar, "notice": dict(self.notice), "automatic": dict(self.automatic), "standings": standings}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "Ladder":
        """Read what `to_spec` wrote."""
        standings = {name: Standing(*row) for name, row in spec.get("standings", {}).items()}
        return cls(bar=Bar(**spec["bar"]), notice=spec["notice"], automatic=spec["automatic"], standings=standings)


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
    against = {name for name in {*placed.category} if _gone_wrong(placed.wrong[_among(placed, {name})], bar)}
    for category in against:
        notice.pop(category, None)
        automatic.pop(category, None)
    on_trust = {*notice} - {*automatic}
    if _gone_wrong(placed.wrong[_among(placed, on_trust)], bar):
        # History promised better than what came of it, though each category alone has too few orders to tell.
        notice.clear()
        against |= on_trust
    ladder = Ladder(bar=bar, notice=notice, automatic=automatic)
    return replace(ladder, standings=_standings(ladder, shadow, placed, against))


def _standings(ladder: Ladder, shadow: Evidence, placed: Evidence, against: AbstractSet[str]) -> dict[str, Standing]:
    """Return how each category stands that there is evidence of, those with most of it first."""
    bar = ladder.bar
    past, since = (_counts(evidence, bar) for evidence in (shadow, placed))
    sharing = [max(len(_sharing(evidence, bar)), 1) for evidence in (shadow, placed)]
    found: dict[str, Standing] = {}
    for name in sorted({*past, *since}, key=lambda name: (-past.get(name, (0, 0))[0], name)):
        history, real = past.get(name, (0, 0)), since.get(name, (0, 0))
        # The next rung after notice takes placed orders; what history said still speaks for how many of them go wrong.
        waits = name in ladder.notice
        share = (history[1] + real[1] + _JEFFREYS) / (history[0] + real[0] + 2.0 * _JEFFREYS)
        more = 0 if name in ladder.automatic else _more((history, real)[waits][0], share, bar, sharing[waits])
        found[name] = Standing(*history, *real, name in against, more)
    return found


def _counts(evidence: Evidence, bar: Bar) -> dict[str, tuple[int, int]]:
    sure = evidence.certainty >= bar.least_certainty
    names = np.array(evidence.category, dtype=object)[sure]
    return {name: (int((names == name).sum()), int(evidence.wrong[sure][names == name].sum())) for name in {*names}}


def _more(n: int, share: float, bar: Bar, among: int) -> int:
    """Return about how many orders more show that this share of them goes wrong; -1: it is not below the bar."""
    needed, total = _needed(bar, among), max(n, 1)
    if share >= bar.max_wrong_share:
        return -1
    while log_capital(round(share * total), total, bar.max_wrong_share) < needed:
        total += max(1, total // 20)
        if total > MOST_TOLD:
            return -1
    return total - n


def open_threshold(certainty: F64, wrong: Bool, bar: Bar, *, among: int = 1) -> float | None:
    """Return the lowest certainty at which the share of wrong orders is shown to be below the bar, or None.

    Parameters
    ----------
    among
        How many categories share the error.
    """
    needed, started = _needed(bar, among), False
    lowest: float | None = None
    for threshold in np.linspace(0.99, bar.least_certainty, STEPS):
        rows = certainty >= threshold
        n = int(rows.sum())
        # One unlucky order among the surest few must not end the sequence before it has begun.
        started = started or _enough(n, bar, needed) or threshold == bar.least_certainty
        if not started:
            continue
        if log_capital(int(wrong[rows].sum()), n, bar.max_wrong_share) < needed:
            break
        lowest = float(threshold)
    return lowest


def log_capital(wrong: int, n: int, allowed: float) -> float:
    """Return the logarithm of what bets on fewer wrong orders than allowed have made of 1, after `n` orders.

    A mixture of likelihood ratios over the shares below the allowed one: where the true share is at or above it, the
    capital is a supermartingale, and ever reaches c with probability 1 / c at most.
    """
    right = n - wrong
    a, b = _JEFFREYS + wrong, _JEFFREYS + right
    with np.errstate(divide="ignore"):
        # Far more wrong than allowed: nothing is left.
        mixed = betaln(a, b) + np.log(betainc(a, b, allowed))
    whole = betaln(_JEFFREYS, _JEFFREYS) + np.log(betainc(_JEFFREYS, _JEFFREYS, allowed))
    return float(mixed - whole - wrong * np.log(allowed) - right * np.log1p(-allowed))


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


def least_orders(bar: Bar, *, among: int = 1) -> int:
    """Return how many orders without a wrong one the first rung takes: 29 at 10 % and 90 %, of one category."""
    needed, n = _needed(bar, among), 1
    while log_capital(0, n, bar.max_wrong_share) < needed:
        n += 1
    return n


def _enough(n: int, bar: Bar, needed: float) -> bool:
    """Return whether so many orders would open a rung with `BEGIN` of the allowed share wrong."""
    allowed = bar.max_wrong_share
    return log_capital(int(np.ceil(BEGIN * allowed * n)), n, allowed) >= needed


def _needed(bar: Bar, among: int) -> float:
    """Return the logarithm of the capital at which a rung opens."""
    return float(np.log(among / (1.0 - bar.confidence)))


def _open_categories(bar: Bar, evidence: Evidence) -> dict[str, float]:
    names = np.array(evidence.category, dtype=object)
    opened: dict[str, float] = {}
    categories = _sharing(evidence, bar)
    for category in categories:
        rows = names == category
        threshold = open_threshold(evidence.certainty[rows], evidence.wrong[rows], bar, among=len(categories))
        if threshold is None:
            continue
        sure = rows & (evidence.certainty >= threshold)
        net = np.where(evidence.wrong[sure], -evidence.loss[sure], evidence.gain[sure])
        if net.mean() > 0.0:
            opened[category] = threshold
    return opened


def _sharing(evidence: Evidence, bar: Bar) -> list[str]:
    """Return the categories that share the error: those with too few orders to ever open ask nothing, and take none."""
    least = least_orders(bar)
    return [name for name, n in sorted(Counter(evidence.category).items()) if n >= least]


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
