"""A customer's answer to a decision: one draw of each chance of its `Response`, and what follows from it."""

from dataclasses import dataclass, field

from cxreco.journey import HOUR, MICROS, Mode
from cxreco.world.agenda import Visit, plan_visit
from cxreco.world.automatic import settle_order
from cxreco.world.ground import CART_SHARE, Ground
from cxreco.world.ledger import Entry
from cxreco.world.moments import CART_STAGE, OUTBOUND_STAGE, PAGE_STAGE, Facing, Line, Offer
from cxreco.world.orders import MINUTE, book, complain, feel, meet_want, place_order
from cxreco.world.people import CHANNELS
from cxreco.world.responses import Buys, Response, page_ends, respond


@dataclass(slots=True, kw_only=True)
class Answer:
    """What came of a moment so far."""

    facing: Facing
    offer: Offer
    mode: str
    lines: list[Line] = field(default_factory=list)
    followed: list[int] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    met: bool = False

    @property
    def cause(self) -> tuple[int, str]:
        """Origin and mode, for the books."""
        return self.facing.at, self.mode


def answer(ground: Ground, facing: Facing, offer: Offer) -> list[Visit]:
    """Live through a moment; returns what the day now holds besides (the cart, a visit later on)."""
    response = respond(ground, facing, offer)
    mode = str(offer.mode) if facing.seen else "alone"
    got = Answer(facing=facing, offer=offer, mode=mode)
    i, key = facing.customer, max(facing.category, 0)
    opened = response.opened >= 1.0 or ground.u(f"{facing.stage} opened", i, key) < response.opened
    at = facing.at + (0 if facing.stage != OUTBOUND_STAGE else MINUTE + int(24 * MINUTE * ground.u("read", i, 0)))
    if facing.stage != OUTBOUND_STAGE:
        _browse(ground, facing)
        _first_want(ground, got, response)
    if opened:
        _by_the_way(ground, got, response, at)
    if response.order is not None and response.order.lines:
        bought = any(line.category == facing.category for line in got.lines)
        got.met = settle_order(ground, facing, offer, response.order, bought) and _takes_over(response, facing.category)
    _give_up(ground, got)
    _companions(ground, got)
    if got.lines:
        said = offer.decision_id if got.followed else None
        place_order(ground, i, at + 2 * MINUTE, got.lines, got.cause, said)
    _say(ground, got, response, opened, at)
    if response.contact:
        _bear(ground, got, response, opened, at)
    return got.visits


def pick(buys: Buys, luck: float) -> int:
    """Return the item whose slice holds `luck`, or -1."""
    total = 0.0
    for item, chance in buys:
        total += chance
        if luck < total:
            return item
    return -1


def _usual(ground: Ground, customer: int, item: int) -> Line:
    category = int(ground.shop.category[item])
    return Line(category=category, item=item, quantity=float(ground.people.quantity[customer, category]))


def _browse(ground: Ground, facing: Facing) -> None:
    i, at, shop = facing.customer, facing.at, ground.shop
    if facing.stage == CART_STAGE:
        ground.scribe.write("checkout_started", i, at + MICROS, {"items": [{"item_id": shop.ids[facing.target]}]})
        return
    if facing.known:
        ground.scribe.write("product_viewed", i, at + 10 * MICROS, {"item_id": shop.ids[facing.target]})
        return
    page = ground.today().page[facing.category]
    looks = 1 + int(2.0 * ground.u("looks", i, facing.category))
    for k, item in enumerate(page[page >= 0][:looks]):
        ground.scribe.write("product_viewed", i, at + (15 + 20 * k) * MICROS, {"item_id": shop.ids[item]})


def _first_want(ground: Ground, got: Answer, response: Response) -> None:
    """Settle the want of the visit: bought at once, put into the cart, or not."""
    facing, offer = got.facing, got.offer
    i, c = facing.customer, facing.category
    ground.mind.plan_at[i, c] = 0
    item = pick(response.buys, ground.u(f"{facing.stage} buys", i, c))
    if item < 0:
        return
    if item in offer.slate:
        got.followed.append(item)
    direct = facing.stage != PAGE_STAGE or _takes_over(response, c)
    ground.scribe.write("product_added", i, facing.at + MINUTE, {"item_id": ground.shop.ids[item]})
    if not direct and ground.u("cart", i, c) < CART_SHARE:
        wait = MINUTE * (3 + int(3 * ground.u("cart time", i, c)))
        got.visits.append(Visit(at=facing.at + wait, customer=i, kind=CART_STAGE, category=c, item=item))
        return
    got.lines.append(_usual(ground, i, item))


def _takes_over(response: Response, category: int) -> bool:
    return response.order is not None and any(line.category == category for line in response.order.lines)


