"""Next basket: cxreco beside frequency, TIFU-KNN, UP-CF@r, implicit ALS and BPR on TaFeng and Online Retail.

TaFeng: three folds of test customers, all baskets but the last are known of everybody. Online Retail: each customer's
first order in the last eight weeks of the file, everything before them is known. Every comparator is tuned on the
validation customers (TaFeng) or on the eight weeks before (Online Retail) by NDCG@10, and all are measured by the same
code. cxreco is run as a shop would, by `import`, `train` and `rank` with its default specs, and never gets a row of
what is foretold; the specs were chosen on each customer's last known basket, and on the eight weeks before.
ALS and BPR need `uv sync --group next-basket-peers`; without them they are left out. With `--as-tuned` the comparators
take the parameters that the file at `--out` holds and are fitted and measured again, not tuned: what cxreco is after a
change, paired with them, in a few minutes; the seconds that they took stay as they were.
"""

import argparse
import json
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from baskets import product
from baskets.measures import PARTS, measured, paired, summary
from baskets.methods import METHODS, Method, Params, lists_of
from baskets.shops import Baskets, Shop, found, online_retail, tafeng
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from cxreco.errors import BadInput, CxRecoError

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
OWN = "cxreco"
READERS: Mapping[str, Callable[[Path], Shop]] = {"tafeng": tafeng, "online_retail": online_retail}
# What "ahead" is judged by.
JUDGED = ("all.recall@10", "all.ndcg@10", "all.recall@20", "all.ndcg@20")
SHOWN = (*JUDGED[:2], "all.phr@10", *JUDGED[2:], "all.phr@20", "repeat.recall@10", "explore.recall@10")
TUNED_BY = "all.ndcg@10"
PACKAGES = ("cxreco", "implicit", "lightgbm", "numba", "numpy", "pandas", "scipy")
Found = dict[str, Any]
Step = Callable[[str], None]


def compared(shop: Shop, methods: Sequence[Method], folder: Path, step: Step, kept: Found | None = None) -> Found:
    """Measure every method and the product on a shop, tuned or with the parameters of what was kept."""
    values: dict[str, dict[str, F64]] = {}
    tuned: Found = {}
    seconds: Found = {}
    for method in methods:
        step(f"{shop.name}: {method.name}, {'as kept' if kept else f'{len(method.grid)} settings'}")
        begun = time.perf_counter()
        chosen = kept["parameters"][method.name] if kept else best(shop, method)
        tuned[method.name] = chosen
        values[method.name] = _joined(
            [measured(fold.test, lists_of(method.fit(fold.test.history, params), fold.test.customers))
             for fold, params in zip(shop.folds, chosen, strict=True)]
        )  # fmt: skip
        seconds[method.name] = kept["seconds"][method.name] if kept else time.perf_counter() - begun
    lists, seconds[OWN] = product.ranked(shop, folder, step)
    values[OWN] = _joined(
        [measured(fold.test, product.lists_for(lists, shop, fold.test.customers)) for fold in shop.folds]
    )
    who = np.concatenate([fold.test.customers for fold in shop.folds])
    step(f"{shop.name}: intervals")
    return {
        "customers": int(np.unique(who).size),
        "folds": len(shop.folds),
        "methods": {name: summary(columns, who) for name, columns in values.items()},
        "cxreco_less": {name: paired(values[OWN], columns, who) for name, columns in values.items() if name != OWN},
        "parameters": tuned,
        "seconds": seconds,
    }


def best(shop: Shop, method: Method) -> list[Params]:
    """Return for each fold the parameters that did best on its validation customers; the first among equals."""
    if len(method.grid) == 1:
        return [method.grid[0]] * len(shop.folds)
    scores = np.empty((len(method.grid), len(shop.folds)))
    for row, params in enumerate(method.grid):
        fitted: list[tuple[Baskets, Callable[[I64], NDArray[np.float32]]]] = []
        for column, fold in enumerate(shop.folds):
            task = fold.validation
            # The folds of a shop may share one history: then one fit serves them all.
            if not fitted or fitted[-1][0] is not task.history:
                fitted.append((task.history, method.fit(task.history, params)))
            lists = lists_of(fitted[-1][1], task.customers)
            scores[row, column] = np.nanmean(measured(task, lists)[TUNED_BY])
    return [method.grid[row] for row in scores.argmax(axis=0)]


