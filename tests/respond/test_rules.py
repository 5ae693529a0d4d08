"""The hand-written rules choose an admitted row, the first rule that is met decides, and hold is what is left."""

from dataclasses import replace

import numpy as np
import pytest

from cxreco.journey import MODES, Mode, Moment, Surface
from cxreco.request.candidates import VALUE_COLUMN
from cxreco.request.propose import propose
from cxreco.respond.decide import only
from cxreco.respond.rules import by_rules


@pytest.fixture
def proposed(corner, playbook, now):
    def run(**more):
        return propose(playbook.request, corner.state(0), Moment(customer_id="0", at=now, **more), corner.market)

    return run


def mode_of(candidates):
    return MODES[int(candidates.mode[by_rules(candidates)])]


def test_what_was_asked_for_is_shown(proposed, corner):
    found = proposed(surface=Surface.SEARCH, query="bread")
    row = by_rules(found)
    assert MODES[found.mode[row]] is Mode.RESPOND
    assert corner.codes.item_ids[found.item[row]] == "bread"


def test_hold_is_what_is_left(proposed):
    assert by_rules(only(proposed(), np.array([0]))) == 0


def test_the_order_of_the_candidates_does_not_matter(proposed):
    for more in ({}, {"surface": Surface.CART, "cart": ("milk",)}, {"surface": Surface.OUTBOUND, "channel": "email"}):
        found = proposed(**more)
        order = np.append(0, np.random.default_rng(0).permutation(np.arange(1, len(found))))
        shuffled = only(found, order)
        one, two = by_rules(found), by_rules(shuffled)
        x, y = found.x[one], shuffled.x[two]
        ranks = [VALUE_COLUMN["need"], VALUE_COLUMN["slate_buy"]]
        assert found.mode[one] == shuffled.mode[two] and np.array_equal(x[ranks], y[ranks], equal_nan=True)


def test_a_need_that_is_due_is_reminded_of_and_one_that_is_not_is_left_alone(proposed):
    found = proposed(surface=Surface.OUTBOUND, channel="email")
    coach = found.mode == MODES.index(Mode.COACH)
    assert coach.any()
    for need, expected in ((0.9, Mode.COACH), (0.1, Mode.HOLD)):
        x = found.x.copy()
        x[:, VALUE_COLUMN["need"]] = need
        kept = only(replace(found, x=x), np.flatnonzero(coach | (found.mode == 0)))
        assert mode_of(kept) is expected
