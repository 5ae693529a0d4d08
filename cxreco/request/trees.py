"""LightGBM's text form of a model, read into flat arrays.

Missing values need no branch later on: a column is read once for each rule in use (which side missing goes, what counts
as missing), with NaN and zero replaced by 0 or an infinity, so that every test is `value > threshold`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadSpec

F64 = NDArray[np.float64]
NARROW_LEAVES = 32
# Leaves to a word where many rows are scored at once: the fewer, the more rows an instruction.
WORD_LEAVES = 16
# Infinity is kept for "missing, goes right": a value reads at most this, and a split of missing against all the rest,
# which LightGBM writes as `value <= inf`, gets this threshold.
HIGHEST = float(np.finfo(np.float64).max)

# One way to read one feature: what stands for NaN and for zero; and the span of its nodes in threshold order.
READING = np.dtype([("feature", "<i8"), ("nan", "<f8"), ("zero", "<f8"), ("start", "<i8"), ("stop", "<i8")])
# The nodes of QuickScorer in order: thresholds, their trees, and the leaves that stay possible when
# `value <= threshold` fails, a bit each (32 bits where they suffice).
Tests = tuple[F64, NDArray[np.int32], NDArray[np.unsignedinteger]]
# Readings, and the thresholds of each, ascending, none twice.
Limits = tuple[NDArray[np.void], F64]
# The same nodes tree by tree, and of a tree word by word: the reading, the place among that reading's limits, the mask;
# and where the nodes of each word end. In the words of which it clears nothing a node is left out.
Nodes = tuple[NDArray[np.int32], NDArray[np.unsignedinteger], NDArray[np.unsignedinteger], NDArray[np.int64]]
# A node of the walk: children are nodes, or ~leaf when negative, numbered over the whole forest.
NODE = np.dtype([("threshold", "<f8"), ("reading", "<i4"), ("left", "<i4"), ("right", "<i4"), ("_", "<i4")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One tree as LightGBM writes it: columns over its nodes, children ~leaf when negative, and the leaves' values."""

    feature: NDArray[np.int64]
    threshold: F64
    decision: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    leaves: F64
    categorical: bool
    linear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TextModel:
    """A model as written: number of columns, of scores a row, and the trees in the order they are summed."""

    features: int
    scores: int
    trees: Sequence[Tree]

    @property
    def most_leaves(self) -> int:
        """Leaves of the largest tree."""
        return max((tree.leaves.size for tree in self.trees), default=1)

    def refusal(self) -> str:
        """Return why the model cannot be scored by comparisons alone, or an empty string."""
        if any(tree.categorical for tree in self.trees):
            return "categorical splits"
        if any(tree.linear for tree in self.trees):
            return "linear leaves"
        limits = np.concatenate([np.empty(0), *(tree.threshold for tree in self.trees)])
        return "" if ((limits > -np.inf) & (limits != HIGHEST)).all() else "a threshold that nothing compares with"


def parsed(text: str) -> TextModel:
    """Read a model.

    Raises
    ------
    BadSpec
        If the text is cut off, damaged or no LightGBM model.
    """
    body, end, _ = text.partition("\nend of trees")
    head, *blocks = body.split("\nTree=")
    if not end or not head.startswith("tree\n"):
        raise BadSpec("cut off, or not a LightGBM text model", where="model")
    fields = _fields(head)
    try:
        scores, features = int(fields["num_tree_per_iteration"]), int(fields["max_feature_idx"]) + 1
        sizes = fields["tree_sizes"].split()
    except (KeyError, ValueError) as error:
        raise BadSpec(f"the head cannot be read: {error}", where="model") from error
    if len(sizes) != len(blocks):
        raise BadSpec(f"{len(sizes)} trees announced, {len(blocks)} found", where="model")
    trees = [_tree(_fields(block), features, f"tree {number}") for number, block in enumerate(blocks)]
    return TextModel(features=features, scores=scores, trees=trees)


def _fields(block: str) -> Mapping[str, str]:
    return {key: value for key, equals, value in (line.partition("=") for line in block.splitlines()) if equals}


