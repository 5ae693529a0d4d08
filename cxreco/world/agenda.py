"""A day's agenda: who recognises which need, who comes when, and to whom the shop could write.

Messages go out before nine and are read within half an hour or never; visits follow until ten in the evening. So what a
message changes comes before the visits it changes.
"""

from typing import NamedTuple

import numpy as np

from cxreco.journey import DAY, HOUR
from cxreco.world.dice import F64
from cxreco.world.ground import SURFACE_SHARE, SURFACES, Ground
from cxreco.world.moments import CART_STAGE, OUTBOUND_STAGE, PAGE_STAGE, Facing

OPENS, CLOSES = 9 * HOUR, 22 * HOUR
WRITES_FROM, WRITES_FOR = 6 * HOUR + HOUR // 2, 2 * HOUR
PUSHED = 0.3
MOST = 0.9


class Visit(NamedTuple):
    """One entry of the agenda, in order of time: a visit, a cart, or a chance to write."""

    at: int
    customer: int
    kind: str
    category: int = -1
    item: int = -1


def warmth(satisfaction: F64, pleased: F64) -> F64:
    """Return how much more, or less, the shop is thought of than usual."""
    return np.asarray(np.clip(np.exp(1.5 * (satisfaction - pleased)), 0.3, 1.5), dtype=np.float64)


def recognises(ground: Ground, day: int, stock: F64, warm: F64, rows: slice | int = slice(None)) -> tuple[F64, F64]:
    """Return the chances per want that it brings a visit on a day, and that it is met elsewhere if it does not.

    `stock` is that of the morning of the day, (customers, categories) of the `rows`; `warm` broadcasts with it.
    """
    people = ground.people
    is_open = stock <= people.lead[rows]
    comes = np.minimum(people.hazard[rows] * ground.tables(day).season * warm, MOST) * is_open
    return np.asarray(comes), np.asarray(people.elsewhere[rows] * (is_open & (stock <= 0.0)))


def begin(ground: Ground, *, outbound: bool) -> list[Visit]:
    """Open a day: needs are recognised or met elsewhere, visits planned; returns the agenda, unsorted."""
    _consents(ground)
    mind, people, day = ground.mind, ground.people, ground.day
    comes, gone = recognises(ground, day, mind.stock, warmth(mind.satisfaction, people.pleased)[:, None])
    coming = _together(ground) < comes
    leaving = ~coming & (ground.dice.table(day, "elsewhere") < gone)
    for i, c in zip(*(rows.tolist() for rows in np.nonzero(leaving)), strict=True):
        mind.stock[i, c] = max(float(people.quantity[i, c] * people.days[i, c]), 7.0)
    mind.plan_at[:] = 0
    agenda: dict[tuple[int, int], Visit] = {}
    for i, c in zip(*(rows.tolist() for rows in np.nonzero(coming)), strict=True):
        visit = plan_visit(ground, i, c, joint=True)
        agenda.setdefault((visit.at, i), visit)
    return list(agenda.values()) + (_writing(ground) if outbound else [])


def _together(ground: Ground) -> F64:
    """Return uniforms, some of them a customer's own of the day, so that needs come to mind on the same days."""
    day = ground.dice.table(ground.day, "shopping day")[:, :1]
    own = ground.dice.table(ground.day, "recognises")
    shared = ground.dice.table(ground.day, "shares") < ground.spec.togetherness
    return np.where(shared, day, own)


def plan_visit(ground: Ground, customer: int, category: int, *, joint: bool = False) -> Visit:
    """Plan a visit for a want: when, and what is in mind. Needs recognised on the same morning share one visit."""
    mind, people = ground.mind, ground.people
    luck = ground.u("time", customer, 0) if joint else ground.u("later", customer, category)
    at = ground.start + ground.day * DAY + OPENS + int(luck * (CLOSES - OPENS))
    taste = ground.today().taste
    first = ground.u("habit", customer, category) < people.loyal[customer]
    mind.plan_at[customer, category] = at
    mind.plan_known[customer, category] = ground.u("knows", customer, category) < people.known[customer, category]
    mind.plan_target[customer, category] = (taste.first if first else taste.second)[customer, category]
    return Visit(at=at, customer=customer, kind=PAGE_STAGE)


