"""Replenishment beside a known truth: what is compared with what; the shops themselves are lived by the benchmark."""

from pathlib import Path

import numpy as np
import pytest

from cxreco.pipelines.shop_figures import Needs

BENCH = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def replenishment(monkeypatch):
    """Return the benchmark, imported as its own folder imports."""
    monkeypatch.syspath_prepend(str(BENCH))
    import replenishment

    return replenishment


def test_who_knows_the_truth_errs_by_luck_alone(replenishment):
    rng = np.random.default_rng(3)
    n, lives = 400, 300
    due = rng.uniform(1.0, 25.0, n)
    comes = rng.random(n) < 0.7

    def lived():
        days = due + rng.normal(0.0, 0.5, n)
        return np.where(comes & (rng.random(n) < 0.9), np.clip(days, 0.0, 28.0), np.inf)

    truth = np.array([lived() for _ in range(lives)])
    chance = np.column_stack([(truth <= days).mean(axis=0) for days in replenishment.HORIZONS])
    needs = Needs(
        customer=np.arange(n) // 2, item=np.arange(n, dtype=np.int32), chance=chance, days=lived(),
        foretold=due + 3.0, mean_gap=due + 5.0, last_gap=due - 5.0, bg_nbd=due + 4.0,
        bg_nbd_chance=rng.random((n, 2)),
    )  # fmt: skip
    found = replenishment.measured(needs, truth)
    assert found["days_off"][replenishment.TRUTH] == pytest.approx(0.5 * 0.674, abs=0.1)
    assert found["days_off"]["cxreco"] == pytest.approx(3.0, abs=0.15)
    assert found["chance_off"]["cxreco"] == [0.0, 0.0] and found["agreement"]["cxreco"] == pytest.approx([1.0, 1.0])
    assert all(high < 0.0 for _, _, high in found["chance_off_less_bg_nbd"])
    assert replenishment.TRUTH not in replenishment.measured(needs, None)["days_off"]
