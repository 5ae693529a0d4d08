"""cxreco as a shop would use it: `import`, `train`, `rank` on the command line, in a workspace of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from baskets.measures import MOST
from baskets.shops import Shop
from cxreco.errors import CxRecoError

I32 = NDArray[np.int32]
Step = Callable[[str], None]


def written(shop: Shop, folder: Path) -> list[tuple[str, Path]]:
    """Write the history as a shop would hand it over; return what is to be imported, by kind.

    Nothing after the history is written: what the product never got, it cannot have looked at.
    """
    if shop.cut:
        lines = pd.read_csv(shop.source, dtype=str, keep_default_na=False)
        # The cut is an instant of UTC; the file tells the time of London.
        when = pd.to_datetime(lines["InvoiceDate"]).dt.tz_localize(
            "Europe/London", ambiguous=np.zeros(len(lines), dtype=bool), nonexistent="shift_forward"
        )
        before = when < pd.Timestamp(shop.cut, unit="us", tz="UTC")
        out = folder / "online_retail.csv"
        # An invoice whose lines straddle the cut is dated by its first line.
        kept = before.groupby(lines["InvoiceNo"]).transform("max")
        lines[kept].to_csv(out, index=False)
        return [("online-retail", out)]
    items, events = folder / "items.jsonl", folder / "events.jsonl"
    with items.open("wb") as file:
        for item in shop.item_ids:
            # The data set has neither prices nor names: every item costs 1, so that all can be bought.
            file.write(orjson.dumps({"item_id": item, "title": item, "category": "", "price": 1.0}) + b"\n")
    history = shop.history
    with events.open("wb") as file:
        for row, customer in enumerate(history.customer.tolist()):
            lines_of = history.items[history.starts[row] : history.starts[row + 1]].tolist()
            event = {
                "event_id": f"{customer}-{history.at[row]}", "type": "order_completed",
                "customer_id": shop.customer_ids[customer], "sequence": int(history.at[row]),
                "order_id": f"{customer}-{history.at[row]}",
                "items": [{"item_id": shop.item_ids[item], "quantity": 1, "price": 1.0} for item in lines_of],
            }  # fmt: skip
            file.write(orjson.dumps(event) + b"\n")
    return [("items", items), ("events", events)]


def ranked(shop: Shop, folder: Path, step: Step) -> tuple[dict[str, list[int]], dict[str, float]]:
    """Import, train and rank; return the items of each customer by id, and how many seconds each step took."""
    home = folder / "workspace"
    seconds: dict[str, float] = {}
    for kind, path in written(shop, folder):
        step(f"{shop.name}: cxreco import {kind} {path.name}")
        seconds["import"] = seconds.get("import", 0.0) + run(home, "import", kind, str(path))
    step(f"{shop.name}: cxreco train")
    seconds["train"] = run(home, "train")
    (folder / "customers.txt").write_text("".join(f"{name}\n" for name in shop.customer_ids))
    out = folder / "next.parquet"
    step(f"{shop.name}: cxreco rank, {len(shop.customer_ids):,} customers")
    seconds["rank"] = run(
        home, "rank", "--customers", str(folder / "customers.txt"), "--k", str(MOST), "--out", str(out)
    )
    code = {name: number for number, name in enumerate(shop.item_ids)}
    table = pd.read_parquet(out).sort_values(["customer_id", "rank"])
    # An item that the other methods do not know of (sold before the cut in a line they leave out) is a miss like any.
    table["item"] = [code.get(name, -1) for name in table["item_id"].tolist()]
    return {str(name): rows["item"].tolist() for name, rows in table.groupby("customer_id")}, seconds


def lists_for(found: dict[str, list[int]], shop: Shop, customers: NDArray[np.int64]) -> I32:
    """Return (n, 20) items of each customer; -1 for none."""
    out = np.full((customers.size, MOST), -1, dtype=np.int32)
    for row, customer in enumerate(customers.tolist()):
        items = found.get(shop.customer_ids[customer], [])[:MOST]
        out[row, : len(items)] = items
    return out


def run(home: Path, *arguments: str) -> float:
    """Run the command line; return how many seconds it took.

    Raises
    ------
    CxRecoError
        If it failed, with what it said.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("CXRECO_")}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "cxreco.cli", "--home", str(home), *arguments],
        env=env | {"CXRECO_DURABILITY": "relaxed"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CxRecoError(f"cxreco {' '.join(arguments)} failed: {done.stderr or done.stdout}")
    return time.perf_counter() - begun
