"""The gate as a statistician would test it: the worse rarely pass, the better do once the announced N is logged."""

import importlib
from pathlib import Path

import pytest

SIMS = 100
BENCH = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def part(monkeypatch):
    """Return parts of `cxreco bench gate`, imported as its own script imports them."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module


@pytest.mark.parametrize("kind", ["change", "refresh"])
def test_one_that_earns_five_percent_less_is_promoted_in_under_five_percent(part, kind):
    assert part("gating.promotions").worse(SIMS, kind, -0.05)["share"] < 0.05


def test_one_that_earns_ten_percent_more_is_promoted_once_the_announced_number_is_logged(part):
    waited = part("gating.promotions").waited
    assert sum(waited(seed, 0.10).passed for seed in range(SIMS)) > 0.80 * SIMS


def test_refreshes_that_get_worse_each_week_are_stopped_by_what_they_add_up_to_and_good_ones_are_not(part):
    refreshes = part("gating.chains").refreshes
    guarded, unguarded = (refreshes(10, "downhill", guarded=each) for each in (True, False))
    assert unguarded["gain"]["mean"] < -0.20, "without the sum every step passes"
    assert guarded["gain"]["low"] > -0.12
    learning = refreshes(10, "learning")
    assert learning["through"]["mean"] > 0.9 and learning["gain"]["low"] > 0.0


@pytest.mark.parametrize("gain", [0.0, 0.10])
def test_arms_looked_at_every_fortnight_keep_the_true_difference_in_their_interval(part, gain):
    found = part("gating.arms").sequences(40, gain, 14)
    assert found["ever_missed"]["count"] <= 0.05 * 40
