"""The first step of scoring many rows at once: each value is replaced by how many thresholds it is above.

Rows of one moment have most values in common with the row before them, so each run of one value is read and compared
once. It is compared with every threshold: many values an instruction, which is faster than halving the span for each,
where every step waits for a number that the step before says where to look for.
"""

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.request.trees import HIGHEST, Limits

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
Words = NDArray[np.unsignedinteger]
# To how many the rows are rounded up: a remainder costs more than the padding.
LANES = 16
# LightGBM reads smaller magnitudes as zero (kZeroThreshold, a float).
ZERO = float(np.float32(1e-35))


@compiled
def read_value(value: float, nan: float, zero: float) -> float:
    """Return a value as LightGBM compares it, by the rule of its reading for what is missing."""
    if np.isnan(value):
        return nan
    return zero if abs(value) <= ZERO else min(value, HIGHEST)


@compiled
def write_ranks(rows: F64, limits: Limits, out: Words) -> None:
    """Write how many of the thresholds of a reading each row's value is above.

    Parameters
    ----------
    rows
        (n, features).
    limits
        The readings, and the thresholds that their spans are of.
    out
        (readings, at least n).
    """
    most = (rows.shape[0] + LANES - 1) // LANES * LANES
    begins = np.zeros(((most + 63) >> 6, rows.shape[1]), np.uint64)
    room = (np.zeros(most), np.empty(most, np.uint64), np.empty(most + 1, np.uint64))
    _mark_runs(rows.view(np.int64), begins)
    for g in range(limits[0].size):
        _rank(rows, begins, limits, g, room, out[g])


@compiled_inner
def _mark_runs(bits: I64, begins: U64) -> None:
    """Set a bit of each feature's words for every row whose value is not, to the bit, that of the row before."""
    one, none = np.uint64(1), np.uint64(0)
    for r in range(bits.shape[0]):
        word, bit, before = r >> 6, one << np.uint64(r & 63), max(r - 1, 0)
        for feature in range(bits.shape[1]):
            begins[word, feature] |= bit if bits[r, feature] != bits[before, feature] or r == 0 else none


@compiled_inner
def _rank(rows: F64, begins: U64, limits: Limits, g: int, room: tuple[F64, U64, U64], out: Words) -> None:
    """Write the ranks of one reading; indices are unsigned, so that none is checked for counting from the end."""
    reading, (values, above, first) = limits[0][g], room
    nan, zero, feature, one = reading.nan, reading.zero, np.uint64(reading.feature), np.uint64(1)
    runs = np.uint64(0)
    for k in range(begins.shape[0]):
        word = begins[k, feature]
        while word:
            first[runs] = (k << 6) + trailing_zeros(word)
            values[runs] = read_value(rows[first[runs], feature], nan, zero)
            word &= word - one
            runs += one
    first[runs] = rows.shape[0]
    lanes = np.uint64(LANES)
    _count(values[: (runs + lanes - one) // lanes * lanes], limits[1][reading.start : reading.stop], above)
    for i in range(runs):
        for r in range(first[i], first[i + one]):
            out[r] = above[i]


@compiled_inner
def _count(values: F64, thresholds: F64, above: U64) -> None:
    """Count the thresholds below each value; four a pass, so that counts are read and written a quarter as often."""
    whole = thresholds.size // 4 * 4
    for i in range(values.size):
        above[i] = 0
    for k in range(0, whole, 4):
        a, b, c, d = thresholds[k], thresholds[k + 1], thresholds[k + 2], thresholds[k + 3]
        for i in range(values.size):
            value = values[i]
            above[i] += np.uint64(a < value) + np.uint64(b < value) + np.uint64(c < value) + np.uint64(d < value)
    for k in range(whole, thresholds.size):
        for i in range(values.size):
            above[i] += np.uint64(thresholds[k] < values[i])
