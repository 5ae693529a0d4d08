"""What an import makes: batches that keep to the contract, and a report that counts everything, the left-out too."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any, TypeVar

import orjson

from cxreco.errors import BadEvent
from cxreco.journey import Event, Item
from cxreco.recognise.events import parse_event, parse_item

BATCH = 10_000
EXAMPLES = 3

Row = dict[str, Any]
Parsed = TypeVar("Parsed", Event, Item)


@dataclass(frozen=True, slots=True)
class Raw:
    """A row as the file has it: its number (line of a text file, row of a Parquet file, from 1), and its values."""

    number: int
    values: Row


@dataclass(slots=True, kw_only=True)
class Reason:
    """Why rows were left out: how many, and the first of them."""

    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Report:
    """What an import read, made and left out; an importer fills it while its batches are taken.

    `rejected` and `ignored` count rows by reason: a rejected row is broken, an ignored one says nothing we can use.
    """

    source: str
    rows: int = 0
    items: int = 0
    events: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, Reason] = field(default_factory=dict)
    ignored: dict[str, Reason] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)

    def reject(self, reason: str, example: str, count: int = 1) -> None:
        """Count rows that were left out as broken."""
        _count(self.rejected, reason, example, count)

    def ignore(self, reason: str, example: str, count: int = 1) -> None:
        """Count rows that were left out as of no use."""
        _count(self.ignored, reason, example, count)

    def note(self, what: str, count: int = 1) -> None:
        """Count something worth knowing that cost no row."""
        self.notes[what] = self.notes.get(what, 0) + count

    @property
    def n_events(self) -> int:
        """Events made, of all types."""
        return sum(self.events.values())

    def lines(self) -> list[str]:
        """Return the report as text, widest counts first."""
        made = [f"{kind} {count:,}" for kind, count in sorted(self.events.items(), key=lambda pair: -pair[1])]
        out = [
            f"{self.source}: {self.rows:,} rows read",
            f"  made      {self.n_events:>9,} events, {self.items:,} item versions",
        ]
        out += [f"            {entry}" for entry in made]
        for title, reasons in (("rejected", self.rejected), ("ignored", self.ignored)):
            total = sum(reason.count for reason in reasons.values())
            out.append(f"  {title:<9} {total:>9,} rows")
            for name, reason in sorted(reasons.items(), key=lambda pair: -pair[1].count):
                out.append(f"            {reason.count:>9,}  {name}  ({'; '.join(reason.examples)})")
        out += [f"  note      {count:>9,}  {what}" for what, count in self.notes.items()]
        return out


def _count(reasons: dict[str, Reason], name: str, example: str, count: int) -> None:
    reason = reasons.setdefault(name, Reason())
    reason.count += count
    if len(reason.examples) < EXAMPLES:
        reason.examples.append(example)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that keep to the contract, and beside them what they parse to; items are to be stored before events."""

    items: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    parsed_items: list[Item] = field(default_factory=list)
    parsed_events: list[Event] = field(default_factory=list)


def event_batches(rows: Iterable[Raw], report: Report) -> Iterator[Batch]:
    """Check event rows against the contract and hand them on in batches; a broken row is counted, not handed on."""
    for chunk in _chunks(rows):
        kept, parsed = _admit(chunk, parse_event, report)
        for event in parsed:
            report.events[event.type] = report.events.get(event.type, 0) + 1
        yield Batch(events=kept, parsed_events=parsed)


def item_batches(rows: Iterable[Raw], report: Report) -> Iterator[Batch]:
    """Check item rows against the contract and hand them on in batches; a broken row is counted, not handed on."""
    for chunk in _chunks(rows):
        kept, parsed = _admit(chunk, parse_item, report)
        report.items += len(kept)
        yield Batch(items=kept, parsed_items=parsed)


def _chunks(rows: Iterable[Raw]) -> Iterator[list[Raw]]:
    stream = iter(rows)
    while chunk := list(islice(stream, BATCH)):
        yield chunk


def _admit(chunk: list[Raw], parse: Callable[[Row], Parsed], report: Report) -> tuple[list[Row], list[Parsed]]:
    kept: list[Row] = []
    parsed: list[Parsed] = []
    for raw in chunk:
        try:
            parsed.append(parse(raw.values))
        except BadEvent as broken:
            report.reject(_kind_of(broken), f"row {raw.number}: {broken}")
        else:
            kept.append(raw.values)
    return kept, parsed


def _kind_of(broken: BadEvent) -> str:
    """Return the reason without the values it quotes, so that like counts with like."""
    where = re.sub(r"\[\d+\]", "[]", broken.where)
    wrong = re.sub(r"(, got|:) .*", "", broken.reason.split("; ")[0])
    return f"{where}: {wrong}" if where else wrong


def content_id(kind: str, *parts: object) -> str:
    """Return an event id that depends on the content alone, so that importing a file twice changes nothing."""
    packed = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
    return f"{kind}-{blake2b(packed, digest_size=16).hexdigest()}"
