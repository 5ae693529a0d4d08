"""The compiled arithmetic says what the readable one says."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cxreco.journey import MODES
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES
from cxreco.respond import kernels, signal_rows
from cxreco.respond.design import SIGNALS
from cxreco.respond.design import signals as readable_signals
from cxreco.respond.lift import COACH, SEEN, Lift, Line, Term
from cxreco.respond.playbook import Playbook
from cxreco.respond.still_worth import StillWorth
from cxreco.respond.value import BASE_SIGNALS, GROUNDED, HEADS, OWN_RETURNS, base_design


def rows(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.exponential(1.0, (n, len(VALUE_FEATURES))) * rng.choice([0.2, 1.0, 30.0], (n, 1))
    x[rng.random(x.shape) < 0.3] = np.nan
    for name in ("has_query", "has_item", "on_outbound", "on_search", "on_product", "is_sought"):
        x[:, VALUE_COLUMN[name]] = rng.random(n) < 0.3
    for name in ("need", "need_3", "need_open", "buy", "query_match", "certainty", "return_rate", "topic_share",
                 "repeat_share", "returned_share"):  # fmt: skip
        x[:, VALUE_COLUMN[name]] = rng.random(n)
    return x


def test_names_and_sizes_agree() -> None:
    assert (len(SIGNALS), len(BASE_SIGNALS)) == (signal_rows.SIGNALS, signal_rows.BASE_SIGNALS)
    assert kernels.HEADS == HEADS
    assert {HEADS[row] for row in kernels.GROUNDED} == set(GROUNDED)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_signals_are_the_same(seed: int) -> None:
    x = rows(seed, 12)
    np.testing.assert_allclose(signal_rows.signals(x, 3.5), readable_signals(x, 3.5), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(signal_rows.base_signals(x), base_design(x), rtol=1e-12, atol=1e-12)


# The example: who sends nearly everything back, so that the rate is kept away from certainty.
@pytest.mark.parametrize("moments", [1, 4])
@example(seed=134_217_727)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_money_is_the_same_and_does_not_depend_on_the_company(playbook: Playbook, moments: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    taught = {name: replace(h, theta=h.theta + 0.3 * rng.normal(size=h.theta.size))
              for name, h in playbook.value.heads.items()}  # fmt: skip
    rates = {**playbook.value.rates, OWN_RETURNS: float(rng.choice([0.0, rng.random()]))}
    line = Line(usual=0.02, centre=rng.random(len(SEEN)), slope=0.05 * rng.normal(size=len(SEEN)))
    lift = Lift(terms=(Term(weight=1.0, of=line),), kept=1.0, low=-0.4, high=0.4)
    still = StillWorth(r=0.3, alpha=20.0, a=0.8, b=2.4, p=6.0, q=3.7, gamma=15.0, usual=9.0)
    worth = replace(playbook.value.worth, complaint_share=float(rng.random()), unsubscribe_share=float(rng.random()))
    model = replace(playbook.value, heads=taught, stopped=float(rng.random()), disputed=float(rng.random()),
                    rates=rates, lift=lift, still_worth=still, worth=worth)  # fmt: skip
    x = rows(seed, 7 * moments)
    x[:, VALUE_COLUMN["announced"]] = rng.choice([0.0, 1.0, np.nan], len(x))
    mode = np.tile([0, 1, 2, 3, 4, 4, 2], moments).astype(np.int16)
    assert set(mode) == set(range(len(MODES)))
    hold = np.repeat(np.arange(moments) * 7, 7)
    contact = (rng.random(mode.size) < 0.4) & (mode > 0)
    starts, of = np.unique(hold, return_inverse=True)
    trees = np.zeros((len(HEADS), moments))
    extra = model.lift.extra(x, mode)
    assert np.all((extra == 0.0) | (mode == COACH)) and np.any(extra)
    money, parts = kernels.money(x, mode, contact, hold, (starts, of), (trees, extra), model.packed)
    expected = model.values_of(x, mode, contact, hold)
    np.testing.assert_allclose(money, expected.money, rtol=1e-9, atol=1e-9)
    for name, part in zip(kernels.PARTS, parts, strict=True):
        np.testing.assert_allclose(part, expected.parts[name], rtol=1e-9, atol=1e-9, err_msg=name)
    # What somebody is still worth is the same to the bit wherever it is asked: at decisions and in training.
    assert parts[kernels.PARTS.index("still_worth")].tobytes() == expected.parts["still_worth"].tobytes()
    alone = kernels.money(
        x[:7], mode[:7], contact[:7], hold[:7], (starts[:1], of[:7]), (trees[:, :1], extra[:7]), model.packed
    )  # fmt: skip
    assert alone[0].tobytes() == money[:7].tobytes() and alone[1].tobytes() == parts[:, :7].tobytes()
