"""The one fold, `state' = fold(state, tick)`, compiled: serving folds a tick at a time, training replays the log.

The record arrays are changed in place and in order, each tick on its own, so that any split of a log into calls gives
the same bytes. Means and spreads of intervals are Welford's (Technometrics 1962); decayed sums are brought forward to
the tick before they are added to. What the fields mean is in `layout`; the rules that are not said there:

* What a tick does to the record of its item it does to the record of its category (0, unknown, has none).
* Several lines of one item (or category) in one order are one order of it: lines at the same second count together.
* What the shop ordered is there and was paid for, but is no habit of the customer's: it ends the wait for an item (or
  category), and counts in no number of orders, no interval and no mean, nor does it empty the cart.
* A visit starts with a view, search, add or checkout more than 30 minutes after the last of these.
* An unsubscribed channel stays so until marketing consent is granted anew.
* Slots are bounded. The one least recently touched goes first, the smaller key among equals; a bought one is kept as
  if touched `KEEP_BOUGHT_DAYS` later, so that window-shopping does not push out what is needed again.
* Contacts and automatic orders follow the rules of `contacts`.
"""

import numpy as np

from cxreco.compiled import compiled
from cxreco.journey import AUTOMATE
from cxreco.recognise.contacts import Records, follow, reserve, seconds_of, see
from cxreco.recognise.layout import CATEGORY, CATEGORY_SLOTS, CONTACT_SLOTS, ITEM_SLOTS, SLOT, Kind, Purpose
from cxreco.recognise.marks import mark

KEEP_BOUGHT_DAYS = 180

_DAY = 86_400.0
_VISIT_GAP = 1_800
_EVERY_CHANNEL = 65_535
_BOUGHT_BONUS = KEEP_BOUGHT_DAYS * 86_400


def _fresh(dtype: np.dtype[np.void]) -> Records:
    fresh = np.zeros(1, dtype)
    for name in ("gap_mean", "quantity_mean", "last_quantity", "last_price"):
        fresh[name] = np.nan
    return fresh


_FRESH_ITEM, _FRESH_CATEGORY = _fresh(SLOT), _fresh(CATEGORY)


@compiled
def fold(
    head: Records, items: Records, categories: Records, contacts: Records, ticks: Records, start: int, cut: int, at: int
) -> int:
    """Fold ticks[start:] in order, in place, up to an instant.

    Parameters
    ----------
    head, items, categories, contacts
        (1,) HEAD, SLOT, CATEGORY and CONTACT arrays; how much of them is used is in the head.
    ticks
        (n,) TICK of one customer, by (at, seq).
    start
        The first tick to look at.
    cut, at
        Ticks with a larger `seq` had not arrived and are passed over; the first one later than `at` (us) ends it.

    Returns
    -------
    int
        The first tick not looked at: n, or one later than `at`, or one for which an array must grow first.
    """
    h = head[0]
    for i in range(start, ticks.size):
        tick = ticks[i]
        if tick["at"] > at:
            return i
        if tick["seq"] > cut:
            continue
        if (
            h["items"] == items.size < ITEM_SLOTS
            or h["categories"] == categories.size < CATEGORY_SLOTS
            or h["contacts"] == contacts.size < CONTACT_SLOTS
        ):
            return i
        _take(h, items, categories, contacts, tick)
    return int(ticks.size)


@compiled
def _take(h: np.void, items: Records, categories: Records, contacts: Records, tick: np.void) -> None:
    kind, now = tick["kind"], seconds_of(tick["at"])
    _bring_head_forward(h, now)
    if h["first_at"] == 0 and kind != Kind.DECIDED:
        h["first_at"] = now
    if kind <= Kind.CHECKOUT:
        _browse(h, tick, now)
    elif kind == Kind.ORDER:
        _spend(h, tick)
        if tick["mode"] != AUTOMATE:
            _order(h, tick, now)
            _empty_cart(items, h["items"])
            _empty_cart(categories, h["categories"])
    elif Kind.CANCELLED <= kind <= Kind.RETURNED:
        h["returned_180"] += 1.0
    elif Kind.DECIDED <= kind <= Kind.DISMISSED:
        _experience(h, contacts, tick, now)
    elif Kind.SURVEY <= kind <= Kind.REFERRAL:
        _voice(h, tick, now)
    elif kind == Kind.CONSENT:
        _consent(h, tick)
    right, wrong = follow(h, contacts, tick, now)
    h["items"] = _note(items, _FRESH_ITEM, (h["items"], tick["item"]), tick, now, right, wrong)
    category = tick["category"] if tick["category"] > 0 else -1
    h["categories"] = _note(categories, _FRESH_CATEGORY, (h["categories"], category), tick, now, right, wrong)
    if category > 0:
        mark(categories, h["categories"], tick, now)
    h["last_at"] = tick["at"]
    h["last_seq"] = tick["seq"]


@compiled
def _mean(mean: float, value: float, n: int) -> float:
    """Return the mean of n values after the n-th; a NaN is passed over, the first known value starts it."""
    if np.isnan(value):
        return mean
    if np.isnan(mean) or n <= 1:
        return value
    return mean + (value - mean) / n


