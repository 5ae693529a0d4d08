"""How a customer answers a decision: the chances of each outcome, from hidden states only.

Sampling and expectation both read the same `Response`, so that what is simulated and what is called true cannot differ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp
from types import MappingProxyType

import numpy as np

from cxreco.journey import Mode
from cxreco.world.ground import ATTENTION, CERTAIN, DEFAULT_CARE, EASE, SURFACES, Ground, cascade
from cxreco.world.moments import CART_STAGE, OUTBOUND_STAGE, Facing, Line, Offer

Buys = tuple[tuple[int, float], ...]

EASE_OF: Mapping[str, float] = MappingProxyType(dict(zip(SURFACES, EASE, strict=True)))
# A detour past a wrong item, a nudge in the way, and how likely a substitute is taken.
DETOUR, INTERRUPT, SUBSTITUTE = 0.12, 0.10, 0.25
# Ordering by oneself although an order for it was just announced.
DUPLICATE = 0.4
# Chance that an opened nudge, not followed at once, brings a visit later that day.
WAKE = 0.35
# Fatigue of a contact sent, and of one opened and found irrelevant.
SENT, OPENED = 0.25, 1.0
UNSUBSCRIBES, COMPLAINS = 0.010, 0.002
UNSOLICITED = 0.8
# What an offer for another want is worth a look on a page, by mode: first position, the following ones.
ASIDE: Mapping[Mode, tuple[float, float]] = MappingProxyType(
    {Mode.RESPOND: (0.12, 0.08), Mode.CURATE: (0.15, 0.15), Mode.COACH: (0.40, 0.0), Mode.HOLD: (0.0, 0.0)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A want that the moment was not for, and might be met by the way; `wake`: come back for later that day."""

    category: int
    item: int
    chance: float
    wake: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An automatic order: `fits` is the chance that all of it is welcome, `reads` that the notice is read."""

    lines: tuple[Line, ...]
    allowed: bool
    fits: float
    reads: float
    executes_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Chances of what follows a decision.

    Attributes
    ----------
    buys
        Items that the want of the visit may end with, exclusive of each other.
    sales
        Other wants, independent of each other and of `buys`; if not opened, nothing.
    opened
        Chance that the message is seen; 1 on a page.
    contact
        Whether it counts as one; then `unsubscribe` and `complain` (given opened), `unsolicited` (a complaint for
        having written at all), and fatigue, `sent` surely and `tired` more when opened.
    dismiss
        Given opened and nothing bought.
    """

    buys: Buys = ()
    sales: tuple[Sale, ...] = ()
    opened: float = 1.0
    contact: bool = False
    unsubscribe: float = 0.0
    complain: float = 0.0
    unsolicited: float = 0.0
    sent: float = 0.0
    tired: float = 0.0
    dismiss: float = 0.0
    order: Order | None = None


def respond(ground: Ground, facing: Facing, offer: Offer) -> Response:
    """Return the chances of what follows an offer at a moment."""
    if facing.stage == OUTBOUND_STAGE:
        return _outbound(ground, facing, offer)
    buys = _bought(ground, facing, offer)
    if offer.mode is Mode.HOLD:
        return Response(buys=buys)
    dismiss = 0.0 if offer.mode is Mode.RESPOND else 0.1
    if offer.mode is Mode.AUTOMATE:
        order = _order(ground, facing, offer)
        return Response(buys=buys, contact=offer.notice, sent=SENT if offer.notice else 0.0, order=order)
    calm = _calm(ground, facing.customer) if offer.mode is Mode.COACH else 1.0
    first, rest = ASIDE[offer.mode]
    sales, relevance = _sales(ground, facing, offer, (first * calm, rest * calm))
    if offer.mode is not Mode.COACH:
        return Response(buys=buys, sales=sales, dismiss=dismiss)
    irritation = _irritation(ground, facing.customer, relevance)
    return Response(
        buys=buys, sales=sales, contact=True, complain=min(0.1, 0.5 * COMPLAINS * irritation), sent=SENT,
        tired=0.5 * OPENED * (1.0 - 0.8 * relevance), dismiss=0.1 + 0.6 * (1.0 - relevance),
    )  # fmt: skip


def readiness(ground: Ground, customer: int, category: int) -> float:
    """Return how far an offer in a category meets a want: 1 for an open need, less if early, the interest otherwise."""
    people = ground.people
    if not people.uses[customer, category]:
        return 0.0
    early = float(ground.mind.stock[customer, category] - people.lead[customer, category])
    if not ground.staple[category]:
        return float(people.interest[customer, category]) if early <= 0.0 else 0.0
    return 1.0 if early <= 0.0 else 0.5 * exp(-early / 2.0)


def _calm(ground: Ground, customer: int) -> float:
    return exp(-float(ground.mind.fatigue[customer] / ground.people.tolerance[customer]))


def _irritation(ground: Ground, customer: int, relevance: float) -> float:
    """Return the multiplier of the hazards of a contact: with fatigue, and with how little it was about anything."""
    worn = min(float(ground.mind.fatigue[customer] / ground.people.tolerance[customer]), 2.0)
    return (1.0 - 0.85 * relevance) * ground.spec.backfire * exp(worn)


