"""What was acknowledged, held against what the log has."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from cxreco.edge.decider import decision_id_of
from cxreco.edge.log_reading import entry_of, record_of
from cxreco.edge.records import REPLY, blob_of, seen_of
from cxreco.edge.store import DECISION, Row, Store
from cxreco.recognise.events import parse_event
from cxreco.request.candidates import VALUE_FEATURES
from killed.shop import DECISIONS, EVENTS
from killed.streams import Stream


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was acknowledged over all rounds, and what the log has of it.

    Attributes
    ----------
    log
        All that the log was seen to hold after the rounds began, by uid.
    modes
        Decisions of the champion by mode.
    torn
        What is there in part: a batch of events, a decision without its request, a blob without some of its rows.
    unlike
        Decisions that come out otherwise when they are made again.
    under_way
        What is there though nobody was told so.
    """

    champion: str
    rounds: int = 0
    events: int = 0
    decisions: int = 0
    contacts: int = 0
    replays: int = 0
    unlogged: int = 0
    under_way: int = 0
    duplicates: int = 0
    end: int = 0
    modes: Counter[str] = field(default_factory=Counter)
    log: dict[str, Row] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def amiss(self) -> list[str]:
        """All that is not as it must be."""
        return self.missing + self.altered + self.torn + self.unlike + self.wrong + ["a duplicate"] * self.duplicates

    def lines(self, kind: str) -> list[str]:
        """Say it in a few lines."""
        found = self.events + self.decisions - len(self.missing)
        modes = ", ".join(f"{mode} {count}" for mode, count in self.modes.most_common())
        return [
            f"{kind:<9} {self.rounds:>3} rounds: acknowledged {self.events} events and {self.decisions} decisions, "
            f"found {found}, missing {len(self.missing)}, altered {len(self.altered)}, torn {len(self.torn)}, "
            f"duplicates {self.duplicates}, wrong answers {len(self.wrong)}, said not to be logged {self.unlogged}, "
            f"not acknowledged but there {self.under_way}",
            f"{'':<9} by the champion {self.modes.total()} of {self.decisions}: {modes}; contacts {self.contacts}; "
            f"decided again {self.replays}, unlike {len(self.unlike)}",
        ]

    def count(self, store: Store, streams: Sequence[Stream]) -> list[Row]:
        """Compare what clients were told with what the log has; returns the rows of their decisions."""
        self.rounds += 1
        for row in (row for rows in store.scan(self.end) for row in rows):
            self.duplicates += row.uid in self.log
            self.torn += [] if whole(row) else [row.uid]
            self.log[row.uid] = row
            self.end = row.seq
            self.under_way += 1
        decided = []
        for stream in streams:
            self.wrong += stream.wrong
            self.unlogged += stream.unlogged
            self._count_events(stream.events)
            decided += [row for row in map(self._decision, stream.decisions.values()) if row is not None]
            self._count_requests(store, stream)
        return decided

    def last(self, store: Store) -> None:
        """Read the whole log once more: what was seen after one round must have outlived all others."""
        rows = [row for batch in store.scan() for row in batch]
        kept = {row.uid: row for row in rows}
        self.duplicates += len(rows) - len(kept)
        self.missing += [uid for uid in self.log if uid not in kept]
        self.altered += [uid for uid, row in self.log.items() if kept.get(uid, row) != row]

    def _count_events(self, events: Mapping[str, Mapping[str, Any]]) -> None:
        self.events += len(events)
        for row in events.values():
            sent = entry_of(parse_event(row))
            kept = self._found(sent.uid)
            if kept is not None and kept[1:] != (sent.uid, sent.kind, sent.customer_id, sent.at, sent.body, None):
                self.altered.append(sent.uid)

    def _decision(self, answer: Mapping[str, Any]) -> Row | None:
        self.decisions += 1
        kept = self._found(f"d:{answer['decision_id']}")
        if kept is None or kept.uid in self.torn:
            return None
        record = record_of(kept)
        if {name: record[name] for name in REPLY} != answer:
            self.altered.append(kept.uid)
        if record["policy"]["version"] == self.champion and not record["fallback"]:
            self.modes[record["mode"]] += 1
            self.contacts += record["contact"]
        return kept

    def _count_requests(self, store: Store, stream: Stream) -> None:
        """Check that each request leads to its decision, and that what was under way is there whole or not at all."""
        for decision_id, body in stream.asked.items():
            if "request_id" in body and (store.request(body["request_id"]) or ("", ""))[1] != decision_id:
                self.missing.append(f"the request of {decision_id}")
        path, body = stream.todo[0] if stream.todo else ("", {})
        if path == EVENTS and len({f"e:{row['event_id']}" in self.log for row in body["events"]}) > 1:
            self.torn.append(f"the events {[row['event_id'] for row in body['events']]}")
        if path == DECISIONS and "request_id" in body:
            # Asked twice: a commit that was on its way may end in between.
            before = store.request(body["request_id"]) is not None
            there = store.decision(decision_id_of(body["request_id"])) is not None
            if there not in (before, store.request(body["request_id"]) is not None):
                self.torn.append(f"the request {body['request_id']}")

    def _found(self, uid: str) -> Row | None:
        if uid not in self.log:
            self.missing.append(uid)
            return None
        self.under_way -= 1
        return self.log[uid]


def whole(row: Row) -> bool:
    """Return whether a row can be read, and a decision's blob has every feature of every candidate."""
    try:
        if row.kind != DECISION:
            return row.blob is None and entry_of(parse_event(orjson.loads(row.body))).body == row.body
        record = record_of(row)
        lengths = {len(column) for column in record["candidates"].values()}
        rows = 0 if record["fallback"] else len(record["candidates"]["keys"])
        seen = seen_of(row.blob, rows)
        kept = blob_of(seen) if rows else None
        return len(lengths) == 1 and seen.shape == (rows, len(VALUE_FEATURES)) and row.blob == kept
    except Exception:
        # Whatever cannot be read is not whole.
        return False
