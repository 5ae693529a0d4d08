"""What tracking calls say besides their events: the catalogue that was seen, and who turned out to be whom."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cxreco.edge.importers.batches import Raw, Report, Row
from cxreco.edge.importers.rows import number_or_as_is
from cxreco.errors import BadEvent
from cxreco.journey import DAY
from cxreco.recognise.contract import read_time, write_time

Facts = tuple[str, str, str, float]
Sightings = dict[int, tuple[int, Facts]]


@dataclass(slots=True)
class SeenProducts:
    """The products that passed by, as item versions: at most one a day, and only where something changed.

    A price on a page is the list price; a price in an order may be a discounted one and counts only for an item that
    was never seen on a page.
    """

    on_pages: dict[str, Sightings] = field(default_factory=dict)
    in_orders: dict[str, Sightings] = field(default_factory=dict)

    def see(self, product: Row, occurred_at: object, *, on_page: bool) -> None:
        """Remember a product (`item_id`, `title`, `category`, `price`, `brand`) as it was at a time.

        What has no time or no price cannot be a version and is passed over; its event is judged on its own.
        """
        price = number_or_as_is(product.get("price"))
        item_id = product.get("item_id")
        if not isinstance(price, int | float) or isinstance(price, bool) or item_id in (None, ""):
            return
        try:
            at = read_time(occurred_at, "occurred_at")
        except BadEvent:
            return
        facts = (
            _text(product, "title") or str(item_id),
            _text(product, "category"),
            _text(product, "brand"),
            float(price),
        )
        days = (self.on_pages if on_page else self.in_orders).setdefault(str(item_id), {})
        day = at // DAY
        if day not in days or at < days[day][0]:
            days[day] = (at, facts)

    def rows(self, report: Report) -> Iterator[Raw]:
        """Yield the item versions, those of one item in order of time."""
        number = 0
        for item_id in {**self.on_pages, **self.in_orders}:
            days = self.on_pages.get(item_id) or self.in_orders[item_id]
            before: Facts | None = None
            for at, facts in sorted(days.values()):
                if facts == before:
                    continue
                before, number = facts, number + 1
                title, category, brand, price = facts
                if title == item_id:
                    report.note("catalogue versions without a name: their title is their id")
                row: Row = {"item_id": item_id, "title": title, "category": category, "brand": brand, "price": price}
                yield Raw(number, row | {"effective_at": write_time(at)})


def _text(product: Row, name: str) -> str:
    value = product.get(name)
    return value.strip() if isinstance(value, str) else ""


@dataclass(slots=True)
class Identities:
    """Which customer each anonymous id turned out to be: the first, for a shared device has one past to give."""

    customer_of: dict[str, str] = field(default_factory=dict)

    def joined(self, call: Mapping[str, object], anonymous: object, customer: object, report: Report) -> Row | None:
        """Return the `customer_identified` row that a call makes, or None if it says nothing new.

        Parameters
        ----------
        call
            The row in contract form that both ids came with: its id and its time are taken over.
        anonymous, customer
            The two ids; either may be absent.
        report
            Where a second customer of one anonymous id is counted.
        """
        if not anonymous or not customer or str(anonymous) == str(customer):
            return None
        known = self.customer_of.get(str(anonymous), "")
        if known not in ("", str(customer)):
            report.note("calls whose anonymous id had already joined another customer: not joined again")
        if known:
            return None
        self.customer_of[str(anonymous)] = str(customer)
        return {
            "event_id": f"{call.get('event_id')}-identified",
            "type": "customer_identified",
            "customer_id": str(customer),
            "anonymous_id": str(anonymous),
            "occurred_at": call.get("occurred_at"),
        }
