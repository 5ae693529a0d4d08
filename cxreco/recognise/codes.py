"""Names to numbers and back: the coded table that states, ticks and models are written in.

Codes are dense and never reused; what is newly assigned is handed out once by `Codes.fresh`, for the store to persist.
"""

import hashlib
from collections.abc import Iterable
from typing import Self

from cxreco.errors import BadInput
from cxreco.recognise.layout import Channel, Purpose

ITEM, CATEGORY, BRAND = "item", "category", "brand"
Row = tuple[str, str, int]

_CHANNELS = {
    "": Channel.ONSITE,
    "onsite": Channel.ONSITE,
    "site": Channel.ONSITE,
    "web": Channel.ONSITE,
    "app": Channel.ONSITE,
    "email": Channel.EMAIL,
    "e-mail": Channel.EMAIL,
    "mail": Channel.EMAIL,
    "push": Channel.PUSH,
    "sms": Channel.SMS,
    "text": Channel.SMS,
}
_PURPOSES = {"automatic_execution": Purpose.AUTOMATIC_EXECUTION, "marketing": Purpose.MARKETING}


class Codes:
    """The table of codes of items, categories and brands.

    Items count from 0. Category 0 and brand 0 are the empty name: unknown.

    Attributes
    ----------
    item_ids, category_names, brand_names
        The name at each code.
    """

    __slots__ = ("_fresh", "_tables", "brand_names", "category_names", "item_ids")

    def __init__(self) -> None:
        self.item_ids: list[str] = []
        self.category_names: list[str] = [""]
        self.brand_names: list[str] = [""]
        self._tables: dict[str, dict[str, int]] = {ITEM: {}, CATEGORY: {"": 0}, BRAND: {"": 0}}
        self._fresh: list[Row] = []

    @classmethod
    def restore(cls, rows: Iterable[Row]) -> Self:
        """Return the table that `fresh` once handed out as `rows`, in any order.

        Raises
        ------
        BadInput
            If the rows have holes or say two things about one name or code.
        """
        codes = cls()
        for kind, name, code in sorted(rows, key=lambda row: (row[0], row[2])):
            assigned = codes._assign(kind, name) if kind in codes._tables else -1
            if assigned != code:
                raise BadInput(f"{kind} {name!r} is stored with code {code}, expected {assigned}", where="codes")
        codes._fresh.clear()
        return codes

    def fresh(self) -> list[Row]:
        """Return (kind, name, code) of all codes assigned since the last call."""
        rows, self._fresh = self._fresh, []
        return rows

    def item(self, item_id: str) -> int:
        """Return the code of an item, assigning one where it has none."""
        return self._assign(ITEM, item_id)

    def item_code(self, item_id: str) -> int:
        """Return the code of an item, -1 where it has none."""
        return self._tables[ITEM].get(item_id, -1)

    def category(self, name: str) -> int:
        """Return the code of a category, assigning one where it has none; 0 for the empty name."""
        return self._assign(CATEGORY, name)

    def category_code(self, name: str) -> int:
        """Return the code of a category, -1 where it has none."""
        return self._tables[CATEGORY].get(name, -1)

    def brand(self, name: str) -> int:
        """Return the code of a brand, assigning one where it has none; 0 for the empty name."""
        return self._assign(BRAND, name)

    def _assign(self, kind: str, name: str) -> int:
        table = self._tables[kind]
        code = table.get(name)
        if code is None:
            names = self._names(kind)
            code = table[name] = len(names)
            names.append(name)
            self._fresh.append((kind, name, code))
        return code

    def _names(self, kind: str) -> list[str]:
        if kind == ITEM:
            return self.item_ids
        return self.category_names if kind == CATEGORY else self.brand_names


def ref_of(decision_id: str) -> int:
    """Return the 64-bit hash by which ticks and contacts name a decision; 0 only for the empty id."""
    if not decision_id:
        return 0
    return int.from_bytes(hashlib.blake2b(decision_id.encode(), digest_size=8).digest(), "big") or 1


def channel_of(name: str) -> Channel:
    """Return the channel a name means; an empty name is on site, an unknown one is `OTHER`."""
    return _CHANNELS.get(name.strip().lower(), Channel.OTHER)


def purpose_of(name: str) -> Purpose:
    """Return the purpose of a consent; those that are not folded are `OTHER`."""
    return _PURPOSES.get(name.strip().lower(), Purpose.OTHER)
