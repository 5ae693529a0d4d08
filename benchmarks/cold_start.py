"""Cold start: customers without a history beside best sellers, and items without sales beside their content.

UCI Online Retail, at cuts of 28, 56 and 84 days before its end; what is foretold is each customer's first order in the
28 days after a cut. New customers: those who had not ordered before. New items: a random tenth of all items is
withheld, as if put on the shelf the day before the cut: before it nothing of them is in the log, and the catalogue's
row (title, category, price) is all that is known. Those that customers with a history then buy are to be found among
the withheld ones, and on the whole shelf. Intervals are percentile bootstraps over customers (Efron 1979), of
differences paired; a customer who is asked about at several cuts is resampled as one.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from baskets.measures import interval
from baskets.shops import found
from cold.peers import Content, best_sellers, category_sales
from cold.withheld import Asked, Split, Step, asked, drawn, order_lines, split
from contest.shops import sources
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata
from under_load.report import hardware, keep

from cxreco.edge.settings import Settings
from cxreco.errors import CxRecoError
from cxreco.journey import DAY
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.ingest import imported
from cxreco.pipelines.rank import ranked
from cxreco.pipelines.shop_figures import ndcg_at, recall_at
from cxreco.pipelines.workspace import opened
from cxreco.recognise.replay import moments_of, replay
from cxreco.repeat.log import Log
from cxreco.repeat.training import Specs

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Found = dict[str, Any]
# Measure -> method -> (n,) values, one a customer and cut.
Values = dict[str, dict[str, list[float]]]
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
OWN = "cxreco"
WINDOW = 28 * DAY
MONTH = 28 * DAY
SHELF = 50


def new_customers(log: Log, specs: Specs, cuts: Sequence[int], step: Step) -> Found:
    """Measure lists for customers without a history, and for those with one, by the same models."""
    values: dict[str, Values] = {"new": {}, "known": {}}
    who: dict[str, list[I64]] = {"new": [], "known": []}
    for cut in cuts:
        world = split(log, specs, cut, np.empty(0, np.int32), step)
        past = order_lines(log)
        past = past[past["at"] < cut]
        lists = {
            "best sellers": best_sellers(past, len(world.market), 10),
            "of the month": best_sellers(past[past["at"] >= cut - MONTH], len(world.market), 10),
        }
        for name in values:
            orders = asked(log, cut, cut + WINDOW, known=name == "known")
            who[name].append(orders.customer)
            for row, state in replay(log.ticks, moments_of(orders.customer, orders.at - 1)):
                bought = orders.bought[row]
                own = ranked(world.models, state, int(orders.at[row]) - 1, world.market, 10).codes
                for method, codes in {OWN: own, **lists}.items():
                    _put(values[name], "recall@10", method, recall_at(codes, bought))
                    _put(values[name], "ndcg@10", method, ndcg_at(codes, bought))
    return {name: summed(values[name], np.concatenate(who[name])) for name in values}


def new_items(log: Log, specs: Specs, cuts: Sequence[int], share: float, seed: int, step: Step) -> Found:
    """Measure how well withheld items are placed for the customers who then buy them."""
    values: Values = {}
    who: list[I64] = []
    for cut in cuts:
        world = split(log, specs, cut, drawn(log, cut, cut + WINDOW, share, seed), step)
        orders = asked(world.log, cut, cut + WINDOW, known=True)
        buyers = [row for row, bought in enumerate(orders.bought) if np.isin(bought, world.withheld).any()]
        orders = orders.take(np.array(buyers, np.int64))
        who.append(orders.customer)
        _place(world, orders, np.random.default_rng((seed, 1)), values)
    return summed(values, np.concatenate(who))


def _place(world: Split, orders: Asked, rng: np.random.Generator, values: Values) -> None:
    shelf = world.market.shelf
    past = order_lines(world.log)
    past = past[past["at"] < world.cut]
    content, by_category = Content(shelf), category_sales(past, shelf, world.withheld)
    everything = np.flatnonzero(world.market.columns.buyable).astype(np.int32)
    for row, state in replay(world.log.ticks, moments_of(orders.customer, orders.at - 1)):
        bought = orders.bought[row]
        new = bought[np.isin(bought, world.withheld)]
        own = ranked(world.models, state, int(orders.at[row]) - 1, world.market, len(shelf)).codes
        slots = state.item_slots[state.item_slots["orders"] > 0]
        codes, times = slots["key"].astype(np.int32), slots["orders"].astype(np.float64)
        alike = content.likeness(codes, times, everything)
        # What they have is no discovery: content alone would name it first.
        alike[np.isin(everything, codes)] = -1.0
        near = everything[np.argsort(-alike, kind="stable")]
        among = {
            OWN: own[np.isin(own, world.withheld)],
            "content neighbours": near[np.isin(near, world.withheld)],
            "sales of the category": world.withheld[np.argsort(-by_category, kind="stable")],
            "chance": rng.permutation(world.withheld),
        }
        for method, order in among.items():
            for measure, value in placed(order, new).items():
                _put(values, measure, method, value)
        for method, whole in ((OWN, own), ("content neighbours", near)):
            _put(values, f"whole shelf, recall@{SHELF}", method, recall_at(whole, new, SHELF))
        _put(values, "all items, recall@10", OWN, recall_at(own, bought))


def placed(order: I32, wanted: I32) -> dict[str, float]:
    """Return how well an order of items places the wanted: AUC, reciprocal rank of the first of them, recalls."""
    hit = np.isin(order, wanted)
    places = rankdata(-np.arange(order.size))
    good = int(hit.sum())
    bad = order.size - good
    auc = (places[hit].sum() - good * (good + 1) / 2) / (good * bad) if good and bad else float("nan")
    return {
        "AUC": float(auc),
        "MRR": float(1.0 / (1 + np.flatnonzero(hit)[0])) if good else 0.0,
        "recall@10": recall_at(order, wanted, 10),
        "recall@50": recall_at(order, wanted, 50),
    }


def _put(values: Values, measure: str, method: str, value: float) -> None:
    """Add a value: customers come as `asked` has them, for each is asked about once and the replay goes by customer."""
    values.setdefault(measure, {}).setdefault(method, []).append(value)


def summed(values: Values, who: I64) -> Found:
    """Return by measure the mean and interval of each method, and of what the engine is ahead by."""
    names = ("mean", "low", "high")
    out: Found = {"orders": int(who.size), "customers": int(np.unique(who).size), "measures": {}}
    for measure, methods in values.items():
        columns = {name: np.array(column) for name, column in methods.items()}
        out["measures"][measure] = {
            "methods": {name: dict(zip(names, interval(column, who), strict=True)) for name, column in columns.items()},
            "cxreco_less": {
                name: dict(zip(names, interval(columns[OWN] - column, who), strict=True))
                for name, column in columns.items() if name != OWN
            },
        }  # fmt: skip
    return out


def table_of(title: str, result: Found) -> Table:
    """Return the figures for people: each method, and below it what the engine is ahead of it by."""
    measures: Mapping[str, Any] = result["measures"]
    methods = dict.fromkeys(name for each in measures.values() for name in each["methods"])
    table = Table("", *measures, title=f"{title}: {result['orders']:,} orders of {result['customers']:,} customers")
    for part, of in (("methods", ""), ("cxreco_less", "cxreco less ")):
        for name in methods:
            cells = [_said(measures[measure][part].get(name), signed=bool(of)) for measure in measures]
            if any(cells):
                table.add_row(of + name, *cells)
    return table


def _said(figure: Mapping[str, float] | None, *, signed: bool) -> str:
    if figure is None:
        return ""
    sign = "+" if signed else ""
    return f"{figure['mean']:{sign}.3f} ({figure['low']:{sign}.3f} to {figure['high']:{sign}.3f})"


def main() -> int:
    """Import the log, measure both, print and keep."""
    parser = argparse.ArgumentParser(
        prog="cxreco bench cold_start --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds the data sets")
    parser.add_argument("--cuts", nargs="+", type=int, default=[28, 56, 84], metavar="DAYS", help="before the end")
    parser.add_argument("--part", choices=["customers", "items"], action="append", help="only this one")
    parser.add_argument("--share", type=float, default=0.1, help="of the items, withheld at each cut")
    parser.add_argument("--seed", type=int, default=101, help="draws the withheld items")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "cold_start.json")
    given = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=180)

    def step(what: str) -> None:
        console.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/] {what}", highlight=False)

    parts = given.part or ["customers", "items"]
    results: Found = {"where": hardware(), "engine": sources(), "cuts": given.cuts, "share": given.share,
                      "seed": given.seed}  # fmt: skip
    try:
        with tempfile.TemporaryDirectory(prefix="cxreco-bench-") as folder:
            settings = Settings(home=Path(folder)).embedded()
            with opened(settings.model_copy(update={"durability": "relaxed"})) as workspace:
                imported(workspace, "online-retail", found(given.data, "online_retail"), None, console)
                log, specs = gathered(workspace, step), workspace.specs.tables
                cuts = [log.now - days * DAY for days in given.cuts]
                if "customers" in parts:
                    results["customers"] = new_customers(log, specs, cuts, step)
                if "items" in parts:
                    results["items"] = new_items(log, specs, cuts, given.share, given.seed, step)
    except CxRecoError as failed:
        console.print(f"{failed}", style="red", highlight=False)
        return 1
    for name, result in results.get("customers", {}).items():
        console.print(table_of(f"customers, {name}", result))
    if "items" in results:
        console.print(table_of("items that nobody had bought", results["items"]))
    keep(results, given.out, console)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
