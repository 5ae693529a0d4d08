"""The closed form equals what living through the moment comes to, on average, and each mode has its moments."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from cxreco.journey import DAY, Mode
from cxreco.world import World, WorldSpec
from cxreco.world.oracle import best_of_modes, informed, oracle

START = 1_704_067_200 * 1_000_000
TWINS = 700


def lived(world: World, moment: dict[str, Any], decision: dict[str, Any] | None, seed: int) -> np.ndarray:
    """Return what each of `TWINS` copies of the customer brings from this moment on, the engine holding back after."""
    at = world.facing(moment).at
    twins, moments = world.twins(moment, TWINS, seed=seed)
    for own in moments:
        twins.settle(own, decision)
    for _ in range(4):
        for later in twins.moments_today():
            twins.answer(later, None)
        twins.close_day()
    return twins.takings.caused(at, at + 3 * DAY)


def spoiled(candidates: list[dict[str, Any]], world: World, rng: np.random.Generator) -> None:
    """Make decisions as poor as an engine's may be: wrong items, and orders without notice."""
    for row in candidates:
        if row["items"] and rng.random() < 0.3:
            ids = [str(name) for name in rng.choice(world.ground.shop.ids, len(row["items"]), replace=False)]
            row["items"] = [{"item_id": name, "position": k} for k, name in enumerate(ids)]
            if row["mode"] == Mode.AUTOMATE:
                row["action"]["parameters"]["order"][0]["item_id"] = ids[0]
        if row["mode"] == Mode.AUTOMATE and rng.random() < 0.5:
            row["action"]["parameters"]["rung"] = "automatic"


@pytest.mark.parametrize(
    ("surface", "seed"), [("outbound", 1), ("search", 2), ("home", 3), ("product", 4), ("cart", 5)]
)
def test_truth_is_the_mean_of_what_happens(surface: str, seed: int) -> None:
    """Within four standard errors of the paired difference to hold, and a cent for outcomes too rare for them."""
    world, rng = World(WorldSpec(customers=120), 40 + seed, START), np.random.default_rng(seed)
    for _ in world.live_alone(30):
        pass
    tried: Counter[str] = Counter()
    while len(tried) < 4:
        for moment in world.moments_today():
            candidates = informed(world, moment)
            spoiled(candidates, world, rng)
            new = [row for row in candidates if row["mode"] != Mode.HOLD and not tried[row["mode"]]]
            if moment["surface"] == surface and new and rng.random() < 0.25:
                decision = new[int(rng.integers(len(new)))]
                tried[decision["mode"]] += 1
                gap = lived(world, moment, decision, seed) - lived(world, moment, None, seed)
                error = np.hypot(gap.std(ddof=1) / np.sqrt(TWINS), 0.01)
                assert abs(gap.mean() - world.truth(moment, decision)) < 4.0 * error, decision
            world.answer(moment, candidates[int(rng.integers(len(candidates)))])
        world.close_day()


def test_hold_is_worth_nothing_over_itself() -> None:
    world = World(WorldSpec(customers=40), 2, START)
    for moment in world.moments_today():
        assert world.truth(moment, None) == 0.0
        assert world.truth(moment, informed(world, moment)[0]) == 0.0
        world.answer(moment, None)


def test_each_mode_is_best_at_a_real_share_of_moments() -> None:
    world, best = World(WorldSpec(customers=150), 7, START), Counter[Mode]()
    for _ in world.live_alone(60):
        pass
    for _ in range(10):
        for moment in world.moments_today():
            candidates = informed(world, moment)
            worths = best_of_modes(world, moment, candidates)
            best[max(worths, key=lambda mode: worths[mode])] += 1
            world.answer(moment, candidates[oracle(world, moment, candidates)])
        world.close_day()
    shares = {mode: best[mode] / best.total() for mode in Mode}
    assert min(shares.values()) > 0.05, shares


def test_the_oracle_takes_more_than_holding_back() -> None:
    taken = []
    for knows in (False, True):
        world = World(WorldSpec(customers=100), 8, START)
        for _ in world.live_alone(30):
            pass
        before = world.takings.per_customer()
        for _ in range(14):
            for moment in world.moments_today():
                candidates = informed(world, moment)
                world.answer(moment, candidates[oracle(world, moment, candidates)] if knows else None)
            world.close_day()
        taken.append(world.takings.per_customer() - before)
    gap = taken[1] - taken[0]
    assert gap.mean() > 4.0 * gap.std(ddof=1) / np.sqrt(gap.size)