@compiled
def _interval(record: np.void, days: float, n: int) -> None:
    """Take the n-th interval into gap_mean and gap_m2."""
    if n == 1:
        record["gap_mean"] = days
        record["gap_m2"] = 0.0
        return
    before = days - record["gap_mean"]
    record["gap_mean"] += before / n
    record["gap_m2"] += before * (days - record["gap_mean"])


@compiled
def _bring_head_forward(h: np.void, now: int) -> None:
    if now <= h["decayed_at"]:
        return
    days = (now - h["decayed_at"]) / _DAY
    by_180, by_7 = np.exp2(-days / 180.0), np.exp2(-days / 7.0)
    by_60 = by_180 * by_180 * by_180
    by_30 = by_60 * by_60
    h["orders_30"] *= by_30
    h["spend_30"] *= by_30
    h["visits_30"] *= by_30
    h["orders_180"] *= by_180
    h["spend_180"] *= by_180
    h["returned_180"] *= by_180
    h["complaints_180"] *= by_180
    h["views_7"] *= by_7
    h["searches_7"] *= by_7
    h["adds_7"] *= by_7
    shown, accepted, dismissed = h["shown_60"], h["accepted_60"], h["dismissed_60"]
    for mode in range(shown.size):
        shown[mode] *= by_60
        accepted[mode] *= by_60
        dismissed[mode] *= by_60
    h["decayed_at"] = now


@compiled
def _browse(h: np.void, tick: np.void, now: int) -> None:
    kind = tick["kind"]
    if kind == Kind.REMOVE:
        return
    if h["last_visit_at"] == 0 or now > h["last_visit_at"] + _VISIT_GAP:
        h["visits_30"] += 1.0
    h["last_visit_at"] = now
    if kind == Kind.SEARCH:
        h["searches_7"] += 1.0
        h["last_search_at"] = now
    elif kind == Kind.VIEW:
        h["views_7"] += 1.0
    elif kind == Kind.ADD:
        h["adds_7"] += 1.0


@compiled
def _order(h: np.void, tick: np.void, now: int) -> None:
    n = h["orders"] + 1
    if n > 1:
        _interval(h, (now - h["last_order_at"]) / _DAY, n - 1)
    h["value_mean"] = _mean(h["value_mean"], tick["value"], n)
    h["margin_mean"] = _mean(h["margin_mean"], tick["margin"], n)
    h["lines_mean"] = _mean(h["lines_mean"], tick["quantity"], n)
    h["price_mean"] = _mean(h["price_mean"], tick["price"], n)
    h["orders"] = n
    h["last_order_at"] = now


@compiled
def _spend(h: np.void, tick: np.void) -> None:
    h["orders_30"] += 1.0
    h["orders_180"] += 1.0
    if not np.isnan(tick["value"]):
        h["spend_30"] += tick["value"]
        h["spend_180"] += tick["value"]


@compiled
def _empty_cart(slots: Records, used: int) -> None:
    for i in range(used):
        slots[i]["cart"] = 0.0


@compiled
def _experience(h: np.void, contacts: Records, tick: np.void, now: int) -> None:
    kind, mode = tick["kind"], tick["mode"]
    if kind == Kind.DECIDED:
        if tick["flag"] == 1:
            reserve(h, contacts, tick, now, 0)
        return
    see(h, contacts, tick)
    if mode < 0 or mode >= h["shown_60"].size:
        return
    if kind == Kind.SHOWN:
        h["shown_60"][mode] += 1.0
        h["last_shown_at"][mode] = now
    elif kind == Kind.ACCEPTED:
        h["accepted_60"][mode] += 1.0
    else:
        h["dismissed_60"][mode] += 1.0
        h["last_dismissed_at"][mode] = now


@compiled
def _voice(h: np.void, tick: np.void, now: int) -> None:
    kind = tick["kind"]
    known = not np.isnan(tick["value"])
    if kind == Kind.SURVEY and known and 0 <= tick["flag"] < h["survey"].size:
        h["survey"][tick["flag"]] = tick["value"]
        h["survey_at"][tick["flag"]] = now
    elif kind == Kind.REVIEW and known:
        h["ratings"] += 1
        h["rating_mean"] = _mean(h["rating_mean"], tick["value"], h["ratings"])
    elif kind == Kind.COMPLAINT:
        h["complaints_open"] = min(h["complaints_open"] + 1, 32_767)
        h["complaints_180"] += 1.0
        h["last_complaint_at"] = now
    elif kind == Kind.RESOLVED:
        h["complaints_open"] = max(h["complaints_open"] - 1, 0)
    elif kind == Kind.UNSUBSCRIBED:
        h["unsubscribed"] |= _EVERY_CHANNEL if tick["flag"] == 1 else 1 << tick["channel"]
    elif kind == Kind.REFERRAL:
        h["referrals"] += 1.0


