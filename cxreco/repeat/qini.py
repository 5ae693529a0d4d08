"""How well a ranking by uplift finds those who act because of it: Qini and uplift curves, their areas, intervals.

Definitions are those of scikit-uplift 0.5: the Qini curve (Radcliffe 2007) counts responses gained among the treated,
the uplift curve (Devriendt, Guns & Verbeke 2020) scales the difference of rates by the number targeted; ties in the
score are one point. The scores are areas above random targeting as a share of the perfect ranking's, for 0-or-1
outcomes; `gain` is the same area in units of the outcome a customer, and so also reads money. A weight of 2 is a
customer seen twice: that is how intervals resample (Efron 1979).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cxreco.errors import BadInput

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
RESAMPLED = 400
# Resampled weights are drawn and cumulated so many numbers at a time.
_BLOCK = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Points of a curve: `targeted` customers, ascending from 0, and what was `gained` there; (k,) each."""

    targeted: F64
    gained: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number with its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


def qini_curve(outcome: ArrayLike, score: ArrayLike, treated: ArrayLike, weight: ArrayLike | None = None) -> Curve:
    """Return responses gained among the treated, over what the controls of the same scores foretell; best score first.

    Parameters
    ----------
    outcome, score, treated
        (n,) what followed, the score that ranks, and 1 for treated or 0 for control.
    weight
        (n,) how often each row counts; None: once.
    """
    return _Ranked(outcome, score, treated).curve(_weights(outcome, weight), qini=True)


def uplift_curve(outcome: ArrayLike, score: ArrayLike, treated: ArrayLike, weight: ArrayLike | None = None) -> Curve:
    """Return the difference of mean outcomes times the number targeted, best score first; see `qini_curve`."""
    return _Ranked(outcome, score, treated).curve(_weights(outcome, weight), qini=False)


