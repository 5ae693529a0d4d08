"""Is the cupboard empty? What a customer has of a category, inferred from when they bought in it and when they looked.

A hidden semi-Markov model of household inventory (Gupta, Journal of Marketing Research 1988; Erdem, Imai and Keane,
Quantitative Marketing and Economics 2003). A purchase fills the cupboard for about one cycle of this customer and
category. Once it runs low the need is open: each day it may be recognised and bring a visit, which ends in a purchase
or, seen or unseen, in none; or it is met elsewhere, which nobody sees, and a long gap need not be a long cycle. So the
days between two marks (bought, looked) speak for some cycles and against others, and the days since the last one for an
open need. What holds for everybody is learned (`cupboard_fitting`) and laid out (`cupboard_tables`); here is what it
says of a customer.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.errors import StalePlaybook
from cxreco.recognise.layout import MARKS
from cxreco.recognise.reading import seconds
from cxreco.request.cupboard_tables import AHEAD, CUPBOARD, LEAST, LONGEST_DAYS, Habits, Tables, tables_of

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_DAY_S = 86_400

# Tables that say nothing: before anything was learned.
UNTOLD = Tables(
    np.empty((0, 0)), np.empty((0, 0, 0, 0)), np.empty((0, 0, 0)), np.empty((0, 0, 0, len(CUPBOARD)), np.float32)
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cupboard:
    """What was learned, and its tables.

    Attributes
    ----------
    habits
        None: nothing was learned, and nothing is said of anybody.
    cycle
        (categories + 1,) median cycle in days by code; the last one is that of categories nobody knew.
    """

    habits: Habits | None = None
    cycle: F64 = field(default_factory=lambda: np.empty(0))
    tables: Tables = field(init=False, repr=False)

    def __post_init__(self) -> None:
        known = UNTOLD if self.habits is None else tables_of(self.habits, self.cycle)
        object.__setattr__(self, "tables", known)

    def to_json(self) -> bytes:
        """Return what is needed to build it again, exact to the bit."""
        habits = None if self.habits is None else asdict(self.habits)
        return json.dumps({"habits": habits, "cycle": self.cycle.tolist()}).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "Cupboard":
        """Build what `to_json` gave.

        Raises
        ------
        StalePlaybook
            If it says other things than this version knows.
        """
        read: Mapping[str, Any] = json.loads(body)
        try:
            habits = None if read["habits"] is None else Habits(**read["habits"])
        except TypeError as other:
            raise StalePlaybook("the cupboard was learned by another version; retrain") from other
        return cls(habits=habits, cycle=np.array(read["cycle"], dtype=np.float64))


@compiled
def told(kinds: I64, days: I64, prior: F64, between: F64, silent: F64, since: int, weight: F64) -> float:
    """Weigh the pairs of cycle and noticing by what marks say; returns the log-likelihood.

    Parameters
    ----------
    kinds, days
        (n,) what each mark was and its day, ascending; n is 1 or more.
    prior
        (k,) a row of `Tables.prior`.
    since
        Days since the last mark.
    weight
        (k,) to be filled: probabilities.
    """
    top = -np.inf
    for k in range(weight.size):
        weight[k] = prior[k] + silent[kinds[-1], min(since, LONGEST_DAYS), k]
    for i in range(1, kinds.size):
        apart = min(days[i] - days[i - 1], LONGEST_DAYS)
        of = between[kinds[i - 1], kinds[i], apart]
        for k in range(weight.size):
            weight[k] += of[k]
    for k in range(weight.size):
        top = max(top, weight[k])
    total = 0.0
    for k in range(weight.size):
        weight[k] = math.exp(weight[k] - top)
        total += weight[k]
    for k in range(weight.size):
        weight[k] /= total
    return top + math.log(total)


@compiled_inner
def within(ahead: F64, days: float) -> float:
    """Return the chance of a purchase within so many days from those within `AHEAD`; NaN where those are.

    Linear in the cumulative hazard, beyond the last one at its mean rate.
    """
    low, since = 0.0, 0.0
    for j in range(len(AHEAD)):
        high = -math.log1p(-min(ahead[j], 1.0 - LEAST))
        if days <= AHEAD[j]:
            return -math.expm1(-(low + (days - since) / (AHEAD[j] - since) * (high - low)))
        low, since = high, float(AHEAD[j])
    return -math.expm1(-low * days / since)


@compiled_inner
def category_share(item: float, category: float) -> float:
    """Return the share an item has in its category, by orders, as if there had been one more, half of it its own."""
    return (item + 0.5) / (max(category, item) + 1.0)


@compiled
def cupboard_rows(categories: NDArray[np.void], at_s: int, t: Tables) -> F64:
    """Return (n + 1, len(CUPBOARD)) what is inferred of each category that a customer has a record of.

    NaN where it was never bought, and in the last row, which stands for categories without a record.

    Parameters
    ----------
    categories
        Records of a state.
    at_s
        The instant, seconds.
    """
    n, columns = categories.size, len(CUPBOARD)
    out = np.full((n + 1, columns), np.nan)
    if t.prior.size == 0:
        return out
    kinds, days = np.empty(MARKS, np.int64), np.empty(MARKS, np.int64)
    weight = np.empty(t.prior.shape[1])
    today = at_s // _DAY_S
    for i in range(n):
        c = categories[i]
        marks = int(c.marks)
        if c.orders == 0 or marks == 0:
            continue
        for j in range(marks):
            kinds[j], days[j] = (c.mark_kinds >> (2 * j)) & 3, c.mark_days[j]
        row = c.key if c.key < len(t.prior) - 1 else len(t.prior) - 1
        since = max(today - days[marks - 1], 0)
        told(kinds[:marks], days[:marks], t.prior[row], t.between, t.silent, since, weight)
        ahead = t.ahead[kinds[marks - 1], min(since, LONGEST_DAYS)]
        for j in range(columns):
            out[i, j] = 0.0
            for k in range(weight.size):
                out[i, j] += weight[k] * ahead[k, j]
    return out


def cupboard_of(categories: NDArray[np.void], at: int, tables: Tables) -> F64:
    """Return `cupboard_rows` at an instant in microseconds."""
    return cupboard_rows(categories, seconds(at), tables)
