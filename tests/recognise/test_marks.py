"""The marks of a category: the latest days on which something was bought or looked at, the one that says most a day."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cxreco.journey import AUTOMATE, DAY, HOUR
from cxreco.recognise.layout import MARKS, TICK, Kind, Mark
from cxreco.recognise.state import State

START = 20_000
KINDS = {Mark.LOOKED: (Kind.VIEW, -1), Mark.BOUGHT: (Kind.ORDER_LINE, -1), Mark.PLACED: (Kind.ORDER_LINE, AUTOMATE)}
SAYS = {Mark.LOOKED: 0, Mark.PLACED: 1, Mark.BOUGHT: 2}


def folded(happened: list[tuple[int, Mark]]) -> State:
    """Return the state after marks at hours since START, all of item 5 of category 3."""
    ticks = np.zeros(len(happened), TICK)
    ticks["quantity"], ticks["price"], ticks["value"], ticks["margin"] = 1.0, np.nan, np.nan, np.nan
    for row, (hour, mark) in enumerate(happened):
        kind, mode = KINDS[mark]
        ticks[row]["at"], ticks[row]["seq"] = START * DAY + hour * HOUR, row
        ticks[row]["kind"], ticks[row]["mode"], ticks[row]["item"], ticks[row]["category"] = kind, mode, 5, 3
    state = State.empty()
    state.fold(ticks)
    return state


def marks(state: State) -> list[tuple[int, Mark]]:
    """Return (day since START, mark) as the state has them, the oldest first."""
    record = state.category_slot(3)
    assert record is not None
    kinds = [Mark((int(record["mark_kinds"]) >> (2 * i)) & 3) for i in range(int(record["marks"]))]
    return [(int(day) - START, kind) for day, kind in zip(record["mark_days"], kinds, strict=False)]


@given(st.lists(st.tuples(st.integers(0, 720), st.sampled_from(list(Mark))), min_size=1, max_size=40))
def test_they_are_the_latest_days_each_by_what_says_most(happened: list[tuple[int, Mark]]) -> None:
    happened = sorted(happened, key=lambda one: one[0])
    said: dict[int, Mark] = {}
    for hour, mark in happened:
        day = hour // 24
        before = said.get(day)
        said[day] = mark if before is None or SAYS[mark] > SAYS[before] else before
    assert marks(folded(happened)) == sorted(said.items())[-MARKS:]


def test_items_of_no_category_have_none() -> None:
    ticks = np.zeros(1, TICK)
    ticks["at"], ticks["kind"], ticks["item"] = START * DAY, Kind.VIEW, 5
    state = State.empty()
    state.fold(ticks)
    assert state.slot(5) is not None
    assert state.category_slots.size == 0