def qini_score(outcome: ArrayLike, score: ArrayLike, treated: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return the Qini coefficient: the Qini curve's area above random, as a share of the perfect ranking's.

    Raises
    ------
    BadInput
        If outcomes are not 0 or 1, or one of the groups is empty.
    """
    return float(qini_scores(outcome, score, treated, _weights(outcome, weight)[None, :])[0])


def uplift_score(outcome: ArrayLike, score: ArrayLike, treated: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return AUUC: the uplift curve's area above random, as a share of the perfect one's; raises as `qini_score`."""
    return float(uplift_scores(outcome, score, treated, _weights(outcome, weight)[None, :])[0])


def gain(outcome: ArrayLike, score: ArrayLike, treated: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return what ranking by the score gains over random targeting, in units of the outcome a treated customer.

    It is the Qini curve's area above random by the numbers of customers and of treated ones: the mean, over how deep
    one targets, of what is gained.
    """
    return float(gains(outcome, score, treated, _weights(outcome, weight)[None, :])[0])


def qini_scores(outcome: ArrayLike, score: ArrayLike, treated: ArrayLike, weights: F64) -> F64:
    """Return `qini_score` under each of (b, n) weights, (b,): all resamples of one ranking at once."""
    y, t = _binary(outcome), _sides(treated)
    found, perfect = (_Ranked(y, by, t).above_random(weights, qini=True) for by in (score, y * (2.0 * t - 1.0)))
    return found / perfect


def uplift_scores(outcome: ArrayLike, score: ArrayLike, treated: ArrayLike, weights: F64) -> F64:
    """Return `uplift_score` under each of (b, n) weights, (b,)."""
    y, t = _binary(outcome), _sides(treated)
    # What scikit-uplift calls perfect: those who did as they were treated first, ties by the rarer kind of failure.
    by_outcome, by_side = (_Ranked(y, 2.0 * (y == t) + by, t).above_random(weights, qini=False) for by in (y, t))
    perfect = np.where(weights @ (y * (1.0 - t)) > weights @ ((1.0 - y) * t), by_outcome, by_side)
    return _Ranked(y, score, t).above_random(weights, qini=False) / perfect


def gains(outcome: ArrayLike, score: ArrayLike, treated: ArrayLike, weights: F64) -> F64:
    """Return `gain` under each of (b, n) weights, (b,)."""
    ranked = _Ranked(outcome, score, treated)
    area = ranked.above_random(weights, qini=True) / weights.sum(axis=1)
    return np.asarray(area / (weights @ _sides(treated)), dtype=np.float64)


def resampled_weights(n: int, *, seed: int, resampled: int = RESAMPLED) -> F64:
    """Return (resampled, n) bootstrap weights: how often each customer was drawn; one set serves all that is paired."""
    rng = np.random.default_rng(seed)
    return np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(resampled)]).astype(np.float64)


def gain_interval(
    outcome: ArrayLike, score: ArrayLike, treated: ArrayLike, *, seed: int, weight: ArrayLike | None = None,
    group: I64 | None = None,
) -> Interval:  # fmt: skip
    """Return `gain` with its 95 % bootstrap interval over customers.

    Parameters
    ----------
    weight
        (n,) how often each row counts; None: once.
    group
        (n,) codes of the customers that rows are of; None: each is of somebody else.
    """
    n = np.asarray(score).size
    if group is None:
        drawn = resampled_weights(n, seed=seed)
    else:
        names, who = np.unique(group, return_inverse=True)
        drawn = resampled_weights(names.size, seed=seed)[:, who]
    usual, sides = _weights(outcome, weight), _sides(treated)
    # A resample without one of the arms says nothing.
    drawn = drawn[(drawn @ sides > 0.0) & (drawn @ (1.0 - sides) > 0.0)]
    return _interval(gain(outcome, score, treated, weight), gains(outcome, score, treated, drawn * usual))


def qini_interval(outcome: ArrayLike, score: ArrayLike, treated: ArrayLike, *, seed: int) -> Interval:
    """Return the Qini coefficient with its 95 % bootstrap interval over customers."""
    found = qini_scores(outcome, score, treated, resampled_weights(np.asarray(score).size, seed=seed))
    return _interval(qini_score(outcome, score, treated), found)


def uplift_interval(outcome: ArrayLike, score: ArrayLike, treated: ArrayLike, *, seed: int) -> Interval:
    """Return AUUC with its 95 % bootstrap interval over customers."""
    found = uplift_scores(outcome, score, treated, resampled_weights(np.asarray(score).size, seed=seed))
    return _interval(uplift_score(outcome, score, treated), found)


def _interval(value: float, resampled: F64) -> Interval:
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Interval(value=value, low=float(low), high=float(high))


class _Ranked:
    """Rows sorted by score, best first; scores that tie are one threshold."""

    def __init__(self, outcome: ArrayLike, score: ArrayLike, treated: ArrayLike) -> None:
        y, s, t = np.asarray(outcome, np.float64), np.asarray(score, np.float64), _sides(treated)
        if not y.shape == s.shape == t.shape:
            raise BadInput(f"outcome {y.shape}, score {s.shape} and treated {t.shape} differ in length", where="uplift")
        if not (np.isfinite(y).all() and np.isfinite(s).all()):
            raise BadInput("outcomes and scores must be finite numbers", where="uplift")
        self.order = np.argsort(-s, kind="stable")
        self.y, self.t = y[self.order], t[self.order]
        self.ends = np.append(np.flatnonzero(np.diff(s[self.order])), s.size - 1)

    def points(self, weights: F64, *, qini: bool) -> tuple[F64, F64]:
        """Return (b, k + 1) customers targeted and what was gained at each threshold, from nothing on."""
        w = weights[:, self.order]
        parts = (w * self.t, w * (self.t * self.y), w * (1.0 - self.t), w * ((1.0 - self.t) * self.y))
        treated, won, control, anyway = (np.cumsum(part, axis=1)[:, self.ends] for part in parts)
        if qini:
            found = won - _share(anyway, control) * treated
        else:
            found = (_share(won, treated) - _share(anyway, control)) * (treated + control)
        none = np.zeros((len(weights), 1))
        return np.hstack([none, treated + control]), np.hstack([none, found])

    def curve(self, weight: F64, *, qini: bool) -> Curve:
        targeted, gained = self.points(weight[None, :], qini=qini)
        return Curve(targeted=targeted[0], gained=gained[0])

    def above_random(self, weights: F64, *, qini: bool) -> F64:
        """Return (b,) areas above the straight line to the curve's end."""
        step = max(1, _BLOCK // self.order.size)
        return np.concatenate([self._above(weights[row : row + step], qini) for row in range(0, len(weights), step)])

    def _above(self, weights: F64, qini: bool) -> F64:
        x, y = self.points(weights, qini=qini)
        return np.asarray(np.trapezoid(y, x, axis=1) - 0.5 * x[:, -1] * y[:, -1], dtype=np.float64)


def _share(part: F64, whole: F64) -> F64:
    """Return part / whole, 0 where there is nothing yet."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0.0)


def _sides(treated: ArrayLike) -> F64:
    t = np.asarray(treated, dtype=np.float64)
    if t.size == 0 or not np.isin(t, (0.0, 1.0)).all() or t.min() == t.max():
        raise BadInput("must hold 0 (control) and 1 (treated), both of them", where="treated")
    return t


def _binary(outcome: ArrayLike) -> F64:
    y = np.asarray(outcome, dtype=np.float64)
    if not np.isin(y, (0.0, 1.0)).all():
        raise BadInput(
            "the normalised scores are defined for outcomes of 0 or 1; use `gain` for money", where="outcome"
        )
    return y


def _weights(outcome: ArrayLike, weight: ArrayLike | None) -> F64:
    return np.ones(np.asarray(outcome).size) if weight is None else np.asarray(weight, dtype=np.float64)
