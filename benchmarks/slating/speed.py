"""How long choosing a slate takes: 200 items, ten of them shown, compiled code alone."""

import time

import numpy as np

from cxreco.compiled import compiled
from cxreco.request.context import Sight
from cxreco.request.coverage import covering
from cxreco.request.features import RANKER_COLUMN, RANKER_FEATURES

ITEMS, SHOWN, CATEGORIES, ROUNDS, TURNS = 200, 10, 40, 2_000, 9


@compiled
def _often(s: Sight, substitution: float, money: float, rounds: int) -> int:
    where, total = np.ones(s.codes.size, np.bool_), 0
    for _ in range(rounds):
        total += covering(s, where, s.buy, substitution, money)[0]
    return total


def sight(seed: int = 1) -> Sight:
    """Return a moment of made-up items."""
    rng = np.random.default_rng(seed)
    x = np.zeros((ITEMS, len(RANKER_FEATURES)))
    x[:, RANKER_COLUMN["price"]] = rng.uniform(1.0, 50.0, ITEMS)
    x[:, RANKER_COLUMN["margin_share"]] = rng.uniform(0.1, 0.5, ITEMS)
    score = rng.random(ITEMS)
    none, all_ = np.zeros(ITEMS), np.ones(ITEMS, np.bool_)
    return Sight(
        np.arange(ITEMS, dtype=np.int32), rng.integers(1, CATEGORIES, ITEMS).astype(np.int32), x, score, score**4,
        np.zeros((ITEMS, 4)), np.arange(5.0), none, none, none + 1.0, all_, all_,
        np.argsort(-score, kind="stable"), np.zeros(8), 0, -1, False, SHOWN,
    )  # fmt: skip


def microseconds() -> dict[str, float]:
    """Return the median time of one slate by what it is chosen by, in turn."""
    moment, taken = sight(), dict[str, list[float]]()
    settings = {"by chance alone": (0.0, 0.0), "by coverage": (1.0, 0.0), "by coverage and money": (1.0, 1.0)}
    for turn in range(TURNS + 1):
        for name, (substitution, money) in settings.items():
            begun = time.perf_counter()
            _often(moment, substitution, money, ROUNDS)
            if turn:
                taken.setdefault(name, []).append((time.perf_counter() - begun) / ROUNDS * 1e6)
    return {name: round(float(np.median(times)), 2) for name, times in taken.items()}
