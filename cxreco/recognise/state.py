"""What is known of one customer at an instant: four small record arrays, folded in place, compact at rest."""

import struct
import zlib
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput, StalePlaybook
from cxreco.recognise.fold import fold
from cxreco.recognise.layout import (
    CATEGORY,
    CATEGORY_SLOTS,
    CONTACT,
    CONTACT_SLOTS,
    FOLD_VERSION,
    HEAD,
    ITEM_SLOTS,
    SLOT,
)

END_OF_TIME = 2**63 - 1
_HEADER = struct.Struct("<HI")
_START = 8
_UNKNOWN = ("value_mean", "margin_mean", "lines_mean", "price_mean", "gap_mean", "rating_mean", "survey")
_UNLIMITED = ("auto_max_value", "auto_max_orders")


def _blank() -> NDArray[np.void]:
    head = np.zeros(1, HEAD)
    for name in (*_UNKNOWN, *_UNLIMITED):
        head[name] = np.nan
    head["last_at"] = -1
    head["last_seq"] = -1
    return head


_BLANK = _blank()
_BLANK_BYTES = _BLANK.view(np.uint8)


class State:
    """The state of one customer; `fold` changes it in place.

    Attributes
    ----------
    head
        (1,) HEAD: what is known of the customer as such. Means are NaN as long as nothing is known.
    items, categories
        SLOT and CATEGORY arrays with room to spare; `item_slots` and `category_slots` are what is used of them.
    contacts
        CONTACT array, in no order; `contact_slots` is what is used of it.
    """

    __slots__ = ("categories", "contacts", "head", "items")

    def __init__(
        self, head: NDArray[np.void], items: NDArray[np.void], categories: NDArray[np.void], contacts: NDArray[np.void]
    ) -> None:
        self.head = head
        self.items = items
        self.categories = categories
        self.contacts = contacts

    @classmethod
    def empty(cls, *, roomy: bool = False) -> Self:
        """Return the state of a customer of whom nothing is known; `roomy` ones never have to grow."""
        sizes = (ITEM_SLOTS, CATEGORY_SLOTS, CONTACT_SLOTS) if roomy else (_START, _START // 2, _START // 4)
        items, categories = np.zeros(sizes[0], SLOT), np.zeros(sizes[1], CATEGORY)
        return cls(_BLANK.copy(), items, categories, np.zeros(sizes[2], CONTACT))

    def reset(self) -> None:
        """Forget everything, keep the room."""
        self.head.view(np.uint8)[:] = _BLANK_BYTES

    def fold(self, ticks: NDArray[np.void]) -> None:
        """Take in what happened; `ticks` is (n,) TICK by (at, seq), none before what is already folded."""
        ticks, done = owned(ticks), 0
        while True:
            done = fold(self.head, self.items, self.categories, self.contacts, ticks, done, END_OF_TIME, END_OF_TIME)
            if done >= ticks.size:
                return
            self._grow()

    def is_late(self, at: int, seq: int) -> bool:
        """Return whether a tick belongs before one that is already folded: then the log must be folded anew."""
        head = self.head[0]
        return (at, seq) < (int(head["last_at"]), int(head["last_seq"]))

    @property
    def item_slots(self) -> NDArray[np.void]:
        """The (n,) SLOT records of items in use."""
        return self.items[: int(self.head["items"][0])]

    @property
    def category_slots(self) -> NDArray[np.void]:
        """The (n,) CATEGORY records in use."""
        return self.categories[: int(self.head["categories"][0])]

    @property
    def contact_slots(self) -> NDArray[np.void]:
        """The (n,) CONTACT records in use."""
        return self.contacts[: int(self.head["contacts"][0])]

    @property
    def nbytes(self) -> int:
        """Bytes in memory that carry something."""
        return sum(part.nbytes for part in self._parts())

    def slot(self, item: int) -> np.void | None:
        """Return the record of an item, None where there is none."""
        return _record(self.item_slots, item)

    def category_slot(self, category: int) -> np.void | None:
        """Return the record of a category, None where there is none."""
        return _record(self.category_slots, category)

    def copy(self) -> "State":
        """Return a state of its own, trimmed to what is used."""
        # By way of bytes: numpy copies records field by field.
        return State(*(np.frombuffer(bytearray(part.data), part.dtype) for part in self._parts()))

    def equals(self, other: "State") -> bool:
        """Return whether both are the same to the bit, room to spare apart."""
        return all(a.tobytes() == b.tobytes() for a, b in zip(self._parts(), other._parts(), strict=True))

    def to_bytes(self) -> bytes:
        """Return the state as bytes: the fold's version, then what is used, by columns of bytes, deflated."""
        body = b"".join(_columns(part) for part in self._parts())
        return _HEADER.pack(FOLD_VERSION, len(body)) + zlib.compress(body, 1)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the state that `to_bytes` wrote.

        Raises
        ------
        StalePlaybook
            If another version of the fold wrote it: fold the customer's log again.
        BadInput
            If it is no state at all, or a damaged one.
        """
        if len(data) < _HEADER.size:
            raise BadInput(f"a state has at least {_HEADER.size} bytes, got {len(data)}", where="state")
        version, size = _HEADER.unpack_from(data)
        if version != FOLD_VERSION:
            raise StalePlaybook(f"state of fold version {version}, this is {FOLD_VERSION}: fold the log again")
        try:
            body = zlib.decompress(data[_HEADER.size :])
        except zlib.error as error:
            raise BadInput(f"damaged: {error}", where="state") from error
        if len(body) != size or size < HEAD.itemsize:
            raise BadInput(f"damaged: {len(body)} bytes, expected {size}", where="state")
        head = _rows(body[: HEAD.itemsize], HEAD)
        parts, start = [], HEAD.itemsize
        for name, dtype in (("items", SLOT), ("categories", CATEGORY), ("contacts", CONTACT)):
            end = start + int(head[name][0]) * dtype.itemsize
            parts.append(_rows(body[start:end], dtype))
            start = end
        if start != size:
            raise BadInput(f"damaged: counts ask for {start} bytes, it has {size}", where="state")
        return cls(head, *parts)

    def _parts(self) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.void], NDArray[np.void]]:
        return self.head, self.item_slots, self.category_slots, self.contact_slots

    def _grow(self) -> None:
        head = self.head[0]
        if head["items"] == self.items.size:
            self.items = _doubled(self.items, ITEM_SLOTS)
        if head["categories"] == self.categories.size:
            self.categories = _doubled(self.categories, CATEGORY_SLOTS)
        if head["contacts"] == self.contacts.size:
            self.contacts = _doubled(self.contacts, CONTACT_SLOTS)


def owned(ticks: NDArray[np.void]) -> NDArray[np.void]:
    """Return ticks as the compiled fold takes them, contiguous and writeable: other layouts would compile it anew."""
    return ticks if ticks.flags.c_contiguous and ticks.flags.writeable else ticks.copy()


def _doubled(records: NDArray[np.void], limit: int) -> NDArray[np.void]:
    grown = np.zeros(min(max(2 * records.size, 2), limit), records.dtype)
    grown[: records.size] = records
    return grown


def _record(slots: NDArray[np.void], key: int) -> np.void | None:
    found = np.flatnonzero(slots["key"] == key)
    return slots[int(found[0])] if found.size else None


def _columns(records: NDArray[np.void]) -> bytes:
    # Like bytes of like fields lie together, which deflates to about half of what rows do.
    return records.view(np.uint8).reshape(records.size, records.dtype.itemsize).T.tobytes()


def _rows(data: bytes, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    columns = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, len(data) // dtype.itemsize)
    return columns.T.copy().view(dtype).reshape(-1)
