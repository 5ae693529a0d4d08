"""The libraries beside cxreco, each with its own learners over the same regressions; what is not installed is left out.

Bases are as modest as cxreco's own: `linear` is ridge or logistic regression, `trees` and `stumps` are LightGBM with
the parameters of `cxreco.repeat.uplift_learners.Boosted`, so that what differs is the learner.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import lightgbm
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.preprocessing import StandardScaler

from cxreco.repeat.uplift import F64, Trial

Fit = Callable[[Trial, F64, int], F64]
LIBRARIES = {"scikit-uplift": "sklift", "causalml": "causalml", "econml": "econml"}
BASES = ("linear", "trees", "stumps")


def installed() -> list[str]:
    """Return which of the libraries are there."""
    return [name for name, module in LIBRARIES.items() if find_spec(module) is not None]


def peers(outcome: str, libraries: Sequence[str]) -> dict[str, Fit]:
    """Return what fits on a trial of two arms and foretells the effects of new customers, (n,), by name."""
    made = {"scikit-uplift": _sklift, "causalml": _causalml, "econml": _econml}
    binary = outcome == "visit"
    return {f"{library}: {name}": fit for library in libraries for name, fit in made[library](binary)}


def policies(libraries: Sequence[str]) -> dict[str, Fit]:
    """Return what fits on a trial of all arms and foretells the effects of each over arm 0, (n, K - 1)."""
    found: dict[str, Fit] = {}
    if "econml" in libraries:
        found["econml: LinearDRLearner"] = _econml_linear_dr
        found["econml: ForestDRLearner"] = _econml_forest_dr
    if "causalml" in libraries:
        found["causalml: T trees"] = partial(_causalml_many, "BaseTRegressor", "trees")
        found["causalml: X linear"] = partial(_causalml_many, "BaseXRegressor", "linear")
    return found


def regressor(base: str, seed: int) -> Any:  # noqa: ANN401 (scikit-learn's)
    """Return an unfitted regression."""
    if base == "linear":
        return RidgeCV(np.geomspace(1e-1, 1e6, 15))
    return lightgbm.LGBMRegressor(**_modest(base, seed))


def classifier(base: str, seed: int) -> Any:  # noqa: ANN401 (scikit-learn's)
    """Return an unfitted classifier."""
    if base == "linear":
        return LogisticRegressionCV(Cs=np.geomspace(1e-4, 10.0, 6), cv=3, max_iter=500)
    return lightgbm.LGBMClassifier(**_modest(base, seed))


def _modest(base: str, seed: int) -> dict[str, Any]:
    return {
        "num_leaves": 2 if base == "stumps" else 6, "n_estimators": 100 if base == "stumps" else 60,
        "learning_rate": 0.05, "min_child_samples": 200, "reg_lambda": 50.0, "colsample_bytree": 0.7, "subsample": 0.7,
        "subsample_freq": 1, "random_state": seed, "n_jobs": 1, "verbosity": -1,
    }  # fmt: skip


def quiet(fit: Fit, trial: Trial, x: F64, seed: int) -> F64:
    """Fit and foretell on standardised columns, without the libraries' warnings."""
    scale = StandardScaler().fit(trial.x)
    even = Trial(x=scale.transform(trial.x), arm=trial.arm, outcome=trial.outcome, propensity=trial.propensity)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(fit(even, scale.transform(x), seed), dtype=np.float64)


def _sklift(binary: bool) -> Iterator[tuple[str, Fit]]:
    for base in BASES:
        yield f"Solo {base}", partial(_sklift_fit, "Solo", base, binary)
        yield f"Two {base}", partial(_sklift_fit, "Two", base, binary)
    for base in BASES[:2]:
        yield f"Transformed {base}", partial(_sklift_fit, "Transformed", base, binary)


def _sklift_fit(kind: str, base: str, binary: bool, trial: Trial, x: F64, seed: int) -> F64:
    models = import_module("sklift.models")
    made = [(classifier if binary else regressor)(base, seed) for _ in range(2)]
    if kind == "Solo":
        model = models.SoloModel(made[0], method="treatment_interaction")
    elif kind == "Two":
        model = models.TwoModels(*made, method="vanilla")
    elif binary:
        model = models.ClassTransformation(made[0])
    else:
        model = models.ClassTransformationReg(made[0], propensity_val=0.5)
    return np.asarray(model.fit(trial.x, _labels(trial, binary), trial.arm).predict(x))


