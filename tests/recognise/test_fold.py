"""The fold, field by field, against what the words in it say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreco.journey import AUTOMATE, COACH, DAY, MICROS
from cxreco.recognise import reading
from cxreco.recognise.layout import CATEGORY_SLOTS, CONTACT_SLOTS, ITEM_SLOTS, TICK, Channel, Kind, Purpose
from cxreco.recognise.state import State

START = 1_000 * DAY
AUTOMATE, COACH = AUTOMATE, COACH
NAMES = tuple(TICK.names or ())
BLANK = {
    "customer": 0, "ref": 0, "until": 0, "mode": -1, "channel": 0, "flag": 0, "item": -1, "category": 0,
    "quantity": math.nan, "price": math.nan, "value": math.nan, "margin": math.nan,
}  # fmt: skip


def log(*rows):
    """Ticks of (kind, days, fields) in order of arrival."""
    made = [
        {**BLANK, "kind": kind, "at": START + round(days * DAY), "seq": seq, **more}
        for seq, (kind, days, more) in enumerate(rows)
    ]
    return np.array([tuple(row[name] for name in NAMES) for row in made], TICK)


def fold(*rows):
    state = State.empty()
    state.fold(log(*rows))
    return state


def order(days, *items, value=10.0, **more):
    lines = [(Kind.ORDER_LINE, days, {"item": i, "category": 1 + i % 2, "quantity": 1.0, "price": 5.0}) for i in items]
    return [*lines, (Kind.ORDER, days, {"value": value, "quantity": len(items), "margin": 2.0, **more})]


@given(st.lists(st.floats(0.001, 90.0), min_size=1, max_size=12))
def test_intervals_and_decayed_sums_are_those_of_the_dates(gaps):
    days = np.concatenate(([0.0], np.cumsum(gaps)))
    state = fold(*(row for day in days for row in order(day, 4)))
    for record, sum_30, sum_180 in (
        (state.slot(4), "bought_30", "bought_180"),
        (state.category_slot(1), "bought_30", "bought_180"),
        (state.head[0], "orders_30", "orders_180"),
    ):
        seconds = np.floor(np.array([START + round(day * DAY) for day in days]) / MICROS)
        expected = np.diff(seconds) / 86_400
        n = len(expected)
        assert record["orders"] == n + 1
        assert record["gap_mean"] == pytest.approx(expected.mean(), rel=1e-4)
        assert record["gap_m2"] == pytest.approx(expected.var() * n, rel=1e-3, abs=1e-4 * n * expected.max() ** 2)
        age = (seconds[-1] - seconds) / 86_400
        assert record[sum_30] == pytest.approx((2.0 ** (-age / 30)).sum(), rel=1e-4)
        assert record[sum_180] == pytest.approx((2.0 ** (-age / 180)).sum(), rel=1e-4)


def test_lines_of_one_order_are_one_order_of_the_item_and_of_the_category():
    first, again = order(0, 2, 2, 4), order(10, 2)
    state = fold(*first, *again)
    milk, category = state.slot(2), state.category_slot(1)
    assert (milk["orders"], milk["last_quantity"], milk["quantity_mean"]) == (2, 1.0, 1.5)
    assert (category["orders"], category["quantity_mean"], category["gap_mean"]) == (2, 2.0, 10.0)
    assert (state.head[0]["orders"], state.head[0]["lines_mean"]) == (2, 2.0)


def test_what_the_shop_ordered_ends_the_wait_and_is_no_habit():
    own = [*order(0, 2), *order(10, 2), *order(24, 2)]
    placed = [(kind, days, {**more, "mode": AUTOMATE, "ref": 9}) for kind, days, more in order(30, 2, 2)]
    before, after = fold(*own), fold(*own, (Kind.ADD, 29, {"item": 4, "category": 1}), *placed)
    for then, now in ((before.slot(2), after.slot(2)), (before.category_slot(1), after.category_slot(1))):
        for name in ("orders", "first_at", "gap_mean", "gap_m2", "quantity_mean"):
            assert now[name] == then[name]
        assert now["last_at"] - then["last_at"] == 6 * 86_400
        assert now["last_quantity"] == 2.0
        assert now["bought_30"] == pytest.approx(then["bought_30"] * 2 ** (-6 / 30) + 1.0)
    head = after.head[0]
    assert all(head[name] == before.head[0][name] for name in ("orders", "last_order_at", "gap_mean", "value_mean"))
    assert head["spend_30"] == pytest.approx(before.head[0]["spend_30"] * 2 ** (-6 / 30) + 10.0)
    assert after.slot(4)["cart"] == 1.0
    # The next wait begins with what is there, and the first purchase of one's own is the first.
    after.fold(log(*order(42, 2)))
    assert (after.slot(2)["orders"], after.slot(2)["gap_mean"]) == (4, 12.0)
    assert fold(*placed, *order(42, 2)).slot(2)["orders"] == 1


def test_unknown_money_leaves_the_means_and_sums_alone():
    state = fold(*order(0, 1, value=math.nan), *order(1, 1, value=8.0), *order(2, 1, value=math.nan))
    head = state.head[0]
    assert head["value_mean"] == 8.0
    assert head["spend_180"] == pytest.approx(8.0 * 2 ** (-1 / 180))
    assert math.isnan(State.empty().head[0]["value_mean"])


def test_visits_are_half_an_hour_apart():
    minutes = [0, 10, 39, 80, 110, 141]
    state = fold(*((Kind.VIEW, m / 1440, {"item": 1}) for m in minutes))
    assert state.head[0]["visits_30"] == pytest.approx(3.0, rel=1e-2)
    assert state.slot(1)["viewed_7"] == pytest.approx(6.0, rel=2e-2)


def test_the_cart_fills_and_empties():
    state = fold(
        (Kind.ADD, 0, {"item": 1, "category": 1, "quantity": 3.0}),
        (Kind.ADD, 0, {"item": 2, "category": 1}),
        (Kind.REMOVE, 0, {"item": 1, "category": 1, "quantity": 2.0}),
        (Kind.REMOVE, 0, {"item": 9, "quantity": 2.0}),
    )
    assert state.slot(1)["cart"] == 1.0
    assert state.slot(2)["cart"] == 1.0
    assert state.category_slot(1)["cart"] == 2.0
    assert state.slot(9) is None
    state.fold(log((Kind.REMOVE, 1, {"item": 2, "category": 1}), *order(2, 7)))
    assert state.item_slots["cart"].sum() == state.category_slots["cart"].sum() == 0.0


def test_answers_move_the_mode_and_the_records():
    said = {"mode": COACH, "item": 1, "category": 1, "ref": 5}
    state = fold(
        (Kind.SHOWN, 0, said),
        (Kind.DISMISSED, 0, said),
        (Kind.ACCEPTED, 0, said),
        (Kind.DISMISSED, 0, said),
        (Kind.SHOWN, 0, {"mode": -1, "ref": 6}),
    )
    head, slot = state.head[0], state.slot(1)
    assert head["shown_60"].tolist() == [0, 0, 0, 1, 0]
    assert head["dismissed_60"][COACH] == 2.0
    assert head["last_dismissed_at"][COACH] == head["last_shown_at"][COACH] == START // MICROS
    assert (slot["accepted_60"], slot["dismissed_60"]) == (1.0, 1.0)


def decided(days, ref, *, channel=Channel.EMAIL, mode=COACH, keep=1.0, item=1):
    until = START + round((days + keep) * DAY)
    return (
        Kind.DECIDED, days, {"ref": ref, "flag": 1, "mode": mode, "channel": channel, "item": item, "until": until},
    )  # fmt: skip


def test_contacts_count_until_they_expire_unseen():
    state = fold(
        decided(0, 1), decided(0, 2), decided(0, 3, channel=Channel.PUSH), (Kind.SHOWN, 0.5, {"ref": 2, "mode": COACH}),
        (Kind.DECIDED, 0.6, {"ref": 4, "mode": 1}),
    )  # fmt: skip
    soon, later = START + DAY // 2, START + 2 * DAY
    assert reading.contacts_within(state, soon, 7) == 3
    assert reading.contacts_within(state, soon, 7, Channel.EMAIL) == 2
    assert reading.contacts_within(state, later, 7) == 1
    assert reading.contacts_within(state, later, 1) == 0
    assert state.head[0]["first_at"] == (START + DAY // 2) // MICROS  # to be decided about is not to act


def test_released_contacts_are_given_up_before_others():
    state = fold(*(decided(k / 100, 100 + k, keep=0.1 if k == 5 else 20) for k in range(CONTACT_SLOTS)))
    state.fold(log(decided(1, 7)))
    assert 105 not in state.contact_slots["ref"]
    state.fold(log(decided(2, 8)))
    assert 100 not in state.contact_slots["ref"]
    assert state.contact_slots.size == CONTACT_SLOTS


def trust_counts(state):
    return [
        (float(record["auto_right"]), float(record["auto_wrong"]))
        for record in (state.head[0], state.slot(1), state.category_slot(1))
        if record is not None
    ]


AUTO = {"mode": AUTOMATE, "item": 1, "category": 1, "ref": 9}


@pytest.mark.parametrize(
    ("kinds", "right", "wrong"),
    [
        ([Kind.AUTO_EXECUTED], 1, 0),
        ([Kind.AUTO_CONFIRMED, Kind.AUTO_EXECUTED, Kind.AUTO_EXECUTED], 1, 0),
        ([Kind.AUTO_CANCELLED], 0, 1),
        ([Kind.AUTO_CANCELLED, Kind.AUTO_EXECUTED], 0, 1),
        ([Kind.AUTO_EXECUTED, Kind.AUTO_UNDONE, Kind.CANCELLED, Kind.COMPLAINT], 0, 1),
        ([Kind.AUTO_EXECUTED, Kind.RETURNED, Kind.RETURNED], 0, 1),
        ([Kind.AUTO_EXECUTED, Kind.COMPLAINT], 0, 1),
        ([Kind.AUTO_EXPIRED], 0, 0),
    ],
)
@pytest.mark.parametrize("announced", [True, False])
def test_an_automatic_order_is_right_once_or_wrong_once(kinds, right, wrong, announced):
    known = [decided(0, 9, mode=AUTOMATE)] if announced else []
    state = fold(*known, *((kind, 0.1 + k / 10, AUTO) for k, kind in enumerate(kinds)))
    assert set(trust_counts(state)) == {(right, wrong)}
    assert (state.head[0]["last_wrong_at"] > 0) == bool(wrong)
    executed = Kind.AUTO_EXECUTED in kinds
    assert reading.executed_orders_within(state, START + DAY, 30) == int(executed)
    assert reading.executed_orders_within(state, START + 40 * DAY, 30) == 0
    assert reading.open_automatic_orders(state, START + DAY - 1) == 0
    unseen = kinds == [Kind.AUTO_EXPIRED]
    assert reading.contacts_within(state, START + DAY // 2, 7) == int(announced and not unseen)


def test_an_announced_order_is_open_until_it_expires():
    state = fold(decided(0, 9, mode=AUTOMATE))
    assert reading.open_automatic_orders(state, START + DAY // 2) == 1
    assert reading.open_automatic_orders(state, START + 2 * DAY) == 0


def test_a_plain_return_is_a_return_and_no_wrong_order():
    state = fold((Kind.RETURNED, 0, {"item": 1, "category": 1}), (Kind.CANCELLED, 0, {}))
    assert state.head[0]["returned_180"] == 2.0
    assert state.slot(1)["returned"] == state.category_slot(1)["returned"] == 1.0
    assert set(trust_counts(state)) == {(0.0, 0.0)}


def test_voices_are_heard():
    state = fold(
        (Kind.SURVEY, 0, {"flag": 0, "value": 9.0}),
        (Kind.SURVEY, 0, {"flag": 12, "value": 9.0}),
        (Kind.REVIEW, 0, {"value": 5.0}),
        (Kind.REVIEW, 0, {"value": 2.0}),
        (Kind.REVIEW, 0, {}),
        (Kind.RESOLVED, 0, {}),
        (Kind.COMPLAINT, 0, {}),
        (Kind.COMPLAINT, 0, {}),
        (Kind.RESOLVED, 0, {}),
        (Kind.REFERRAL, 0, {}),
    )
    head = state.head[0]
    assert reading.survey(state, "nps") == 9.0
    assert math.isnan(reading.survey(state, "ces"))
    assert (head["rating_mean"], head["ratings"]) == (3.5, 2)
    assert (head["complaints_open"], head["complaints_180"], head["referrals"]) == (1, 2.0, 1.0)
    assert reading.has_open_complaint(state)


def consent(days, purpose, granted, **more):
    return (Kind.CONSENT, days, {"channel": purpose, "flag": int(granted), "until": -1, **more})


def test_consent_and_unsubscribing():
    nobody = State.empty()
    assert not reading.consent_auto_in_force(nobody)
    assert reading.marketing_allowed(nobody, opt_in=False, channel=Channel.EMAIL)
    assert not reading.marketing_allowed(nobody, opt_in=True, channel=Channel.EMAIL)
    state = fold(
        consent(0, Purpose.MARKETING, True),
        (Kind.UNSUBSCRIBED, 1, {"channel": Channel.EMAIL}),
        consent(1, Purpose.AUTOMATIC_EXECUTION, True, value=50.0, until=3),
        consent(1, Purpose.OTHER, False),
    )
    assert reading.is_unsubscribed(state, Channel.EMAIL)
    assert not reading.marketing_allowed(state, opt_in=True, channel=Channel.EMAIL)
    assert reading.marketing_allowed(state, opt_in=True, channel=Channel.PUSH)
    assert reading.consent_auto_in_force(state)
    assert reading.auto_limits(state, max_order_value=200.0, max_orders_per_month=8) == (50.0, 3)
    state.fold(log(consent(2, Purpose.MARKETING, True), consent(2, Purpose.AUTOMATIC_EXECUTION, False)))
    assert not reading.is_unsubscribed(state, Channel.EMAIL)
    assert not reading.consent_auto_in_force(state)
    assert reading.auto_limits(state, max_order_value=200.0, max_orders_per_month=8) == (200.0, 8)
    state.fold(log((Kind.UNSUBSCRIBED, 3, {"flag": 1})))
    assert all(reading.is_unsubscribed(state, channel) for channel in Channel)
    state.fold(log(consent(4, Purpose.MARKETING, False)))
    assert not reading.marketing_allowed(state, opt_in=False, channel=Channel.PUSH)


def test_trust_starts_at_even_and_follows_the_record():
    state = fold(*((Kind.AUTO_EXECUTED, k, {**AUTO, "ref": k + 1}) for k in range(4)))
    assert reading.trust(State.empty().head[0]) == 0.5
    assert reading.trust(state.head[0]) == pytest.approx(5 / 6)
    assert reading.trust_in_category(state, 1) > reading.trust_in_category(state, 2) == reading.trust(state.head[0])


def test_slots_are_bounded_and_the_least_recently_touched_goes_first():
    views = [(Kind.VIEW, k, {"item": k, "category": 1 + k}) for k in range(ITEM_SLOTS)]
    state = fold(*order(0, 1_000), *views)
    assert state.item_slots.size == ITEM_SLOTS
    assert state.category_slots.size == CATEGORY_SLOTS
    assert state.slot(0) is None  # the first view went, the older purchase stayed
    assert state.slot(1_000) is not None
    assert state.slot(1) is not None
    state.fold(log(*((Kind.VIEW, 400, {"item": 5_000 + k}) for k in range(180))))
    assert state.slot(180) is None
    assert state.slot(1_000) is not None
    state.fold(log((Kind.VIEW, 400, {"item": 9_000})))
    assert state.slot(1_000) is None  # as if touched on day 180
    assert state.slot(181) is not None


def test_of_equals_the_smaller_key_goes():
    keys = [7, 3, 5, *range(100, 97 + ITEM_SLOTS)]
    state = fold(*((Kind.VIEW, 0, {"item": key}) for key in keys), (Kind.VIEW, 0, {"item": 50}))
    assert state.slot(3) is None
    assert state.slot(50) is not None


def test_a_log_without_dates_starts_at_the_first_second():
    ticks = log((Kind.VIEW, 0, {"item": 1}))
    ticks["at"] = 0
    state = State.empty()
    assert not state.is_late(0, 0)
    state.fold(ticks)
    assert state.slot(1)["viewed_at"] == state.head[0]["first_at"] == 1


def test_readers_of_time():
    assert reading.decayed(8.0, 30.0, 0, 30 * 86_400) == 4.0
    assert reading.decayed(8.0, 30.0, 100, 50) == 8.0
    assert reading.decayed(np.array([8.0, 2.0]), 1.0, np.array([0, 86_400]), 86_400).tolist() == [4.0, 2.0]
    assert reading.days_since(86_400, 3 * 86_400) == 2.0
    assert math.isnan(reading.days_since(0, 5))
    state = fold(*order(0, 2), *order(2, 2), *order(6, 2), *order(6.5, 3))
    deviations = reading.gap_sd(state.item_slots)
    assert deviations[0] == pytest.approx(math.sqrt(2.0))
    assert math.isnan(deviations[1])
