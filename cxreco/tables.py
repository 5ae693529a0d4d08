"""The same nouns in bulk: column names, dtypes, checked frames, and the decision log that learning reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.journey import AUTOMATE, COACH, HOLD, MODES, Surface

Columns = Mapping[str, str]

# A row a decision. `item` is the code of item 0 (-1: none), `chosen` the row within its own admitted set,
# `arrival_cut` the last arrival that the decision could see.
DECISIONS: Columns = MappingProxyType(
    {
        "decision_id": "str",
        "customer_id": "str",
        "at": "int64",
        "seq": "int64",
        "arrival_cut": "int64",
        "arm": "str",
        "policy_version": "str",
        "mode": "int16",
        "action_id": "str",
        "item_id": "str",
        "item": "int32",
        "surface": "str",
        "channel": "str",
        "expires_at": "int64",
        "propensity_mode": "float64",
        "propensity_action": "float64",
        "propensity": "float64",
        "expected_value": "float64",
        "chosen": "int32",
        "n_admitted": "int32",
    }
)

# A row an admitted candidate; `decision` is the row number in DECISIONS, rows of one decision stand together.
CANDIDATES: Columns = MappingProxyType(
    {
        "decision": "int64",
        "key": "str",
        "mode": "int16",
        "action_id": "str",
        "item_id": "str",
        "joint": "float64",
        "value": "float64",
    }
)

# A row a customer under a standing experiment; `customer` is the code that ticks carry.
ASSIGNMENTS: Columns = MappingProxyType({"customer_id": "str", "customer": "int64", "arm": "str", "from_at": "int64"})

# What a plain frame for off-policy evaluation needs, and what it may add.
LOGGED: Columns = MappingProxyType({"reward": "float64", "propensity": "float64", "target_propensity": "float64"})
LOGGED_OPTIONAL: Columns = MappingProxyType(
    {
        "q": "float64",
        "q_target": "float64",
        "propensity_mode": "float64",
        "target_propensity_mode": "float64",
        "unsupported": "float64",
    }
)

_TOLERANCE = 1e-6


def empty(columns: Columns) -> pd.DataFrame:
    """Return a frame of no rows with these columns."""
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in columns.items()})


def checked(frame: pd.DataFrame, columns: Columns, *, name: str) -> pd.DataFrame:
    """Return a copy with the declared columns first, in their dtypes; columns beyond them are kept.

    Parameters
    ----------
    frame
        Any frame; it is not changed.
    columns
        Column name to dtype.
    name
        What to call the frame in an error.

    Raises
    ------
    BadInput
        If a column is missing, cannot be converted, or has missing values where its dtype allows none.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise BadInput(f"columns missing: {', '.join(missing)}", where=name)
    made: dict[str, pd.Series] = {}
    for column, dtype in columns.items():
        series = frame[column]
        if not dtype.startswith("float") and bool(series.isna().any()):
            row = int(np.flatnonzero(series.isna().to_numpy())[0])
            raise BadInput(f"missing value in row {row}", where=f"{name}.{column}")
        try:
            made[column] = series.astype(pd.api.types.pandas_dtype(dtype))
        except (TypeError, ValueError) as error:
            raise BadInput(f"cannot be read as {dtype}: {error}", where=f"{name}.{column}") from error
    for column in frame.columns:
        if column not in made:
            made[str(column)] = frame[column]
    return pd.DataFrame(made).reset_index(drop=True)