# --- outbound -------------------------------------------------------------------------------------------------------


def _outbound(ground: Ground, facing: Facing, offer: Offer) -> Response:
    if offer.mode is Mode.HOLD:
        return Response(opened=0.0)
    i, spec = facing.customer, ground.spec
    if offer.mode is Mode.AUTOMATE:
        # What was agreed on is not advertising: it may be announced to those who unsubscribed.
        return Response(
            opened=0.0, contact=True, sent=SENT if offer.notice else 0.0, order=_order(ground, facing, offer)
        )
    if ground.mind.unsubscribed[i, facing.channel]:
        return Response(opened=0.0, contact=True, unsolicited=UNSOLICITED, sent=SENT)
    calm = _calm(ground, i)
    first, rest, factor = {
        Mode.COACH: (spec.coach_pull, 0.0, 1.0),
        Mode.RESPOND: (spec.respond_pull, 0.3 * spec.respond_pull, 0.9),
        Mode.CURATE: (spec.news_pull, spec.news_pull, 0.8),
    }[offer.mode]
    sales, relevance = _sales(ground, facing, offer, (first * calm, rest * calm))
    irritation = factor * _irritation(ground, i, relevance) * (1.3 if facing.channel == 1 else 1.0)
    return Response(
        sales=sales, opened=float(ground.people.opens[i, facing.channel]) * calm, contact=True,
        unsubscribe=min(0.3, UNSUBSCRIBES * irritation), complain=min(0.2, COMPLAINS * irritation), sent=SENT,
        tired=factor * OPENED * (1.0 - 0.8 * relevance), dismiss=0.1 + 0.6 * (1.0 - relevance),
    )  # fmt: skip


def _sales(ground: Ground, facing: Facing, offer: Offer, pulls: tuple[float, float]) -> tuple[tuple[Sale, ...], float]:
    """Return what might be sold besides, the first item of each category counting, and the slate's relevance."""
    i, shop = facing.customer, ground.shop
    appeal = ground.today().appeal[i]
    slate = offer.slate[:1] if offer.mode is Mode.COACH else offer.slate
    waking = {Mode.COACH: WAKE, Mode.RESPOND: 0.3 * WAKE}.get(offer.mode, 0.0)
    sales: list[Sale] = []
    relevance, met = 0.0, {facing.category}
    for position, item in enumerate(slate):
        category = int(shop.category[item])
        if category in met:
            continue
        met.add(category)
        ready = readiness(ground, i, category)
        looked = pulls[0] if position == 0 else pulls[1] * float(ATTENTION[min(position, 99)])
        good = float(appeal[item]) * ready
        # For pleasure a liking must be strong to make one act; a reminder adds little.
        keen = 1.0 if ground.staple[category] else float(appeal[item]) * (0.6 if offer.mode is Mode.COACH else 1.2)
        relevance = max(relevance, good)
        if good > 0.0:
            wake = waking * good if facing.stage == OUTBOUND_STAGE and ground.staple[category] else 0.0
            sales.append(Sale(category=category, item=item, chance=min(looked * good * keen, CERTAIN), wake=wake))
    return tuple(sales), relevance


# --- the want of the visit ------------------------------------------------------------------------------------------


def _bought(ground: Ground, facing: Facing, offer: Offer) -> Buys:
    if facing.stage == CART_STAGE:
        return _at_the_cart(ground, facing, offer)
    if facing.known:
        return _known(ground, facing, offer)
    return _open(ground, facing, offer)


def _place(offer: Offer, item: int) -> int:
    return offer.slate.index(item) if item in offer.slate else -1


def _at_the_cart(ground: Ground, facing: Facing, offer: Offer) -> Buys:
    i, people = facing.customer, ground.people
    base = float(people.checks_out[i])
    if offer.mode is Mode.RESPOND:
        meant = offer.slate[:1] == (facing.target,)
        base = 1.0 - (1.0 - base) * (1.0 - 0.6 * float(people.haste[i])) if meant else base * (1.0 - 0.5 * DETOUR)
    elif offer.mode is Mode.CURATE:
        base *= 1.0 - 0.5 * float(people.distracted[i])
    elif offer.mode is Mode.COACH:
        base *= 1.0 - 0.5 * INTERRUPT
    elif offer.mode is Mode.AUTOMATE and _covers(offer, facing.category):
        base *= DUPLICATE
    return ((facing.target, base),)


def _covers(offer: Offer, category: int) -> bool:
    return any(line.category == category for line in offer.order)


