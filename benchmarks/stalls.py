"""Stalls: what a request may have to do besides deciding: take in a new price or title, read a customer's new events.

A catalogue with four versions of every third item gets a new price, then a new title; each time the shelf and the
market are made that the next decision needs. The same where every item sells, and none, one or a thousand were put
since the statistics were published, of what was there (a new price), and of what was put (a new price of it). And a log
of a simulated shop is read as a customer's is at their next decision.
"""

import argparse
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from under_load.report import hardware

from cxreco.edge.log_reading import Ticker, entry_of
from cxreco.edge.shop import Shop
from cxreco.edge.sqlite_store import SqliteStore
from cxreco.journey import DAY, Item
from cxreco.recognise.catalogue import Catalogue
from cxreco.recognise.codes import Codes
from cxreco.recognise.events import parse_events
from cxreco.recognise.layout import Kind
from cxreco.recognise.market import market_of
from cxreco.recognise.population import population_of
from cxreco.recognise.replay import empty_ticks
from cxreco.world import WORLDS, World

SIZES = (10_000, 100_000)
VERSIONS, ROUNDS, DAYS, SEED = 3, 5, 28, 1
SOLD, LATE = 5, (0, 1, 1_000)


def item(number: int, price: float, title: str = "") -> Item:
    """Return a version of an item."""
    plain = f"thing {number % 977} of {number % 13} kind {number}"
    return Item(item_id=f"i{number}", title=title or plain, category=f"c{number % 50}", price=price)


def shelf_ms(items: int) -> dict[str, float]:
    """Return the median milliseconds until a decision can see a new price, and a new title."""
    codes = Codes()
    catalogue = Catalogue(codes, 0.3)
    for version in range(VERSIONS + 1):
        for number in range(0, items, 1 if version == 0 else 3):
            catalogue.put(item(number, 1.0 + version), version)
    shelf = catalogue.shelf(VERSIONS)
    population = population_of(empty_ticks(), shelf, 0)
    market = market_of(shelf, population, codes)
    found: dict[str, list[float]] = {"new price": [], "new title": []}
    at = VERSIONS
    for what, took in found.items():
        for number in range(ROUNDS):
            at += 1
            catalogue.put(item(number, 9.0 + at, f"never heard of {at}" if what == "new title" else ""), at)
            begun = time.perf_counter()
            market = market_of(catalogue.shelf(at), population, codes, market)
            took.append(1e3 * (time.perf_counter() - begun))
    return {what: statistics.median(took) for what, took in found.items()}


def late_ms(items: int, late: int) -> dict[str, float]:
    """Return the median milliseconds until a decision can see a new price, where some items are not published yet."""
    codes = Codes()
    catalogue = Catalogue(codes, 0.3)
    for number in range(items):
        catalogue.put(item(number, 1.0 + number % 9), 0)
    now = DAY * DAYS
    population = population_of(sales(items, now), catalogue.shelf(now), now)
    for number in range(items, items + late):
        catalogue.put(item(number, 1.0 + number % 9), now)
    market = market_of(catalogue.shelf(now), population, codes)
    found: dict[str, list[float]] = {"of an old item": [], "of a late item": []} if late else {"of an old item": []}
    at = now
    for what, took in found.items():
        for number in range(ROUNDS):
            at += 1
            place = 37 * number if what == "of an old item" else items + number % late
            catalogue.put(item(place, 20.0 + number), at)
            begun = time.perf_counter()
            market = market_of(catalogue.shelf(at), population, codes, market)
            took.append(1e3 * (time.perf_counter() - begun))
    return {what: statistics.median(took) for what, took in found.items()}


def sales(items: int, until: int) -> NDArray[np.void]:
    """Return order lines of customers who buy anything alike, five of each item in the mean."""
    rng = np.random.default_rng(SEED)
    lines = np.zeros(SOLD * items, empty_ticks().dtype)
    lines["kind"], lines["quantity"] = Kind.ORDER_LINE, 1.0
    lines["customer"], lines["item"] = rng.integers(0, items // 10, lines.size), rng.integers(0, items, lines.size)
    lines["at"] = rng.integers(0, until, lines.size)
    return np.sort(lines, order=["customer", "at"])


def event_us() -> float:
    """Return the median microseconds that reading one event of a log takes, from its row to what is folded."""
    world = World(WORLDS["staples"], SEED, 20_000 * DAY)
    events, _ = parse_events([row for day in world.live_alone(DAYS) for row in day])
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "log.db", relaxed=True)
        try:
            store.append([entry_of(event) for event in events]).result()
            shop = Shop.opened(store, 0.3)
            rows = [row for batch in store.scan() for row in batch]
            Ticker(store, shop).ticks(rows, 0, {})
            took = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                Ticker(store, shop).ticks(rows, 0, {})
                took.append(1e6 * (time.perf_counter() - begun) / len(rows))
            return statistics.median(took)
        finally:
            store.close()


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="cxreco bench stalls --", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--items", nargs="+", type=int, default=SIZES)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "stalls.json")
    asked = parser.parse_args()
    found: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **hardware()}
    found["shelf_ms"] = {f"{items:,}": shelf_ms(items) for items in asked.items}
    found["late_ms"] = {f"{items:,}": {f"{late:,}": late_ms(items, late) for late in LATE} for items in asked.items}
    found["event_us"] = event_us()
    table = Table("items", "ms for a new price", "ms for a new title", title="until a decision can see it")
    for items, row in found["shelf_ms"].items():
        table.add_row(items, f"{row['new price']:.1f}", f"{row['new title']:.0f}")
    lates = Table("items", "put since", "of an old item", "of a late item", title="ms for a new price")
    for items, rows in found["late_ms"].items():
        for late, row in rows.items():
            lates.add_row(items, late, *(f"{ms:.1f}" for ms in row.values()))
    console = Console() if Console().is_terminal else Console(width=180)
    console.print(table)
    console.print(lates)
    console.print(f"{found['event_us']:.1f} us to read an event of a customer's log", highlight=False)
    asked.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
