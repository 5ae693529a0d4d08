"""What a customer's state is made of, field by field, and the ticks that it is folded from.

Times inside a state are unsigned seconds since 1970 (0: never); a tick carries microseconds. Decayed sums are kept as
of `decayed_at` of their record and are brought forward when read or added to; half-lives are in the field's name, in
days.
"""

from enum import IntEnum

import numpy as np

FOLD_VERSION = 3

ITEM_SLOTS = 192
CATEGORY_SLOTS = 48
CONTACT_SLOTS = 24
SURVEYS = ("nps", "csat", "ces")
# The latest days on which something was bought or looked at in a category, at most so many.
MARKS = 6


class Kind(IntEnum):
    """What a tick says happened. An event becomes one tick, an order one per line and one for the whole."""

    SEARCH = 0
    VIEW = 1
    ADD = 2
    REMOVE = 3
    CHECKOUT = 4
    ORDER_LINE = 5
    ORDER = 6
    CANCELLED = 7
    RETURNED = 8
    DELIVERED = 9
    DECIDED = 10
    SHOWN = 11
    ACCEPTED = 12
    DISMISSED = 13
    SURVEY = 14
    REVIEW = 15
    COMPLAINT = 16
    RESOLVED = 17
    UNSUBSCRIBED = 18
    REFERRAL = 19
    AUTO_CONFIRMED = 20
    AUTO_CANCELLED = 21
    AUTO_EXPIRED = 22
    AUTO_EXECUTED = 23
    AUTO_UNDONE = 24
    CONSENT = 25
    OTHER = 26


class Channel(IntEnum):
    """Where a contact is made; unknown names count as OTHER."""

    ONSITE = 0
    EMAIL = 1
    PUSH = 2
    SMS = 3
    OTHER = 4


class Purpose(IntEnum):
    """What consent is given for; other purposes are kept in the log and not folded."""

    AUTOMATIC_EXECUTION = 0
    MARKETING = 1
    OTHER = 2


class Mark(IntEnum):
    """What a day was to a customer's stock of a category; of several the purchase counts, then the shop's order."""

    LOOKED = 0
    BOUGHT = 1
    PLACED = 2


# One tick. `value`: order total, survey score, rating, spend limit of a consent (NaN: none), by kind.
# `flag`: bought item 0 of an accepted decision, granted (1) or refused (0), survey instrument, rung of an order, by
# kind. `ref`: the decision it names (hash of its id; 0: none). `until`: expiry of a contact; orders a month for a
# consent. `mode`: of the decision it names (-1: none or unknown).
TICK = np.dtype(
    [
        ("at", "<i8"),
        ("seq", "<i8"),
        ("customer", "<i8"),
        ("ref", "<u8"),
        ("until", "<i8"),
        ("kind", "<i2"),
        ("mode", "<i2"),
        ("channel", "<i2"),
        ("flag", "<i2"),
        ("item", "<i4"),
        ("category", "<i4"),
        ("quantity", "<f4"),
        ("price", "<f4"),
        ("value", "<f4"),
        ("margin", "<f4"),
    ]
)

# What is known of the customer and one item, or the customer and one category: the same record for both.
SLOT = np.dtype(
    [
        ("key", "<i4"),
        ("orders", "<u4"),
        ("first_at", "<u4"),
        ("last_at", "<u4"),
        ("decayed_at", "<u4"),
        ("touched_at", "<u4"),
        ("viewed_at", "<u4"),
        ("gap_mean", "<f4"),
        ("gap_m2", "<f4"),
        ("quantity_mean", "<f4"),
        ("last_quantity", "<f4"),
        ("last_price", "<f4"),
        ("bought_30", "<f4"),
        ("bought_180", "<f4"),
        ("viewed_7", "<f4"),
        ("cart", "<f4"),
        ("returned", "<f4"),
        ("accepted_60", "<f4"),
        ("dismissed_60", "<f4"),
        ("auto_right", "<f4"),
        ("auto_wrong", "<f4"),
    ]
)

# Of a category besides: the days of its marks since 1970, ascending, their kinds (two bits each, the oldest lowest),
# and how many there are.
CATEGORY = np.dtype([("mark_days", "<u2", (MARKS,)), ("mark_kinds", "<u2"), ("marks", "<u2"), *SLOT.descr])

# A contact (coaching or a notice anywhere, anything but hold on `outbound`), reserved when decided.
CONTACT = np.dtype(
    [
        ("ref", "<u8"),
        ("at", "<u4"),
        ("until", "<u4"),
        ("item", "<i4"),
        ("channel", "<i2"),
        ("mode", "i1"),
        ("shown", "i1"),
    ]
)

HEAD = np.dtype(
    [
        ("last_at", "<i8"),
        ("last_seq", "<i8"),
        ("first_at", "<u4"),
        ("items", "<i4"),
        ("categories", "<i4"),
        ("contacts", "<i4"),
        ("decayed_at", "<u4"),
        ("orders", "<u4"),
        ("last_order_at", "<u4"),
        ("gap_mean", "<f4"),
        ("gap_m2", "<f4"),
        ("value_mean", "<f4"),
        ("margin_mean", "<f4"),
        ("lines_mean", "<f4"),
        ("price_mean", "<f4"),
        ("orders_30", "<f4"),
        ("orders_180", "<f4"),
        ("spend_30", "<f4"),
        ("spend_180", "<f4"),
        ("views_7", "<f4"),
        ("searches_7", "<f4"),
        ("adds_7", "<f4"),
        ("visits_30", "<f4"),
        ("last_visit_at", "<u4"),
        ("last_search_at", "<u4"),
        ("shown_60", "<f4", (5,)),
        ("accepted_60", "<f4", (5,)),
        ("dismissed_60", "<f4", (5,)),
        ("returned_180", "<f4"),
        ("last_dismissed_at", "<u4", (5,)),
        ("last_shown_at", "<u4", (5,)),
        ("complaints_open", "<i2"),
        ("complaints_180", "<f4"),
        ("last_complaint_at", "<u4"),
        ("survey", "<f4", (3,)),
        ("survey_at", "<u4", (3,)),
        ("rating_mean", "<f4"),
        ("ratings", "<u4"),
        ("unsubscribed", "<u2"),
        ("consent_auto", "i1"),
        ("consent_marketing", "i1"),
        ("auto_max_value", "<f4"),
        ("auto_max_orders", "<f4"),
        ("auto_right", "<f4"),
        ("auto_wrong", "<f4"),
        ("last_wrong_at", "<u4"),
        ("referrals", "<f4"),
    ]
)
