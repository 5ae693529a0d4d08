"""What a decision is truly worth at a moment: the expectation, in closed form, that only the world can know.

Myopic: money of the orders begun within `HORIZON_DAYS` of the moment, their returns and what else it causes (whenever
that falls due), and the priced change of trust, satisfaction and fatigue; the engine holds back ever after. The chances
of each want of a customer do not depend on the other wants, so the expectation is a sum over wants (also where they are
recognised together), and a want's own future is a short recursion.
"""

from dataclasses import dataclass

import numpy as np

from cxreco.journey import DAY
from cxreco.world import automatic
from cxreco.world.agenda import CLOSES, OPENS, next_mood, recognises, warmth
from cxreco.world.dice import F64
from cxreco.world.ground import CART_SHARE, Ground
from cxreco.world.moments import OUTBOUND_STAGE, PAGE_STAGE, Facing, Line, Offer
from cxreco.world.orders import COMPLAINT_MOOD, gain_of, return_cost
from cxreco.world.responses import Order, Response, respond

HORIZON_DAYS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What each want of the customer will bring by itself within the horizon, (categories,).

    `later`: with nothing planned for today any more; `now`: with today's plans; `woken`: were a visit planned now.
    """

    later: F64
    now: F64
    woken: F64


def outlook(ground: Ground, facing: Facing) -> Outlook:
    """Return what the customer's wants will bring from this moment on if left alone."""
    i, mind, people = facing.customer, ground.mind, ground.people
    later = np.zeros(people.uses.shape[1])
    alive = np.ones_like(later)
    mood = mind.satisfaction[i : i + 1]
    clock = (facing.at - ground.start) % DAY
    for ahead in range(1, HORIZON_DAYS + 1):
        mood = next_mood(mood, people.pleased[i : i + 1], mind.pending[i : i + 1, ahead - 1])
        day = ground.tables(ground.day + ahead)
        warm = warmth(mood, people.pleased[i : i + 1])
        comes, gone = recognises(ground, day.number, mind.stock[i] - ahead, warm, i)
        # Of the last day only what comes before the hour of the moment counts.
        counts = 1.0 if ahead < HORIZON_DAYS else min(max((clock - OPENS) / (CLOSES - OPENS), 0.0), 1.0)
        later += alive * comes * day.alone_gain[i] * counts
        buy = day.alone_buy[i]
        alive *= 1.0 - comes * (buy + (1.0 - buy) * people.leave[i]) - (1.0 - comes) * gone
    stays = 1.0 - people.leave[i]
    today = ground.today()
    woken = today.alone_gain[i] + (1.0 - today.alone_buy[i]) * stays * later
    return Outlook(later=later, now=_planned(ground, i, later, float(stays)), woken=woken)


def _planned(ground: Ground, i: int, later: F64, stays: float) -> F64:
    mind, today = ground.mind, ground.today()
    now = later.copy()
    for c in np.flatnonzero(mind.plan_at[i]).tolist():
        target = mind.plan_target[i, c]
        choice = int(target != today.taste.first[i, c])
        if mind.plan_known[i, c]:
            buy, gain = float(today.known_buy[i, c, choice]), float(today.known_gain[i, c, choice])
        else:
            buy, gain = float(today.open_buy[i, c]), float(today.open_gain[i, c])
        now[c] = gain + (1.0 - buy) * stays * later[c]
    return now


def worth(ground: Ground, facing: Facing, offer: Offer, ahead: Outlook) -> float:
    """Return the expected money and priced goodwill of an offer at a moment, up to a constant of the moment."""
    response = respond(ground, facing, offer)
    value = _aside(ground, facing, response, ahead)
    if facing.stage != OUTBOUND_STAGE:
        value += _of_the_visit(ground, facing, response, ahead)
    if response.order is not None and response.order.lines:
        value += _of_the_order(ground, facing, response, response.order, ahead)
    return value + (_of_the_contact(ground, response) if response.contact else 0.0)