def _by_the_way(ground: Ground, got: Answer, response: Response, at: int) -> None:
    """Settle what else the decision may sell, and who comes back for it later in the day."""
    i, primary = got.facing.customer, got.facing.category
    stage = got.facing.stage
    for sale in response.sales:
        pair = (max(primary, 0), sale.category)
        if ground.dice.pair(ground.day, f"{stage} aside", i, pair) < sale.chance:
            got.lines.append(_usual(ground, i, sale.item))
            got.followed.append(sale.item)
            ground.mind.plan_at[i, sale.category] = 0
            ground.scribe.write("product_viewed", i, at + MINUTE, {"item_id": ground.shop.ids[sale.item]})
        elif not ground.mind.plan_at[i, sale.category] and ground.u(f"{stage} wakes", i, sale.category) < sale.wake:
            got.visits.append(plan_visit(ground, i, sale.category))


def _give_up(ground: Ground, got: Answer) -> None:
    """Let a visit end at a competitor whose want was not met."""
    facing = got.facing
    c = facing.category
    if (
        got.met
        or c < 0
        or any(line.category == c for line in got.lines)
        or any(v.kind == CART_STAGE for v in got.visits)
    ):
        return
    if ground.u(f"{facing.stage} leaves", facing.customer, c) < ground.people.leave[facing.customer]:
        meet_want(ground, facing.customer, c, float(ground.people.quantity[facing.customer, c]))


def _companions(ground: Ground, got: Answer) -> None:
    """Settle what else the visit was for; the decision does not touch it unless it has sold it already."""
    i, day, people = got.facing.customer, ground.today(), ground.people
    through = 1.0 - CART_SHARE * (1.0 - float(people.checks_out[i]))
    for c in got.facing.companions:
        if ground.mind.plan_at[i, c] != got.facing.at:
            continue
        ground.mind.plan_at[i, c] = 0
        target = int(ground.mind.plan_target[i, c])
        if ground.mind.plan_known[i, c] and day.available[target]:
            chance = float(day.known_buy[i, c, int(target != day.taste.first[i, c])])
            buys: Buys = ((target, chance),)
        else:
            buys = tuple((item, chance * through) for item, chance in page_ends(ground, i, c))
        item = pick(buys, ground.u("page buys", i, c))
        if item >= 0:
            got.lines.append(_usual(ground, i, item))
        elif ground.u("page leaves", i, c) < people.leave[i]:
            meet_want(ground, i, c, float(people.quantity[i, c]))


def _say(ground: Ground, got: Answer, response: Response, opened: bool, at: int) -> None:
    """Log what the customer's screen reported about the decision."""
    facing, offer = got.facing, got.offer
    if offer.mode in (Mode.HOLD, Mode.AUTOMATE) or not opened:
        return
    i = facing.customer
    fields = {
        "decision_id": offer.decision_id,
        "channel": CHANNELS[facing.channel] if facing.channel >= 0 else "onsite",
    }
    ground.scribe.write("decision_shown", i, at + MICROS, fields)
    if got.followed:
        accepted = {**fields, "item_id": ground.shop.ids[got.followed[0]]}
        ground.scribe.write("decision_accepted", i, at + MINUTE, accepted)
    elif ground.u(f"{facing.stage} dismisses", i, max(facing.category, 0)) < response.dismiss:
        ground.scribe.write("decision_dismissed", i, at + MINUTE, fields)


def _bear(ground: Ground, got: Answer, response: Response, opened: bool, at: int) -> None:
    """Settle what a contact costs: the message, fatigue, and now and then a complaint or the channel."""
    facing, offer, cause = got.facing, got.offer, got.cause
    i, key, stage = facing.customer, max(facing.category, 0), facing.stage
    book(ground, Entry.CONTACT, i, facing.at, cause, -ground.spec.costs.contact)
    feel(ground, i, cause, worn=response.sent + (response.tired if opened else 0.0))
    if ground.u(f"{stage} unsolicited", i, key) < response.unsolicited:
        complain(ground, i, facing.at + HOUR // 2, cause, offer.decision_id)
    if not opened:
        return
    if ground.u(f"{stage} complains", i, key) < response.complain:
        complain(ground, i, at + 3 * MINUTE, cause, offer.decision_id)
    if response.unsubscribe and ground.u(f"{stage} unsubscribes", i, key) < response.unsubscribe:
        ground.mind.unsubscribed[i, facing.channel] = True
        fields = {"channel": CHANNELS[facing.channel], "decision_id": offer.decision_id}
        ground.scribe.write("unsubscribed", i, at + 3 * MINUTE, fields)
        book(ground, Entry.UNSUBSCRIBE, i, at, cause, -ground.spec.costs.unsubscribe)
