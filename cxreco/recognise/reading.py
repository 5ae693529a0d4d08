"""What guardrails and features ask of a state: pure functions of it and an instant.

`at` is in microseconds, what a state holds in seconds; `None` and NaN stand for not known.
"""

from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cxreco.compiled import compiled
from cxreco.journey import AUTOMATE, MICROS
from cxreco.recognise.contacts import EXECUTED, NO_CONTACT, WRONG
from cxreco.recognise.layout import SURVEYS, Channel
from cxreco.recognise.state import State

_DAY_S = 86_400
_LATEST_S = 2**32 - 1
_GRANTED, _REFUSED = 1, 2


def seconds(at: int) -> int:
    """Return an instant as a state holds it: whole seconds from 1 on, 0 being never."""
    return max(1, min(at // MICROS, _LATEST_S))


@overload
def decayed(value: float, half_life_days: float, from_s: int, at_s: int) -> float: ...
@overload
def decayed(
    value: NDArray[np.floating], half_life_days: float, from_s: ArrayLike, at_s: int
) -> NDArray[np.float64]: ...
def decayed(
    value: float | NDArray[np.floating], half_life_days: float, from_s: ArrayLike, at_s: int
) -> float | NDArray[np.float64]:
    """Bring a decayed sum forward from `from_s` to `at_s` (seconds); never backward."""
    days = np.maximum(at_s - np.asarray(from_s, np.float64), 0.0) / _DAY_S
    brought = np.asarray(value, np.float64) * np.exp2(-days / half_life_days)
    return float(brought) if brought.ndim == 0 else brought


@overload
def days_since(then_s: int, at_s: int) -> float: ...
@overload
def days_since(then_s: NDArray[np.uint32], at_s: int) -> NDArray[np.float64]: ...
def days_since(then_s: int | NDArray[np.uint32], at_s: int) -> float | NDArray[np.float64]:
    """Return days from `then_s` to `at_s` (seconds); NaN where it never happened (0)."""
    then = np.asarray(then_s, np.float64)
    days = np.where(then > 0.0, (at_s - then) / _DAY_S, np.nan)
    return float(days) if days.ndim == 0 else days


def gap_sd(slots: NDArray[np.void]) -> NDArray[np.float64]:
    """Return the standard deviation (days) of the intervals of (n,) SLOT or HEAD records; NaN below two of them."""
    gaps = slots["orders"].astype(np.float64) - 1.0
    spread = slots["gap_m2"].astype(np.float64) / np.maximum(gaps - 1.0, 1.0)
    return np.where(gaps >= 2.0, np.sqrt(np.maximum(spread, 0.0)), np.nan)


def contacts_within(state: State, at: int, days: float, channel: Channel | int | None = None) -> int:
    """Count contacts of the last `days`, those still reserved included, those released not.

    A contact is released when it expired unshown. There is no upper end: asked of a later state than `at`, the contacts
    since count too, which is the stricter reading.
    """
    return int(count_contacts(state.contact_slots, seconds(at), days, -1 if channel is None else int(channel)))


@compiled
def count_contacts(contacts: NDArray[np.void], now_s: int, days: float, channel: int) -> int:
    """Return the same from the records of a state, for compiled callers; `channel` -1 is any."""
    count = 0
    for i in range(contacts.size):
        c = contacts[i]
        released = c.shown & NO_CONTACT != 0 or (c.shown == 0 and c.until < now_s)
        if c.at > now_s - days * _DAY_S and not released and (channel < 0 or c.channel == channel):
            count += 1
    return count


def executed_orders_within(state: State, at: int, days: float) -> int:
    """Count automatic orders executed in the last `days`, by the time of execution; undone ones too."""
    return int(count_executed(state.contact_slots, seconds(at), days))


@compiled
def count_executed(contacts: NDArray[np.void], now_s: int, days: float) -> int:
    """Return the same from the records of a state, for compiled callers."""
    count = 0
    for i in range(contacts.size):
        if contacts[i].shown & EXECUTED != 0 and contacts[i].until > now_s - days * _DAY_S:
            count += 1
    return count


def open_automatic_orders(state: State, at: int) -> int:
    """Count automatic orders that were announced and are neither executed, cancelled nor expired."""
    contacts = state.contact_slots
    waiting = (contacts["mode"] == AUTOMATE) & (contacts["shown"] & (EXECUTED | WRONG) == 0)
    return int(np.count_nonzero(waiting & (contacts["until"] >= seconds(at))))


def consent_auto_in_force(state: State) -> bool:
    """Return whether automatic execution is consented to; what was never said counts as refused."""
    return int(state.head[0]["consent_auto"]) == _GRANTED


def auto_limits(state: State, *, max_order_value: float, max_orders_per_month: float) -> tuple[float, float]:
    """Return the customer's limits of value an order and of orders a month; the given ones where consent named none."""
    head = state.head[0]
    value, orders = float(head["auto_max_value"]), float(head["auto_max_orders"])
    return (
        max_order_value if np.isnan(value) else value,
        max_orders_per_month if np.isnan(orders) else orders,
    )


def is_unsubscribed(state: State, channel: Channel | int) -> bool:
    """Return whether the customer unsubscribed from a channel, and has not granted marketing anew since."""
    return bool(int(state.head[0]["unsubscribed"]) >> int(channel) & 1)


def marketing_allowed(state: State, opt_in: bool, channel: Channel | int) -> bool:
    """Return whether the customer may be addressed on a channel; `opt_in` workspaces need a yes, others no no."""
    consent = int(state.head[0]["consent_marketing"])
    if consent == _REFUSED or is_unsubscribed(state, channel):
        return False
    return consent == _GRANTED or not opt_in


def trust(record: np.void, *, right: float = 1.0, wrong: float = 1.0) -> float:
    """Return the expected share of right automatic orders of a head or slot record, in (0, 1).

    The mean of a Beta posterior with `right` and `wrong` pseudo-orders before the first; 0.5 where nothing happened.
    """
    good, bad = float(record["auto_right"]) + right, float(record["auto_wrong"]) + wrong
    return good / (good + bad)


def trust_in_category(state: State, category: int) -> float:
    """Return `trust` in a category, starting from the customer's trust as a whole as two pseudo-orders."""
    overall = trust(state.head[0])
    record = state.category_slot(category)
    return overall if record is None else trust(record, right=2.0 * overall, wrong=2.0 * (1.0 - overall))


def survey(state: State, instrument: str) -> float:
    """Return the latest score of an instrument (`nps`, `csat`, `ces`); NaN where it was never answered."""
    return float(state.head[0]["survey"][SURVEYS.index(instrument)])


def has_open_complaint(state: State) -> bool:
    """Return whether a complaint waits for an answer."""
    return int(state.head[0]["complaints_open"]) > 0