@compiled
def _consent(h: np.void, tick: np.void) -> None:
    granted = tick["flag"] == 1
    if tick["channel"] == Purpose.AUTOMATIC_EXECUTION:
        h["consent_auto"] = 1 if granted else 2
        h["auto_max_value"] = tick["value"] if granted else np.nan
        h["auto_max_orders"] = tick["until"] if granted and tick["until"] >= 0 else np.nan
    elif tick["channel"] == Purpose.MARKETING:
        h["consent_marketing"] = 1 if granted else 2
        if granted:
            h["unsubscribed"] = 0


@compiled
def _note(
    slots: Records, fresh: Records, where: tuple[int, int], tick: np.void, now: int, right: float, wrong: float
) -> int:
    """Note a tick in the record of its item or category; return how many records are in use.

    `fresh` is what a new record looks like, `where` how many are in use, and the key (-1: none).
    """
    used, key = where
    kind = tick["kind"]
    makes = kind in (Kind.VIEW, Kind.ADD, Kind.ORDER_LINE, Kind.CANCELLED, Kind.RETURNED, Kind.ACCEPTED)
    makes = makes or right != 0.0 or wrong != 0.0
    if key < 0 or not (makes or kind in (Kind.REMOVE, Kind.DISMISSED)):
        return used
    i = 0
    while i < used and slots[i]["key"] != key:
        i += 1
    if i == used:
        if not makes:
            return used
        if used == slots.size:
            i = _given_up(slots)
        else:
            used += 1
        slots[i] = fresh[0]
        slots[i]["key"] = key
    s = slots[i]
    _bring_slot_forward(s, now)
    _note_in(s, tick, now)
    s["auto_right"] = max(s["auto_right"] + right, 0.0)
    s["auto_wrong"] += wrong
    return used


@compiled
def _given_up(slots: Records) -> int:
    """Return the slot to give up: least recently touched, a bought one later; the smaller key among equals."""
    worst, lowest = 0, np.int64(0)
    for i in range(slots.size):
        s = slots[i]
        rank = np.int64(s["touched_at"]) + (_BOUGHT_BONUS if s["orders"] > 0 else 0)
        if i == 0 or rank < lowest or (rank == lowest and s["key"] < slots[worst]["key"]):
            worst, lowest = i, rank
    return worst


@compiled
def _bring_slot_forward(s: np.void, now: int) -> None:
    if now > s["decayed_at"]:
        days = (now - s["decayed_at"]) / _DAY
        by_180 = np.exp2(-days / 180.0)
        by_60 = by_180 * by_180 * by_180
        s["bought_180"] *= by_180
        s["bought_30"] *= by_60 * by_60
        s["accepted_60"] *= by_60
        s["dismissed_60"] *= by_60
        if s["viewed_7"] > 0.0:
            s["viewed_7"] *= np.exp2(-days / 7.0)
        s["decayed_at"] = now
    s["touched_at"] = now


@compiled
def _note_in(s: np.void, tick: np.void, now: int) -> None:
    kind = tick["kind"]
    if kind == Kind.VIEW:
        s["viewed_7"] += 1.0
        s["viewed_at"] = now
    elif kind == Kind.ADD:
        s["cart"] += 1.0 if np.isnan(tick["quantity"]) else tick["quantity"]
    elif kind == Kind.REMOVE:
        s["cart"] = 0.0 if np.isnan(tick["quantity"]) else max(0.0, s["cart"] - tick["quantity"])
    elif kind == Kind.ORDER_LINE:
        if tick["mode"] == AUTOMATE:
            _receive(s, tick, now)
        else:
            _buy(s, tick, now)
        if not np.isnan(tick["price"]):
            s["last_price"] = tick["price"]
        s["cart"] = 0.0
    elif Kind.CANCELLED <= kind <= Kind.RETURNED:
        s["returned"] += 1.0
    elif kind == Kind.ACCEPTED:
        s["accepted_60"] += 1.0
    elif kind == Kind.DISMISSED:
        s["dismissed_60"] += 1.0


@compiled
def _units(tick: np.void) -> float:
    return 1.0 if np.isnan(tick["quantity"]) else float(tick["quantity"])


@compiled
def _buy(s: np.void, tick: np.void, now: int) -> None:
    quantity = _units(tick)
    n = s["orders"] + 1
    if n > 1 and s["last_at"] == now:
        s["last_quantity"] += quantity
        s["quantity_mean"] += quantity / s["orders"]
        return
    if n > 1:
        _interval(s, (now - s["last_at"]) / _DAY, n - 1)
    else:
        s["first_at"] = now
    s["quantity_mean"] = _mean(s["quantity_mean"], quantity, n)
    s["orders"] = n
    _get(s, quantity, now)


@compiled
def _receive(s: np.void, tick: np.void, now: int) -> None:
    """Take what the shop ordered: nothing of the customer's own rhythm."""
    if s["last_at"] == now:
        s["last_quantity"] += _units(tick)
    else:
        _get(s, _units(tick), now)


@compiled
def _get(s: np.void, quantity: float, now: int) -> None:
    s["last_quantity"] = quantity
    s["bought_30"] += 1.0
    s["bought_180"] += 1.0
    s["last_at"] = now
