"""Which learner to believe, how far, and whether its differences between customers are worth acting on.

1. *Choose* by cross-validated Qini: every learner ranks customers it has not seen; among those within one standard
   error of the best, the first in the given order (Breiman et al. 1984), so give the modest ones first.
2. *Calibrate* every contrast of two arms: its mean is the trial's own, by doubly robust scores; what differs between
   customers is multiplied by the slope b of those scores on the unseen predictions (best linear predictor:
   Chernozhukov, Demirer, Duflo & Fernández-Val 2018), times b^2 / (b^2 + its variance), the multiplier of least squared
   error (Thompson 1968); nothing is left of a slope below 0. Contrasts, for arms share the noise of arm 0.
3. *Act* on differences only where they are evident: a customer gets another arm than the best single one only if their
   calibrated contrast says so and its slope's t passes the (1 - alpha) point of the largest t over all learners and
   contrasts where no customer differs from another (multiplier bootstrap: Chernozhukov, Chetverikov & Kato 2013).
   Else everybody gets the best single arm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.repeat.qini import gain
from cxreco.repeat.uplift import F64, I64, Learner, Trial, UpliftModel
from cxreco.repeat.uplift_learners import Ridge, doubly_robust, learners

MULTIPLIERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a learner is chosen, and when its differences may be acted on.

    Attributes
    ----------
    folds
        Of the cross-validation.
    alpha
        Chance of acting on differences that are not there.
    standard_errors
        A modest learner is preferred to a better one within so many.
    """

    folds: int = 5
    alpha: float = 0.05
    standard_errors: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a learner did on customers it had not seen.

    Attributes
    ----------
    gain
        Mean over arms of `qini.gain`, in units of the outcome a customer.
    behind, behind_error
        How far behind the best learner, and the standard error of that.
    t
        (K, K) t of the slope of each contrast; 0 on the diagonal.
    """

    name: str
    gain: float
    behind: float
    behind_error: float
    t: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A calibrated model of effects, and the policy that the evidence carries; K arms, arm 0 is to do nothing.

    Attributes
    ----------
    centre
        (K,) mean over the trial of what the model says of each arm, over arm 0.
    mean
        (K,) mean effect of each arm over arm 0, by doubly robust scores.
    error
        (K,) its standard error.
    slope
        (K, K) what is kept of the differences between customers in the contrast of two arms; 0: none.
    evident
        (K, K) whether differences in that contrast may be acted on.
    needed_t
        What the t of a slope had to pass.
    """

    model: UpliftModel
    learner: str
    centre: F64
    mean: F64
    error: F64
    slope: F64
    evident: NDArray[np.bool_]
    needed_t: float
    standings: tuple[Standing, ...]

    @property
    def learned_t(self) -> float:
        """T of the slope of arm 1 over arm 0, of the learner that was chosen."""
        return float(next(own.t[1, 0] for own in self.standings if own.name == self.learner))

    def contrasts(self, x: F64, over: int = 0) -> F64:
        """Return (n, K) what each arm adds over the arm `over`, calibrated; constant where no difference was found."""
        away = _with_nothing(self.model.effects(x)) - self.centre
        away = (away - away[:, [over]]) * self.slope[over]
        return np.asarray(self.mean - self.mean[over] + away, dtype=np.float64)

    def effects(self, x: F64) -> F64:
        """Return (n, K - 1) calibrated effects over arm 0; see `contrasts`."""
        return self.contrasts(x)[:, 1:]

    def best_single(self, costs: F64 | None = None) -> int:
        """Return the arm that is best if all get the same; see `choose`."""
        return int(np.argmax(self.mean - (0.0 if costs is None else costs)))

    def choose(self, x: F64, costs: F64 | None = None) -> I64:
        """Return (n,) the arm for each: the best single one, or another where that is evidently better for them.

        Parameters
        ----------
        costs
            (K,) what each arm costs, in units of the outcome; None: nothing.
        """
        price = np.zeros(self.mean.size) if costs is None else costs
        single = self.best_single(costs)
        over = self.contrasts(x, single) - (price - price[single])
        over = np.where(self.evident[single], over, -np.inf)
        over[:, single] = 0.0
        return np.asarray(over.argmax(axis=1), dtype=np.int64)


def choose(
    trial: Trial, *, candidates: Sequence[Learner] | None = None, rules: Rules | None = None, seed: int = 7
) -> Chosen:
    """Choose, calibrate and judge learners on one trial; see the module.

    Raises
    ------
    BadInput
        If there is no learner, or an arm has too few customers for the folds.
    """
    rules = rules or Rules()
    candidates = learners() if candidates is None else tuple(candidates)
    if not candidates:
        raise BadInput("names no learner", where="candidates")
    scores = doubly_robust(trial, Ridge(), seed)
    unseen, fold = _unseen(trial, candidates, rules.folds, seed)
    ranks = _gains(trial, unseen, fold)
    behind = ranks[ranks.mean(axis=1).argmax()] - ranks
    error = behind.std(axis=1, ddof=1) / np.sqrt(rules.folds)
    picked = int(np.flatnonzero(behind.mean(axis=1) <= rules.standard_errors * error + 1e-15)[0])
    found = [_slopes(scores, own, fold, trial.group) for own in unseen]
    needed = _largest_null(np.concatenate([slopes.terms for slopes in found], axis=1), trial.group, rules.alpha, seed)
    fitted = candidates[picked].fit(trial, seed)
    over = scores - scores[:, [0]]
    return Chosen(
        model=fitted,
        learner=candidates[picked].name,
        centre=_with_nothing(fitted.effects(trial.x)).mean(axis=0),
        mean=over.mean(axis=0),
        error=_errors(over, trial.group),
        slope=found[picked].kept,
        evident=found[picked].t > needed,
        needed_t=needed,
        standings=tuple(
            Standing(
                name=learner.name, gain=float(ranks[k].mean()), behind=float(behind[k].mean()),
                behind_error=float(error[k]), t=found[k].t,
            )
            for k, learner in enumerate(candidates)
        ),
    )  # fmt: skip


