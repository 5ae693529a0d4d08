"""Who follows what: examples by kind, and the windows against a slow reference."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.errors import BadInput
from cxreco.journey import DAY, HOUR
from cxreco.recognise.codes import ref_of
from cxreco.recognise.layout import TICK, Kind
from cxreco.repeat.attribution import bought_after, check_sorted
from cxreco.repeat.origins import Judged
from cxreco.repeat.reward import outcomes_of
from cxreco.respond.worth import Worth

WORTH = Worth()
T0 = 100 * DAY
LATE = T0 + 100 * DAY


def tick(
    at, kind, *, seq=None, customer=0, ref=0, item=-1, quantity=1.0, price=np.nan, margin=np.nan, value=np.nan, flag=0
):
    row = np.zeros(1, dtype=TICK)
    row["at"], row["seq"], row["customer"], row["ref"] = at, at // HOUR if seq is None else seq, customer, ref
    row["kind"], row["item"], row["mode"], row["flag"] = kind, item, -1, flag
    row["quantity"], row["price"], row["margin"], row["value"] = quantity, price, margin, value
    return row


def order(at, *items, seq=None, customer=0, ref=0, price=10.0, margin=4.0):
    lines = [
        tick(at, Kind.ORDER_LINE, seq=seq, customer=customer, ref=ref, item=item, price=price, margin=margin)
        for item in items
    ]
    return np.concatenate([*lines, tick(at, Kind.ORDER, seq=seq, customer=customer, ref=ref, value=price * len(items))])


def decision(at, *, name="d0", cut=None, mode=0, surface="home", customer=0):
    return {
        "decision_id": name, "customer_id": f"c{customer}", "at": at, "seq": 0,
        "arrival_cut": at // HOUR if cut is None else cut, "arm": "champion", "policy_version": "1", "mode": mode,
        "action_id": "a", "item_id": "", "item": -1, "surface": surface, "channel": "onsite", "expires_at": 0,
        "propensity_mode": 1.0, "propensity_action": 1.0, "propensity": 1.0, "expected_value": 0.0, "chosen": 0,
        "n_admitted": 1,
    }  # fmt: skip


def judge(decisions, *ticks, as_of=LATE, worth=WORTH, **more):
    rows = np.concatenate(ticks) if ticks else np.zeros(0, dtype=TICK)
    rows = rows[np.lexsort((rows["seq"], rows["at"], rows["customer"]))]
    frame = pd.DataFrame(decisions)
    customer = frame["customer_id"].str[1:].astype("int64").to_numpy()
    return outcomes_of(frame, rows, customer=customer, worth=worth, as_of=as_of, **more)


def test_an_order_counts_for_every_decision_in_whose_window_it_falls_hold_included_whatever_it_names():
    found = judge(
        [decision(T0, name="a", mode=0), decision(T0 + DAY, name="b", mode=3), decision(T0 + 3 * DAY, name="c")],
        order(T0 + 2 * DAY, 1, 2, ref=ref_of("b")),
    ).frame
    assert list(found["ordered"]) == [1.0, 1.0, 0.0]
    assert list(found["margin"]) == [8.0, 8.0, 0.0]
    assert list(found["accepted"]) == [0.0, 1.0, 0.0]
    np.testing.assert_allclose(found["money"], [8.0, 8.0 - WORTH.contact, 0.0])


def test_the_window_is_half_open_and_excludes_what_had_arrived():
    ends = judge([decision(T0)], order(T0 + 3 * DAY, 1)).frame
    assert ends["ordered"][0] == 0.0
    tied = [order(T0, 1, seq=5), order(T0, 2, seq=6)]
    assert judge([decision(T0, cut=5)], *tied).frame["orders"][0] == 1.0
    late_arrival = judge([decision(T0, cut=5)], order(T0 - HOUR, 1, seq=9)).frame
    assert late_arrival["ordered"][0] == 0.0


def test_another_customers_order_does_not_count():
    assert judge([decision(T0)], order(T0 + DAY, 1, customer=1)).frame["ordered"][0] == 0.0


def test_a_return_is_charged_where_its_order_was_credited_and_not_elsewhere():
    found = judge(
        [decision(T0, name="a"), decision(T0 + 5 * DAY, name="b")],
        order(T0 + DAY, 1, 2),
        order(T0 + 6 * DAY, 2),
        tick(T0 + 8 * DAY, Kind.RETURNED, item=1),
    ).frame
    assert list(found["returned"]) == [1.0, 0.0]
    assert found["kept_margin"][0] == 4.0
    np.testing.assert_allclose(found["money"][0], 4.0 - 0.1 * 10.0 - 4.0)


def test_a_return_after_thirty_days_is_too_late():
    found = judge([decision(T0)], order(T0 + DAY, 1), tick(T0 + 30 * DAY, Kind.RETURNED, item=1))
    assert found.frame["returned"][0] == 0.0


def test_the_latest_order_of_the_item_is_charged_unless_an_order_or_decision_is_named():
    decisions = [decision(T0, name="a"), decision(T0 + 5 * DAY, name="b")]
    orders = np.concatenate([order(T0 + DAY, 1, ref=ref_of("a")), order(T0 + 6 * DAY, 1)])
    back = tick(T0 + 9 * DAY, Kind.RETURNED, item=1)
    assert list(judge(decisions, orders, back).frame["returned"]) == [0.0, 1.0]
    named = tick(T0 + 9 * DAY, Kind.RETURNED, item=1, ref=ref_of("a"))
    assert list(judge(decisions, orders, named).frame["returned"]) == [1.0, 0.0]
    ids = np.array([7, 7, 8, 8, 7], dtype=np.uint64)
    assert list(judge(decisions, orders, back, order=ids).frame["returned"]) == [1.0, 0.0]


def test_a_line_gives_back_what_it_sold_once():
    found = judge(
        [decision(T0)],
        order(T0 + DAY, 1),
        tick(T0 + 2 * DAY, Kind.RETURNED, item=1, quantity=3.0),
        tick(T0 + 3 * DAY, Kind.CANCELLED, item=1),
    ).frame
    assert found["kept_margin"][0] == 0.0
    assert found["returned_price"][0] == 10.0


def test_the_return_of_a_whole_order_takes_back_all_its_lines():
    found = judge([decision(T0)], order(T0 + DAY, 1, 2, 3), tick(T0 + 4 * DAY, Kind.RETURNED, item=-1, quantity=np.nan))
    assert found.frame["kept_margin"][0] == 0.0
    assert found.frame["returned_price"][0] == 30.0


def test_a_return_of_goods_nobody_saw_bought_is_counted_as_untraced():
    found = judge([decision(T0)], tick(T0 + DAY, Kind.RETURNED, item=9))
    assert (found.untraced, found.frame["returned"][0]) == (1, 0.0)


def test_complaints_and_surveys_stem_from_the_order_or_from_their_own_instant():
    decisions = [decision(T0, name="a"), decision(T0 + 9 * DAY, name="b")]
    after_order = judge(decisions, order(T0 + DAY, 1), tick(T0 + 10 * DAY, Kind.COMPLAINT)).frame
    assert list(after_order["complained"]) == [1.0, 0.0]
    alone = judge(decisions, tick(T0 + 10 * DAY, Kind.COMPLAINT)).frame
    assert list(alone["complained"]) == [0.0, 1.0]
    named = judge(decisions, tick(T0 + 10 * DAY, Kind.COMPLAINT, ref=ref_of("a"))).frame
    assert list(named["complained"]) == [1.0, 0.0]
    for flag, score, pleased in [(0, 9, 1.0), (0, 8, 0.0), (1, 4, 1.0), (2, 5, 0.0)]:
        told = judge(decisions, order(T0 + DAY, 1), tick(T0 + 5 * DAY, Kind.SURVEY, flag=flag, value=score)).frame
        assert (told["surveyed"][0], told["satisfied"][0]) == (1.0, pleased)


def test_a_wrong_automatic_order_is_laid_at_its_own_decision_only():
    decisions = [decision(T0, name="a", mode=4), decision(T0 + HOUR, name="b", mode=2)]
    undone = judge(decisions, tick(T0 + DAY, Kind.AUTO_UNDONE, ref=ref_of("a"))).frame
    assert list(undone["wrong_auto"]) == [1.0, 0.0]
    returned = judge(decisions, order(T0 + DAY, 1, ref=ref_of("a")), tick(T0 + 4 * DAY, Kind.RETURNED, item=1)).frame
    assert list(returned["wrong_auto"]) == [1.0, 0.0]
    assert list(returned["returned"]) == [1.0, 1.0]


def test_events_that_name_an_unknown_decision_are_counted():
    found = judge(
        [decision(T0)],
        tick(T0 + DAY, Kind.DISMISSED, ref=ref_of("nobody")),
        tick(T0 + DAY, Kind.DISMISSED, ref=ref_of("d0"), seq=9999),
    )
    assert (found.orphans, found.frame["dismissed"][0]) == (1, 1.0)


def test_unsorted_ticks_are_refused():
    with pytest.raises(BadInput, match="sorted"):
        check_sorted(np.concatenate([tick(T0, Kind.ORDER), tick(T0 - 1, Kind.ORDER)]))


@settings(max_examples=60, deadline=None)
@given(
    orders=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 20)), max_size=12),
    moments=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 20)), min_size=1, max_size=6),
    window=st.integers(1, 6),
)
def test_windows_agree_with_counting_one_by_one(orders, moments, window):
    rows = [tick(at, Kind.ORDER, seq=seq, customer=customer) for customer, at, seq in sorted(orders)]
    ticks = np.concatenate(rows) if rows else np.zeros(0, dtype=TICK)
    customer, at, cut = (np.array(column, dtype=np.int64) for column in zip(*moments, strict=True))
    judged = Judged(customer=customer, at=at, cut=cut, ref=np.zeros(at.size, dtype=np.uint64))
    got = bought_after(ticks, judged, window=window, margin_share=0.3).orders
    slow = [
        sum(c == who and (when > a or (when == a and s > seen)) and when < a + window for c, when, s in orders)
        for who, a, seen in moments
    ]
    np.testing.assert_array_equal(got, slow)
