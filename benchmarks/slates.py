"""Slates: the ways to choose what stands on one, by the world's truth and by what customers of a real shop bought next.

The same moments, items and chances for every way; only the choice differs. In simulated shops the worth of each slate
over hold is the world's truth, which no engine is told; on Online Retail a slate is held against the next order.
Numbers are named by worth on some shops, among those that on the real one find as much margin of the next order as any,
and their worth is judged on other shops; the product's own are among the ways (it may ship what is level). Putting the
dearer first is worth more still in the simulated shops and finds less on the real one: that is an action of its own,
for a shop's log to judge.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from contest.shops import Plot, sources
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from slating.orders import MEASURES, found
from slating.seasons import RECIPES, Noted, noted
from slating.speed import microseconds
from slating.ways import BEFORE, GRID, OWN, RESTING, WAYS
from under_load.report import hardware, keep

from cxreco.world import WORLDS

F64 = NDArray[np.float64]
Found = dict[str, Any]
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "online_retail" / "online_retail.csv.gz"
NAMES = [way.name for way in WAYS]
# What no way of the grid may find evidently less of than the best.
KEPT = "margin of hits"
RESAMPLED, SEED = 2_000, 5


def means(values: F64, who: Sequence[str]) -> tuple[F64, F64, F64]:
    """Return (columns,) means of (n, columns) values with their 95 % intervals, customers resampled."""
    _, customer = np.unique(np.array(who), return_inverse=True)
    count = np.bincount(customer).astype(np.float64)
    total = np.stack([np.bincount(customer, weights=column) for column in values.T], axis=1)
    rng = np.random.default_rng(SEED)
    drawn = np.stack(
        [total[rows].sum(axis=0) / count[rows].sum() for rows in rng.integers(0, count.size, (RESAMPLED, count.size))]
    )
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    return values.mean(axis=0), low, high


def against(values: F64, who: Sequence[str]) -> list[Found]:
    """Return for each way its mean, and how much it differs from the cap used before at the same moments.

    Of what rests over the product's own way, also how much it differs from that.
    """
    rows = zip(values.mean(axis=0), *means(values - values[:, [NAMES.index(BEFORE)]], who), strict=True)
    out: list[Found] = [
        {"mean": float(m), "less": float(d), "low": float(low), "high": float(high)} for m, d, low, high in rows
    ]
    resting = [NAMES.index(way.name) for way in RESTING]
    differs = np.stack(means(values[:, resting] - values[:, [NAMES.index(OWN)]], who), axis=1)
    for way, row in zip(resting, differs.tolist(), strict=True):
        out[way]["less_own"] = row
    return out


def simulated(shops: Sequence[Noted]) -> Found:
    """Return by recipe and way what the slates of some shops are worth."""
    out: Found = {}
    for recipe in RECIPES:
        who = [name for shop in shops for name in shop.customer[recipe]]
        worth, categories, satisfied = (
            np.concatenate([getattr(shop, what)[recipe] for shop in shops])
            for what in ("worth", "categories", "satisfied")
        )
        rows = against(worth, who)
        for row, shown, met in zip(rows, categories.mean(axis=0), satisfied.mean(axis=0), strict=True):
            row |= {"categories": float(shown), "satisfied": float(met)}
        out[recipe] = {"moments": len(who), "ways": dict(zip(NAMES, rows, strict=True))}
    return out


def real(figures: F64) -> Found:
    """Return by way and measure what slates found of the next order."""
    who = [str(row) for row in range(len(figures))]
    by_measure = {name: against(figures[:, :, k], who) for k, name in enumerate(MEASURES)}
    ways = {way: {name: rows[k] for name, rows in by_measure.items()} for k, way in enumerate(NAMES)}
    grid = [NAMES.index(way.name) for way in GRID]
    kept = figures[:, grid, MEASURES.index(KEPT)]
    _, _, high = means(kept - kept[:, [int(np.argmax(kept.mean(axis=0)))]], who)
    for way, most in zip(GRID, high.tolist(), strict=True):
        ways[way.name][KEPT]["high_less_best"] = most
    return {"customers": len(figures), "ways": ways}


def choice(tuned: Found, orders: Found) -> str:
    """Return the way of the grid of the greatest worth among those that find no less than the best of what is kept."""
    kept = [way.name for way in GRID if orders["ways"][way.name][KEPT]["high_less_best"] >= 0.0]
    worth: Mapping[str, Found] = tuned["curate.personal"]["ways"]
    return max(kept, key=lambda name: float(worth[name]["mean"]))


def show(results: Found, console: Console) -> None:
    """Print what was judged."""
    tuned = results["chosen"]
    for title, shops in results["worlds"].items():
        for recipe, row in shops.items():
            table = Table("way", "EUR a slate", "less before", "categories", "satisfied",
                          title=f"{title}, {recipe}: true worth over hold at {row['moments']:,} moments")  # fmt: skip
            for name, way in row["ways"].items():
                less = f"{way['less']:+.4f} ({way['low']:+.4f} to {way['high']:+.4f})"
                shown = f"{way['categories']:.1f}", f"{way['satisfied']:.2f}"
                table.add_row(_marked(name, tuned), f"{way['mean']:.4f}", less, *shown)
            console.print(table)
    show_resting(results, console)
    judged = results["online_retail"]
    table = Table("way", *MEASURES, "recall@10 less before", "margin of hits less before",
                  title=f"Online Retail: the next order of {judged['customers']:,} customers")  # fmt: skip
    for name, row in judged["ways"].items():
        differs = [row[measure] for measure in (MEASURES[0], MEASURES[-1])]
        said = [f"{d['less']:+.4f} ({d['low']:+.4f} to {d['high']:+.4f})" for d in differs]
        table.add_row(_marked(name, tuned), *(f"{row[m]['mean']:.3f}" for m in MEASURES), *said)
    console.print(table)
    console.print(
        f"chosen by worth on other shops, among those that find as much {KEPT} as any: {tuned}", highlight=False
    )


def show_resting(results: Found, console: Console) -> None:
    """Print what it would bring to let more rest than the product does."""
    table = Table("way", *results["worlds"], "Online Retail, recall@10", title=f"less {OWN}: EUR a personal slate")
    found = [world["curate.personal"]["ways"] for world in results["worlds"].values()]
    for way in RESTING:
        rows = [ways[way.name] for ways in found]
        rows.append(results["online_retail"]["ways"][way.name]["recall@10"])
        table.add_row(way.name, *("{:+.4f} ({:+.4f} to {:+.4f})".format(*row["less_own"]) for row in rows))
    console.print(table)


def _marked(name: str, chosen: str) -> str:
    return f"[bold]{name}[/]" if name == chosen else name


def main() -> int:
    """Live the shops, judge the slates, choose on some and report on the others."""
    parser = argparse.ArgumentParser(
        prog="cxreco bench slates --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=["staples", "fashion"], metavar="WORLD")
    parser.add_argument("--tune", nargs="+", type=int, default=[401], help="seeds to choose the numbers on")
    parser.add_argument("--test", nargs="+", type=int, default=[411], help="seeds to judge on")
    parser.add_argument("--customers", type=int, default=100)
    parser.add_argument("--history", type=int, default=26, help="weeks")
    parser.add_argument("--weeks", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DATA, help="online_retail.csv.gz")
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "cxreco-slates")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "slates.json")
    asked = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=180)

    def say(what: str) -> None:
        console.print(f"[dim]{what}[/]", highlight=False)

    begun = time.perf_counter()
    results: Found = {
        "where": hardware(), "engine": sources(), "tune": asked.tune, "test": asked.test,
        "customers": asked.customers, "weeks": asked.weeks, "worlds": {}, "speed": microseconds(),
    }  # fmt: skip
    tuning: list[Noted] = []
    for world in asked.worlds:
        lived = {
            seed: noted(
                Plot(world=world, seed=seed, customers=asked.customers, history=asked.history, weeks=asked.weeks),
                asked.home, say,
            )
            for seed in (*asked.tune, *asked.test)
        }  # fmt: skip
        tuning += [lived[seed] for seed in asked.tune]
        results["worlds"][world] = simulated([lived[seed] for seed in asked.test])
    results["tuning"] = simulated(tuning)
    figures = found(asked.data, asked.home / "online_retail", say).figures
    results["online_retail"] = real(figures)
    results["chosen"] = choice(results["tuning"], results["online_retail"])
    results["seconds"] = round(time.perf_counter() - begun)
    show(results, console)
    console.print(f"200 items, a slate of 10, microseconds: {results['speed']}", highlight=False)
    keep(results, asked.out, console)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