def _labels(trial: Trial, binary: bool) -> Any:  # noqa: ANN401
    return trial.outcome.astype(int) if binary else trial.outcome


def _causalml(binary: bool) -> Iterator[tuple[str, Fit]]:
    for kind in ("T", "X", "R", "DR"):
        for base in BASES:
            yield f"{kind} {base}", partial(_causalml_one, f"Base{kind}Regressor", base)
    yield "S trees", partial(_causalml_one, "BaseSRegressor", "trees")


def _causalml_one(name: str, base: str, trial: Trial, x: F64, seed: int) -> F64:
    return _causalml_many(name, base, trial, x, seed)[:, 0]


def _causalml_many(name: str, base: str, trial: Trial, x: F64, seed: int) -> F64:
    meta = import_module("causalml.inference.meta")
    learner = getattr(meta, name)(learner=regressor(base, seed), control_name="0")
    arm = trial.arm.astype(str)
    chances = {str(k): trial.propensity[:, k] for k in range(1, trial.arms)}
    given = {k: np.full(len(x), float(p[0])) for k, p in chances.items()}
    if name in ("BaseSRegressor", "BaseTRegressor"):
        learner.fit(X=trial.x, treatment=arm, y=trial.outcome)
        return np.asarray(learner.predict(x))
    if name == "BaseDRRegressor":
        learner.fit(X=trial.x, treatment=arm, y=trial.outcome, p=_pairs(trial), seed=seed)
        return np.asarray(learner.predict(x))
    learner.fit(X=trial.x, treatment=arm, y=trial.outcome, p=_pairs(trial))
    return np.asarray(learner.predict(x, p=given) if name == "BaseXRegressor" else learner.predict(x))


def _pairs(trial: Trial) -> dict[str, F64]:
    """Return the chance of each arm against arm 0, by its name."""
    p = trial.propensity
    return {str(k): p[:, k] / (p[:, 0] + p[:, k]) for k in range(1, trial.arms)}


def _econml(binary: bool) -> Iterator[tuple[str, Fit]]:
    yield "LinearDRLearner", lambda trial, x, seed: _econml_linear_dr(trial, x, seed)[:, 0]
    yield "ForestDRLearner", lambda trial, x, seed: _econml_forest_dr(trial, x, seed)[:, 0]
    yield "XLearner trees", _econml_x
    yield "CausalForestDML", _econml_forest


def _econml_linear_dr(trial: Trial, x: F64, seed: int) -> F64:
    dr = import_module("econml.dr")
    learner = dr.LinearDRLearner(
        model_propensity=_prior(), model_regression=regressor("linear", seed), cv=3, random_state=seed
    )
    learner.fit(trial.outcome, trial.arm, X=trial.x)
    return _against_none(learner, trial, x)


def _econml_forest_dr(trial: Trial, x: F64, seed: int) -> F64:
    dr = import_module("econml.dr")
    learner = dr.ForestDRLearner(
        model_propensity=_prior(), model_regression=regressor("trees", seed), cv=3, random_state=seed,
        n_estimators=200, min_samples_leaf=200, max_depth=4, n_jobs=1,
    )  # fmt: skip
    learner.fit(trial.outcome, trial.arm, X=trial.x)
    return _against_none(learner, trial, x)


def _econml_x(trial: Trial, x: F64, seed: int) -> F64:
    learners = import_module("econml.metalearners")
    learner = learners.XLearner(models=regressor("trees", seed), propensity_model=_prior())
    learner.fit(trial.outcome, trial.arm, X=trial.x)
    return np.asarray(learner.effect(x)).ravel()


def _econml_forest(trial: Trial, x: F64, seed: int) -> F64:
    dml = import_module("econml.dml")
    learner = dml.CausalForestDML(
        model_y=regressor("trees", seed), model_t=_prior(), discrete_treatment=True, cv=3, random_state=seed,
        n_estimators=200, min_samples_leaf=100, max_depth=4, n_jobs=1,
    )  # fmt: skip
    learner.fit(trial.outcome, trial.arm, X=trial.x)
    return np.asarray(learner.effect(x)).ravel()


def _against_none(learner: Any, trial: Trial, x: F64) -> F64:  # noqa: ANN401
    return np.column_stack([np.asarray(learner.effect(x, T0=0, T1=k)).ravel() for k in range(1, trial.arms)])


def _prior() -> Any:  # noqa: ANN401
    """Return a propensity model that knows the trial: the shares of the arms."""
    return DummyClassifier(strategy="prior")
