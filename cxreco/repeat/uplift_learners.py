"""Meta-learners of uplift: S, T, X and DR, over ridge regression or LightGBM, for any number of arms.

Sources
-------
S, T and X: Künzel, Sekhon, Bickel & Yu (PNAS 2019). DR: Kennedy (2020), Towards optimal doubly robust estimation of
heterogeneous causal effects. Ridge: Hoerl & Kennard (1970), its penalty by generalised cross-validation (Golub, Heath &
Wahba 1979). All regress on the outcome's own scale, where effects add up. Where arms were dealt by chances that
differ, rows weigh by the inverse of theirs (Horvitz & Thompson 1952).
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import lightgbm
import numpy as np

from cxreco.repeat.uplift import F64, Learner, Trial
from cxreco.respond.lift import Crossed, Line, Regression, Term, Terms, crossed, summed

FOLDS = 3


class Base(Protocol):
    """A regression: least squares with some way to stay modest."""

    @property
    def name(self) -> str:
        """What it is called in tables."""
        ...

    def fit(self, x: F64, y: F64, weight: F64 | None = None, *, seed: int = 0) -> Regression:
        """Return what foretells y, (n,), from x, (n, d)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge:
    """Linear regression on standardised columns, NaN at their mean; the penalty that generalises best, of a grid.

    Attributes
    ----------
    penalties
        Each times the number of rows.
    """

    name: str = "linear"
    penalties: tuple[float, ...] = tuple(10.0**p for p in np.arange(-4.0, 2.1, 0.5))

    def fit(self, x: F64, y: F64, weight: F64 | None = None, *, seed: int = 0) -> Line:
        """Return the fitted regression."""
        w = np.ones(y.size) if weight is None else weight
        w = w / w.mean()
        filled = _filled(x)
        centre, usual = np.average(filled, axis=0, weights=w), float(np.average(y, weights=w))
        spread = np.sqrt(np.average((filled - centre) ** 2, axis=0, weights=w))
        spread = np.where(spread > 1e-12, spread, np.inf)
        root = np.sqrt(w)[:, None]
        gram = ((filled - centre) / spread) * root
        target = (y - usual) * root[:, 0]
        values, vectors = np.linalg.eigh(gram.T @ gram)
        values = np.maximum(values, 0.0)
        along = vectors.T @ (gram.T @ target)
        beta = vectors @ (along / (values + self._penalty(values, along, target)))
        return Line(usual=usual, centre=centre, slope=beta / spread)

    def _penalty(self, values: F64, along: F64, target: F64) -> float:
        n = target.size
        total = float(target @ target)
        best, chosen = np.inf, n * self.penalties[-1]
        for penalty in n * np.array(self.penalties):
            shrunk = 1.0 / (values + penalty)
            rss = total - 2.0 * float(shrunk @ along**2) + float((values * shrunk**2) @ along**2)
            freedom = 1.0 + float((values * shrunk).sum())
            score = rss / max(n - freedom, 1e-9) ** 2
            if score < best:
                best, chosen = score, float(penalty)
        return chosen


