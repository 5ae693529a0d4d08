"""LightGBM models as flat arrays, scored in compiled code, equal to the bit to LightGBM's own raw score.

Up to 64 leaves a tree by QuickScorer (Lucchese et al., SIGIR 2015; over rows at once, SIGIR 2016): a tree keeps one
word a row, a bit a leaf; each node whose test fails clears the leaves of its left side, and the lowest bit left is the
exit leaf. Few rows visit the nodes by feature in ascending threshold. Of many rows every value is first replaced by how
many thresholds it is above: then a test compares short integers, many rows an instruction, and the nodes are visited
tree by tree, so that the words of a tree stay at hand, sixteen leaves a word. Trees with more leaves are walked.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros
from numpy.typing import ArrayLike, NDArray

from cxreco.compiled import compiled
from cxreco.errors import BadInput, BadSpec
from cxreco.request.lightgbm_library import Booster
from cxreco.request.ranks import LANES, ZERO, read_value, write_ranks
from cxreco.request.trees import (
    HIGHEST,
    NODE,
    WORD_LEAVES,
    Limits,
    Nodes,
    Tests,
    by_tree,
    parsed,
    quick_tests,
    readings_of,
    walk_nodes,
)

F64 = NDArray[np.float64]
U64 = NDArray[np.uint64]
Words = NDArray[np.unsignedinteger]
MOST_LEAVES = 64
# Rows at once; trees at once; fewer rows than FEW are scored one by one.
BLOCK = 256
TREES = 4
FEW = 8
EVERY_LEAF = -1


class Scorer(Protocol):
    """Scores rows with a boosted model: compiled (`Forest`) or by LightGBM itself (`BoosterScorer`)."""

    @property
    def text(self) -> str:
        """The model in LightGBM's text form."""

    @property
    def features(self) -> int:
        """Number of columns it wants."""

    @property
    def trees(self) -> int:
        """Number of trees it sums."""

    @property
    def reason(self) -> str:
        """Why the compiled form is not used; empty when it is."""

    def score(self, x: ArrayLike) -> F64:
        """Return (n,) raw scores of x (n, features)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """A model as flat arrays; make it with `from_text` or, checked against LightGBM, with `verified`.

    Attributes
    ----------
    readings
        (r,) READING, one a feature and missing rule in use.
    tests
        Three (m,) columns by reading and ascending threshold; empty when the forest is walked.
    limits, quick
        The tests tree by tree, `trees.by_tree`.
    nodes, roots
        (m,) NODE and (trees,) first node or ~leaf of each tree; empty unless the forest is walked.
    leaves
        (trees, most leaves of a tree) values, or flat (leaves, 1) when walked.
    """

    text: str
    features: int
    trees: int
    readings: NDArray[np.void]
    tests: Tests
    limits: Limits
    quick: Nodes
    nodes: NDArray[np.void]
    roots: NDArray[np.int32]
    leaves: F64
    reason: str = ""

    @classmethod
    def from_text(cls, text: str) -> "Forest":
        """Read a model in LightGBM's text form.

        Raises
        ------
        BadSpec
            If the model is not one score of numeric splits and constant leaves, or cannot be read.
        """
        model = parsed(text)
        if model.scores != 1:
            raise BadSpec(f"one score a row is needed, got {model.scores}", where="model")
        if refusal := model.refusal():
            raise BadSpec(refusal, where="model")
        rules, of_node = readings_of(model.trees)
        nodes, roots = np.empty(0, NODE), np.empty(0, np.int32)
        tests: Tests = (np.empty(0), np.empty(0, np.int32), np.empty(0, np.uint32))
        if model.most_leaves > MOST_LEAVES:
            nodes, roots, leaves = walk_nodes(model.trees, of_node)
        else:
            tests, leaves = quick_tests(model.trees, of_node, rules)
        limits, quick = by_tree(tests, rules, len(model.trees), model.most_leaves)
        return cls(
            text=text,
            features=model.features,
            trees=len(model.trees),
            readings=rules,
            tests=tests,
            limits=limits,
            quick=quick,
            nodes=nodes,
            roots=roots,
            leaves=leaves,
        )

    def score(self, x: ArrayLike) -> F64:
        """Return raw scores, equal to the bit to `Booster.predict(x, raw_score=True)`.

        Parameters
        ----------
        x
            (n, features); float64 in rows is read where it lies, anything else is copied.

        Raises
        ------
        BadInput
            If x has another number of columns.
        """
        rows = _rows(x, self.features)
        if self.roots.size:
            return _walk(rows, self.readings, self.nodes, self.roots, self.leaves)
        if rows.shape[0] < FEW:
            return _quickscore_few(rows, self.readings, self.tests, self.leaves)
        return _quickscore(rows, self.limits, self.quick, self.leaves)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoosterScorer:
    """LightGBM itself, one thread: slower, and for every model; `reason` says why it stands in."""

    text: str
    booster: Booster
    reason: str

    @property
    def features(self) -> int:
        """Number of columns it wants."""
        return self.booster.features

    @property
    def trees(self) -> int:
        """Number of trees it sums."""
        return self.booster.trees

    def score(self, x: ArrayLike) -> F64:
        """Return (n,) raw scores of x (n, features)."""
        return self.booster.score(_rows(x, self.features))


def verified(text: str, rows: ArrayLike) -> Scorer:
    """Return the compiled form of a model if it agrees with LightGBM to the bit, else LightGBM with the reason.

    Parameters
    ----------
    text
        The model in LightGBM's text form.
    rows
        (n, features) rows to compare on, to which rows made from the model's own thresholds are added: just below, at
        and just above each, missing, zero and infinite.

    Raises
    ------
    BadSpec
        If the text is cut off or damaged, or the model has more than one score a row.
    """
    # LightGBM ends the process on some damaged texts, so it only sees what could be read here.
    model = parsed(text)
    if model.scores != 1:
        raise BadSpec(f"one score a row is needed, got {model.scores}", where="model")
    booster = Booster(text)
    if refusal := model.refusal():
        return BoosterScorer(text=text, booster=booster, reason=refusal)
    forest = Forest.from_text(text)
    plain = BoosterScorer(text=text, booster=booster, reason="the compiled form differed from LightGBM")
    trial = np.vstack([_rows(rows, forest.features), _trial_rows(forest)])
    agrees = np.array_equal(forest.score(trial).view(np.int64), plain.score(trial).view(np.int64))
    return forest if agrees else plain


def _rows(x: ArrayLike, features: int) -> F64:
    rows = np.ascontiguousarray(x, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != features:
        raise BadInput(f"rows have shape {rows.shape}, expected (n, {features})", where="x")
    return rows


def _trial_rows(forest: Forest, most: int = 256) -> F64:
    """Return rows at the model's thresholds and at every special value, each column shuffled on its own."""
    thresholds, reading = _thresholds(forest)
    special = np.array([np.nan, 0.0, -0.0, np.inf, -np.inf, ZERO, -ZERO, np.nextafter(ZERO, 1.0), 1e-36, 1e300])
    rng = np.random.default_rng(forest.trees)
    rows = np.tile(special, (forest.features, most // special.size + 1)).T[:most].copy()
    for feature in range(forest.features):
        limits = np.unique(thresholds[forest.readings["feature"][reading] == feature])
        limits = limits[limits < HIGHEST]
        near = np.concatenate([limits, np.nextafter(limits, -np.inf), np.nextafter(limits, np.inf)])
        near = rng.permutation(near)[: most - 2 * special.size]
        rows[: near.size, feature] = near
        rows[:, feature] = rng.permutation(rows[:, feature])
    return rows


def _thresholds(forest: Forest) -> tuple[F64, NDArray[np.int64]]:
    """Return the thresholds of all nodes, and which reading each is a test of."""
    if forest.roots.size:
        return forest.nodes["threshold"], forest.nodes["reading"].astype(np.int64)
    spans = forest.readings["stop"] - forest.readings["start"]
    return forest.tests[0], np.repeat(np.arange(forest.readings.size), spans)


@compiled
def _quickscore(rows: F64, readings: Limits, nodes: Nodes, leaves: F64) -> F64:
    n = rows.shape[0]
    out = np.zeros(n)
    # Whole vectors: a remainder loop costs more than the padding.
    width = min(BLOCK, (n + LANES - 1) // LANES * LANES)
    ranks = np.zeros((readings[0].size, width), nodes[1].dtype)
    parts = nodes[3].size // max(leaves.shape[0], 1)
    words, part = np.empty((TREES, width), np.uint64), np.empty(width, nodes[2].dtype)
    for first in range(0, n, BLOCK):
        block, total = rows[first : first + BLOCK], out[first : first + BLOCK]
        write_ranks(block, readings, ranks)
        for tree in range(0, leaves.shape[0], TREES):
            there = min(TREES, leaves.shape[0] - tree)
            for i in range(there):
                for k in range(parts):
                    _clear(ranks, nodes, (tree + i) * parts + k, part)
                    _put(part, k, words[i])
            _add_leaves(words, leaves[tree : tree + there], total)
    return out


@compiled
def _put(part: Words, k: int, word: U64) -> None:
    """Put part `k` of each word into its place; the first clears the others."""
    shift = np.uint64(k * WORD_LEAVES)
    for r in range(word.size):
        word[r] = (word[r] if k > 0 else np.uint64(0)) | np.uint64(part[r]) << shift


@compiled
def _clear(ranks: Words, nodes: Nodes, part: int, word: Words) -> None:
    """Leave in every row's word the leaves, of those it stands for, that the tests leave possible; two nodes a pass."""
    reading, place, masks, ends = nodes
    at, end = ends[part - 1] if part > 0 else 0, ends[part]
    word[:] = EVERY_LEAF
    if (end - at) % 2:
        column, limit, mask = ranks[reading[at]], place[at], masks[at]
        for r in range(word.size):
            word[r] = word[r] & mask if column[r] > limit else word[r]
        at += 1
    every = masks.dtype.type(EVERY_LEAF)
    for k in range(at, end, 2):
        column, limit, mask = ranks[reading[k]], place[k], masks[k]
        other, its_limit, its_mask = ranks[reading[k + 1]], place[k + 1], masks[k + 1]
        for r in range(word.size):
            kept = mask if column[r] > limit else every
            word[r] = word[r] & kept & (its_mask if other[r] > its_limit else every)


@compiled
def _add_leaves(words: U64, leaves: F64, out: F64) -> None:
    """Add the exit leaves of some trees, in their order."""
    if leaves.shape[0] == TREES:
        for r in range(out.size):
            total = out[r] + leaves[0, _exit(words[0, r])]
            total += leaves[1, _exit(words[1, r])]
            total += leaves[2, _exit(words[2, r])]
            out[r] = total + leaves[3, _exit(words[3, r])]
        return
    for i in range(leaves.shape[0]):
        for r in range(out.size):
            out[r] += leaves[i, _exit(words[i, r])]


@compiled
def _exit(word: int) -> int:
    return trailing_zeros(np.uint64(word))  # type: ignore[no-any-return]


@compiled
def _quickscore_few(rows: F64, readings: NDArray[np.void], tests: Tests, leaves: F64) -> F64:
    thresholds, trees, masks = tests
    out = np.empty(rows.shape[0])
    words = np.empty(leaves.shape[0], masks.dtype)
    for r in range(rows.shape[0]):
        words[:] = EVERY_LEAF
        for g in range(readings.size):
            value = read_value(rows[r, readings[g].feature], readings[g].nan, readings[g].zero)
            for k in range(readings[g].start, readings[g].stop):
                if not value > thresholds[k]:
                    break
                words[trees[k]] &= masks[k]
        total = 0.0
        for t in range(leaves.shape[0]):
            total += leaves[t, trailing_zeros(words[t])]
        out[r] = total
    return out


@compiled
def _walk(rows: F64, readings: NDArray[np.void], nodes: NDArray[np.void], roots: NDArray[np.int32], leaves: F64) -> F64:
    n = rows.shape[0]
    out = np.zeros(n)
    values = np.empty(readings.size)
    for r in range(n):
        for g in range(readings.size):
            values[g] = read_value(rows[r, readings[g].feature], readings[g].nan, readings[g].zero)
        total = 0.0
        for t in range(roots.size):
            at = roots[t]
            while at >= 0:
                at = nodes[at].right if values[nodes[at].reading] > nodes[at].threshold else nodes[at].left
            total += leaves[~at, 0]
        out[r] = total
    return out
