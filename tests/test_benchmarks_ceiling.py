"""What is knowable: choosing, judging and the hidden columns, on shops small enough for a test."""

from pathlib import Path

import numpy as np
import pytest

from cxreco.edge.specs import load_specs
from cxreco.journey import CURATE, DAY
from cxreco.repeat.value_training import ValueSpec
from cxreco.request.candidates import VALUE_FEATURES, Candidates
from cxreco.world import WORLDS, World
from cxreco.world.ground import Ground

BENCH = Path(__file__).resolve().parents[1] / "benchmarks"
N_HIDDEN = 17


@pytest.fixture
def bench(monkeypatch):
    """Return the script and its parts, imported as the script imports them."""
    monkeypatch.syspath_prepend(str(BENCH))
    import beliefs
    import ceiling
    import knowable.minds as minds
    import knowable.seasons as seasons

    return {"beliefs": beliefs, "ceiling": ceiling, "minds": minds, "seasons": seasons}


def shop(bench, seed, moments=60, told=True):
    """Return a shop whose truth stands in the first feature (told) or in the first hidden column alone."""
    rng = np.random.default_rng(seed)
    size = rng.integers(2, 6, moments)
    n = int(size.sum())
    first = np.zeros(n, bool)
    first[np.cumsum(size) - size] = True
    truth = np.where(first, 0.0, rng.normal(0.2, 1.0, n))
    x, hidden = rng.normal(size=(n, len(VALUE_FEATURES))), rng.normal(size=(n, N_HIDDEN))
    (x if told else hidden)[:, 0] = truth
    mode = np.where(first, 0, rng.integers(1, 4, n))
    return bench["seasons"].Noted(
        x=x, hidden=hidden, mode=mode, contact=mode == 3, truth=truth, believed=truth.copy(), size=size,
        customer=rng.integers(0, 20, moments), day=np.arange(moments) // 4, informed_best=np.full(moments, 3.0),
    )  # fmt: skip


def test_who_believes_the_truth_closes_the_gap_and_who_believes_its_opposite_does_not(bench):
    one = shop(bench, 1)
    judged = bench["ceiling"].judged
    assert judged([one], [one.truth])["closed"][0] == pytest.approx(1.0)
    share, low, high = judged([one], [-one.truth])["closed"]
    assert low <= share <= high < 0.0


def test_what_can_be_seen_is_learned_and_what_is_hidden_only_where_it_is_told(bench):
    ceiling = bench["ceiling"]

    def closed(told, about):
        train, test = [shop(bench, seed, 400, told) for seed in (2, 3)], shop(bench, 4, 400, told)
        forest = ceiling.learned(train, about)
        return ceiling.judged([test], [ceiling.foreseen(forest, test, about)])["closed"][0]

    assert closed(True, ()) > 0.9
    assert closed(False, ("need",)) > 0.9
    assert closed(False, ()) < 0.3


def test_hold_is_worth_nothing_to_a_forest(bench):
    ceiling, one = bench["ceiling"], shop(bench, 5, 200)
    values = ceiling.foreseen(ceiling.learned([one], ()), one, ())
    assert np.all(values[one.mode == 0] == 0.0)


def test_a_part_of_the_moments_keeps_each_moments_candidates(bench):
    one = shop(bench, 6)
    late = one.part(one.day >= 7)
    assert late.size.size == int((one.day >= 7).sum()) and late.mode.size == int(late.size.sum())
    assert np.array_equal(late.truth, one.truth[np.repeat(one.day >= 7, one.size)])
    assert np.all(late.mode[late.hold] == 0) and np.all(np.diff(late.hold) >= 0)


def test_ways_of_believing_are_told_apart_by_the_truth_alone(bench):
    beliefs, one = bench["beliefs"], shop(bench, 7, 200)
    assert beliefs.apart([one], [one.truth], [one.truth]) == (0.0, 0.0, 0.0)
    more, low, high = beliefs.apart([one], [one.truth], [-one.truth])
    assert 0.0 < low < more < high


def test_a_way_changes_what_it_names_in_the_spec_and_nothing_else(bench):
    spec = load_specs()["value"]
    for change in bench["beliefs"].WAYS.values():
        merged = bench["beliefs"].merged(spec, change)
        ValueSpec.from_spec(merged)
        assert {name for name in spec if merged[name] != spec[name]} == set(change)
        assert merged["order"]["respond_to_desire"] == spec["order"]["respond_to_desire"]


def test_hidden_columns_are_the_worlds_own(bench):
    minds = bench["minds"]
    world = World(WORLDS["staples"], 3, 0)
    ids = list(world.ground.shop.ids)
    for _ in world.live_alone(20):
        pass
    moment = next(world.moments_today())
    facing = world.facing(moment)
    ground: Ground = world.ground
    slate = np.array([[-1, -1], [max(facing.target, 0), 1]], np.int32)
    mode = np.array([0, CURATE], np.int16)
    candidates = Candidates(
        mode=mode, action=mode, item=slate[:, 0], quantity=np.ones(2), slate=slate, score=np.zeros((2, 2)),
        reason=np.zeros((2, 2), np.int32), x=np.zeros((2, len(VALUE_FEATURES))), actions=("hold", "a", "b"), reasons=(),
    )  # fmt: skip
    out = minds.hidden(world, moment, candidates, ids)
    assert out.shape == (2, N_HIDDEN)
    assert np.isnan(out[0]).all()
    fit, trust = minds.columns_of("taste")[0], minds.columns_of("mood")[2]
    assert out[1, fit] == ground.today().appeal[facing.customer, slate[1, 0]]
    assert out[1, trust] == ground.mind.trust[facing.customer]
    assert facing.at < world.now + DAY
