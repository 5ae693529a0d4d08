"""Figures that need no server: scoring against LightGBM, replay, bytes of state, imports."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cxreco.edge.log_reading import LogReader
from cxreco.edge.settings import Settings
from cxreco.edge.shop import Shop
from cxreco.edge.sqlite_store import SqliteStore
from cxreco.recognise.replay import latest_states, sort_ticks
from cxreco.request.forest import verified
from cxreco.request.growing import grow
from cxreco.request.lightgbm_library import Booster

ROWS, FEATURES, TREES, LEAVES = 200, 60, 300, 31


def median_s(work: Callable[[], object], repeat: int) -> float:
    """Return the median time of a piece of work, after one run that is not counted."""
    work()
    took = []
    for _ in range(repeat):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


def scoring(repeat: int) -> dict[str, float]:
    """Return microseconds for 200 rows x 60 features, 300 trees x 31 leaves, one thread, and whether bits agree."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6_000, FEATURES))
    y = x[:, :8].sum(axis=1) + np.sin(3 * x[:, 8]) + rng.normal(size=6_000)
    params = {"rounds": TREES, "num_leaves": LEAVES, "min_data_in_leaf": 5, "learning_rate": 0.05}
    text = grow(x, y, objective="regression", params=params, names=[f"f{i}" for i in range(FEATURES)])
    rows = np.ascontiguousarray(rng.normal(size=(ROWS, FEATURES)))
    forest, booster = verified(text, rows), Booster(text)
    mine, theirs = median_s(lambda: forest.score(rows), repeat), median_s(lambda: booster.score(rows), repeat // 10)
    same = np.array_equal(forest.score(rows).view(np.int64), booster.score(rows).view(np.int64))
    return {"us": 1e6 * mine, "booster_predict_us": 1e6 * theirs, "times": theirs / mine, "bit_equal": float(same)}


def state_bytes(home: Path) -> dict[str, float]:
    """Return the bytes of state of the customers of a workspace, at rest."""
    store = SqliteStore(home / "log.db")
    try:
        log = LogReader(store, Shop.opened(store, Settings(home=home).margin_share)).read()
    finally:
        store.close()
    sizes = [len(state.to_bytes()) for state in latest_states(sort_ticks(log.ticks)).values()]
    return {"customers": len(sizes), "median": statistics.median(sizes), "p99": float(np.quantile(sizes, 0.99))}


def replaying(home: Path, least: int) -> dict[str, float]:
    """Return events folded a second by one core, over the workspace's log told again for more customers."""
    store = SqliteStore(home / "log.db")
    try:
        log = LogReader(store, Shop.opened(store, Settings(home=home).margin_share)).read()
    finally:
        store.close()
    copies = -(-least // log.ticks.size)
    parts = []
    for copy in range(copies):
        ticks = log.ticks.copy()
        ticks["customer"] += copy * len(log.customers)
        parts.append(ticks)
    ticks = sort_ticks(np.concatenate(parts))
    took = median_s(lambda: latest_states(ticks), 3)
    return {"events": float(ticks.size), "per_second_one_core": ticks.size / took}


def import_s(repeat: int) -> float:
    """Return the seconds that importing the command line adds to a bare interpreter."""

    def seconds(code: str) -> float:
        return median_s(lambda: subprocess.run([sys.executable, "-c", code], check=True), repeat)

    return seconds("import cxreco.cli") - seconds("pass")