def meet(ground: Ground, visit: Visit) -> Facing | None:
    """Return what lies behind an entry of the agenda whose time has come; None if there is no reason left to come."""
    i = visit.customer
    if visit.kind == OUTBOUND_STAGE:
        channel = int(ground.u("channel", i, 0) < PUSHED)
        return Facing(customer=i, at=visit.at, stage=OUTBOUND_STAGE, channel=channel)
    seen = ground.u("unseen", i, 0) >= ground.spec.unseen
    if visit.kind == CART_STAGE:
        return Facing(
            customer=i, at=visit.at, stage=CART_STAGE, category=visit.category, known=True, target=visit.item,
            surface="cart", seen=seen,
        )  # fmt: skip
    wants = np.flatnonzero(ground.mind.plan_at[i] == visit.at).tolist()
    if not wants:
        return None
    c = wants[0] if len(wants) == 1 else min(wants, key=lambda c: ground.u("foremost", i, c))
    target = int(ground.mind.plan_target[i, c])
    surface = int(np.searchsorted(np.cumsum(SURFACE_SHARE), ground.u("surface", i, c), side="right"))
    return Facing(
        customer=i, at=visit.at, stage=PAGE_STAGE, category=c,
        known=bool(ground.mind.plan_known[i, c] and ground.today().available[target]), target=target,
        surface=SURFACES[min(surface, 2)], companions=tuple(w for w in wants if w != c), seen=seen,
    )  # fmt: skip


def _writing(ground: Ground) -> list[Visit]:
    every, day = ground.spec.outbound_every, ground.day
    due = np.floor((day + 1) / every + ground.people.phase) > np.floor(day / every + ground.people.phase)
    morning = ground.start + day * DAY + WRITES_FROM
    luck = ground.dice.table(day, "writes")[:, 0]
    return [
        Visit(at=morning + int(luck[i] * WRITES_FOR), customer=i, kind=OUTBOUND_STAGE)
        for i in np.flatnonzero(due).tolist()
    ]


def _consents(ground: Ground) -> None:
    """Let customers consent to automatic execution on their day, and withdraw it where they have had enough."""
    mind, people, day = ground.mind, ground.people, ground.day
    morning = ground.start + day * DAY + 6 * HOUR
    for i in np.flatnonzero(people.consents & (people.consent_day == day)).tolist():
        mind.consent[i] = True
        limit = float(people.limit[i])
        limits = {"limits": {"max_order_value": limit}} if np.isfinite(limit) else {}
        fields = {"purpose": "automatic_execution", "granted": True, **limits}
        ground.scribe.write("consent_changed", i, morning, fields)
    for i in np.flatnonzero(mind.revokes_on == day).tolist():
        mind.consent[i] = False
        fields = {"purpose": "automatic_execution", "granted": False}
        ground.scribe.write("consent_changed", i, morning, fields)


def close(ground: Ground) -> None:
    """End a day: a day's worth is used up, moods drift back, fatigue fades."""
    mind, people = ground.mind, ground.people
    ground.day += 1
    mind.stock -= 1.0
    mind.satisfaction[:] = next_mood(mind.satisfaction, people.pleased, mind.pending[:, 0])
    mind.pending[:, :-1] = mind.pending[:, 1:]
    mind.pending[:, -1] = 0.0
    mind.fatigue *= FADES
    taste = people.taste(ground.day)
    if taste.day == ground.day:
        mind.trust[:] = np.clip(mind.trust + taste.trust, 0.0, 1.0)


def next_mood(satisfaction: F64, pleased: F64, due: F64) -> F64:
    """Return tomorrow's satisfaction: it drifts back to its usual level, half of the way in about a month."""
    return np.asarray(satisfaction + 0.02 * (pleased - satisfaction) + due, dtype=np.float64)


FADES = 0.5 ** (1.0 / 5.0)