_COLUMNS = ("threshold", "split_feature", "decision_type", "left_child", "right_child")


def _tree(fields: Mapping[str, str], features: int, where: str) -> Tree:
    try:
        categorical, linear = int(fields["num_cat"]) > 0, int(fields.get("is_linear", "0")) > 0
        leaves = np.array(fields["leaf_value"].split(), dtype=np.float64)
        numbers = [np.array(fields.get(key, "").split(), dtype=np.float64) for key in _COLUMNS]
    except (KeyError, ValueError) as error:
        raise BadSpec(f"cannot be read: {error}", where=where) from error
    nodes = leaves.size - 1
    if nodes < 0 or any(column.size != nodes for column in numbers):
        raise BadSpec("its columns differ in length", where=where)
    feature, decision, left, right = (column.astype(np.int64) for column in numbers[1:])
    tree = Tree(
        feature=feature,
        threshold=numbers[0],
        decision=decision,
        left=left,
        right=right,
        leaves=leaves,
        categorical=categorical,
        linear=linear,
    )
    if not _sound(tree, features):
        raise BadSpec("its nodes do not form a tree over the model's features", where=where)
    return tree


def _sound(tree: Tree, features: int) -> bool:
    """Return whether every node but the root and every leaf is the child of one earlier node."""
    nodes = tree.feature.size
    children = np.sort(np.concatenate([tree.left, tree.right]))
    expected = np.concatenate([np.arange(-nodes - 1, 0), np.arange(1, nodes)]) if nodes else np.empty(0)
    if not np.array_equal(children, expected):
        return False
    number = np.arange(nodes)
    later = ((tree.left < 0) | (tree.left > number)) & ((tree.right < 0) | (tree.right > number))
    return bool(later.all() and ((tree.feature >= 0) & (tree.feature < features)).all())


def readings_of(trees: Sequence[Tree]) -> tuple[NDArray[np.void], list[NDArray[np.int64]]]:
    """Return the readings in use, sorted by feature, and each tree's nodes' index among them."""
    feature = np.concatenate([tree.feature for tree in trees] or [np.empty(0, np.int64)])
    decision = np.concatenate([tree.decision for tree in trees] or [np.empty(0, np.int64)])
    # decision_type: bit 0 categorical, bit 1 missing goes left, bits 2-3 what is missing (0 nothing, 1 zero, 2 NaN).
    missing = (decision >> 2) & 3
    side = np.where(decision & 2, -np.inf, np.inf)
    rule = np.empty(feature.size, READING)
    rule["feature"], rule["start"], rule["stop"] = feature, 0, 0
    rule["nan"] = np.where(missing == 0, 0.0, side)
    rule["zero"] = np.where(missing == 1, side, 0.0)
    rules, index = np.unique(rule, return_inverse=True)
    return rules, np.split(index.reshape(-1), np.cumsum([tree.feature.size for tree in trees])[:-1])


def quick_tests(trees: Sequence[Tree], of_node: list[NDArray[np.int64]], rules: NDArray[np.void]) -> tuple[Tests, F64]:
    """Return the tests in order and the table of leaves, numbered left to right; fills the spans of the readings."""
    most = max((tree.leaves.size for tree in trees), default=1)
    leaves = np.zeros((len(trees), most))
    masks: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)]
    for number, tree in enumerate(trees):
        order, cleared = _left_to_right(tree)
        leaves[number, : tree.leaves.size] = tree.leaves[order]
        masks.append(cleared)
    threshold = np.concatenate([np.empty(0), *(tree.threshold for tree in trees)])
    reading = np.concatenate([np.empty(0, np.int64), *of_node])
    tree_of = np.repeat(np.arange(len(trees), dtype=np.int32), [tree.feature.size for tree in trees])
    threshold = np.minimum(threshold, HIGHEST)
    order = np.lexsort((threshold, reading))
    rules["start"] = np.searchsorted(reading[order], np.arange(rules.size), side="left")
    rules["stop"] = np.searchsorted(reading[order], np.arange(rules.size), side="right")
    word = np.uint32 if most <= NARROW_LEAVES else np.uint64
    return (threshold[order], tree_of[order], np.concatenate(masks)[order].astype(word)), leaves


