"""A state comes back from its bytes, keeps to its bounds, and refuses what is not its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.errors import BadInput, StalePlaybook
from cxreco.journey import DAY
from cxreco.recognise.layout import CATEGORY_SLOTS, CONTACT, CONTACT_SLOTS, HEAD, ITEM_SLOTS, SLOT, TICK, Kind
from cxreco.recognise.state import State


def busy(seed, n, items=400):
    rng = np.random.default_rng(seed)
    ticks = np.zeros(n, TICK)
    ticks["at"] = np.sort(rng.integers(0, 900 * DAY, n))
    ticks["seq"] = np.arange(n)
    ticks["kind"] = rng.integers(0, len(Kind), n)
    ticks["mode"] = rng.integers(-1, 5, n)
    ticks["channel"] = rng.integers(0, 5, n)
    ticks["flag"] = rng.integers(0, 2, n)
    ticks["ref"] = rng.integers(1, max(2, n // 3), n)
    ticks["until"] = ticks["at"] + rng.integers(0, 5 * DAY, n)
    ticks["item"] = rng.integers(-1, items, n)
    ticks["category"] = (1 + ticks["item"]) % 80
    for name in ("quantity", "price", "value", "margin"):
        ticks[name] = np.where(rng.random(n) < 0.2, np.nan, rng.uniform(0.5, 5.0, n))
    return ticks


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 600), st.integers(1, 500))
def test_bytes_and_back_bounded_and_in_any_portions(seed, n, items):
    ticks = busy(seed, n, items)
    whole, parts, roomy = State.empty(), State.empty(), State.empty(roomy=True)
    whole.fold(ticks)
    roomy.fold(ticks)
    for part in np.array_split(ticks, 7):
        parts.fold(part)
    assert whole.equals(parts)
    assert whole.equals(roomy)
    assert whole.item_slots.size <= ITEM_SLOTS
    assert whole.category_slots.size <= CATEGORY_SLOTS
    assert whole.contact_slots.size <= CONTACT_SLOTS
    assert (
        whole.nbytes <= HEAD.itemsize + (ITEM_SLOTS + CATEGORY_SLOTS) * SLOT.itemsize + CONTACT_SLOTS * CONTACT.itemsize
    )
    assert len(np.unique(whole.item_slots["key"])) == whole.item_slots.size
    back = State.from_bytes(whole.to_bytes())
    assert back.equals(whole)
    more = busy(seed + 1, 5, items)
    more["at"] += 900 * DAY
    back.fold(more)
    whole.fold(more)
    assert back.equals(whole)


def test_a_copy_lives_its_own_life():
    state = State.empty()
    state.fold(busy(1, 50))
    copy = state.copy()
    assert copy.equals(state)
    copy.fold(busy(2, 50))
    assert not copy.equals(state)
    state.reset()
    assert state.equals(State.empty())


def test_stored_ticks_fold_like_fresh_ones():
    ticks = busy(5, 30)
    stored = np.frombuffer(ticks.tobytes(), TICK)
    fresh, again = State.empty(), State.empty()
    fresh.fold(ticks)
    again.fold(stored)
    assert fresh.equals(again)


def test_lateness_is_by_time_then_arrival():
    state = State.empty()
    ticks = busy(1, 1)
    ticks["at"], ticks["seq"] = 1_000, 5
    state.fold(ticks)
    assert [state.is_late(at, seq) for at, seq in ((999, 9), (1_000, 4), (1_000, 5), (1_000, 6), (1_001, 1))] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_what_is_no_state_of_this_fold_is_refused():
    state = State.empty()
    state.fold(busy(3, 40))
    data = state.to_bytes()
    with pytest.raises(StalePlaybook, match="fold the log again"):
        State.from_bytes(b"\xff\xff" + data[2:])
    for damaged in (b"", data[:4], data[:-3], data[:6] + b"\0" * 20):
        with pytest.raises(BadInput):
            State.from_bytes(damaged)


def test_a_usual_customer_fits_in_a_kibibyte():
    state = State.empty()
    state.fold(busy(4, 60, items=12))
    assert len(state.to_bytes()) <= 1_024