def _with_nothing(effects: F64) -> F64:
    """Return (n, K): what arm 0 adds over itself, and the effects."""
    return np.column_stack([np.zeros(len(effects)), effects])


def _unseen(trial: Trial, candidates: Sequence[Learner], folds: int, seed: int) -> tuple[F64, I64]:
    """Return (L, n, K - 1) effects that each learner foretells of customers it has not seen, and the folds."""
    fold = trial.folds(folds, seed)
    found = np.empty((len(candidates), len(trial), trial.arms - 1))
    for k in range(folds):
        here = fold == k
        rest = trial.take(~here)
        for row, learner in enumerate(candidates):
            found[row, here] = learner.fit(rest, seed).effects(trial.x[here])
    return found, fold


def _gains(trial: Trial, unseen: F64, fold: I64) -> F64:
    """Return (L, folds) gains of the rankings, the mean over arms."""
    out = np.zeros((len(unseen), int(fold.max()) + 1))
    weights = trial.weight
    for k in range(out.shape[1]):
        for arm in range(1, trial.arms):
            rows = (fold == k) & ((trial.arm == 0) | (trial.arm == arm))
            y, treated, weight = trial.outcome[rows], trial.arm[rows] == arm, None if weights is None else weights[rows]
            out[:, k] += [gain(y, own[rows, arm - 1], treated, weight) for own in unseen]
    return out / (trial.arms - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slopes:
    """Slopes of the scores on what was foretold: what is kept of them and their t, (K, K); (n, pairs) terms."""

    kept: F64
    t: F64
    terms: F64


def _slopes(scores: F64, own: F64, fold: I64, group: I64 | None) -> _Slopes:
    """Regress each contrast's scores on its unseen predictions, within folds; errors hold for whole groups."""
    arms = scores.shape[1]
    away, rest = _within(_with_nothing(own), fold), _within(scores, fold)
    kept, t = np.zeros((arms, arms)), np.zeros((arms, arms))
    terms: list[F64] = []
    for a, b in combinations(range(arms), 2):
        told, came = away[:, a] - away[:, b], rest[:, a] - rest[:, b]
        power = float(told @ told)
        terms.append(told * came)
        # What is the same for everybody has no slope.
        if power <= 1e-12 * float(came @ came):
            continue
        slope = float(told @ came) / power
        error = float(np.sqrt((_by_group(told * (came - slope * told), group) ** 2).sum())) / power
        t[a, b] = t[b, a] = slope / error
        kept[a, b] = kept[b, a] = min(slope**3 / (slope**2 + error**2), 1.0) if slope > 0.0 else 0.0
    return _Slopes(kept=kept, t=t, terms=np.column_stack(terms))


def _within(values: F64, fold: I64) -> F64:
    """Return (n, k) values less the mean of their fold."""
    out = values.copy()
    for k in range(int(fold.max()) + 1):
        out[fold == k] -= values[fold == k].mean(axis=0)
    return out


def _by_group(terms: F64, group: I64 | None) -> F64:
    """Return the sums by group of (n,) or (n, c) terms; the terms themselves where each row is of somebody else."""
    if group is None:
        return terms
    names, who = np.unique(group, return_inverse=True)
    out = np.zeros((names.size, *terms.shape[1:]))
    np.add.at(out, who, terms)
    return out


def _errors(over: F64, group: I64 | None) -> F64:
    """Return the standard errors of the means of (n, K) columns."""
    if group is None:
        return np.asarray(over.std(axis=0, ddof=1) / np.sqrt(len(over)), dtype=np.float64)
    sums = _by_group(over - over.mean(axis=0), group)
    return np.asarray(np.sqrt((sums**2).sum(axis=0) * len(sums) / max(len(sums) - 1, 1)) / len(over), dtype=np.float64)


def _largest_null(terms: F64, group: I64 | None, alpha: float, seed: int) -> float:
    """Return the (1 - alpha) point of the largest t over the columns of (n, c) terms if none had a mean above 0."""
    away = _by_group(terms - terms.mean(axis=0), group)
    spread = np.sqrt((away**2).sum(axis=0))
    away = np.divide(away, spread, out=np.zeros_like(away), where=spread > 0.0)
    drawn = np.random.default_rng(seed).standard_normal((MULTIPLIERS, len(away))) @ away
    return float(np.quantile(drawn.max(axis=1), 1.0 - alpha))
