"""The law: what replay sees of any moment is what serving saw, to the bit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.journey import DAY, HOUR
from cxreco.recognise.layout import TICK, Kind
from cxreco.recognise.replay import END_OF_TIME, MOMENT, empty_ticks, latest_states, moments_of, replay, sort_ticks
from cxreco.recognise.state import State

START = 500 * DAY

events = st.lists(
    st.tuples(
        st.integers(0, 2),  # customer
        st.integers(0, 12),  # hour, so that many tie
        st.sampled_from(list(Kind)),
        st.integers(-1, 6),  # item
        st.integers(-1, 4),  # mode
        st.integers(1, 5),  # decision
        st.integers(1, 3),  # ticks of the event
    ),
    max_size=40,
)
asked = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 13), st.integers(-1, 40)), max_size=12)


def arrivals(rows):
    """Ticks in order of arrival: the sequence is the row, so that early hours late in the list are late arrivals."""
    ticks = []
    for seq, (customer, hour, kind, item, mode, ref, size) in enumerate(rows):
        for k in range(size):
            tick = np.zeros((), TICK)
            tick["customer"], tick["at"], tick["seq"], tick["kind"] = customer, START + hour * 37 * HOUR, seq, kind
            tick["item"], tick["category"], tick["mode"], tick["ref"] = item, (item + k) % 3, mode, ref
            tick["until"], tick["flag"], tick["channel"] = tick["at"] + 50 * HOUR, seq % 2, seq % 3
            tick["quantity"], tick["price"], tick["value"], tick["margin"] = 1 + k, 2.5, 9.0 / (1 + seq), np.nan
            ticks.append(tick)
    return np.array(ticks, TICK) if ticks else empty_ticks()


def served(log, at, cut):
    """Fold arrivals one event at a time, as a server does; a late one folds what has arrived anew."""
    state, known = State.empty(), log[:0]
    for seq in np.unique(log["seq"]):
        event = log[log["seq"] == seq]
        if seq > cut or event["at"][0] > at:
            continue
        known = np.concatenate((known, event))
        if state.is_late(int(event["at"][0]), int(seq)):
            state = State.empty()
            state.fold(sort_ticks(known))
        else:
            state.fold(event)
    return state


@settings(max_examples=150, deadline=None)
@given(events, asked)
def test_replay_is_serving_to_the_bit(rows, moments):
    log = arrivals(rows)
    table = np.array([(who, START + hour * 37 * HOUR, cut) for who, hour, cut in moments], MOMENT)
    seen = []
    for index, state in replay(sort_ticks(log), table):
        who, at, cut = table[index].tolist()
        assert state.equals(served(log[log["customer"] == who], at, cut))
        seen.append(index)
    assert sorted(seen) == list(range(len(moments)))


@settings(max_examples=50, deadline=None)
@given(events)
def test_the_latest_states_are_those_at_the_end(rows):
    log = arrivals(rows)
    states = latest_states(sort_ticks(log))
    assert set(states) == set(log["customer"].tolist())
    for who, state in states.items():
        assert state.equals(served(log[log["customer"] == who], END_OF_TIME, END_OF_TIME))


def test_a_customer_nobody_saw_has_an_empty_state():
    moments = moments_of(np.array([5]), np.array([START]))
    assert moments["cut"][0] == END_OF_TIME
    ((index, state),) = replay(empty_ticks(), moments)
    assert index == 0
    assert state.equals(State.empty())
    assert latest_states(empty_ticks()) == {}


def test_a_late_event_is_unseen_at_the_old_cut_and_seen_at_the_new_one():
    rows = [(0, 1, Kind.VIEW, 1, -1, 1, 1), (0, 9, Kind.VIEW, 2, -1, 1, 1), (0, 5, Kind.VIEW, 3, -1, 1, 1)]
    log = sort_ticks(arrivals(rows))
    at = START + 9 * 37 * HOUR
    moments = moments_of(np.array([0, 0, 0]), np.array([at, at, at - 1]), np.array([1, 2, 2]))
    views = {index: state.item_slots["key"].tolist() for index, state in replay(log, moments)}
    assert views == {0: [1, 2], 1: [1, 3, 2], 2: [1, 3]}
