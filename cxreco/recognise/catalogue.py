"""The catalogue as it was: versions of items, and the shelf that they make at an instant.

A version holds from its `effective_at` (its arrival, where it names none) until the next; an item's first version holds
from the beginning. Categories are the exception: states are folded by category, so an item has one category at a time
for all of its past, that of its latest version.
"""

import math
from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import Item
from cxreco.recognise.codes import Codes

_VERSION = np.dtype(
    [
        ("item", "<i4"),
        ("brand", "<i4"),
        ("category", "<i4"),
        ("available", "?"),
        ("price", "<f8"),
        ("margin", "<f8"),
        ("effective_at", "<i8"),
    ]
)
_SHELVES = 8
# After every instant of the same number.
END = 2**62
# A shelf is made from the one before where no more items changed than this, plus so large a share of them.
FEW, FEW_SHARE = 50, 0.02
_DEFAULTS: Mapping[str, float | bool] = {
    "price": math.nan, "margin": math.nan, "category": 0, "available": False, "known": False, "born_at": 0,
    "restocked_at": 0,
}  # fmt: skip
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What the shop sold at an instant; arrays over item codes, (n_items,).

    Attributes
    ----------
    price
        Money per unit; NaN where not known.
    margin
        Money per unit earned: given, or the declared share of the price.
    category
        Code of the category; 0 is unknown.
    available
        Whether it could be bought.
    known
        Whether the catalogue has a row for it; events may name items that it has not.
    born_at
        When its first version took effect (us); 0 where it has no row.
    restocked_at
        When it last became available again (us); 0 where it never was away.
    titles, brands
        Texts over item codes; empty where not known.
    category_names
        Texts over category codes.
    """

    price: NDArray[np.float64]
    margin: NDArray[np.float64]
    category: NDArray[np.int32]
    available: NDArray[np.bool_]
    known: NDArray[np.bool_]
    born_at: NDArray[np.int64]
    restocked_at: NDArray[np.int64]
    titles: Sequence[str]
    brands: Sequence[str]
    category_names: Sequence[str]

    def __len__(self) -> int:
        return int(self.price.size)


class Catalogue:
    """All versions of all items.

    Parameters
    ----------
    codes
        The table that items, categories and brands are coded by.
    margin_share
        Share of the price earned on an item whose margin is not given.
    """

    __slots__ = (
        "_base",
        "_cached",
        "_categories",
        "_changes",
        "_count",
        "_history",
        "_put",
        "_titles",
        "_versions",
        "codes",
        "margin_share",
    )

    def __init__(self, codes: Codes, margin_share: float = 0.3) -> None:
        self.codes = codes
        self.margin_share = margin_share
        self._versions = np.zeros(256, _VERSION)
        self._titles: list[str] = []
        self._count = 0
        # item code -> its versions as (effective_at, row), in force order
        self._history: dict[int, list[tuple[int, int]]] = {}
        self._categories: dict[int, int] = {}
        # (effective_at, item code) of every version but an item's first, ascending: when the shelf changes.
        self._changes: list[tuple[int, int]] = []
        self._cached: dict[tuple[int, int], Shelf] = {}
        # The shelf built last, where on `_changes` it stands, and what was put since.
        self._base: tuple[Shelf, int] | None = None
        self._put: set[int] = set()

    def __len__(self) -> int:
        return self._count

    def put(self, item: Item, arrived_at: int) -> bool:
        """Add a version of an item.

        Returns
        -------
        bool
            Whether ticks made before may now read differently (a coded item got its first row or another category,
            or a version took effect in the past), so that states must be folded again.
        """
        coded = self.codes.item_code(item.item_id) >= 0
        code = self.codes.item(item.item_id)
        effective_at = arrived_at if item.effective_at is None else item.effective_at
        row = self._append(item, code, effective_at)
        history = self._history.setdefault(code, [])
        first = not history
        insort(history, (effective_at, row))
        if not first:
            # Whichever came second: an item's first version holds from the beginning.
            self._note_change(max(effective_at, history[1][0]) if history[0][1] == row else effective_at, code)
        before = self._categories.get(code, 0)
        category = self._categories[code] = int(self._versions[history[-1][1]]["category"])
        self._put.add(code)
        self._cached.clear()
        return coded and (first or category != before or effective_at < arrived_at)

    def category_of(self, code: int) -> int:
        """Return the category of an item; 0 where it is not known."""
        return self._categories.get(code, 0)

    def price_at(self, code: int, at: int) -> float:
        """Return the price per unit in force at an instant; NaN where it is not known."""
        row = self._row_at(code, at)
        return float("nan") if row < 0 else float(self._versions[row]["price"])

    def margin_at(self, code: int, at: int, price: float) -> float:
        """Return the margin per unit of an item sold for `price` at an instant; NaN where that is not known."""
        row = self._row_at(code, at)
        given = float("nan") if row < 0 else float(self._versions[row]["margin"])
        return self.margin_share * price if math.isnan(given) else given

    def shelf(self, at: int) -> Shelf:
        """Return what the shop sold at an instant; the same object as long as nothing changed in between."""
        place = bisect_right(self._changes, (at, END))
        key = (place, len(self.codes.item_ids))
        shelf = self._cached.get(key)
        if shelf is None:
            while len(self._cached) >= _SHELVES:
                del self._cached[next(iter(self._cached))]
            shelf = self._cached[key] = self._followed(at, place) or self._built(at)
            self._base = shelf, place
            self._put.clear()
        return shelf

    def _note_change(self, at: int, code: int) -> None:
        place = bisect_right(self._changes, (at, END))
        insort(self._changes, (at, code))
        # Where it stands at the same instant or just behind, one too many does no harm: the item is in `_put`.
        if self._base is not None and place <= self._base[1]:
            self._base = self._base[0], self._base[1] + 1

    def _followed(self, at: int, place: int) -> Shelf | None:
        """Return the shelf made from the one built last; None where too much has changed for that to be cheaper."""
        if self._base is None or len(self.codes.category_names) != len(self._base[0].category_names):
            return None
        before, stood = self._base
        between = self._changes[min(stood, place) : max(stood, place)]
        codes = sorted({*self._put, *(code for _, code in between), *range(len(before), len(self.codes.item_ids))})
        return None if len(codes) > FEW + len(before) * FEW_SHARE else self._changed(before, codes, at)

    def _changed(self, before: Shelf, codes: list[int], at: int) -> Shelf:
        """Return a shelf that differs in some items alone; texts that did not change are the same lists."""
        n = len(self.codes.item_ids)
        columns: dict[str, Any] = {
            name: _wider(getattr(before, name), n, default) for name, default in _DEFAULTS.items()
        }
        texts: dict[str, Any] = {}
        more = n - len(before)
        for name in ("titles", "brands"):
            old = getattr(before, name)
            texts[name] = [*old, *[""] * more] if more else old
        for code in codes:
            history = self._history.get(code)
            if not history:
                continue
            row = self._row_at(code, at)
            version = self._versions[row]
            price, margin = float(version["price"]), float(version["margin"])
            columns["price"][code] = price
            columns["margin"][code] = self.margin_share * price if math.isnan(margin) else margin
            columns["category"][code] = self._categories[code]
            columns["available"][code] = version["available"]
            columns["known"][code] = True
            columns["born_at"][code] = history[0][0]
            columns["restocked_at"][code] = self._restocked_of(history, at)
            said = {"titles": self._titles[row], "brands": self.codes.brand_names[int(version["brand"])]}
            for name, text in said.items():
                if texts[name][code] != text:
                    if texts[name] is getattr(before, name):
                        texts[name] = list(texts[name])
                    texts[name][code] = text
        return Shelf(**columns, **texts, category_names=before.category_names)

    def _restocked_of(self, history: list[tuple[int, int]], at: int) -> int:
        there = [(when, bool(self._versions[row]["available"])) for when, row in history]
        back = (when for (_, was), (when, now) in pairwise(there) if now and not was and when <= at)
        return max(back, default=0)

    def _row_at(self, code: int, at: int) -> int:
        history = self._history.get(code)
        if not history:
            return -1
        return history[max(bisect_right(history, (at, self._count)) - 1, 0)][1]

    def _append(self, item: Item, code: int, effective_at: int) -> int:
        if self._count == self._versions.size:
            self._versions = np.concatenate((self._versions, np.zeros_like(self._versions)))
        self._versions[self._count] = (
            code,
            self.codes.brand(item.brand),
            self.codes.category(item.category),
            item.available,
            item.price,
            item.margin,
            effective_at,
        )
        self._titles.append(item.title)
        self._count += 1
        return self._count - 1

    def _built(self, at: int) -> Shelf:
        """Return the shelf made of all versions."""
        n = len(self.codes.item_ids)
        versions = self._versions[: self._count]
        order = np.lexsort((versions["effective_at"], versions["item"]))
        items = versions["item"][order]
        first = np.searchsorted(items, np.arange(n), side="left")
        total = np.searchsorted(items, np.arange(n), side="right") - first
        in_force = np.bincount(versions["item"][versions["effective_at"] <= at], minlength=n)
        known = total > 0
        born = order[first[known]]
        rows = order[first[known] + np.maximum(in_force[known] - 1, 0)]
        latest = order[(first + total - 1)[known]]
        price = versions["price"][rows]
        margin = np.where(np.isnan(versions["margin"][rows]), self.margin_share * price, versions["margin"][rows])
        titles, brands = [""] * n, [""] * n
        for code, row in zip(np.flatnonzero(known).tolist(), rows.tolist(), strict=True):
            titles[code] = self._titles[row]
        for code, brand in zip(np.flatnonzero(known).tolist(), versions["brand"][rows].tolist(), strict=True):
            brands[code] = self.codes.brand_names[brand]
        return Shelf(
            price=_spread(price, known, float("nan")),
            margin=_spread(margin, known, float("nan")),
            category=_spread(versions["category"][latest], known, 0),
            available=_spread(versions["available"][rows], known, False),
            known=known,
            born_at=_spread(versions["effective_at"][born], known, 0),
            restocked_at=_restocked(versions[order], at, n),
            titles=titles,
            brands=brands,
            category_names=tuple(self.codes.category_names),
        )


def _restocked(versions: NDArray[np.void], at: int, n: int) -> NDArray[np.int64]:
    """Return (n,) when each item last came back by `at`; `versions` by (item, effective_at)."""
    out = np.zeros(n, dtype=np.int64)
    back = versions["available"][1:] & ~versions["available"][:-1] & (versions["item"][1:] == versions["item"][:-1])
    came = versions[1:][back & (versions["effective_at"][1:] <= at)]
    np.maximum.at(out, came["item"], came["effective_at"])
    return out


def _spread(values: NDArray[T], where: NDArray[np.bool_], default: float) -> NDArray[T]:
    out = np.full(where.size, default, dtype=values.dtype)
    out[where] = values
    return out


def _wider(values: NDArray[T], n: int, default: float) -> NDArray[T]:
    """Return a copy with room for n items."""
    out = np.full(n, default, dtype=values.dtype)
    out[: values.size] = values
    return out
