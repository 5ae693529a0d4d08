"""What every customer's cupboard has in common: habits, and the tables of what follows from them (see `cupboard`)."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.recognise.layout import Mark

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# Cycles that are thought possible, days; and how far customers differ in noticing, on the log-odds, with what weight.
CYCLES = np.exp(np.linspace(math.log(4.0), math.log(180.0), 24))
NOTICE, NOTICE_WEIGHT = np.array([-0.9, 0.0, 0.9]), np.array([0.25, 0.5, 0.25])
# Days that the tables tell apart; what took longer counts as this long.
LONGEST_DAYS = 180
# Days ahead within which a purchase is foretold; and what is said of a customer and category, in this order.
AHEAD = (1, 3, 7, 14, 28)
CUPBOARD: tuple[str, ...] = ("need_open", *(f"category_within_{days}" for days in AHEAD))
OPEN = 0
_KINDS = 3
LEAST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What holds for all customers, learned; chances but for the last four.

    Attributes
    ----------
    notices
        That an open need brings a visit, a day, of the customer in the middle.
    buys
        That such a visit ends in a purchase.
    shows
        That one without a purchase is seen at all.
    leaves
        That one without a purchase ends the need: it was met elsewhere.
    elsewhere
        That an open need is met elsewhere on a day without a visit.
    gone
        That a mark is the customer's last one in the category.
    irregular
        Spread of how long one purchase lasts, of its logarithm.
    spread
        Spread of the cycle over customers, of its logarithm.
    """

    notices: float = 0.2
    buys: float = 0.5
    shows: float = 0.5
    leaves: float = 0.3
    elsewhere: float = 0.05
    gone: float = 0.05
    irregular: float = 0.3
    spread: float = 0.5


class Tables(NamedTuple):
    """What compiled code reads; k counts the pairs of a cycle and a way of noticing, kinds are of `Mark`.

    Attributes
    ----------
    prior
        (categories + 1, k) log-probabilities; the last row is of categories nobody knew.
    between
        (kinds, kinds, days + 1, k) log-density of the days from a mark of a kind to the next one, of another.
    silent
        (kinds, days + 1, k) logarithm of the chance that no mark follows within so many days.
    ahead
        (kinds, days + 1, k, len(CUPBOARD)) after so many silent days: the chance that the need is open, and that
        a purchase comes within so many days.
    """

    prior: F64
    between: F64
    silent: F64
    ahead: NDArray[np.float32]


def prior_of(cycle: F64, spread: float) -> F64:
    """Return (n, k) log-probabilities of cycle and noticing, before anything is known of a customer."""
    apart = (np.log(CYCLES)[None, :] - np.log(cycle)[:, None]) / spread
    log_p = -0.5 * apart * apart
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    both = log_p[:, :, None] + np.log(NOTICE_WEIGHT)[None, None, :]
    return np.ascontiguousarray(both.reshape(cycle.size, -1))


def noticing(habits: Habits) -> F64:
    """Return (len(NOTICE),) chances a day that an open need is recognised."""
    return np.asarray(1.0 / (1.0 + np.exp(-(math.log(habits.notices / (1.0 - habits.notices)) + NOTICE))))


def tables_of(habits: Habits, cycle: F64) -> Tables:
    """Return the tables of habits; `cycle` is (categories + 1,) as `Cupboard` has it."""
    chances = np.array([habits.buys, habits.shows, habits.leaves, habits.elsewhere, habits.gone, habits.irregular])
    between, silent = densities(noticing(habits), chances)
    ahead = _ahead(noticing(habits), chances, silent, np.array(AHEAD, dtype=np.int64))
    return Tables(prior_of(cycle, habits.spread), between, silent, ahead)


@compiled
def _runs_low(cycle: float, irregular: float, days: int) -> F64:
    """Return (days + 1,) the chance that what was bought so many days ago runs low by then."""
    out = np.zeros(days + 1)
    for age in range(1, days + 1):
        out[age] = 0.5 * (1.0 + math.erf(math.log((age + 0.5) / cycle) / (irregular * math.sqrt(2.0))))
    return out


@compiled
def _ages(low: F64) -> tuple[int, int]:
    """Return the first and the last age in days at which it is at all likely to run low."""
    first, last = 1, 1
    for age in range(1, low.size):
        if low[age] < LEAST:
            first = age
        if low[age] - low[age - 1] > LEAST:
            last = age
    return first, last


@compiled_inner
def _live(low: F64, ages: tuple[int, int], who: tuple[float, F64], start: int, seen: F64, state: F64) -> None:
    """Live through the days after a mark without another one.

    Parameters
    ----------
    low, ages
        As `_runs_low` and `_ages` give them.
    who
        How they notice, and the chances of `densities`.
    start
        1: the cupboard was filled; 0: the need stayed open.
    seen
        (2, days + 1) to be filled: the chance that the next mark is a look, or a purchase, on that day.
    state
        (3, days + 1) to be filled: refilled unseen on that day, open after it, and silent up to it.
    """
    notice, chances = who
    buys, shows, leaves, elsewhere = chances[0], chances[1], chances[2], chances[3]
    unseen = notice * (1.0 - buys) * (1.0 - shows) * leaves + (1.0 - notice) * elsewhere
    opened, left = 0.0 if start else 1.0, 1.0
    state[0, 0] = 1.0 if start else 0.0
    state[1, 0], state[2, 0] = opened, 1.0
    for day in range(1, seen.shape[1]):
        for filled in range(max(day - ages[1], 0), day - ages[0] + 1):
            opened += state[0, filled] * (low[day - filled] - low[day - filled - 1])
        seen[1, day] = opened * notice * buys
        seen[0, day] = opened * notice * (1.0 - buys) * shows
        state[0, day] = opened * unseen
        left -= seen[0, day] + seen[1, day]
        opened -= seen[0, day] + seen[1, day] + state[0, day]
        state[1, day], state[2, day] = opened, max(left, LEAST)


