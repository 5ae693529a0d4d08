"""Fits a head (see `respond/head.py`) on rows in time order; only training imports it, and LightGBM with it."""

from dataclasses import dataclass, replace
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from cxreco.request.forest import Scorer, verified
from cxreco.respond.head import F64, Head, Prior, prior_head

LATER_SHARE = 0.25
LEAST_ROWS_FOR_TREES = 400
LEAST_EVENTS_FOR_TREES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """How LightGBM may boost a head."""

    leaves: int = 8
    rate: float = 0.05
    rounds: int = 300
    least_leaf: int = 40
    shrink: float = 20.0
    seed: int = 7

    def parameters(self, objective: str) -> dict[str, Any]:
        """Return LightGBM's parameters; deterministic on any number of threads."""
        return {
            "objective": objective,
            "num_leaves": self.leaves,
            "learning_rate": self.rate,
            "min_data_in_leaf": self.least_leaf,
            "lambda_l2": self.shrink,
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a head learns from, in time order.

    Attributes
    ----------
    x
        (n, F) features of the moment, which the trees may split on.
    design
        (n, d) pooled design of the coefficients; d may be 0.
    offset
        (n,) logits believed before.
    y
        (n,) outcome, 0 or 1.
    at
        (n,) microseconds, ascending: the last quarter is the later data that judges.
    """

    x: F64
    design: F64
    offset: F64
    y: F64
    at: NDArray[np.int64]

    def __post_init__(self) -> None:
        if np.any(np.diff(self.at) < 0):
            raise ValueError("rows of a head must be in time order")

    def split(self) -> tuple["Rows", "Rows"]:
        """Return the earlier three quarters and the later quarter."""
        cut = round(self.y.size * (1.0 - LATER_SHARE))
        return self.part(slice(0, cut)), self.part(slice(cut, None))

    def part(self, rows: slice) -> "Rows":
        """Return some of the rows."""
        return Rows(
            x=self.x[rows], design=self.design[rows], offset=self.offset[rows], y=self.y[rows], at=self.at[rows]
        )


def fit_head(rows: Rows, prior: Prior, trees: Trees) -> Head:
    """Fit a head on rows in time order; with few rows it stays near its prior.

    Source: MAP logistic regression with Laplace covariance (Bishop 2006, section 4.5); boosting from an offset by
    LightGBM's `init_score`; calibration by Platt (1999), shrunk to the identity.
    """
    if rows.y.size == 0:
        return prior_head(prior)
    earlier, later = rows.split()
    judged = _coefficients(earlier, prior)
    booster, gain = _boosted(judged, earlier, later, trees)
    head = _coefficients(rows, prior)
    report = {"rows": float(rows.y.size), "rate": float(rows.y.mean()), "trees": 0.0, "later_gain": gain}
    if booster is not None:
        judged = replace(judged, trees=booster)
        head = replace(head, trees=_refit(head, rows, trees, booster))
        report["trees"] = float(booster.trees)
    intercept, slope = _platt(judged, later)
    report |= {"platt_slope": slope, "platt_intercept": intercept, "later_log_loss": _log_loss(judged, later)}
    return replace(head, intercept=intercept, slope=slope, rows=int(rows.y.size), report=report)


def _coefficients(rows: Rows, prior: Prior) -> Head:
    d = prior.mean.size
    if d == 0 or rows.y.size == 0:
        return prior_head(prior)
    precision = 1.0 / prior.sd**2

    def loss(theta: F64) -> tuple[float, F64]:
        z = rows.offset + rows.design @ theta
        apart = theta - prior.mean
        value = -np.sum(rows.y * log_expit(z) + (1.0 - rows.y) * log_expit(-z)) + 0.5 * np.sum(precision * apart**2)
        gradient = rows.design.T @ (expit(z) - rows.y) + precision * apart
        return float(value), gradient

    best = minimize(loss, prior.mean, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    theta = np.asarray(best.x, dtype=np.float64)
    p = expit(rows.offset + rows.design @ theta)
    hessian = (rows.design * (p * (1.0 - p))[:, None]).T @ rows.design + np.diag(precision)
    return Head(theta=theta, covariance=np.asarray(np.linalg.inv(hessian), dtype=np.float64), rows=int(rows.y.size))


def _boosted(head: Head, earlier: Rows, later: Rows, trees: Trees) -> tuple[Scorer | None, float]:
    """Return the trees that help on later rows by two standard errors, or None, and the gain in log loss a row."""
    events = min(earlier.y.sum(), earlier.y.size - earlier.y.sum())
    if earlier.y.size < LEAST_ROWS_FOR_TREES or events < LEAST_EVENTS_FOR_TREES or later.y.sum() < 1.0:
        return None, 0.0
    data = lightgbm.Dataset(earlier.x, earlier.y, init_score=head.logit(earlier.x, earlier.design, earlier.offset))
    check = lightgbm.Dataset(
        later.x, later.y, init_score=head.logit(later.x, later.design, later.offset), reference=data
    )
    booster = lightgbm.train(
        trees.parameters("binary") | {"boost_from_average": False, "metric": "binary_logloss"},
        data,
        num_boost_round=trees.rounds,
        valid_sets=[check],
        callbacks=[lightgbm.early_stopping(20, verbose=False)],
    )
    if booster.best_iteration == 0 or booster.num_trees() == 0:
        return None, 0.0
    scorer = verified(booster.model_to_string(num_iteration=booster.best_iteration), later.x[:200])
    base = head.logit(later.x, later.design, later.offset)
    gain = _losses(base, later.y) - _losses(base + scorer.score(later.x), later.y)
    error = float(gain.std(ddof=1) / np.sqrt(gain.size))
    return (scorer, float(gain.mean())) if gain.mean() > 2.0 * error else (None, float(gain.mean()))


def _refit(head: Head, rows: Rows, trees: Trees, judged: Scorer) -> Scorer:
    data = lightgbm.Dataset(rows.x, rows.y, init_score=head.logit(rows.x, rows.design, rows.offset))
    booster = lightgbm.train(
        trees.parameters("binary") | {"boost_from_average": False}, data, num_boost_round=judged.trees
    )
    return verified(booster.model_to_string(), rows.x[:200])


def _platt(head: Head, later: Rows) -> tuple[float, float]:
    """Return (intercept, slope) on later rows, shrunk to (0, 1) as by 50 rows of evidence."""
    if later.y.size < LEAST_ROWS_FOR_TREES * LATER_SHARE or later.y.sum() < 10:
        return 0.0, 1.0
    raw = head.logit(later.x, later.design, later.offset)
    rows = Rows(
        x=later.x, design=np.column_stack([np.ones_like(raw), raw]), offset=np.zeros_like(raw), y=later.y, at=later.at
    )
    fitted = _coefficients(rows, Prior(mean=np.array([0.0, 1.0]), sd=np.array([0.3, 0.15])))
    return float(fitted.theta[0]), float(max(fitted.theta[1], 0.2))


def _losses(z: F64, y: F64) -> F64:
    return np.asarray(-(y * log_expit(z) + (1.0 - y) * log_expit(-z)), dtype=np.float64)


def _log_loss(head: Head, rows: Rows) -> float:
    return float(_losses(head.logit(rows.x, rows.design, rows.offset), rows.y).mean()) if rows.y.size else float("nan")
