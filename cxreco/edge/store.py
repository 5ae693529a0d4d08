"""What a store must do, whatever it is made of: keep what it acknowledged, in order of arrival, once.

A row's `seq` is its place in the order of arrival, across all processes: what a reader can see never gets an earlier
row later. The contract's laws are tested in `tests/contracts/test_stores.py` on every implementation.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

from cxreco.errors import CxRecoError
from cxreco.frozen import quick

DECISION = "decision"
NO_CODES: Mapping[str, int] = MappingProxyType({})


class StoreUnavailable(CxRecoError):
    """The store cannot take or give anything at present: nothing was acknowledged, trying again is right."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row on its way into the log.

    Attributes
    ----------
    uid
        `e:` and the event id, or `d:` and the decision id; a second row of the same uid is a duplicate.
    kind
        The type of the event, or `decision`.
    at
        When it happened, microseconds.
    body
        The canonical row as JSON.
    blob
        Bytes that go with it (of a decision: what the value heads saw).
    alias
        The anonymous id whose past this row joins to `customer_id`; may be empty.
    """

    uid: str
    kind: str
    customer_id: str
    at: int
    body: bytes
    blob: bytes | None = None
    alias: str = ""


class Row(NamedTuple):
    """A row of the log.

    `seq` is when it arrived in the log of the customer that was asked for: of a row that came by an alias, when the
    alias did. A moment that had not seen the alias thus has not seen the row.
    """

    seq: int
    uid: str
    kind: str
    customer_id: str
    at: int
    body: bytes
    blob: bytes | None


class ItemRow(NamedTuple):
    """A version of an item. `seq` counts versions in order of arrival; 0 on the way in."""

    seq: int
    item_id: str
    arrived_at: int
    body: bytes


class Appended(NamedTuple):
    """How many rows were new, and how many were there already."""

    accepted: int
    duplicates: int


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """A decision on its way into the log.

    Attributes
    ----------
    request_id, digest
        The caller's name for the request, and a digest of its body; an empty name is no name.
    customer_id
        The canonical customer whose log it was made upon.
    upon
        Where that customer's log ended when it was made; where it has moved on, nothing is written. None: do not ask.
    """

    entry: Entry
    customer_id: str
    request_id: str = ""
    digest: str = ""
    upon: int | None = None


class Placed(NamedTuple):
    """What became of a decision.

    `seq` is 0 where it was not written: then either `earlier` holds the digest and the decision id that the same
    request got before, or the customer's log had moved on.
    """

    seq: int
    earlier: tuple[str, str] | None


class Group(NamedTuple):
    """A customer under all names: the canonical id, when each anonymous id joined, and where their log ends.

    `first` is the seq of their first row: a log that was erased and has begun anew has another.
    """

    customer_id: str
    joined: Mapping[str, int]
    position: int
    first: int = 0


class Mark(NamedTuple):
    """A point in the life of the log, for `Store.moved`: only the store that gave it can read it."""

    epoch: int
    seq: int


# Before anything was read.
NEVER = Mark(-1, -1)


class Store(Protocol):
    """The log of events and decisions, the catalogue's versions and the codes: durable, ordered, each row once.

    Writes return futures that are done when the write survives a power cut. Reads may be made from any thread and see
    every write that was acknowledged to any process. Every method raises `StoreUnavailable` (writes: in the future)
    when the store cannot serve.
    """

    def append(self, entries: Sequence[Entry]) -> Future[Appended]:
        """Append events in the order given; those whose uid is there already are counted and ignored."""

    def place(self, placing: Placing) -> Future[Placed]:
        """Append a decision, unless its request was answered before or the customer's log has moved on.

        One that is there already, from a try whose outcome was not learned, is not written again.
        """

    def put_items(self, rows: Sequence[ItemRow]) -> Future[Appended]:
        """Append versions of items; one that equals the item's latest version is a duplicate."""

    def assign_codes(self, ids: Sequence[tuple[str, str]]) -> Future[None]:
        """Give each (kind, id) that has no code the next one of its kind, from 0 on."""

    def erase(self, customer_id: str) -> Future[int]:
        """Remove the customer under all names; returns the number of rows removed from the log.

        The embedded store overwrites the bytes at once. PostgreSQL does so as it reuses the space, and what it keeps
        for recovery (its write-ahead log, backups) goes as those are recycled.
        """

    def group(self, customer_id: str) -> Group:
        """Return the customer that this id is a name of, with all names."""

    def mark(self) -> Mark:
        """Return where the log is now: what is read after this has at least what was written before."""

    def moved(self, group: Group, since: Mark) -> bool:
        """Return whether anything may have been written about a customer since a mark, by any process.

        Where that cannot be told without reading their log, it may have been.
        """

    def noted(self, group: Group, since: Mark, seq: int) -> bool:
        """Return whether nothing but the decision that was placed at `seq` was written about a customer since a mark.

        Where that cannot be told, more may have been.
        """

    def customer_log(self, group: Group, after_seq: int = 0, upto_seq: int | None = None) -> list[Row]:
        """Return the rows of a customer under all names with after_seq < seq <= upto_seq, in order of arrival."""

    def decision(self, decision_id: str) -> Row | None:
        """Return the record of a decision."""

    def request(self, request_id: str) -> tuple[str, str] | None:
        """Return the digest and the decision id of a request that was answered."""

    def scan(
        self,
        after_seq: int = 0,
        *,
        kinds: Sequence[str] | None = None,
        upto_seq: int | None = None,
        batch: int = 10_000,
    ) -> Iterator[list[Row]]:
        """Read the log of everybody in order of arrival, in batches; `seq` is the row's own."""

    def aliases(self) -> list[tuple[str, str, int]]:
        """Return all (anonymous id, customer id, seq at which it joined), in order of arrival."""

    def items(self, after_seq: int = 0, upto_seq: int | None = None) -> list[ItemRow]:
        """Return versions of items in order of arrival."""

    def codes(self, after: Mapping[str, int] = NO_CODES) -> list[tuple[str, str, int]]:
        """Return (kind, id, code) by kind and code; `after` says how many of a kind the caller has."""

    def position(self) -> int:
        """Return the seq of the last row that ever arrived, erased ones included."""

    def items_position(self) -> int:
        """Return the seq of the last version of an item that ever arrived."""

    def meta(self, key: str, default: str) -> str:
        """Return what was kept under the key; where nothing was, keep the default first, unless it is empty."""

    def pending(self) -> int:
        """Return how many rows wait to be written."""

    def close(self) -> None:
        """Finish what was handed over, then let go."""
