"""The log read back: rows to events, decisions and ticks, the same way for one customer and for all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from cxreco.edge.shop import Shop, names_in
from cxreco.edge.store import DECISION, Entry, Group, Row, Store
from cxreco.journey import MODE_CODE, Event
from cxreco.recognise.codes import channel_of, ref_of
from cxreco.recognise.events import read_back, to_row
from cxreco.recognise.layout import TICK
from cxreco.recognise.ticks import DecisionRef, TickRow, rows_of, tick_of_decision, ticks_from

Ticks = NDArray[np.void]
Record = Mapping[str, Any]
REMEMBERED = 50_000
# By the mode's name, however it is spelt: as text in a record that was read, as the mode itself in one just made.
_MODE_CODE: Mapping[str, int] = {mode.value: code for mode, code in MODE_CODE.items()}


def event_of(row: Row) -> Event:
    """Return the event that a row of the log holds."""
    return read_back(orjson.loads(row.body), row.at)


def record_of(row: Row) -> dict[str, Any]:
    """Return the record of the decision that a row of the log holds."""
    record: dict[str, Any] = orjson.loads(row.body)
    return record


def entry_of(event: Event) -> Entry:
    """Return an event as the store keeps it."""
    return Entry(
        uid=f"e:{event.event_id}",
        kind=event.type,
        customer_id=event.customer_id,
        at=event.occurred_at,
        body=orjson.dumps(to_row(event)),
        alias=str(event.fields["anonymous_id"]) if event.type == "customer_identified" else "",
    )


def decision_ref(record: Record, shop: Shop) -> DecisionRef:
    """Return what the fold needs to know of a decision, from its record."""
    items = record["items"]
    item = shop.codes.item_code(items[0]["item_id"]) if items else -1
    quantity = record["quantity"]
    return DecisionRef(
        ref=ref_of(record["decision_id"]),
        mode=_MODE_CODE[record["mode"]],
        item=item,
        category=shop.catalogue.category_of(item) if item >= 0 else 0,
        channel=int(channel_of(record["moment"]["channel"])),
        until=record["until"],
        contact=record["contact"],
        quantity=float("nan") if quantity is None else quantity,
        at=record["moment"]["at"],
    )


def group_at(aliases: Sequence[tuple[str, str, int]], customer_id: str, cut: int) -> Group:
    """Return a customer under the names that were known when the log ended at `cut`."""
    joined = {name: seq for name, owner, seq in aliases if owner == customer_id and seq <= cut}
    return Group(customer_id, joined, cut)


class Ticker:
    """Turns rows of the log into ticks; knows the decisions that events name.

    Parameters
    ----------
    store
        Where a decision is looked up that the rows at hand do not hold.
    shop
        Codes and catalogue; asked for codes it does not have.
    """

    def __init__(self, store: Store, shop: Shop) -> None:
        self._store = store
        self._shop = shop
        self._refs: dict[str, DecisionRef | None] = {}
        self._generation = shop.generation

    def ticks(self, rows: Sequence[Row], customer: int, origins: dict[str, str]) -> Ticks:
        """Return the ticks of rows of one customer, given in order of arrival.

        Parameters
        ----------
        customer
            The code to put on the ticks.
        origins
            Which decision each of the customer's orders came from, as far as their log says; added to here, so that
            the next call for the same customer knows.
        """
        return self.ticks_of_many((row, customer, origins) for row in rows)

    def ticks_of_many(self, rows: Iterable[tuple[Row, int, dict[str, str]]]) -> Ticks:
        """Return the ticks of rows of any customers, each with its customer's code and origins (see `ticks`)."""
        if self._generation != self._shop.generation:
            self._refs.clear()
            self._generation = self._shop.generation
        made: list[TickRow] = []
        for row, customer, origins in rows:
            if row.kind == DECISION:
                known = self._refs.get(row.uid[2:])
                ref = known or self._remember(decision_ref(record_of(row), self._shop), row.uid[2:])
                made += tick_of_decision(ref, at=row.at, seq=row.seq, customer=customer).tolist()
            else:
                made += self._of_event(event_of(row), row.seq, customer, origins)
        ticks = ticks_from(made)
        self._shop.ticked({code for code in ticks["item"].tolist() if code >= 0})
        return ticks

    def _of_event(self, event: Event, seq: int, customer: int, origins: dict[str, str]) -> list[TickRow]:
        shop = self._shop
        if not shop.codes_all(event):
            self._coded(event)
        order_id = str(event.fields.get("order_id") or "")
        decision_id = str(event.fields.get("decision_id") or "")
        if order_id and decision_id:
            origins.setdefault(order_id, decision_id)
        decision = self._decision(decision_id or origins.get(order_id, ""))
        return rows_of(event, seq=seq, customer=customer, codes=shop.codes, catalogue=shop.catalogue, decision=decision)

    def _coded(self, event: Event) -> None:
        """Have what the event names given codes, where it has none."""
        shop = self._shop
        shop.adopt_codes()
        if unknown := shop.unknown(names_in(event)):
            self._store.assign_codes(unknown).result()
            shop.adopt_codes()

    def note(self, record: Record) -> DecisionRef:
        """Remember a decision that was just made here, so that its row need not be read for it."""
        return self._remember(decision_ref(record, self._shop), record["decision_id"])

    def tick(self, ref: DecisionRef, at: int, seq: int) -> Ticks:
        """Return the tick of a decision, as `ticks` gives it of its row."""
        ticks = tick_of_decision(ref, at=at, seq=seq, customer=0)
        self._shop.ticked({ref.item} if ref.item >= 0 else set())
        return ticks

    def _decision(self, decision_id: str) -> DecisionRef | None:
        if not decision_id:
            return None
        if decision_id in self._refs:
            return self._refs[decision_id]
        row = self._store.decision(decision_id)
        # Not remembered when unknown: it may yet arrive.
        return None if row is None else self._remember(decision_ref(record_of(row), self._shop), decision_id)

    def _remember(self, ref: DecisionRef, decision_id: str) -> DecisionRef:
        if len(self._refs) >= REMEMBERED:
            del self._refs[next(iter(self._refs))]
        self._refs[decision_id] = ref
        return ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Everybody's log.

    Attributes
    ----------
    ticks
        (n,) of TICK in order of arrival within each customer; `customer` indexes `customers`. A customer who was
        anonymous once has the ticks of that time too, with the arrival of the identification; the anonymous id keeps
        its own, for the moments before.
    customers
        The ids.
    position
        Where the log ended.
    absorbed
        Codes of the anonymous ids that were identified as somebody.
    """

    ticks: Ticks
    customers: Sequence[str]
    position: int
    absorbed: Sequence[int] = ()

    def of_persons(self) -> Ticks:
        """Return the ticks with everybody counted once: without those under ids that were identified later."""
        return self.ticks[~np.isin(self.ticks["customer"], self.absorbed)] if self.absorbed else self.ticks


class LogReader:
    """Reads everybody's log, and later what was added since; counts customers in order of appearance."""

    def __init__(self, store: Store, shop: Shop) -> None:
        self._store = store
        self._shop = shop
        self._ticker = Ticker(store, shop)
        self._codes: dict[str, int] = {}
        self._origins: dict[int, dict[str, str]] = {}
        self._parts: list[Ticks] = []
        self._position = 0
        self._aliases: list[tuple[str, str, int]] = []
        self._generation = shop.generation

    def read(self, upto_seq: int | None = None) -> Log:
        """Return the log up to `upto_seq` (None: to its end now)."""
        last = self._store.position() if upto_seq is None else upto_seq
        self._shop.refresh()
        self._aliases = self._store.aliases()
        if self._generation != self._shop.generation or last < self._position:
            self._codes.clear()
            self._origins.clear()
            self._parts.clear()
            self._position = 0
            self._generation = self._shop.generation
        for rows in self._store.scan(self._position, upto_seq=last):
            self._parts.append(self._ticks(rows))
            self._position = rows[-1].seq
        return self._log(last)

    def _log(self, last: int) -> Log:
        """Return what was read, with the past of those who were identified."""
        joined = [self._joined(customer_id, last) for customer_id in self._identified(last)]
        self._parts = [np.concatenate([np.empty(0, TICK), *self._parts])]
        ticks = self._parts[0]
        if joined:
            codes = [self._codes[customer_id] for customer_id in self._identified(last)]
            ticks = np.concatenate([ticks[~np.isin(ticks["customer"], codes)], *joined])
        names = {name for name, _, seq in self._aliases if seq <= last}
        absorbed = [self._codes[name] for name in sorted(names) if name in self._codes]
        return Log(ticks=ticks, customers=list(self._codes), position=last, absorbed=absorbed)

    def _code(self, customer_id: str) -> int:
        return self._codes.setdefault(customer_id, len(self._codes))

    def _ticks(self, rows: Sequence[Row]) -> Ticks:
        coded = ((row, self._code(row.customer_id)) for row in rows)
        return self._ticker.ticks_of_many((row, code, self._origins.setdefault(code, {})) for row, code in coded)

    def _identified(self, last: int) -> list[str]:
        return list(dict.fromkeys(customer_id for _, customer_id, seq in self._aliases if seq <= last))

    def _joined(self, customer_id: str, last: int) -> Ticks:
        rows = self._store.customer_log(group_at(self._aliases, customer_id, last), upto_seq=last)
        return self._ticker.ticks(rows, self._code(customer_id), {})
