"""What becomes of an automatic order: welcome, stopped in time, sent back, or never agreed on."""

from cxreco.journey import DAY, HOUR
from cxreco.world.ground import Ground
from cxreco.world.ledger import Entry
from cxreco.world.moments import Facing, Offer
from cxreco.world.orders import MINUTE, book, complain, feel, meet_want, place_order, send_back, write_order
from cxreco.world.responses import Order

RIGHT_TRUST, RIGHT_MOOD = 0.03, 0.01
STOPPED_TRUST = -0.04
WRONG_TRUST, WRONG_MOOD = -0.20, -0.10
UNASKED_TRUST, UNASKED_MOOD = -0.30, -0.20
WRONG_RETURNED, WRONG_COMPLAINED, WRONG_REVOKED = 0.75, 0.30, 0.35
CONFIRMS = 0.3


def settle_order(ground: Ground, facing: Facing, offer: Offer, order: Order, bought: bool) -> bool:
    """Settle an automatic order, and return whether it met its wants.

    `bought` says that the want of the visit was just met by the customer.
    """
    i, key = facing.customer, order.lines[0].category
    told = {"decision_id": offer.decision_id}
    if not order.allowed:
        _unasked(ground, facing, offer)
        return False
    read = ground.u(f"{facing.stage} auto read", i, key) < order.reads
    if read:
        ground.scribe.write("decision_shown", i, facing.at + 20 * MINUTE, told)
    clash = bought and any(line.category == facing.category for line in order.lines)
    if not clash and ground.u(f"{facing.stage} auto fits", i, key) < order.fits:
        if read and ground.u("auto confirmed", i, key) < CONFIRMS:
            ground.scribe.write("auto_order_confirmed", i, facing.at + 30 * MINUTE, told)
        cause = (order.executes_at, str(offer.mode))
        order_id = place_order(ground, i, order.executes_at, list(order.lines), cause, offer.decision_id)
        ground.scribe.write("auto_order_executed", i, order.executes_at, told | {"order_id": order_id})
        feel(ground, i, (facing.at, str(offer.mode)), mood=RIGHT_MOOD, trust=RIGHT_TRUST)
        return True
    if read:
        _stopped(ground, facing, offer)
        return False
    return _wrong(ground, facing, offer, order)


def _unasked(ground: Ground, facing: Facing, offer: Offer) -> None:
    """Complain, surely: there was no mandate for this order. It is fetched back before it can be of use."""
    i, cause = facing.customer, (facing.at, str(offer.mode))
    ground.scribe.write("auto_order_undone", i, facing.at + HOUR, {"decision_id": offer.decision_id})
    book(ground, Entry.UNDONE, i, facing.at + HOUR, cause, -ground.spec.costs.undone)
    book(ground, Entry.WRONG_AUTO, i, facing.at, cause, 0.0)
    complain(ground, i, facing.at + HOUR, cause, offer.decision_id)
    feel(ground, i, cause, mood=UNASKED_MOOD, trust=UNASKED_TRUST)


def _stopped(ground: Ground, facing: Facing, offer: Offer) -> None:
    i, cause = facing.customer, (facing.at, str(offer.mode))
    at = facing.at + min(offer.notice_micros // 2, 6 * HOUR)
    ground.scribe.write("auto_order_cancelled", i, at, {"decision_id": offer.decision_id})
    book(ground, Entry.CANCELLED, i, at, cause, -ground.spec.costs.cancelled)
    book(ground, Entry.WRONG_AUTO, i, facing.at, cause, 0.0)
    feel(ground, i, cause, trust=STOPPED_TRUST)


def _wrong(ground: Ground, facing: Facing, offer: Offer, order: Order) -> bool:
    i, key, cause = facing.customer, order.lines[0].category, (facing.at, str(offer.mode))
    executed = (order.executes_at, str(offer.mode))
    lines = list(order.lines)
    order_id = write_order(ground, i, order.executes_at, lines, executed, offer.decision_id)
    told = {"decision_id": offer.decision_id, "order_id": order_id}
    ground.scribe.write("auto_order_executed", i, order.executes_at, told)
    returned = ground.u(f"{facing.stage} auto returned", i, key) < WRONG_RETURNED
    if returned:
        send_back(ground, i, order.executes_at, lines, executed, order_id)
    else:
        for line in lines:
            meet_want(ground, i, line.category, line.quantity)
    if ground.u("auto complained", i, key) < WRONG_COMPLAINED:
        complain(ground, i, order.executes_at + 2 * DAY, cause, offer.decision_id)
    book(ground, Entry.WRONG_AUTO, i, facing.at, cause, 0.0)
    feel(ground, i, cause, mood=WRONG_MOOD, trust=WRONG_TRUST)
    if ground.u("auto revoked", i, key) < WRONG_REVOKED:
        ground.mind.revokes_on[i] = ground.day + 4
    return not returned