@compiled
def densities(notice: F64, chances: F64) -> tuple[F64, F64]:
    """Return the tables `between` and `silent` of `Tables`.

    Parameters
    ----------
    notice
        As `noticing` gives it.
    chances
        `buys`, `shows`, `leaves`, `elsewhere`, `gone` and `irregular` of `Habits`.
    """
    many = CYCLES.size * notice.size
    between = np.empty((_KINDS, _KINDS, LONGEST_DAYS + 1, many))
    silent = np.empty((_KINDS, LONGEST_DAYS + 1, many))
    seen, state = np.zeros((2, 2, LONGEST_DAYS + 1)), np.zeros((2, 3, LONGEST_DAYS + 1))
    leaves, stays = chances[2], 1.0 - chances[4]
    for c in range(CYCLES.size):
        low = _runs_low(CYCLES[c], chances[5], LONGEST_DAYS)
        ages = _ages(low)
        for h in range(notice.size):
            k = c * notice.size + h
            for start in range(2):
                _live(low, ages, (notice[h], chances), start, seen[start], state[start])
            for day in range(LONGEST_DAYS + 1):
                for start in range(_KINDS):
                    # After a look the need was met elsewhere, or it is still open.
                    filled = leaves if start == Mark.LOOKED else 1.0
                    left = filled * state[1, 2, day] + (1.0 - filled) * state[0, 2, day]
                    silent[start, day, k] = math.log(1.0 - stays + stays * left)
                    for end in range(2):
                        density = filled * seen[1, end, day] + (1.0 - filled) * seen[0, end, day]
                        between[start, end, day, k] = math.log(stays * density + LEAST)
                    # When the shop ordered for them says only that they had not by then.
                    between[start, Mark.PLACED, day, k] = silent[start, day, k]
    return between, silent


@compiled
def _ahead(notice: F64, chances: F64, silent: F64, horizons: I64) -> NDArray[np.float32]:
    """Return the table `ahead` of `Tables`."""
    many, far = CYCLES.size * notice.size, horizons.max()
    out = np.empty((_KINDS, LONGEST_DAYS + 1, many, 1 + horizons.size), np.float32)
    # A look on the way does not end the wait for a purchase.
    blind = chances.copy()
    blind[1] = 0.0
    leaves, stays = chances[2], 1.0 - chances[4]
    for c in range(CYCLES.size):
        low = _runs_low(CYCLES[c], chances[5], LONGEST_DAYS + far)
        for h in range(notice.size):
            from_open = _from_open(low, notice[h], blind, far)
            from_closed = _from_closed(low, from_open, horizons)
            after = np.empty((2, LONGEST_DAYS + 1, 1 + horizons.size))
            for start in range(2):
                after[start] = _after(low, notice[h], chances, start, (from_open, from_closed, horizons))
            k = c * notice.size + h
            for kind in range(_KINDS):
                filled = leaves if kind == Mark.LOOKED else 1.0
                for day in range(LONGEST_DAYS + 1):
                    for j in range(out.shape[3]):
                        both = filled * after[1, day, j] + (1.0 - filled) * after[0, day, j]
                        out[kind, day, k, j] = min(stays * both / math.exp(silent[kind, day, k]), 1.0)
    return out


@compiled
def _after(low: F64, notice: float, chances: F64, start: int, coming: tuple[F64, F64, I64]) -> F64:
    """Return (days + 1, 1 + horizons) the chance of so many silent days, and of an open need or a purchase after them.

    `coming` is what `_from_open` and `_from_closed` give, and the horizons.
    """
    from_open, from_closed, horizons = coming
    seen, state = np.zeros((2, LONGEST_DAYS + 1)), np.zeros((3, LONGEST_DAYS + 1))
    _live(low, _ages(low[: LONGEST_DAYS + 1]), (notice, chances), start, seen, state)
    out = np.zeros((LONGEST_DAYS + 1, 1 + horizons.size))
    for day in range(LONGEST_DAYS + 1):
        out[day, OPEN] = state[1, day]
        for j in range(horizons.size):
            out[day, 1 + j] = state[1, day] * from_open[horizons[j]]
            for filled in range(day + 1):
                out[day, 1 + j] += state[0, filled] * from_closed[day - filled, j]
    return out


@compiled
def _from_open(low: F64, notice: float, blind: F64, far: int) -> F64:
    """Return (far + 1,) the chance of a purchase within so many days of an open need."""
    seen, state = np.zeros((2, far + 1)), np.zeros((3, far + 1))
    _live(low, _ages(low[: far + 1]), (notice, blind), 0, seen, state)
    return np.cumsum(seen[1])


@compiled
def _from_closed(low: F64, from_open: F64, horizons: I64) -> F64:
    """Return (days + 1, horizons) the chance of being filled so many days ago, of still lasting, and of a purchase."""
    out = np.zeros((LONGEST_DAYS + 1, horizons.size))
    for age in range(LONGEST_DAYS + 1):
        for j in range(horizons.size):
            for x in range(1, horizons[j] + 1):
                out[age, j] += (low[age + x] - low[age + x - 1]) * from_open[horizons[j] - x + 1]
    return out