def by_tree(tests: Tests, rules: NDArray[np.void], trees: int, most_leaves: int) -> tuple[Limits, Nodes]:
    """Return the readings with what each is compared with, every threshold once, and the tests tree by tree.

    Places are in the narrowest word that counts them; all trees have as many words as the largest needs. LightGBM tells
    255 bins of a feature apart, so that a byte is enough for a place unless it was told otherwise.
    """
    spans = rules["stop"] - rules["start"]
    reading = np.repeat(np.arange(rules.size, dtype=np.int32), spans)
    new = np.ones(reading.size, np.bool_)
    new[1:] = (tests[0][1:] != tests[0][:-1]) | (reading[1:] != reading[:-1])
    distinct = np.flatnonzero(new)
    limits = rules.copy()
    limits["stop"] = np.searchsorted(distinct, rules["stop"])
    limits["start"] = np.searchsorted(distinct, rules["start"])
    place = np.cumsum(new) - 1 - limits["start"][reading]
    most = int((limits["stop"] - limits["start"]).max(initial=0))
    count = next(word for word in (np.uint8, np.uint16, np.uint32) if most <= np.iinfo(word).max)
    words = max(-(-most_leaves // WORD_LEAVES), 1)
    masks = tests[2].astype("<u8").view("<u2").reshape(-1, 4)[:, :words].astype(np.uint16)
    node, word = np.nonzero(masks != np.iinfo(np.uint16).max)
    of = tests[1][node] * words + word
    order = np.argsort(of, kind="stable")
    node, ends = node[order], np.searchsorted(of[order], np.arange(trees * words), side="right")
    nodes = reading[node], place[node].astype(count), masks[node, word[order]], ends
    return (limits, tests[0][distinct]), nodes


def _left_to_right(tree: Tree) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the leaves in order from the left, and for each node the mask that clears its left side."""
    order: list[int] = []
    masks = np.full(tree.feature.size, ~np.uint64(0), dtype=np.uint64)
    full = (1 << 64) - 1
    starts: dict[int, int] = {}
    for node, leaving in _visits(tree):
        if node < 0:
            order.append(~node)
        elif leaving:
            masks[node] = np.uint64(full & ~((1 << len(order)) - (1 << starts[node])))
        else:
            starts[node] = len(order)
    return np.array(order, dtype=np.int64), masks


def _visits(tree: Tree) -> Iterator[tuple[int, bool]]:
    """Yield (node, False) when it is entered, (node, True) when its left side is done, and (~leaf, False)."""
    stack: list[tuple[int, bool]] = [(0 if tree.feature.size else -1, False)]
    while stack:
        node, leaving = stack.pop()
        yield node, leaving
        if node < 0:
            continue
        if leaving:
            stack.append((int(tree.right[node]), False))
        else:
            stack.extend([(node, True), (int(tree.left[node]), False)])


def walk_nodes(
    trees: Sequence[Tree], of_node: list[NDArray[np.int64]]
) -> tuple[NDArray[np.void], NDArray[np.int32], F64]:
    """Return nodes, roots and leaves numbered over the whole forest."""
    nodes = np.zeros(sum(tree.feature.size for tree in trees), NODE)
    roots = np.empty(len(trees), np.int32)
    at = leaf = 0
    for number, tree in enumerate(trees):
        span = slice(at, at + tree.feature.size)
        nodes["threshold"][span], nodes["reading"][span] = np.minimum(tree.threshold, HIGHEST), of_node[number]
        for side, child in (("left", tree.left), ("right", tree.right)):
            # ~leaf: a leaf's number grows by `leaf`, so its complement falls by it.
            nodes[side][span] = np.where(child >= 0, child + at, child - leaf)
        roots[number] = at if tree.feature.size else ~leaf
        at, leaf = at + tree.feature.size, leaf + tree.leaves.size
    return nodes, roots, np.concatenate([tree.leaves for tree in trees]).reshape(-1, 1)
