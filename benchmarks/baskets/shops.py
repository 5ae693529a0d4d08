"""The two shops: what customers had bought, and the basket that they bought next."""

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxreco.edge.importers.batches import Report
from cxreco.edge.importers.online_retail import read_online_retail
from cxreco.errors import BadInput
from cxreco.journey import DAY

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
WEEKS = 8
SOURCES = {
    "tafeng": (
        "tafeng_next_basket",
        "history.json.gz, future.json.gz and keyset_0..2.json: from the folders jsondata and keyset of "
        "https://github.com/liming-7/A-Next-Basket-Recommendation-Reality-Check",
    ),
    "online_retail": (
        "online_retail/online_retail.csv.gz",
        "the UCI Online Retail data set as CSV: https://archive.ics.uci.edu/dataset/352/online+retail",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Baskets:
    """Past baskets, by customer and then by time.

    Attributes
    ----------
    customer, at
        (b,) whose, and when: microseconds, or the place in the customer's order where there are no dates.
    starts, items
        (b + 1,) and (m,) what lay in each, each item once.
    n_customers, n_items
        Customers and items are numbered from 0.
    """

    customer: I64
    at: I64
    starts: I64
    items: I32
    n_customers: int
    n_items: int

    @property
    def age(self) -> I64:
        """(b,) how many baskets of the same customer came later."""
        ends = np.searchsorted(self.customer, self.customer, side="right")
        return np.asarray(ends - 1 - np.arange(self.customer.size))

    @property
    def owner(self) -> I64:
        """(m,) the basket of each item."""
        return np.repeat(np.arange(self.customer.size), np.diff(self.starts))

    def before(self, at: int) -> "Baskets":
        """Return the baskets before a time."""
        return self.take(np.flatnonzero(self.at < at))

    def take(self, rows: I64) -> "Baskets":
        """Return some of the baskets, in the same order."""
        spans = [self.items[self.starts[row] : self.starts[row + 1]] for row in rows.tolist()]
        sizes = np.diff(self.starts)[rows]
        return Baskets(
            customer=self.customer[rows], at=self.at[rows], starts=np.concatenate(([0], np.cumsum(sizes))),
            items=np.concatenate([np.empty(0, np.int32), *spans]), n_customers=self.n_customers, n_items=self.n_items,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Foretell the next basket of some customers.

    Attributes
    ----------
    customers, truth
        (n,) who is asked about, and what each bought next; each item once, ascending.
    """

    history: Baskets
    customers: I64
    truth: Sequence[I32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """What methods are tuned on, and what they are judged on."""

    validation: Task
    test: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A log to foretell from.

    Attributes
    ----------
    folds
        All with the same test history.
    customer_ids, item_ids
        Names of the numbers.
    source
        The file or folder that it was read from.
    cut
        Time (microseconds) up to which the history reaches; 0 without dates.
    """

    name: str
    folds: Sequence[Fold]
    customer_ids: Sequence[str]
    item_ids: Sequence[str]
    source: Path
    cut: int = 0

    @property
    def history(self) -> Baskets:
        """What all methods may learn from."""
        return self.folds[0].test.history


def found(data: Path, name: str) -> Path:
    """Return where a shop's data lie.

    Raises
    ------
    BadInput
        Saying what to download, and where to put it.
    """
    place, what = SOURCES[name]
    if not (data / place).exists():
        raise BadInput(f"is not there; download {what}; or say --data FOLDER", where=str(data / place))
    return data / place


def tafeng(folder: Path) -> Shop:
    """Read TaFeng in next-basket form (Li et al., TOIS 2023): all baskets but the last are history."""
    history, future = (json.loads(gzip.decompress((folder / f"{part}.json.gz").read_bytes())) for part in
                       ("history", "future"))  # fmt: skip
    names = list(history)
    number = {name: code for code, name in enumerate(names)}
    rows = [
        (code, place, basket) for code, name in enumerate(names) for place, basket in enumerate(history[name][1:-1])
    ]
    keys = [json.loads((folder / f"keyset_{fold}.json").read_text()) for fold in range(3)]
    n_items = int(keys[0]["item_num"])
    past = _baskets(rows, len(names), n_items)

    def task(who: Sequence[str]) -> Task:
        return Task(
            history=past,
            customers=np.array([number[name] for name in who], dtype=np.int64),
            truth=[np.unique(np.array(future[name][1], dtype=np.int32)) for name in who],
        )

    return Shop(
        name="tafeng",
        folds=[Fold(validation=task(key["val"]), test=task(key["test"])) for key in keys],
        customer_ids=names,
        item_ids=[str(code) for code in range(n_items)],
        source=folder,
    )


def online_retail(path: Path) -> Shop:
    """Read Online Retail as the product reads it: the first order of the last eight weeks is foretold.

    Validation asks the same of the eight weeks before.
    """
    orders: dict[tuple[str, str], tuple[int, list[str]]] = {}
    for batch in read_online_retail(path, Report(source=path.name)):
        for event in batch.parsed_events:
            if event.type == "order_completed":
                lines = [line.item_id for line in event.lines]
                orders[event.customer_id, event.event_id] = event.occurred_at, lines
    names = sorted({customer for customer, _ in orders})
    items = sorted({item for _, lines in orders.values() for item in lines})
    number, code = {name: i for i, name in enumerate(names)}, {item: i for i, item in enumerate(items)}
    rows = sorted((number[who], at, [code[item] for item in lines]) for (who, _), (at, lines) in orders.items())
    everything = _baskets(rows, len(names), len(items))
    end = int(everything.at.max()) + 1
    cut = end - WEEKS * 7 * DAY
    fold = Fold(
        validation=_first_after(everything, cut - WEEKS * 7 * DAY, cut), test=_first_after(everything, cut, end)
    )
    return Shop(name="online_retail", folds=[fold], customer_ids=names, item_ids=items, source=path, cut=cut)


def _first_after(baskets: Baskets, cut: int, end: int) -> Task:
    history = baskets.before(cut)
    later = np.flatnonzero((baskets.at >= cut) & (baskets.at < end) & np.isin(baskets.customer, history.customer))
    first = later[np.unique(baskets.customer[later], return_index=True)[1]]
    return Task(
        history=history,
        customers=baskets.customer[first],
        truth=[np.unique(baskets.items[baskets.starts[row] : baskets.starts[row + 1]]) for row in first.tolist()],
    )


def _baskets(rows: Iterable[tuple[int, int, Sequence[int]]], n_customers: int, n_items: int) -> Baskets:
    kept = list(rows)
    lists = [list(dict.fromkeys(items)) for _, _, items in kept]
    return Baskets(
        customer=np.array([customer for customer, _, _ in kept], dtype=np.int64),
        at=np.array([at for _, at, _ in kept], dtype=np.int64),
        starts=np.concatenate(([0], np.cumsum([len(items) for items in lists]))).astype(np.int64),
        items=np.array([item for items in lists for item in items], dtype=np.int32),
        n_customers=n_customers,
        n_items=n_items,
    )