def _filled(x: F64) -> F64:
    known = np.isfinite(x)
    centre = np.where(known, x, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.asarray(np.where(known, x, centre), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """Boosted trees as LightGBM has them in hand."""

    booster: Any

    @property
    def text(self) -> str:
        """The trees in LightGBM's text form."""
        return str(self.booster.model_to_string())

    def score(self, x: F64) -> F64:
        """Return (n,) from (n, d)."""
        return np.asarray(self.booster.predict(x, num_threads=1), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosted:
    """LightGBM, kept modest: few leaves, many customers in each, strong shrinkage."""

    name: str = "trees"
    leaves: int = 6
    rounds: int = 60
    rate: float = 0.05
    least_share: float = 0.02
    shrink: float = 50.0

    def fit(self, x: F64, y: F64, weight: F64 | None = None, *, seed: int = 0) -> Grown:
        """Return the fitted regression."""
        params = {
            "objective": "regression", "num_leaves": self.leaves, "learning_rate": self.rate,
            "min_data_in_leaf": max(20, round(self.least_share * y.size)), "lambda_l2": self.shrink,
            "feature_fraction": 0.7, "bagging_fraction": 0.7, "bagging_freq": 1, "seed": seed, "deterministic": True,
            "force_row_wise": True, "num_threads": 1, "verbosity": -1,
        }  # fmt: skip
        data = lightgbm.Dataset(x, y, weight=weight)
        return Grown(booster=lightgbm.train(params, data, num_boost_round=self.rounds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A model made of a sum of regressions an arm."""

    by_arm: tuple[Terms, ...]

    def effects(self, x: F64) -> F64:
        """Return (n, K - 1) effects; see `uplift.UpliftModel`."""
        return np.column_stack([summed(terms, x) for terms in self.by_arm])


@dataclass(frozen=True, slots=True, kw_only=True)
class S:
    """One regression that has the arm among its columns, and its products with the others."""

    base: Base

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"S {self.base.name}"

    def fit(self, trial: Trial, seed: int) -> Fitted:
        """Learn from a trial."""
        centre = _filled(trial.x).mean(axis=0)
        rows = crossed(trial.x, trial.arm, trial.arms, centre)
        fitted = self.base.fit(rows, trial.outcome, trial.weight, seed=seed)

        def dealt(arm: int, weight: float) -> Term:
            return Term(weight=weight, of=fitted, cross=Crossed(arm=arm, arms=trial.arms, centre=centre))

        return Fitted(by_arm=tuple((dealt(arm, 1.0), dealt(0, -1.0)) for arm in range(1, trial.arms)))


@dataclass(frozen=True, slots=True, kw_only=True)
class T:
    """One regression an arm; their differences."""

    base: Base

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"T {self.base.name}"

    def fit(self, trial: Trial, seed: int) -> Fitted:
        """Learn from a trial."""
        means = _means(self.base, trial, seed)
        return Fitted(by_arm=tuple((Term(weight=1.0, of=m), Term(weight=-1.0, of=means[0])) for m in means[1:]))


def _means(base: Base, trial: Trial, seed: int) -> list[Regression]:
    parts = [trial.take(trial.arm == arm) for arm in range(trial.arms)]
    return [base.fit(part.x, part.outcome, part.weight, seed=seed) for part in parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class X:
    """Effects imputed from the other arm's regression, regressed in both arms and mixed by the propensity."""

    base: Base

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"X {self.base.name}"

    def fit(self, trial: Trial, seed: int) -> Fitted:
        """Learn from a trial."""
        means = _means(self.base, trial, seed)
        control = trial.take(trial.arm == 0)
        found: list[Terms] = []
        for arm in range(1, trial.arms):
            treated = trial.take(trial.arm == arm)
            gained, lost = treated.outcome - means[0].score(treated.x), means[arm].score(control.x) - control.outcome
            one = self.base.fit(treated.x, gained, treated.weight, seed=seed)
            other = self.base.fit(control.x, lost, control.weight, seed=seed)
            share = float(trial.pair(arm).propensity[:, 1].mean())
            found.append((Term(weight=share, of=other), Term(weight=1.0 - share, of=one)))
        return Fitted(by_arm=tuple(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class DR:
    """Regression of doubly robust scores, whose means are the arms' effects whatever the regressions inside them."""

    base: Base
    inner: Base = field(default_factory=Ridge)

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"DR {self.base.name}"

    def fit(self, trial: Trial, seed: int) -> Fitted:
        """Learn from a trial."""
        scores = doubly_robust(trial, self.inner, seed)
        lifts = scores[:, 1:] - scores[:, [0]]
        fitted = (self.base.fit(trial.x, lift, seed=seed) for lift in lifts.T)
        return Fitted(by_arm=tuple((Term(weight=1.0, of=of),) for of in fitted))


def doubly_robust(trial: Trial, base: Base, seed: int) -> F64:
    """Return (n, K) scores of each arm, mu + 1{dealt}(y - mu) / p, with mu learned on other folds.

    Their mean over customers is the outcome if all got the arm; over those whom a policy gives it, its value there.
    Source: Robins, Rotnitzky & Zhao (1994).
    """
    fold = trial.folds(FOLDS, seed)
    mu = np.empty((len(trial), trial.arms))
    for k in range(FOLDS):
        here = fold == k
        for arm, mean in enumerate(_means(base, trial.take(~here), seed)):
            mu[here, arm] = mean.score(trial.x[here])
    dealt = trial.arm[:, None] == np.arange(trial.arms)[None, :]
    return np.asarray(mu + np.where(dealt, (trial.outcome[:, None] - mu) / trial.propensity, 0.0), dtype=np.float64)


def learners() -> tuple[Learner, ...]:
    """Return the learners to choose among, modest ones first: S, X, DR and T over ridge, boosted stumps, and trees."""
    bases: tuple[Base, ...] = (Ridge(), Boosted(name="stumps", leaves=2, rounds=100), Boosted())
    return tuple(kind(base=base) for base in bases for kind in (S, X, DR, T))