def contacts(mode: NDArray[np.integer], surface: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Tell which rows are contacts: any coaching or automatic order anywhere, anything but `hold` on outbound.

    Parameters
    ----------
    mode
        (n,) codes, index into `journey.MODES`.
    surface
        (n,) names of surfaces.
    """
    reaching = (mode == COACH) | (mode == AUTOMATE)
    outbound = (surface == Surface.OUTBOUND.value) & (mode != HOLD)
    return np.asarray(reaching | outbound, dtype=np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecisionLog:
    """Decisions with all that each of them was drawn from; consistent from birth.

    Attributes
    ----------
    decisions
        Columns DECISIONS, a row a decision.
    candidates
        Columns CANDIDATES, grouped by `decision` in ascending order.
    x
        (len(candidates), n_features) float32, what the value heads saw of each candidate.

    Raises
    ------
    BadInput
        If the three do not fit each other, a decision's `joint` does not sum to 1, or its chosen row does not exist
        or does not carry the probability that was logged.
    """

    decisions: pd.DataFrame
    candidates: pd.DataFrame
    x: NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "decisions", checked(self.decisions, DECISIONS, name="decisions"))
        object.__setattr__(self, "candidates", checked(self.candidates, CANDIDATES, name="candidates"))
        if self.x.ndim != 2 or len(self.x) != len(self.candidates):
            raise BadInput(f"shape {self.x.shape} does not fit {len(self.candidates)} candidates", where="x")
        if self.x.dtype != np.float32:
            object.__setattr__(self, "x", self.x.astype(np.float32))
        self._check_rows()
        self._check_probabilities()

    def __len__(self) -> int:
        return len(self.decisions)

    @property
    def decision(self) -> NDArray[np.int64]:
        """(n_candidates,) row of the decision that each candidate belongs to."""
        return self.candidates["decision"].to_numpy(np.int64)

    @property
    def starts(self) -> NDArray[np.int64]:
        """(n,) row of each decision's first candidate, `hold`."""
        return np.searchsorted(self.decision, np.arange(len(self))).astype(np.int64)

    @property
    def chosen_rows(self) -> NDArray[np.int64]:
        """(n,) row of each decision's chosen candidate among all candidates."""
        chosen: NDArray[np.int64] = self.decisions["chosen"].to_numpy(np.int64)
        return self.starts + chosen

    @property
    def joint(self) -> NDArray[np.float64]:
        """(n_candidates,) logged probability of each candidate."""
        return self.candidates["joint"].to_numpy(np.float64)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> Self:
        """Return the log of these decisions alone.

        Parameters
        ----------
        rows
            (n,) mask, or ascending row numbers.
        """
        kept = np.flatnonzero(rows) if rows.dtype == np.bool_ else np.asarray(rows, dtype=np.int64)
        if kept.size > 1 and not bool((np.diff(kept) > 0).all()):
            raise BadInput("row numbers must ascend", where="take")
        renumbered = np.full(len(self), -1, dtype=np.int64)
        renumbered[kept] = np.arange(kept.size)
        decision = renumbered[self.decision]
        keep = decision >= 0
        candidates = self.candidates.loc[keep].assign(decision=decision[keep])
        return type(self)(decisions=self.decisions.iloc[kept], candidates=candidates, x=self.x[keep])

    def _check_rows(self) -> None:
        decision, admitted = self.decision, self.decisions["n_admitted"].to_numpy(np.int64)
        if not np.array_equal(decision, np.repeat(np.arange(len(self)), np.maximum(admitted, 0))):
            raise BadInput(
                "rows must be grouped by decision, n_admitted of each, in order", where="candidates.decision"
            )
        chosen = self.decisions["chosen"].to_numpy(np.int64)
        _none(self.decisions, (chosen < 0) | (chosen >= admitted), "chosen", "the chosen row does not exist")
        modes = self.candidates["mode"].to_numpy()
        if bool(((modes < 0) | (modes >= len(MODES))).any()):
            raise BadInput(f"must be a code from 0 to {len(MODES) - 1}", where="candidates.mode")
        if len(self) and bool((modes[self.starts] != HOLD).any()):
            raise BadInput("the first candidate of every decision must be hold", where="candidates.mode")
        other = modes[self.chosen_rows] != self.decisions["mode"].to_numpy()
        _none(self.decisions, other, "mode", "the chosen candidate has another mode")

    def _check_probabilities(self) -> None:
        joint = self.joint
        if not bool((np.isfinite(joint) & (joint >= 0.0)).all()):
            raise BadInput("must be probabilities", where="candidates.joint")
        total = np.bincount(self.decision, weights=joint, minlength=len(self))
        _none(self.decisions, np.abs(total - 1.0) > _TOLERANCE, "propensity", "joint does not sum to 1")
        logged = self.decisions["propensity"].to_numpy(np.float64)
        _none(self.decisions, ~(logged > 0.0), "propensity", "must be above 0")
        drawn = joint[self.chosen_rows]
        wrong = np.abs(drawn - logged) > _TOLERANCE * np.maximum(1.0, logged)
        _none(self.decisions, wrong, "propensity", "differs from the joint of the chosen candidate")


def _none(decisions: pd.DataFrame, bad: NDArray[np.bool_], column: str, reason: str) -> None:
    """Raise, naming the first offender, if any row is bad."""
    if bool(bad.any()):
        row = int(np.flatnonzero(bad)[0])
        name = decisions["decision_id"].iloc[row]
        raise BadInput(f"{reason} (decision {name}, {int(bad.sum())} in all)", where=f"decisions.{column}")
