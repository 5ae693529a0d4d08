"""What holds for everybody's cupboards, learned from a log: maximum a posteriori over sequences of marks.

The hidden cycle and noticing of each customer and category are summed out (`cupboard.told`); what is left is a handful
of chances and a median cycle for each category, found in turns: Nelder and Mead (The Computer Journal 1965) for the
chances, and the mean of the posterior, shrunk to that of all categories, for the cycles.
"""

import math
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from cxreco.compiled import compiled
from cxreco.journey import AUTOMATE, DAY
from cxreco.recognise.layout import Kind, Mark
from cxreco.recognise.marks import SAYS
from cxreco.request.cupboard import Cupboard, told
from cxreco.request.cupboard_tables import CYCLES, NOTICE, Habits, densities, noticing, prior_of

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# Fewer sequences than this say too little.
LEAST, MOST = 50, 3_000
TURNS, STEPS = 2, 160
# Sequences that the cycle of all categories is worth to a category's own.
CYCLE_STRENGTH = 3.0
USUAL_CYCLE = 30.0
# What the log has to speak against: `Habits` as they stand there, known to about two units of log-odds.
_BEFORE = Habits()
_DOUBT = 2.0
_NUMBERS = 8
_LAST_CHANCE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Sequences of marks, one of each customer and category, from the first purchase on.

    Attributes
    ----------
    start
        (n + 1,) where each begins in `kinds` and `days`.
    since
        (n,) days from the last mark to the end.
    category
        (n,) code.
    """

    kinds: I64
    days: I64
    start: I64
    since: I64
    category: I64


def marks_of(ticks: NDArray[np.void], until: int) -> Marks:
    """Return what happened before `until` (microseconds) as marks: one a day, a purchase before a look."""
    kinds = (Kind.VIEW, Kind.ADD, Kind.ORDER_LINE)
    rows = ticks[np.isin(ticks["kind"], kinds) & (ticks["category"] > 0) & (ticks["at"] < until)]
    mark = np.full(rows.size, int(Mark.LOOKED))
    ordered = rows["kind"] == Kind.ORDER_LINE
    mark[ordered] = np.where(rows["mode"][ordered] == AUTOMATE, int(Mark.PLACED), int(Mark.BOUGHT))
    # As in the state: of several on a day the one that says most.
    said = np.array(SAYS)[mark]
    order = np.lexsort((-said, rows["at"] // DAY, rows["category"], rows["customer"]))
    who, what, day = (column[order] for column in (rows["customer"], rows["category"], rows["at"] // DAY))
    mark = mark[order]
    new = np.ones(mark.size, dtype=np.bool_)
    new[1:] = (who[1:] != who[:-1]) | (what[1:] != what[:-1])
    first = new.copy()
    first[1:] |= day[1:] != day[:-1]
    group = np.cumsum(new) - 1
    bought = np.zeros(int(new.sum()), dtype=np.bool_)
    # Whether the sequence has had a purchase by this mark: looks before the first one say nothing of a cycle.
    begun = np.zeros(mark.size, dtype=np.bool_)
    for row in np.flatnonzero(first).tolist():
        bought[group[row]] |= mark[row] == Mark.BOUGHT
        begun[row] = bought[group[row]]
    keep = first & begun
    inner, starts = np.unique(group[keep], return_index=True)
    days = day[keep].astype(np.int64)
    ends = np.append(starts[1:], days.size)
    return Marks(
        kinds=mark[keep].astype(np.int64), days=days, start=np.append(starts, days.size).astype(np.int64),
        since=until // DAY - days[ends - 1] if inner.size else np.empty(0, np.int64),
        category=what[keep][starts].astype(np.int64),
    )  # fmt: skip


def fit_cupboard(ticks: NDArray[np.void], *, until: int, seed: int = 7) -> Cupboard:
    """Learn what holds for everybody's cupboards; a log that says too little leaves it untold.

    Parameters
    ----------
    ticks
        (n,) TICK of everybody, by (customer, at, seq).
    until
        Nothing after it is looked at; microseconds.
    """
    marks = _some(marks_of(ticks, until), seed)
    if marks.category.size < LEAST:
        return Cupboard()
    codes = int(marks.category.max()) + 1
    overall, cycle = math.log(USUAL_CYCLE), np.full(codes, math.log(USUAL_CYCLE))
    at, mean = _numbers(_BEFORE), np.empty(marks.category.size)
    for _ in range(TURNS):
        for _ in range(2):
            _against(at, marks, np.exp(cycle), mean)
            overall = float(mean.mean())
            cycle = _shrunk(mean, marks.category, codes, overall)
        median = np.exp(cycle)
        found = minimize(
            _against, at, args=(marks, median, mean), method="Nelder-Mead",
            options={"maxfev": STEPS, "initial_simplex": _simplex(at)},
        )  # fmt: skip
        at = np.asarray(found.x)
    _against(at, marks, np.exp(cycle), mean)
    overall = float(mean.mean())
    cycle = _shrunk(mean, marks.category, codes, overall)
    return Cupboard(habits=_habits(at), cycle=np.exp(np.append(cycle, overall)))


def _some(marks: Marks, seed: int) -> Marks:
    n = marks.category.size
    if n <= MOST:
        return marks
    rows = np.sort(np.random.default_rng(seed).choice(n, MOST, replace=False))
    size = marks.start[rows + 1] - marks.start[rows]
    start = np.append(0, np.cumsum(size))
    at = np.repeat(marks.start[rows] - start[:-1], size) + np.arange(int(size.sum()))
    return Marks(
        kinds=marks.kinds[at], days=marks.days[at], start=start, since=marks.since[rows], category=marks.category[rows]
    )


def _shrunk(mean: F64, category: I64, codes: int, overall: float) -> F64:
    count = np.bincount(category, minlength=codes)
    total = np.bincount(category, weights=mean, minlength=codes)
    return np.asarray((total + CYCLE_STRENGTH * overall) / (count + CYCLE_STRENGTH))


def _numbers(habits: Habits) -> F64:
    values = np.array(astuple(habits))
    chances = values[:_LAST_CHANCE]
    return np.concatenate((np.log(chances / (1.0 - chances)), np.log(values[_LAST_CHANCE:])))


def _habits(numbers: F64) -> Habits:
    chances = 1.0 / (1.0 + np.exp(-numbers[:_LAST_CHANCE]))
    values = (*chances.tolist(), *np.exp(numbers[_LAST_CHANCE:]).tolist())
    return Habits(**dict(zip((f.name for f in fields(Habits)), values, strict=True)))


def _simplex(at: F64) -> F64:
    return np.vstack((at, at + 0.5 * np.eye(_NUMBERS)))


def _against(numbers: F64, marks: Marks, cycle: F64, mean: F64) -> float:
    """Return what speaks against these numbers; fills in the posterior mean of each sequence's logarithmic cycle."""
    h = _habits(np.clip(numbers, -8.0, 8.0))
    chances = np.array([h.buys, h.shows, h.leaves, h.elsewhere, h.gone, h.irregular])
    between, silent = densities(noticing(h), chances)
    likely = _likelihood(
        (marks.kinds, marks.days, marks.start), marks.since, marks.category,
        (prior_of(cycle, h.spread), between, silent), mean,
    )  # fmt: skip
    return -likely + 0.5 * float((((numbers - _numbers(_BEFORE)) / _DOUBT) ** 2).sum())


@compiled
def _likelihood(
    marks: tuple[I64, I64, I64], since: I64, category: I64, tables: tuple[F64, F64, F64], mean: F64
) -> float:
    """Return the log-likelihood of sequences, and fill in the posterior mean of each one's logarithmic cycle."""
    kinds, days, start = marks
    prior, between, silent = tables
    total, weight = 0.0, np.empty(prior.shape[1])
    ways = NOTICE.size
    for i in range(category.size):
        a, b = start[i], start[i + 1]
        total += told(kinds[a:b], days[a:b], prior[category[i]], between, silent, since[i], weight)
        mean[i] = 0.0
        for k in range(weight.size):
            mean[i] += weight[k] * math.log(CYCLES[k // ways])
    return total
