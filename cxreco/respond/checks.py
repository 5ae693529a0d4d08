"""The guardrails' checks, in compiled code: a candidate is refused for the first that holds of it."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import AUTOMATE, COACH, MODES
from cxreco.recognise import reading
from cxreco.request.candidates import VALUE_COLUMN
from cxreco.request.readings import faded

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
_NEED, _ITEM_ORDERS, _UNITS, _PRICE, _PRICE_CHANGE = (
    VALUE_COLUMN[name] for name in ("need", "item_orders", "quantity", "item_price", "price_change")
)
# What the checks ask of a state, in the order that `_said` writes; then, for each mode, the fading count of its
# dismissals and when the last one was (seconds; 0: never).
SAID = (
    "consent_auto", "consent_marketing", "unsubscribed", "contacts_7", "complaints_open", "max_value", "max_orders",
    "placed_30", "last_wrong_at",
)  # fmt: skip
CONSENT, MARKETING, UNSUBSCRIBED, CONTACTS_7, COMPLAINTS, MAX_VALUE, MAX_ORDERS, PLACED_30, WRONG_AT = range(9)
_GRANTED, _REFUSED = 1.0, 2.0
_MODES = len(MODES)


@compiled
def said_by(head: NDArray[np.void], contacts: NDArray[np.void], at_s: int, channel: int) -> F64:
    """Return (len(SAID) + 2 * modes,) what the checks ask of a state, from its records, at an instant (seconds)."""
    h, own = head[0], len(SAID)
    out = np.empty(own + 2 * _MODES)
    out[CONSENT], out[MARKETING], out[UNSUBSCRIBED] = h.consent_auto, h.consent_marketing, h.unsubscribed >> channel & 1
    out[CONTACTS_7] = reading.count_contacts(contacts, at_s, 7.0, channel)
    out[COMPLAINTS], out[MAX_VALUE], out[MAX_ORDERS] = h.complaints_open, h.auto_max_value, h.auto_max_orders
    out[PLACED_30] = reading.count_executed(contacts, at_s, 30.0)
    out[WRONG_AT] = h.last_wrong_at
    for mode in range(_MODES):
        out[own + mode] = faded(h.dismissed_60[mode], 60.0, h.decayed_at, at_s)
        out[own + _MODES + mode] = h.last_dismissed_at[mode]
    return out


class Limits(NamedTuple):
    """The declared limits as compiled code reads them; times in seconds."""

    most_contacts: float
    quiet_s: float
    dismissals: float
    opt_in: bool
    max_order_value: float
    max_orders: float
    most_price_rise: float
    quiet_after_wrong_s: float
    least_need: float


class Case(NamedTuple):
    """One moment's candidates before the guardrails: what compiled code is asked about.

    Attributes
    ----------
    x, mode, action, item
        (n,) of the candidates.
    barred
        (modes,) whether the caller did not allow it.
    unready
        (actions,) whether its own rule excludes the customer.
    contact, shadow
        (n,) whether it is a contact, and whether it is an order not trusted yet.
    """

    x: F64
    mode: NDArray[np.int16]
    action: NDArray[np.int16]
    item: NDArray[np.int32]
    barred: Bool
    unready: Bool
    contact: Bool
    shadow: Bool


# What a candidate is refused for, in the order that it is looked for; the first that holds is the reason.
(
    ADMITTED, BARRED, UNREADY, NO_CONSENT, UNSUBSCRIBED_FROM, NO_MARKETING, COMPLAINT, GONE, SATISFIED, DEARER, ABOVE,
    TOO_MANY, UNSURE, WRONG_LATELY, CAPPED, TIRED,
) = range(16)  # fmt: skip


@compiled
def judged(
    offers: tuple[F64, NDArray[np.int16], NDArray[np.int16], NDArray[np.int32]],
    ruled: tuple[Bool, Bool, Bool, Bool],
    state: tuple[NDArray[np.void], NDArray[np.void]],
    moment: tuple[int, int, bool],
    limits: Limits,
    available: Bool,
) -> tuple[I64, F64, Bool]:
    """Return (n,) what each candidate is refused for, what the customer has said, and (n,) which are contacts.

    Parameters
    ----------
    offers
        (n,) of the candidates: what the heads see, mode, action, item.
    ruled
        Modes that are barred and actions that are unready; (n,) which orders are on notice, and which in shadow.
    state
        Head and contacts, with room to spare.
    moment
        The instant in seconds, the channel, and whether it is outbound.
    available
        By item.
    """
    (x, mode, action, item), (barred, unready, notice, shadow) = offers, ruled
    at_s, channel, outbound = moment
    contact = _contacts(mode, notice, outbound)
    said = said_by(state[0], state[1][: state[0][0].contacts], at_s, channel)
    case = Case(x, mode, action, item, barred, unready, contact, shadow)
    return refused(case, said, limits, at_s, available), said, contact


@compiled
def _contacts(mode: NDArray[np.int16], notice: Bool, outbound: bool) -> Bool:
    """Return (n,) whether a candidate is a contact: anything but hold on outbound, coaching or a notice anywhere."""
    out = np.empty(mode.size, np.bool_)
    for row in range(mode.size):
        out[row] = mode[row] != 0 if outbound else mode[row] == COACH or notice[row]
    return out


@compiled
def refused(case: Case, said: F64, limits: Limits, now_s: int, available: Bool) -> I64:
    """Return (n,) what each candidate is refused for; `hold` never is."""
    out = np.zeros(case.mode.size, np.int64)
    for row in range(1, out.size):
        if case.barred[case.mode[row]]:
            out[row] = BARRED
        elif case.unready[case.action[row]]:
            out[row] = UNREADY
        if out[row] == ADMITTED:
            out[row] = _unwilling(case, row, said, limits)
        if out[row] == ADMITTED:
            out[row] = _unneeded(case, row, limits, available)
        if out[row] == ADMITTED and case.mode[row] == AUTOMATE:
            out[row] = _untrusted(case, row, said, limits, now_s)
        if out[row] == ADMITTED and case.contact[row]:
            out[row] = _unwelcome(case, row, said, limits, now_s)
    return out


@compiled
def _unwilling(case: Case, row: int, said: F64, limits: Limits) -> int:
    """Return what the customer has said against it."""
    automatic, contact, marketing = case.mode[row] == AUTOMATE, case.contact[row], said[MARKETING]
    if automatic and said[CONSENT] != _GRANTED:
        return NO_CONSENT
    if contact and said[UNSUBSCRIBED] != 0.0:
        return UNSUBSCRIBED_FROM
    if contact and (marketing == _REFUSED or (limits.opt_in and marketing != _GRANTED)):
        return NO_MARKETING
    if (contact or automatic) and said[COMPLAINTS] > 0.0:
        return COMPLAINT
    return ADMITTED


@compiled
def _unneeded(case: Case, row: int, limits: Limits, available: Bool) -> int:
    """Return whether its item is not to be had, or not needed; of what is not known (NaN), no comparison holds."""
    item, mode, x = case.item[row], case.mode[row], case.x[row]
    if 0 <= item < available.size and not available[item]:
        return GONE
    if mode in (COACH, AUTOMATE) and x[_NEED] < limits.least_need and x[_ITEM_ORDERS] > 0.0:
        return SATISFIED
    return ADMITTED


@compiled
def _untrusted(case: Case, row: int, said: F64, limits: Limits, now_s: int) -> int:
    """Return what speaks against an order that the shop places itself."""
    x, units = case.x[row], case.x[row, _UNITS]
    if x[_PRICE_CHANGE] > limits.most_price_rise:
        return DEARER
    value = x[_PRICE] * (1.0 if np.isnan(units) else units)
    if value > own_or(said[MAX_VALUE], limits.max_order_value):
        return ABOVE
    if int(said[PLACED_30]) >= own_or(said[MAX_ORDERS], limits.max_orders):
        return TOO_MANY
    if case.shadow[row]:
        return UNSURE
    if said[WRONG_AT] > 0.0 and now_s - said[WRONG_AT] < limits.quiet_after_wrong_s:
        return WRONG_LATELY
    return ADMITTED


@compiled
def _unwelcome(case: Case, row: int, said: F64, limits: Limits, now_s: int) -> int:
    """Return whether the customer has heard enough of late, or sent this mode away."""
    if int(said[CONTACTS_7]) >= limits.most_contacts:
        return CAPPED
    own = len(SAID) + case.mode[row]
    fading, last = said[own], said[own + _MODES]
    if last > 0.0 and now_s - last <= limits.quiet_s and fading >= limits.dismissals - 0.5:
        return TIRED
    return ADMITTED


@compiled
def own_or(own: float, workspace: float) -> float:
    """Return the customer's own limit where they have one, else the workspace's."""
    return own if math.isfinite(own) and own >= 0.0 else workspace