def kept_in(path: Path, name: str, methods: Sequence[Method]) -> Found:
    """Return what an earlier run found at a shop.

    Raises
    ------
    BadInput
        If the file is not there, or lacks the shop or the parameters of a method.
    """
    if not path.exists():
        raise BadInput("is not there: run it once without --as-tuned", where=str(path))
    kept: Found = json.loads(path.read_text()).get(name, {})
    if missing := [method.name for method in methods if method.name not in kept.get("parameters", {})]:
        raise BadInput(f"has no parameters at {name} for {', '.join(missing)}", where=str(path))
    return kept


def _joined(parts: Sequence[Mapping[str, F64]]) -> dict[str, F64]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def verdict(result: Found) -> list[str]:
    """Say of each comparator where cxreco is ahead of it by more than chance, and where not."""
    lines = []
    for name, differences in result["cxreco_less"].items():
        behind = [measure for measure in JUDGED if not differences[measure]["low"] > 0.0]
        said = "ahead at all" if not behind else f"not ahead by more than chance at {', '.join(behind)}"
        lines.append(f"{name}: {said}")
    return lines


def tables_of(name: str, result: Found) -> tuple[Table, Table]:
    """Return what was measured, and what cxreco is ahead by, for people."""
    title = f"{name}: {result['customers']:,} customers, folds: {result['folds']}"
    means = Table("method", *(measure.removeprefix("all.") for measure in SHOWN), title=title)
    for method, columns in result["methods"].items():
        means.add_row(method, *(f"{columns[measure]['mean']:.4f}" for measure in SHOWN))
    ahead = Table("cxreco less", *(measure.removeprefix("all.") for measure in JUDGED), title="95 % intervals")
    for method, columns in result["cxreco_less"].items():
        found = [columns[measure] for measure in JUDGED]
        ahead.add_row(method, *(f"{c['mean']:+.4f} ({c['low']:+.4f} to {c['high']:+.4f})" for c in found))
    return means, ahead


def about() -> Found:
    """Return when, with what and on what this was measured."""
    versions: Found = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "versions": versions,
        "tuned_by": TUNED_BY,
        "parts": PARTS,
    }


def main() -> int:
    """Measure, print, and write the figures with what they were measured on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds the data sets")
    parser.add_argument("--shop", choices=list(READERS), action="append", help="only this one; may be repeated")
    parser.add_argument("--quick", action="store_true", help="first setting of each method, untuned: to see it works")
    parser.add_argument("--as-tuned", action="store_true", help="comparators with the parameters kept in --out")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "next_basket.json")
    asked = parser.parse_args()
    # Wide enough for the tables where the output is no terminal.
    console = Console() if Console().is_terminal else Console(width=140)
    methods = [method for method in METHODS if find_spec("implicit") or not method.name.startswith("implicit")]
    if len(methods) < len(METHODS):
        console.print("implicit is not installed: ALS and BPR are left out (uv sync --group next-basket-peers)")
    if asked.quick:
        methods = [Method(name=method.name, fit=method.fit, grid=method.grid[:1]) for method in methods]
    # ALS warns of the threads of the linear algebra; both cores are used anyway.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="implicit")
    results: Found = about()

    def step(what: str) -> None:
        console.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/] {what}", highlight=False)

    try:
        for name in asked.shop or READERS:
            kept = kept_in(asked.out, name, methods) if asked.as_tuned else None
            shop = READERS[name](found(asked.data, name))
            with tempfile.TemporaryDirectory(prefix="cxreco-bench-") as folder:
                results[name] = compared(shop, methods, Path(folder), step, kept)
            for table in tables_of(name, results[name]):
                console.print(table)
            for line in verdict(results[name]):
                console.print(f"cxreco against {line}", highlight=False)
            asked.out.parent.mkdir(parents=True, exist_ok=True)
            asked.out.write_text(json.dumps(results, indent=1) + "\n")
    except CxRecoError as failed:
        console.print(f"{failed}", style="red", highlight=False)
        return 1
    console.print(f"written to {asked.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