def _known(ground: Ground, facing: Facing, offer: Offer) -> Buys:
    """Return what follows when the customer knows the item: speed is all, and the exact item first."""
    i, target = facing.customer, facing.target
    pull = float(ground.people.patience[i]) * float(ground.today().price_pull[i, target])
    base = min(EASE_OF[facing.surface] * pull, CERTAIN)
    haste = float(ground.people.haste[i])
    place = _place(offer, target)
    seen = float(ATTENTION[min(place, 99)]) if place >= 0 else 0.0
    match offer.mode:
        case Mode.HOLD:
            return ((target, base),)
        case Mode.RESPOND if place == 0:
            return ((target, 1.0 - (1.0 - base) * (1.0 - haste)),)
        case Mode.RESPOND if place > 0:
            return ((target, (1.0 - 0.5 * DETOUR) * (base + (1.0 - base) * 0.5 * haste * seen)),)
        case Mode.RESPOND:
            return _substituted(ground, facing, offer, base * (1.0 - DETOUR))
        case Mode.CURATE:
            base *= 1.0 - float(ground.people.distracted[i])
            return ((target, base + (1.0 - base) * 0.4 * haste * seen),)
        case Mode.COACH:
            return ((target, base + (1.0 - base) * 0.5 * haste if place == 0 else base * (1.0 - INTERRUPT)),)
        case _:
            return ((target, base * (DUPLICATE if _covers(offer, facing.category) else 1.0)),)


def _substituted(ground: Ground, facing: Facing, offer: Offer, base: float) -> Buys:
    i = facing.customer
    if not offer.slate or ground.shop.category[offer.slate[0]] != facing.category:
        return ((facing.target, base),)
    other = offer.slate[0]
    return (facing.target, base), (other, (1.0 - base) * SUBSTITUTE * float(ground.today().appeal[i, other]))


def page_ends(ground: Ground, customer: int, category: int) -> Buys:
    """Return where a look down the shop's own page ends, for a customer who does not know the item."""
    day = ground.today()
    items = day.page[category][day.page[category] >= 0]
    if not items.size:
        return ()
    ends = cascade(DEFAULT_CARE * ATTENTION[: items.size] * day.appeal[customer, items])
    eager = float(ground.people.eager[customer])
    return tuple((int(item), eager * float(end)) for item, end in zip(items, ends, strict=True))


def _open(ground: Ground, facing: Facing, offer: Offer) -> Buys:
    """Return what follows when the need is known and the option is not: a fitting slate, looked down in order."""
    i, category = facing.customer, facing.category
    alone = page_ends(ground, i, category)
    share: Callable[[float], Buys] = lambda part: tuple((item, part * chance) for item, chance in alone)  # noqa: E731
    if offer.mode is Mode.HOLD:
        return alone
    if offer.mode is Mode.AUTOMATE:
        return () if _covers(offer, category) else alone
    here = [(k, item) for k, item in enumerate(offer.slate) if ground.shop.category[item] == category]
    if not here or (offer.mode is not Mode.CURATE and here[0][0] > 0):
        return share(1.0 - (DETOUR if offer.mode is Mode.RESPOND else INTERRUPT))
    # One item, pushed, is no choice: what comes after it is hardly looked at, and fewer go on to the shop's page.
    care, onward = (1.0, 0.5) if offer.mode is Mode.CURATE else (0.3, 0.4)
    if offer.mode is Mode.COACH:
        here, onward = here[:1], 0.3
    places = np.array([k for k, _ in here])
    items = np.array([item for _, item in here])
    looks = ATTENTION[np.minimum(places, 99)] * np.where(places == 0, max(care, 0.75), care)
    ends = float(ground.people.eager[i]) * cascade(looks * ground.today().appeal[i, items])
    found = tuple((int(item), float(end)) for item, end in zip(items, ends, strict=True))
    return found + share((1.0 - float(ends.sum())) * onward)


# --- automatic execution --------------------------------------------------------------------------------------------


def _order(ground: Ground, facing: Facing, offer: Offer) -> Order:
    i, day, mind, people = facing.customer, ground.today(), ground.mind, ground.people
    # What is out of stock cannot be ordered; it lapses.
    lines = tuple(line for line in offer.order if day.available[line.item])
    total = sum(line.quantity * float(day.price[line.item]) for line in lines)
    allowed = bool(mind.consent[i]) and total <= float(people.limit[i])
    fits = float(np.prod([_welcome(ground, i, line) for line in lines])) if lines else 0.0
    reads = float(people.reads[i]) if offer.notice else 0.0
    return Order(lines=lines, allowed=allowed, fits=fits, reads=reads, executes_at=facing.at + offer.notice_micros)


def _welcome(ground: Ground, customer: int, line: Line) -> float:
    """Return the chance that an ordered line is welcome: needed now, the right item, not too much or too dear."""
    people, category = ground.people, line.category
    if not people.uses[customer, category] or not ground.staple[category]:
        return 0.03
    early = float(ground.mind.stock[customer, category] - people.lead[customer, category])
    # A parcel some days early is no nuisance.
    timely = 1.0 if early <= 3.0 else exp(-(early - 3.0) / 3.0)
    fit = float(ground.today().taste.fit[customer, line.item])
    right = fit if fit > 0.7 else 0.5 * fit
    much = 1.0 if line.quantity <= 2.0 * people.quantity[customer, category] else 0.5
    dear = min(1.0, float(ground.today().price_pull[customer, line.item]))
    trusted = 0.92 + 0.08 * float(ground.mind.trust[customer])
    return timely * right * much * dear * trusted
