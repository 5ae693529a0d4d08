"""Retrieval by taste: the serving kernel's exact scan beside NumPy's and hnswlib, for growing catalogues.

Serving compares a taste with the 100,000 best sellers, exactly, so that a decision can be replayed without keeping an
index. This says what that costs, and what it misses of an exact scan of everything. Factors and sales are drawn:
clusters of items as categories make them, sales by Zipf's law, tastes as means of what a customer would have bought.
hnswlib (M 16, ef_construction 200) is measured in an environment of its own, which uv makes; it needs a compiler.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from apart.environment import python_with
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from under_load.report import hardware

from cxreco.errors import NotFound
from cxreco.recognise.market import COMMON, COMPARED, Columns
from cxreco.request.tastes import collaborative, nearness

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
HNSWLIB = ("hnswlib==0.8.0", "numpy<3")
WIDTH, CLUSTERS, BASKET, K = 32, 200, 12, 40
EF = (100, 400)
SIZES = (10_000, 100_000, 300_000)


def drawn(items: int, tastes: int, rng: np.random.Generator) -> tuple[F32, I64, F32]:
    """Return (n, d) factors, the codes by sales, best first, and (q, d) tastes of customers who buy by sales."""
    middle = rng.normal(size=(CLUSTERS, WIDTH))
    cluster = rng.integers(CLUSTERS, size=items)
    factors = middle[cluster] + 0.7 * rng.normal(size=(items, WIDTH))
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    by_sales = rng.permutation(items)
    share = 1.0 / np.arange(1, items + 1)
    place = rng.choice(items, size=(tastes, BASKET), p=share / share.sum())
    taste = factors[by_sales[place]].mean(axis=1)
    taste /= np.linalg.norm(taste, axis=1, keepdims=True)
    return factors.astype(np.float32), by_sales, taste.astype(np.float32)


def columns_of(factors: F32, by_sales: I64) -> Columns:
    """Return a market's columns of which the recall by taste reads the factors alone."""
    n = len(factors)
    compared = np.sort(by_sales[:COMPARED]).astype(np.int32)
    plain: dict[str, Any] = {
        "available": np.ones(n, np.bool_), "buyable": np.ones(n, np.bool_), "titled": np.ones(n, np.bool_),
        "category": np.zeros(n, np.int32), "neighbours": np.zeros((n, 1), np.int32),
        "lift": np.zeros((n, 1), np.float32), "alike": np.zeros((n, 1), np.int32),
        "likeness": np.zeros((n, 1), np.float32), "rarity": np.ones(n, np.float32), "factors": factors,
        "compared": compared, "tastes": np.ascontiguousarray(factors[compared].T), "top": compared,
        "category_starts": np.zeros(2, np.int64), "category_items": np.zeros(1, np.int32), "new": np.zeros(1, np.int32),
        "best_sold": 1.0,
        "restocked_at": np.zeros(n, np.int64), "common": np.zeros((n, len(COMMON))),
    }  # fmt: skip
    return Columns(**{name: plain.get(name, np.zeros(n)) for name in Columns._fields})


def timed(ask: Callable[[F32], I64], tastes: F32) -> tuple[I64, float]:
    """Return (q, K) answers and the microseconds that one took."""
    for taste in tastes[:20]:
        ask(taste)
    begun = time.perf_counter()
    found = np.vstack([ask(taste) for taste in tastes])
    return found, 1e6 * (time.perf_counter() - begun) / len(tastes)


def measured(items: int, queries: int) -> dict[str, Any]:
    """Return, by way, microseconds a query and the share of the true nearest that it names; and seconds to build."""
    factors, by_sales, tastes = drawn(items, queries, np.random.default_rng(items))
    columns = columns_of(factors, by_sales)
    nobody = (np.empty(0, np.int32), np.empty((0, 7)))
    into = (np.empty(K + 1, np.int32), np.empty(K + 1))

    def own(taste: F32) -> I64:
        n = collaborative(*nobody, nearness(taste, columns.tastes), columns, K, into)
        return np.pad(into[0][:n].astype(np.int64), (0, K - n), constant_values=-1)

    def exact(taste: F32) -> I64:
        score = factors @ taste
        return np.argpartition(-score, K)[:K].astype(np.int64)

    truth, exact_us = timed(exact, tastes)
    kept, own_us = timed(own, tastes)
    best = np.isin(truth, by_sales[:COMPARED])
    found: dict[str, Any] = {
        "exact, NumPy": {"us": exact_us, "recall": 1.0},
        "cxreco": {"us": own_us, "recall": overlap(kept, truth), "recall_of_best_sellers": overlap(kept, truth, best)},
    }
    try:
        found |= with_hnswlib(factors, tastes, truth)
    except NotFound as missing:
        found["hnswlib"] = {"missing": str(missing)}
    return found


def overlap(found: I64, truth: I64, among: NDArray[np.bool_] | None = None) -> float:
    """Return the share of the true nearest (of those `among`) that were found."""
    hit = np.array([np.isin(right, own) for own, right in zip(found, truth, strict=True)])
    return float(hit.mean() if among is None else hit[among].mean())


def with_hnswlib(factors: F32, tastes: F32, truth: I64) -> dict[str, Any]:
    """Return what hnswlib makes of the same."""
    python = python_with(HNSWLIB, "hnswlib")
    script = Path(__file__).with_name("retrieving") / "with_hnswlib.py"
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, factors=factors, tastes=tastes, k=K, ef=np.array(EF))
        subprocess.run([str(python), str(script), str(given), str(out)], check=True)
        found = dict(np.load(out))
    return {
        f"hnswlib, ef {ef}": {
            "us": float(found[f"took_{ef}"]), "recall": overlap(found[f"labels_{ef}"].astype(np.int64), truth),
            "build_s": float(found["built"]),
        }
        for ef in EF
    }  # fmt: skip


def show(found: dict[str, Any], console: Console) -> None:
    """Print a table."""
    table = Table(title=f"the {K} nearest of {WIDTH} factors, one thread")
    for heading in ("items", "way", "us a query", "of the true nearest", "of those best sold", "s to build"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for items, ways in found["sizes"].items():
        for way, row in ways.items():
            if "missing" in row:
                table.add_row(items, way, row["missing"], "", "", "")
                continue
            best = row.get("recall_of_best_sellers")
            table.add_row(
                items, way, f"{row['us']:.0f}", f"{row['recall']:.1%}", "" if best is None else f"{best:.1%}",
                f"{row['build_s']:.1f}" if "build_s" in row else "",
            )  # fmt: skip
    console.print(table)


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="cxreco bench retrieval --", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--items", nargs="+", type=int, default=SIZES)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "retrieval.json")
    asked = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=180)
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), **hardware(), "peer": list(HNSWLIB), "sizes": {},
    }  # fmt: skip
    for items in asked.items:
        console.print(f"{items:,} items", highlight=False)
        found["sizes"][f"{items:,}"] = measured(items, asked.queries)
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(found, indent=1) + "\n")
    show(found, console)
    console.print(f"written to {asked.out}", highlight=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
