"""Revisited moments: from the state just before, of customers left alone, and only where the window is over."""

from dataclasses import replace

import numpy as np
import pytest

from cxreco.journey import AUTOMATE, DAY
from cxreco.recognise.layout import Kind
from cxreco.repeat.history import Yardstick, revisit
from cxreco.repeat.log import published
from cxreco.repeat.soon import Soon
from cxreco.request.candidates import VALUE_COLUMN
from cxreco.respond.worth import Worth


@pytest.fixture(scope="module")
def visited(lived):
    def run(log, shadow_days=14.0, **options):
        yardstick = Yardstick(worth=Worth.from_spec(lived.specs["reward"]), soon=Soon(), shadow_days=shadow_days)
        given = {"since": lived.log.now - 25 * DAY, "most": 150, "seed": 5} | options
        training = published(log, since=given["since"], every_days=7)
        return revisit(log, training, lived.playbook.request, yardstick, **given)

    return run


def test_moments_lie_between_since_and_the_last_whole_window(lived, visited):
    since = lived.log.now - 25 * DAY
    found = visited(lived.log).undisturbed
    assert 20 < found.at.size <= 150 and np.all(np.diff(found.at) >= 0)
    worth = Worth.from_spec(lived.specs["reward"])
    assert found.at.min() >= since and found.at.max() < lived.log.now - worth.order_window
    assert found.x.shape[0] == found.ordered.size == found.margin.size
    assert set(np.unique(found.ordered)) <= {0.0, 1.0}
    assert np.all((found.margin > 0.0) <= (found.ordered > 0.0))
    assert np.all(found.soon <= found.ordered) and np.all(found.margin_soon <= found.margin + 1e-9)
    assert 0.0 < found.soon.mean() < found.ordered.mean()
    assert np.isfinite(found.x[:, VALUE_COLUMN["orders"]]).all()


def test_the_same_again_for_the_same_seed_and_others_for_another(lived, visited):
    one, two, other = visited(lived.log), visited(lived.log), visited(lived.log, seed=6)
    assert np.array_equal(one.undisturbed.x, two.undisturbed.x, equal_nan=True)
    assert one.shadow.category == two.shadow.category
    assert not np.array_equal(one.undisturbed.at, other.undisturbed.at)


def test_what_happens_after_a_moment_moves_nothing_that_is_seen_at_it(lived, visited):
    log = lived.log
    cut = log.now - 12 * DAY
    ticks = log.ticks.copy()
    later = (ticks["at"] >= cut) & np.isin(ticks["kind"], [Kind.ORDER_LINE, Kind.ORDER])
    # The future is another one: everybody buys one thing, a hundred of it.
    ticks["item"][later & (ticks["kind"] == Kind.ORDER_LINE)] = 0
    ticks["quantity"][later] = 100.0
    one, two = visited(log).undisturbed, visited(replace(log, ticks=ticks)).undisturbed
    early = one.at < cut
    assert early.any() and np.array_equal(one.at, two.at)
    assert np.array_equal(one.x[early], two.x[early], equal_nan=True)
    assert not np.array_equal(one.x[~early], two.x[~early], equal_nan=True)


def test_customers_on_whom_somebody_acted_are_left_out_while_it_may_work(lived, visited):
    log = lived.log
    window = Worth.from_spec(lived.specs["reward"]).order_window
    acted = log.ticks[(log.ticks["kind"] == Kind.DECIDED) & (log.ticks["mode"] > 0)]
    alone = replace(log, ticks=log.ticks[log.ticks["kind"] != Kind.DECIDED], order=None)
    near = acted["at"].min() - window
    with_them, without = (visited(found, most=5_000).undisturbed for found in (log, alone))
    assert (with_them.at >= near).sum() < (without.at >= near).sum()
    assert (with_them.at < near).sum() == (without.at < near).sum()


def test_no_two_shadow_orders_are_of_one_need_and_all_are_settled(lived, visited):
    shadow = visited(lived.log, most=2_000, shadow_days=7.0).shadow
    assert len(shadow.category) == shadow.wrong.size == shadow.gain.size > 0
    assert np.all((shadow.certainty > 0.0) & (shadow.certainty <= 1.0)) and np.all(shadow.loss >= 0.0)
    patient = visited(lived.log, most=2_000, shadow_days=21.0).shadow
    assert len(patient.category) < len(shadow.category)


def test_what_the_shop_ordered_makes_no_shadow_order_right(lived, visited):
    before = visited(lived.log, most=2_000, shadow_days=14.0).shadow
    assert not before.wrong.all()
    ticks = lived.log.ticks.copy()
    late = (ticks["kind"] == Kind.ORDER_LINE) & (ticks["at"] > lived.log.now - 25 * DAY)
    ticks["mode"][late] = AUTOMATE
    shadow = visited(replace(lived.log, ticks=ticks), most=2_000, shadow_days=14.0).shadow
    # Where the shop ordered meanwhile nothing can be told; where nobody did, it was wrong as before.
    assert shadow.wrong.all() and 0 < shadow.wrong.size < before.wrong.size


def test_what_the_shop_ordered_is_no_answer(lived, visited):
    found = visited(lived.log, most=2_000).undisturbed
    ticks = lived.log.ticks.copy()
    ticks["mode"][np.isin(ticks["kind"], (Kind.ORDER, Kind.ORDER_LINE)) & (ticks["at"] > found.at.min())] = AUTOMATE
    placed = visited(replace(lived.log, ticks=ticks), most=2_000).undisturbed
    assert found.soon.any() and not placed.soon.any() and placed.ordered.any()


def test_a_shadow_order_waits_one_usual_gap_and_no_longer(lived, visited):
    # The log ends 25 days after the first moment: of orders that waited for 400 days none would be settled.
    assert len(visited(lived.log, most=2_000, shadow_days=400.0).shadow.category) > 0
