"""One pass over a log: what is counted before anything is judged (see `check`).

Memory grows with the number of customers, orders and items, not with that of events. What is counted per customer and
item (repeat purchases) is kept for every customer until there are `MAX_PAIRS` of them; then for every second, every
fourth, … customer, by a hash of the id, and the counts are scaled up.
"""

import math
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

from cxreco.journey import DAY, Event, Item, Line

MAX_PAIRS = 4_000_000
OUTBOUND = frozenset({"email", "push", "sms"})
FEEDBACK = ("decision_shown", "decision_accepted", "decision_dismissed")
TO_COME = "events dated more than a day from now"


@dataclass(slots=True)
class Customer:
    """One customer's orders, and for those in the sample how often each item was in them."""

    orders: int = 0
    bought: dict[str, int] | None = None


@dataclass(slots=True, kw_only=True)
class Census:
    """What a log holds, counted. Days are whole UTC days since 1970; in a log without dates, places in the sequence.

    Attributes
    ----------
    clock
        What the time is; None: nothing counts as still to come.
    currency
        Of the workspace; empty: every currency is right.
    """

    clock: int | None = None
    currency: str = ""
    n_events: int = 0
    n_undated: int = 0
    types: Counter[str] = field(default_factory=Counter)
    channels: Counter[str] = field(default_factory=Counter)
    customers: dict[str, Customer] = field(default_factory=dict)
    days: set[int] = field(default_factory=set)
    order_ids: set[str] = field(default_factory=set)
    catalogue: dict[str, str] = field(default_factory=dict)
    items_with_margin: set[str] = field(default_factory=set)
    sold: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    lines_with_margin: int = 0
    consents: dict[str, set[str]] = field(default_factory=dict)
    pairs: int = 0
    one_in: int = 1

    def take_items(self, items: Iterable[Item]) -> Self:
        """Count a catalogue: the categories its items have, and which say their margin."""
        for item in items:
            self.catalogue[item.item_id] = item.category
            if not math.isnan(item.margin):
                self.items_with_margin.add(item.item_id)
        return self

    def take(self, events: Iterable[Event]) -> Self:
        """Count events."""
        for event in events:
            self.n_events += 1
            self.n_undated += not event.dated
            self.types[event.type] += 1
            self.days.add(event.occurred_at // DAY)
            self.problems[TO_COME] += self.clock is not None and event.occurred_at > self.clock + DAY
            customer = self.customers.get(event.customer_id)
            if customer is None:
                customer = self.customers[event.customer_id] = Customer()
            if channel := event.fields.get("channel"):
                self.channels[str(channel)] += 1
            if event.type == "order_completed":
                self._take_order(event, customer)
            elif event.type == "order_returned":
                self._take_return(event)
            elif event.type == "consent_changed":
                self._take_consent(event)
        return self

    def _take_order(self, event: Event, customer: Customer) -> None:
        customer.orders += 1
        order_id = event.fields["order_id"]
        self.problems["orders whose order_id was used before"] += order_id in self.order_ids
        self.order_ids.add(order_id)
        if self.currency and (currency := str(event.fields.get("currency") or self.currency).upper()) != self.currency:
            self.problems[f"orders in {currency}, counted as if it were {self.currency}"] += 1
        for line in event.lines:
            self._take_line(line)
        if zlib.crc32(event.customer_id.encode()) % self.one_in == 0:
            self._take_pairs(customer, {line.item_id for line in event.lines})

    def _take_line(self, line: Line) -> None:
        self.lines += 1
        self.sold[line.item_id] += 1
        self.lines_with_margin += not math.isnan(line.margin)
        self.problems["order lines without a price"] += math.isnan(line.price)
        self.problems["order lines given away (price 0)"] += line.price == 0.0
        self.problems["order lines whose margin exceeds their price"] += line.margin > line.price

    def _take_pairs(self, customer: Customer, item_ids: set[str]) -> None:
        if customer.bought is None:
            customer.bought = {}
        before = len(customer.bought)
        for item_id in item_ids:
            customer.bought[item_id] = customer.bought.get(item_id, 0) + 1
        self.pairs += len(customer.bought) - before
        while self.pairs > MAX_PAIRS:
            self._thin()

    def _thin(self) -> None:
        self.one_in *= 2
        self.pairs = 0
        for customer_id, customer in self.customers.items():
            if zlib.crc32(customer_id.encode()) % self.one_in:
                customer.bought = None
            self.pairs += len(customer.bought or ())

    def _take_return(self, event: Event) -> None:
        order_id = event.fields.get("order_id")
        self.problems["returns that name no order"] += order_id is None
        self.problems["returns that name an order not seen before them"] += (
            order_id is not None and order_id not in self.order_ids
        )

    def _take_consent(self, event: Event) -> None:
        holders = self.consents.setdefault(event.fields["purpose"], set())
        (holders.add if event.fields["granted"] else holders.discard)(event.customer_id)

    @property
    def n_orders(self) -> int:
        """Orders completed."""
        return self.types["order_completed"]

    @property
    def span_days(self) -> int:
        """Whole days (or places of the sequence) from the first event to the last."""
        return max(self.days) - min(self.days) if self.days else 0

    @property
    def dated_share(self) -> float:
        """Share of the events that have a time, in [0, 1]."""
        return 1.0 - self.n_undated / self.n_events if self.n_events else 0.0

    def repeats(self, times: int) -> int:
        """Count the pairs of customer and item with at least so many orders (scaled up from the sample)."""
        kept = (customer.bought for customer in self.customers.values() if customer.bought)
        return self.one_in * sum(count >= times for bought in kept for count in bought.values())

    def with_taste(self, items: int) -> int:
        """Count the customers who bought at least so many different items (scaled up from the sample)."""
        return self.one_in * sum(len(customer.bought or ()) >= items for customer in self.customers.values())

    def longest_silence(self) -> int:
        """Return the longest run of days without any event."""
        days = sorted(self.days)
        return max((later - earlier - 1 for earlier, later in pairwise(days)), default=0)

    def catalogue_share(self) -> float:
        """Return the share of order lines whose item has a catalogue row, in [0, 1]."""
        return (
            sum(count for item, count in self.sold.items() if item in self.catalogue) / self.lines
            if self.lines
            else 0.0
        )

    def margin_share(self) -> float:
        """Return the share of order lines whose margin is known, from the line or else the catalogue, in [0, 1]."""
        known = sum(count for item, count in self.sold.items() if item in self.items_with_margin)
        return max(self.lines_with_margin, known) / self.lines if self.lines else 0.0

    def consenting(self, purpose: str) -> int:
        """Count the customers whose last word on a purpose was yes."""
        return len(self.consents.get(purpose, ()))

    def outbound(self) -> list[str]:
        """Return the channels seen by which a customer can be reached away from the shop."""
        return sorted(name for name in self.channels if name.lower() in OUTBOUND)
