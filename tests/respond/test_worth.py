import tomllib
from pathlib import Path

import numpy as np
import pytest

from cxreco.errors import BadSpec
from cxreco.journey import DAY
from cxreco.respond.worth import Worth

SPEC = Path(__file__).parents[2] / "models" / "reward.toml"


def test_the_spec_in_the_repository_reads_and_writes_back():
    spec = tomllib.loads(SPEC.read_text())
    worth = Worth.from_spec(spec)
    assert worth.order_window == 3 * DAY
    assert worth.harm_window == 30 * DAY
    assert Worth.from_spec(worth.to_spec()) == worth


def test_money_is_linear_in_outcomes():
    worth = Worth()
    rng = np.random.default_rng(0)
    names = ("margin", "returned_price", "returned", "cancelled", "complained", "unsubscribed", "satisfied")
    a, b = ({name: rng.random(5) for name in names} for _ in range(2))
    both = worth.money(**{name: a[name] + 2.0 * b[name] for name in names})
    np.testing.assert_allclose(both, worth.money(**a) + 2.0 * worth.money(**b))


def test_each_outcome_has_its_price():
    worth = Worth(complaint=12.0, unsubscribe=8.0, satisfied=1.0, return_price_share=0.1, return_handling=4.0)
    assert worth.money(margin=5.0) == 5.0
    assert worth.money(margin=0.0, returned_price=20.0, returned=1.0) == -6.0
    assert worth.return_cost(20.0) == 6.0
    assert worth.money(complained=1.0, unsubscribed=1.0, satisfied=1.0) == -19.0


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"wroth": {}}, "reward"),
        ({"worth": {"margin": 1.0}}, "reward.worth"),
        ({"worth": {"complaint": "much"}}, "reward.worth.complaint"),
        ({"worth": {"complaint": -1.0}}, "reward.complaint"),
        ({"worth": 3}, "reward.worth"),
        ({"windows": {"order": 31}}, "reward.windows"),
        ({"prior": {"return_rate": 2.0}}, "reward.prior"),
    ],
)
def test_a_wrong_spec_is_refused_by_name(spec, where):
    with pytest.raises(BadSpec) as caught:
        Worth.from_spec(spec)
    assert caught.value.where == where
