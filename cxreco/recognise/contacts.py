"""The contacts of a customer, and what became of the automatic orders among them: the fold's part that counts them.

A contact is reserved when decided, seen when shown (or answered), and released by its readers when it expired unseen.
Of an executed order, `until` is when it was executed. An order is right when executed and wrong at most once: cancelled
in notice, undone, returned, cancelled as an order, or complained about; what is wrong is no longer right, and what was
wrong before it was executed stays wrong. When all records are in use, those released or older than `CONTACT_DAYS` are
given up first, then the oldest, executed orders last.
"""

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import AUTOMATE
from cxreco.recognise.layout import Kind

# Bits of `shown`: 0 is reserved; NO_CONTACT marks the record of an order that was not announced.
SEEN, EXECUTED, WRONG, NO_CONTACT = 1, 2, 4, 8
CONTACT_DAYS = 31

_SPAN = CONTACT_DAYS * 86_400
_MICROS = 1_000_000
_LATEST = 4_294_967_295

Records = NDArray[np.void]


@compiled
def seconds_of(at: int) -> int:
    """Return an instant as a state holds it: whole seconds."""
    # 0 means never, so that an instant at or before 1970 (a log by sequence) is the first second.
    return max(1, min(at // _MICROS, _LATEST))


@compiled
def contact_of(h: np.void, contacts: Records, ref: int) -> int:
    """Return the place of the contact of a decision, -1 where there is none."""
    for i in range(h["contacts"]):
        if contacts[i]["ref"] == ref:
            return i
    return -1


@compiled
def see(h: np.void, contacts: Records, tick: np.void) -> None:
    """Note that the customer saw the decision that the tick names."""
    i = contact_of(h, contacts, tick["ref"])
    if i >= 0 and contacts[i]["shown"] == 0:
        contacts[i]["shown"] = SEEN


@compiled
def _rank_of(c: np.void, now: int) -> int:
    """Return 0 for a contact that no rule counts any more, 2 for an executed order, 1 for the others."""
    if c["at"] + _SPAN < now or (c["shown"] == 0 and c["until"] < now):
        return 0
    return 2 if c["shown"] & EXECUTED else 1


@compiled
def reserve(h: np.void, contacts: Records, tick: np.void, now: int, shown: int) -> None:
    """Enter a contact (or, with `shown`, an order that was not announced) where there is none of that decision yet."""
    if tick["ref"] == 0 or contact_of(h, contacts, tick["ref"]) >= 0:
        return
    i = h["contacts"]
    if i < contacts.size:
        h["contacts"] += 1
    else:
        i, lowest = 0, _rank_of(contacts[0], now)
        for j in range(1, contacts.size):
            rank = _rank_of(contacts[j], now)
            if rank < lowest or (rank == lowest and contacts[j]["at"] < contacts[i]["at"]):
                i, lowest = j, rank
    c = contacts[i]
    c["ref"] = tick["ref"]
    c["at"] = now
    c["until"] = seconds_of(tick["until"]) if shown == 0 else now
    c["item"] = tick["item"]
    c["channel"] = tick["channel"]
    c["mode"] = tick["mode"]
    c["shown"] = shown


@compiled
def follow(h: np.void, contacts: Records, tick: np.void, now: int) -> tuple[float, float]:
    """Follow an automatic order; return by how much the right ones and the wrong ones change."""
    kind = tick["kind"]
    right, wrong = 0.0, 0.0
    if Kind.AUTO_CONFIRMED <= kind <= Kind.AUTO_UNDONE and kind != Kind.AUTO_EXPIRED:
        see(h, contacts, tick)
    if kind == Kind.AUTO_EXECUTED:
        right = _execute(h, contacts, tick, now)
    elif kind == Kind.AUTO_EXPIRED:
        _close(h, contacts, tick, now)
    elif kind in (Kind.AUTO_CANCELLED, Kind.AUTO_UNDONE):
        _close(h, contacts, tick, now)
        right, wrong = _judge(h, contacts, tick, now)
    elif tick["mode"] == AUTOMATE and (Kind.CANCELLED <= kind <= Kind.RETURNED or kind == Kind.COMPLAINT):
        right, wrong = _judge(h, contacts, tick, now)
    h["auto_right"] = max(h["auto_right"] + right, 0.0)
    h["auto_wrong"] += wrong
    return right, wrong


@compiled
def _close(h: np.void, contacts: Records, tick: np.void, now: int) -> None:
    """End the wait for an order that will not be executed."""
    i = contact_of(h, contacts, tick["ref"])
    if i >= 0 and contacts[i]["shown"] & EXECUTED == 0:
        contacts[i]["until"] = min(contacts[i]["until"], now)


@compiled
def _execute(h: np.void, contacts: Records, tick: np.void, now: int) -> float:
    """Note an executed order in its contact, `until` becomes when; one without gets a record that is no contact."""
    i = contact_of(h, contacts, tick["ref"])
    if i < 0:
        reserve(h, contacts, tick, now, EXECUTED | NO_CONTACT)
        return 1.0
    c = contacts[i]
    if c["shown"] & EXECUTED:
        return 0.0
    c["shown"] = EXECUTED | (c["shown"] & (WRONG | NO_CONTACT))
    c["until"] = now
    return 0.0 if c["shown"] & WRONG else 1.0


@compiled
def _judge(h: np.void, contacts: Records, tick: np.void, now: int) -> tuple[float, float]:
    """Count an automatic order as wrong, once; an executed one had been counted as right."""
    i = contact_of(h, contacts, tick["ref"])
    executed = tick["kind"] != Kind.AUTO_CANCELLED
    if i >= 0:
        if contacts[i]["shown"] & WRONG:
            return 0.0, 0.0
        executed = contacts[i]["shown"] & EXECUTED != 0
        contacts[i]["shown"] |= WRONG
    else:
        reserve(h, contacts, tick, now, WRONG | NO_CONTACT)
    h["last_wrong_at"] = now
    return (-1.0 if executed else 0.0), 1.0
