"""Several forests that see the same row, asked for a score each in one pass over all their trees."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.request.forest import EVERY_LEAF, Forest, Scorer
from cxreco.request.ranks import read_value
from cxreco.request.trees import READING

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Together = tuple[NDArray[np.void], tuple[F64, NDArray[np.int32], NDArray[np.uint64]], F64, I64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forests:
    """Scorers of one row each, None for those that say 0; the compiled ones are scored together.

    Attributes
    ----------
    parts
        The scorers.
    together
        Readings, tests and leaves of all trees of the compiled ones, and where each one's trees end: for `scored`.
    alone
        Which of them are asked by themselves.
    """

    parts: Sequence[Scorer | None]
    together: Together = field(init=False, repr=False)
    alone: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        quick = [part if isinstance(part, Forest) and not part.roots.size else None for part in self.parts]
        object.__setattr__(self, "together", _joined(quick))
        alone = (i for i, part in enumerate(self.parts) if part is not None and quick[i] is None)
        object.__setattr__(self, "alone", tuple(alone))

    def scores(self, row: F64) -> F64:
        """Return (parts,) raw scores of one (features,) row, equal to the bit to what each says alone."""
        out = scored(row, self.together)
        for i in self.alone:
            part = self.parts[i]
            out[i] = 0.0 if part is None else part.score(row[None, :])[0]
        return out


def _joined(forests: Sequence[Forest | None]) -> Together:
    """Return readings, tests and leaves of all trees, one after another, and where each forest's trees end."""
    there = [forest for forest in forests if forest is not None]
    ends = np.cumsum([0 if forest is None else forest.trees for forest in forests], dtype=np.int64)
    widest = max((forest.leaves.shape[1] for forest in there), default=1)
    leaves = np.zeros((sum(forest.trees for forest in there), widest))
    readings, trees = [], [np.empty(0, np.int32)]
    tests = trees_before = 0
    for forest in there:
        moved = forest.readings.copy()
        moved["start"] += tests
        moved["stop"] += tests
        readings.append(moved)
        trees.append((forest.tests[1] + trees_before).astype(np.int32))
        leaves[trees_before : trees_before + forest.trees, : forest.leaves.shape[1]] = forest.leaves
        tests, trees_before = tests + forest.tests[0].size, trees_before + forest.trees
    thresholds = np.concatenate([np.empty(0), *(forest.tests[0] for forest in there)])
    masks = np.concatenate([np.empty(0, np.uint64), *(forest.tests[2].astype(np.uint64) for forest in there)])
    joined = np.concatenate(readings) if readings else np.empty(0, READING)
    return joined, (thresholds, np.concatenate(trees), masks), leaves, ends


@compiled
def scored(row: F64, together: Together) -> F64:
    """Return (parts,) what the compiled ones say of a (features,) row; 0 for the others."""
    readings, (thresholds, trees, masks), leaves, ends = together
    words = np.empty(leaves.shape[0], masks.dtype)
    words[:] = EVERY_LEAF
    for g in range(readings.size):
        value = read_value(row[readings[g].feature], readings[g].nan, readings[g].zero)
        for k in range(readings[g].start, readings[g].stop):
            if not value > thresholds[k]:
                break
            words[trees[k]] &= masks[k]
    out = np.zeros(ends.size)
    tree = 0
    for part in range(ends.size):
        while tree < ends[part]:
            out[part] += leaves[tree, trailing_zeros(words[tree])]
            tree += 1
    return out
