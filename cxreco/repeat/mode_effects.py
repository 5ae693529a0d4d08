"""What each mode earned over leaving the same customers be, at the moments at which it was chosen.

The effect on the treated, by the logged probabilities alone: what followed the decisions of a mode, against what
followed `hold` at the moments at which both were possible, weighted by P(mode) / P(hold). Nothing is modelled, so the
answer holds whatever the policy was (Horvitz & Thompson 1952; the weights of Imbens 2004, section III).
"""

from math import nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.journey import HOLD, MODES
from cxreco.repeat.intervals import clustered, standard_error, t_interval
from cxreco.tables import DecisionLog

F64 = NDArray[np.float64]
COLUMNS = ("mode", "decisions", "customers", "earned", "held", "over_hold", "stderr", "low", "high", "reason")
# Fewer decisions of a mode, or fewer effective decisions to hold beside them, tell nothing.
FEWEST = 12


def mode_effects(log: DecisionLog, money: F64, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return money per decision of each mode over `hold`, with intervals clustered by customer.

    Parameters
    ----------
    log
        The decisions, of any arms: those that left no choice between the mode and `hold` say nothing and are left out.
    money
        (n,) what each decision earned in its window; NaN where it is too young.

    Returns
    -------
    A row a mode but `hold`: `mode, decisions, customers, earned` (a decision of the mode), `held` (what `hold` would
    have), `over_hold, stderr, low, high`, and `reason` where there is no answer.
    """
    if money.shape != (len(log),):
        raise BadInput(f"{money.size} amounts for {len(log)} decisions", where="money")
    mode = log.decisions["mode"].to_numpy(np.int64)
    shape = (len(log), len(MODES))
    cell = log.decision * len(MODES) + log.candidates["mode"].to_numpy(np.int64)
    p: F64 = np.bincount(cell, weights=log.joint, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    customers = log.decisions["customer_id"].to_numpy(object).astype(str)
    rows = []
    for code, name in enumerate(MODES):
        if code == HOLD:
            continue
        both = np.isfinite(money) & (p[:, code] > 0.0) & (p[:, HOLD] > 0.0)
        rows.append({"mode": name.value} | _effect(mode[both], p[both], code, money[both], customers[both], confidence))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _effect(
    mode: NDArray[np.int64], p: F64, code: int, money: F64, customers: NDArray[np.str_], confidence: float
) -> dict[str, object]:
    chosen = (mode == code).astype(np.float64)
    weight = np.where(mode == HOLD, p[:, code] / p[:, HOLD], 0.0)
    taken, held = float(chosen.sum()), float(weight.sum())
    effective = held**2 / float((weight**2).sum()) if held > 0.0 else 0.0
    empty = dict.fromkeys(("earned", "held", "over_hold", "stderr", "low", "high"), nan)
    found = {"decisions": int(taken), "customers": len(set(customers[mode == code])), **empty, "reason": ""}
    if min(taken, effective) < FEWEST:
        reason = (
            f"{taken:.0f} of its decisions and {effective:.0f} of hold to compare with; {FEWEST} of each are the least"
        )
        return found | {"reason": reason}
    earned, left = float(chosen @ money) / taken, float(weight @ money) / held
    # The ratio's linearisation: these terms have its mean, and its variance.
    pull = chosen * (money - earned) / taken - weight * (money - left) / held
    data = clustered(earned - left + money.size * pull, customers)
    low, high = t_interval(data, confidence)
    return found | {
        "earned": earned, "held": left, "over_hold": earned - left, "stderr": standard_error(data), "low": low,
        "high": high,
    }  # fmt: skip


def effect_words(effects: pd.DataFrame, currency: str = "EUR") -> tuple[str, ...]:
    """Say it plainly, a sentence a mode."""
    lines = []
    for row in effects.to_dict("records"):
        if row["reason"]:
            lines.append(f"{row['mode']}: not enough to tell yet ({row['reason']}).")
            continue
        value, low, high = (float(row[name]) for name in ("over_hold", "low", "high"))
        told = "it pays" if low > 0.0 else "it costs" if high < 0.0 else "which may be nothing"
        lines.append(
            f"{row['mode']}: {value:+.2f} {currency} a decision over leaving the customer be ({low:+.2f} to "
            f"{high:+.2f}), {told}; {row['decisions']:,} decisions for {row['customers']:,} customers."
        )
    return tuple(lines)
