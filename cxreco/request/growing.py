"""Growing forests with LightGBM, the same way each time: deterministic, and strict about its parameters."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cxreco.declared import declared
from cxreco.errors import BadSpec

F64 = NDArray[np.float64]

_KNOWN = frozenset(
    {
        "rounds", "num_leaves", "learning_rate", "min_data_in_leaf", "lambda_l1", "lambda_l2", "feature_fraction",
        "bagging_fraction", "bagging_freq", "max_depth", "max_bin", "path_smooth", "min_gain_to_split",
        "min_sum_hessian_in_leaf", "lambdarank_truncation_level", "seed", "num_threads",
    }
)  # fmt: skip
# The least of what counts something.
_COUNTS = {"rounds": 1, "num_leaves": 2, "min_data_in_leaf": 0, "lambdarank_truncation_level": 1, "max_bin": 2}


def check_parameters(params: Mapping[str, float], where: str) -> None:
    """Check what a spec says of trees.

    Raises
    ------
    BadSpec
        If a parameter is not one that a spec may set, or what must be above zero is not.
    """
    unknown = set(params) - _KNOWN
    if unknown:
        raise BadSpec(f"unknown; known are {', '.join(sorted(_KNOWN))}", where=f"{where}.{min(unknown)}")
    for name, value in params.items():
        if name in _COUNTS:
            declared(value, f"{where}.{name}", least=_COUNTS[name], whole=True)
        else:
            # A depth of -1 has no end.
            least = -1.0 if name == "max_depth" else 0.0
            declared(value, f"{where}.{name}", least=least, above=name == "learning_rate")


def grow(
    x: NDArray[np.floating],
    label: F64,
    *,
    objective: str,
    params: Mapping[str, float],
    names: Sequence[str],
    offset: F64 | None = None,
    group: NDArray[np.int64] | None = None,
    monotone: Sequence[int] | None = None,
) -> str:
    """Return a LightGBM model as its native text.

    Parameters
    ----------
    x, label
        (n, len(names)) and (n,).
    objective
        LightGBM's name for it.
    params
        Of LightGBM, with `rounds` the number of trees.
    offset
        (n,) raw scores that the trees start from; not part of the model.
    group
        Sizes of the consecutive groups that are ranked within.
    monotone
        -1, 0 or 1 a column.

    Raises
    ------
    BadSpec
        See `check_parameters`.
    """
    import lightgbm  # only training pays for this import

    check_parameters(params, "lightgbm")
    settings: dict[str, object] = {
        "seed": 7, "num_threads": 1, **params, "objective": objective, "deterministic": True,
        "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    rounds = int(params.get("rounds", 100))
    settings.pop("rounds", None)
    if monotone is not None:
        settings["monotone_constraints"] = list(monotone)
    data = lightgbm.Dataset(
        x, label=label, init_score=offset, group=group, feature_name=list(names), params={"verbosity": -1}
    )
    return str(lightgbm.train(settings, data, num_boost_round=rounds).model_to_string())