def _line(ground: Ground, customer: int, item: int) -> Line:
    category = int(ground.shop.category[item])
    return Line(category=category, item=item, quantity=float(ground.people.quantity[customer, category]))


def _rest(ground: Ground, facing: Facing, ahead: Outlook) -> float:
    """Return what the want of the visit still brings when the visit did not meet it."""
    return float((1.0 - ground.people.leave[facing.customer]) * ahead.later[facing.category])


def _of_the_visit(ground: Ground, facing: Facing, response: Response, ahead: Outlook) -> float:
    i, rest = facing.customer, _rest(ground, facing, ahead)
    lines = () if response.order is None else response.order.lines
    direct = facing.stage != PAGE_STAGE or any(line.category == facing.category for line in lines)
    through = 1.0 if direct else 1.0 - CART_SHARE * (1.0 - float(ground.people.checks_out[i]))
    return through * sum(chance * (gain_of(ground, i, _line(ground, i, item)) - rest) for item, chance in response.buys)


def _aside(ground: Ground, facing: Facing, response: Response, ahead: Outlook) -> float:
    i, value = facing.customer, 0.0
    for sale in response.sales:
        c = sale.category
        otherwise = float(ahead.now[c])
        value += sale.chance * (gain_of(ground, i, _line(ground, i, sale.item)) - otherwise)
        if not ground.mind.plan_at[i, c]:
            value += (1.0 - sale.chance) * sale.wake * (float(ahead.woken[c]) - otherwise)
    return response.opened * value


def _of_the_contact(ground: Ground, response: Response) -> float:
    costs = ground.spec.costs
    complaint = costs.complaint - costs.satisfaction * COMPLAINT_MOOD
    opened = response.opened * (
        response.unsubscribe * costs.unsubscribe + response.complain * complaint + costs.fatigue * response.tired
    )
    return -(costs.contact + costs.fatigue * response.sent + response.unsolicited * complaint + opened)


def _of_the_order(ground: Ground, facing: Facing, response: Response, order: Order, ahead: Outlook) -> float:
    """Return what an automatic order is worth: welcome, or stopped, sent back, kept with a grudge, or unasked for."""
    costs, i = ground.spec.costs, facing.customer
    complaint = costs.complaint - costs.satisfaction * COMPLAINT_MOOD
    if not order.allowed:
        moods = costs.satisfaction * automatic.UNASKED_MOOD + costs.trust * automatic.UNASKED_TRUST
        return moods - complaint - costs.undone
    counts = float(order.executes_at < facing.at + HORIZON_DAYS * DAY)
    covers = any(line.category == facing.category for line in order.lines)
    clash = sum(chance for _, chance in response.buys) if covers else 0.0
    fits = (1.0 - clash) * order.fits
    executed = (1.0 - order.reads) * (1.0 - fits)
    kept = executed * (1.0 - automatic.WRONG_RETURNED)
    sent_back = executed * automatic.WRONG_RETURNED
    value = fits * (costs.satisfaction * automatic.RIGHT_MOOD + costs.trust * automatic.RIGHT_TRUST)
    value += order.reads * (1.0 - fits) * (costs.trust * automatic.STOPPED_TRUST - costs.cancelled)
    value += executed * (costs.satisfaction * automatic.WRONG_MOOD + costs.trust * automatic.WRONG_TRUST)
    value -= executed * automatic.WRONG_COMPLAINED * complaint
    for line in order.lines:
        own = line.category == facing.category
        otherwise = _rest(ground, facing, ahead) if own else float(ahead.now[line.category])
        # Where the customer has bought it, there is nothing left for the order to take away.
        share = ((1.0 - clash) * (1.0 - order.fits) / max(1.0 - fits, 1e-12)) if own else 1.0
        value += fits * (counts * gain_of(ground, i, line) - otherwise)
        value += counts * (kept * line.quantity * float(ground.today().margin[line.item]))
        value -= counts * sent_back * return_cost(ground, line) + kept * share * otherwise
    return value
