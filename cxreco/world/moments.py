"""The moment as the customer lives it, and the decision as the customer sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxreco.journey import HOUR, Mode
from cxreco.world.ground import Ground
from cxreco.world.people import CHANNELS
from cxreco.world.scribe import iso

PAGE_STAGE, CART_STAGE, OUTBOUND_STAGE = "page", "cart", "outbound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facing:
    """What lies behind a moment: known to the world alone.

    Attributes
    ----------
    stage
        First page of a visit, its cart, or outbound.
    category
        The want that the visit is for; -1 for outbound.
    known, target
        Whether the item is known and on the shelf, and which; in the cart it is the item there.
    companions
        Further wants that the visit is for.
    seen
        Whether the engine is asked at all.
    """

    customer: int
    at: int
    stage: str
    category: int = -1
    known: bool = False
    target: int = -1
    surface: str = "outbound"
    channel: int = -1
    companions: tuple[int, ...] = ()
    seen: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of an automatic order, as numbers."""

    category: int
    item: int
    quantity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A decision, as numbers; what is not in the catalogue is left out."""

    mode: Mode = Mode.HOLD
    decision_id: str | None = None
    slate: tuple[int, ...] = ()
    order: tuple[Line, ...] = ()
    notice: bool = False
    notice_micros: int = 0


HOLD = Offer()


def read_offer(decision: Mapping[str, Any] | None, numbers: Mapping[str, int], ground: Ground) -> Offer:
    """Read a decision of the HTTP contract; none at all is `hold`."""
    if decision is None or decision["mode"] == Mode.HOLD:
        return HOLD
    mode = Mode(decision["mode"])
    parameters: Mapping[str, Any] = decision.get("action", {}).get("parameters", {})
    slate = tuple(numbers[row["item_id"]] for row in decision.get("items", ()) if row["item_id"] in numbers)
    if mode is not Mode.AUTOMATE:
        return Offer(mode=mode, decision_id=decision.get("decision_id"), slate=slate)
    rows: Sequence[Mapping[str, Any]] = parameters.get("order", ())
    lines: dict[int, Line] = {}
    for row in rows:
        item = numbers.get(row["item_id"], -1)
        if item >= 0:
            category = int(ground.shop.category[item])
            lines.setdefault(category, Line(category=category, item=item, quantity=float(row.get("quantity") or 1.0)))
    notice = parameters.get("rung") != "automatic"
    hours = float(parameters.get("notice_hours") or 24.0) if notice else 1.0
    return Offer(
        mode=mode, decision_id=decision.get("decision_id"), slate=slate, order=tuple(lines.values()),
        notice=notice, notice_micros=int(hours * HOUR),
    )  # fmt: skip


def asked(ground: Ground, facing: Facing) -> dict[str, Any]:
    """Return the moment as a request for a decision."""
    name = ground.people.ids[facing.customer]
    where = f"{facing.stage}{facing.category}" if facing.category >= 0 else facing.stage
    row: dict[str, Any] = {
        "request_id": f"{ground.scribe.key}.{name}.d{ground.day}.{where}",
        "customer_id": name,
        "occurred_at": iso(facing.at),
        "surface": facing.surface,
        "channel": CHANNELS[facing.channel] if facing.channel >= 0 else "onsite",
        "max_items": 10,
    }
    if facing.stage != OUTBOUND_STAGE:
        row["session_id"] = f"{name}.d{ground.day}"
    if facing.surface == "search":
        row["query"] = query(ground, facing)
    elif facing.surface == "product":
        row["item_id"] = ground.shop.ids[landing(ground, facing)]
    elif facing.surface == "cart":
        row["cart"] = [ground.shop.ids[facing.target]]
    return row


def query(ground: Ground, facing: Facing) -> str:
    """Return the words typed: of the title by those who know it, mostly; of the category by the rest, mostly."""
    i, c, shop = facing.customer, facing.category, ground.shop
    category = shop.categories[c]
    luck = ground.u("query", i, c)
    if facing.known:
        title = shop.titles[facing.target]
        brand = shop.brands[facing.target]
        variant = title.removeprefix(f"{brand} {category.noun} ")
        return (title, f"{brand} {variant}", f"{brand} {category.noun}", f"{variant} {category.noun}", category.name)[
            int(luck * 5.0)
        ].lower()
    return (category.name, category.name, category.noun, f"{category.brands[0]} {category.noun}", category.noun)[
        int(luck * 5.0)
    ].lower()


def landing(ground: Ground, facing: Facing) -> int:
    """Return the product page that the visit begins on: the item known, else one of the shop's page."""
    if facing.known:
        return facing.target
    page = ground.today().page[facing.category]
    items = page[page >= 0]
    if not items.size:
        items = ground.shop.of_category(facing.category)
    return int(items[int(ground.u("landing", facing.customer, facing.category) * items.size)])
