"""Money over hold: nothing over itself, blind to order, and learned with the right sign from simulated answers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreco.edge.specs import load_specs
from cxreco.journey import AUTOMATE, COACH, DAY, MODES, Mode
from cxreco.repeat.value_training import ANSWERED, Answers, Undisturbed, ValueSpec, fit_value
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES
from cxreco.respond.worth import Worth

BASE, LIFT = -2.0, {Mode.RESPOND: 1.0, Mode.CURATE: 0.4, Mode.COACH: -0.8}


def candidates(rng, n):
    """Rows of one shop at n moments: a usual margin of 3, no needs, nothing asked for."""
    x = np.zeros((n, len(VALUE_FEATURES)))
    x[:, VALUE_COLUMN["orders"]] = 10.0
    x[:, VALUE_COLUMN["margin_mean"]] = 3.0
    x[:, VALUE_COLUMN["lines_mean"]] = 1.0
    x[:, VALUE_COLUMN["item_margin"]] = 3.0
    x[:, VALUE_COLUMN["item_price"]] = 10.0
    x[:, VALUE_COLUMN["quantity"]] = 1.0
    x[:, VALUE_COLUMN["buy"]] = 0.3
    x[:, VALUE_COLUMN["certainty"]] = 0.9
    x[:, VALUE_COLUMN["mode_days_since_dismissed"]] = np.nan
    x[:, VALUE_COLUMN["views_7"]] = rng.normal(size=n)
    return x


def lifted(rng, n):
    """Answers of a world in which each mode moves the odds of an order by its LIFT, chosen uniformly."""
    mode = rng.integers(0, AUTOMATE, n).astype(np.int16)
    x = candidates(rng, n)
    lift = np.array([0.0, *(LIFT[MODES[code]] for code in range(1, AUTOMATE))])
    ordered = (rng.random(n) < 1.0 / (1.0 + np.exp(-(BASE + lift[mode])))).astype(float)
    return answers_of(rng, x, mode, ordered, later=np.zeros(n))


def answers_of(rng, x, mode, soon, later):
    """Answers of which only orders are told: `soon` and, on top of them, `later` in the window; 0 or 1."""
    n = mode.size
    never = dict.fromkeys(ANSWERED, np.zeros(n))
    return Answers(
        x=x, hold_x=x.copy(), mode=mode, contact=mode == COACH, outcomes=never | {"order": soon},
        ripe={name: np.ones(n, dtype=bool) for name in never}, stopped=np.zeros(n), ordered=np.maximum(soon, later),
        window_over=np.ones(n, dtype=bool), margin=3.0 * (soon + later), margin_soon=3.0 * soon,
        at=np.arange(n) * DAY // 50,
    )  # fmt: skip


def loosely(answers):
    """Return what is learned of beliefs that are held loosely: it is the learning that is tried, not the default."""
    specs = load_specs()
    order = specs["value"]["order"] | {"sd_shared": 0.5, "sd_mode": 0.5}
    spec, worth = ValueSpec.from_spec(specs["value"] | {"order": order}), Worth.from_spec(specs["reward"])
    return fit_value(spec, worth, Undisturbed.none(), answers, returns={"returned": 0.02})


@pytest.fixture(scope="module")
def learned():
    return loosely(lifted(np.random.default_rng(4), 6_000))


def offered(n_modes=AUTOMATE):
    mode = np.arange(n_modes, dtype=np.int16)
    return candidates(np.random.default_rng(1), 1)[np.zeros(n_modes, dtype=int)], mode


def test_the_sign_and_the_order_of_what_modes_are_worth_are_found(learned):
    x, mode = offered()
    found = learned.values_of(x, mode, np.zeros(mode.size, dtype=bool), np.zeros(mode.size, dtype=np.int64))
    by_mode = dict(zip(MODES, found.over_hold.tolist(), strict=False))
    assert by_mode[Mode.HOLD] == 0.0
    assert by_mode[Mode.RESPOND] > by_mode[Mode.CURATE] > 0.0 > by_mode[Mode.COACH]
    truth = 1.0 / (1.0 + np.exp(-(BASE + np.array([0.0, 1.0, 0.4, -0.8]))))
    # 1,500 answers a mode tell a chance to about 0.01 (one standard error); the bounds are four of them.
    assert np.all(np.abs(found.parts["order_soon"] - truth) < 4.0 * np.sqrt(truth * (1.0 - truth) / 1_500))


def test_more_answers_make_it_surer(learned):
    few = loosely(lifted(np.random.default_rng(5), 100))
    sure, unsure = (np.diag(model.heads["order"].covariance) for model in (learned, few))
    assert np.all(sure <= unsure + 1e-12) and np.any(sure < 0.5 * unsure)


def test_what_an_order_takes_from_later_is_learned_and_does_not_count_twice():
    rng = np.random.default_rng(8)
    specs, n = load_specs(), 8_000
    x, mode = candidates(rng, n), rng.integers(0, AUTOMATE, n).astype(np.int16)
    soon = (rng.random(n) < np.where(mode == 1, 0.5, 0.3)).astype(float)
    worth, spec = Worth.from_spec(specs["reward"]), ValueSpec.from_spec(specs["value"])
    # Who ordered soon orders half as often later: of each order won, a quarter is missing later.
    later = (rng.random(n) < np.where(soon > 0, 0.25, 0.5)).astype(float)
    for share, orders_later in ((0.75, later), (1.0, rng.integers(0, 2, n).astype(float))):
        answers = answers_of(rng, x, mode, soon, orders_later)
        model = fit_value(spec, worth, Undisturbed.none(), answers, returns={"returned": 0.02})
        assert model.carried == (pytest.approx(share, abs=0.05), spec.carried["message"])


def settled(rng, n, announced=1.0, **columns):
    """Answers with every outcome settled, `columns` of them told and the others 0."""
    x, mode = candidates(rng, n), columns.pop("mode")
    x[:, VALUE_COLUMN["announced"]] = announced
    told = answers_of(rng, x, mode, np.zeros(n), later=np.zeros(n))
    stopped = columns.pop("stopped", told.stopped)
    return replace(told, outcomes={**told.outcomes, **columns}, stopped=stopped)


@pytest.mark.parametrize("name", ["satisfied", "complained", "unsubscribed"])
def test_what_happens_as_often_after_hold_is_nobodys_merit_or_fault(name):
    rng, n = np.random.default_rng(9), 8_000
    mode = rng.integers(0, COACH, n).astype(np.int16)
    model = loosely(settled(rng, n, mode=mode, **{name: (rng.random(n) < 0.08).astype(float)}))
    x, modes = offered(COACH)
    found = model.values_of(x, modes, np.zeros(modes.size, dtype=bool), np.zeros(modes.size, dtype=np.int64))
    chance = found.parts[name]
    # 2,700 answers a mode tell a chance of 0.08 to 0.005 (one standard error), less the little that is believed.
    assert np.all(np.abs(chance - chance[0]) < 0.02)
    assert chance[0] == pytest.approx(0.08, abs=0.024)


def test_what_an_offer_adds_to_what_follows_hold_is_its_own():
    rng, n = np.random.default_rng(10), 8_000
    mode = rng.integers(0, AUTOMATE, n).astype(np.int16)
    pleased = rng.random(n) < np.where(mode == 1, 0.16, 0.08)
    loose = {"sd_shared": 0.5, "sd_mode": 0.5}
    specs = load_specs()
    spec = ValueSpec.from_spec(specs["value"] | {"satisfied": specs["value"]["satisfied"] | loose})
    answers = settled(rng, n, mode=mode, satisfied=pleased.astype(float))
    model = fit_value(spec, Worth.from_spec(specs["reward"]), Undisturbed.none(), answers, returns={"returned": 0.02})
    x, modes = offered()
    found = model.values_of(x, modes, np.zeros(modes.size, dtype=bool), np.zeros(modes.size, dtype=np.int64))
    added = found.parts["satisfied"] - found.parts["satisfied"][0]
    assert added[1] == pytest.approx(0.08, abs=0.04)
    assert np.all(np.abs(added[2:]) < 0.03)


def nudged(rng, n, followed, annoyed):
    """Answers at moments that the shop opened, half of them nudges, half of those at an open need."""
    mode = np.where(rng.random(n) < 0.5, COACH, 0).astype(np.int16)
    x = candidates(rng, n)
    x[:, VALUE_COLUMN["on_outbound"]] = 1.0
    x[:, VALUE_COLUMN["need_open"]] = rng.integers(0, 2, n)
    sent = mode == COACH
    came = rng.random(n) < 0.05 + followed * sent * x[:, VALUE_COLUMN["need_open"]]
    answers = answers_of(rng, x, mode, came.astype(float), later=np.zeros(n))
    left = (rng.random(n) < annoyed * sent).astype(float)
    return replace(answers, hold_x=x, outcomes={**answers.outcomes, "unsubscribed": left})


@pytest.mark.parametrize(("followed", "annoyed"), [(0.16, 0.004), (0.0, 0.004), (0.16, 0.03)])
def test_what_is_believed_of_nudges_is_unlearned_in_some_weeks_where_it_is_not_so(followed, annoyed):
    specs, n = load_specs(), 1_200
    spec, worth = ValueSpec.from_spec(specs["value"]), Worth.from_spec(specs["reward"])
    answers = nudged(np.random.default_rng(13), n, followed, annoyed)
    x = candidates(np.random.default_rng(1), 2)
    x[:, VALUE_COLUMN["on_outbound"]] = 1.0
    x[1, VALUE_COLUMN["need_open"]] = 1.0
    told = np.array([0, COACH], dtype=np.int16), np.array([False, True]), np.zeros(2, dtype=np.int64)

    def believed(answers):
        model = fit_value(spec, worth, Undisturbed.none(), answers, returns={"returned": 0.02})
        return model.values_of(x, *told).parts

    before, after = believed(nudged(np.random.default_rng(13), 0, followed, annoyed)), believed(answers)
    assert before["order_soon"][1] - before["order_soon"][0] == pytest.approx(0.086, abs=0.01)
    # 300 nudges at an open need tell the share that is followed to 0.02 (one standard error), the belief beside it.
    assert after["order_soon"][1] - after["order_soon"][0] == pytest.approx(followed, abs=0.07)
    # Of 600 nudges 18 make somebody leave where 0.03 do: a quarter more or less, the belief beside it.
    assert after["unsubscribed"][1] == pytest.approx(annoyed, rel=0.25)


def test_wrong_orders_that_are_stopped_in_time_cost_little_and_that_is_learned():
    rng, n = np.random.default_rng(11), 400
    mode = np.full(n, AUTOMATE, dtype=np.int16)
    wrong = (rng.random(n) < 0.4).astype(float)
    x, modes = offered(len(MODES))
    x[:, VALUE_COLUMN["announced"]] = 1.0
    worth, cost = {}, {}
    for share in (0.0, 1.0):
        model = loosely(settled(rng, n, mode=mode, wrong=wrong, stopped=wrong * share))
        # Some 160 wrong orders, against a belief that counts for ten.
        assert model.stopped == pytest.approx(share, abs=0.05)
        found = model.values_of(x, modes, np.zeros(modes.size, dtype=bool), np.zeros(modes.size, dtype=np.int64))
        worth[share] = found.over_hold[AUTOMATE] / found.parts["wrong"][AUTOMATE]
        # Sent back: 4.00 of handling and a tenth of the price of 10, and at times a complaint of 12.00; stopped: 0.50.
        cost[share] = model.stopped * 0.5 + (1.0 - model.stopped) * (5.0 + 12.0 * model.disputed)
    assert worth[1.0] - worth[0.0] == pytest.approx(cost[0.0] - cost[1.0], rel=0.05)


def test_an_order_without_notice_is_stopped_by_nobody_and_a_complaint_about_it_is_its_own():
    rng, n = np.random.default_rng(12), 2_000
    mode = rng.choice([0, AUTOMATE], n).astype(np.int16)
    wrong = ((rng.random(n) < 0.4) & (mode == AUTOMATE)).astype(float)
    silent = rng.random(n) < 0.5
    stopped = wrong * ~silent * (rng.random(n) < 0.8)
    disputed = (wrong > 0) & (stopped == 0) & (rng.random(n) < 0.3)
    told = {"wrong": wrong, "stopped": stopped, "complained": disputed.astype(float)}
    model = loosely(settled(rng, n, mode=mode, announced=np.where(silent, 0.0, 1.0), **told))
    # Some 200 wrong orders with a notice and 240 that went through, against beliefs that count for ten.
    assert model.stopped == pytest.approx(0.8, abs=0.08) and model.disputed == pytest.approx(0.3, abs=0.1)
    x, modes = offered(len(MODES))
    x[:, VALUE_COLUMN["announced"]] = np.nan
    found = {}
    for announced in (0.0, 1.0):
        x[AUTOMATE, VALUE_COLUMN["announced"]] = announced
        found[announced] = model.values_of(x, modes, np.zeros(modes.size, dtype=bool), np.zeros(modes.size, np.int64))
    parts, more = found[0.0].parts, found[0.0].over_hold - found[1.0].over_hold
    per_wrong = -more[AUTOMATE] / parts["wrong"][AUTOMATE]
    # What a notice saves of a wrong order: return and complaint, less the handling of what was stopped.
    assert per_wrong == pytest.approx(model.stopped * (5.0 + 12.0 * model.disputed - 0.5), rel=0.05)
    assert np.all(more[:AUTOMATE] == 0.0)
    assert parts["complained"][AUTOMATE] == pytest.approx(parts["wrong"][AUTOMATE] * model.disputed, abs=0.02)
    # Complaints about the shop's own orders are laid at no other mode's door.
    assert np.all(parts["complained"][:AUTOMATE] < 0.005)


MESSY = st.integers(0, 10_000)


def messy(seed, n):
    rng = np.random.default_rng(seed)
    x = rng.exponential(2.0, (n, len(VALUE_FEATURES)))
    x[rng.random(x.shape) < 0.2] = np.nan
    mode = np.sort(rng.integers(0, len(MODES), n)).astype(np.int16)
    mode[0] = 0
    return x, mode, rng.random(n) < 0.5, rng


@given(seed=MESSY)
def test_hold_is_worth_nothing_over_itself_and_the_order_of_candidates_nothing_at_all(playbook, seed):
    x, mode, contact, rng = messy(seed, 12)
    contact[0] = False
    hold = np.zeros(mode.size, dtype=np.int64)
    found = playbook.value.values_of(x, mode, contact, hold)
    assert found.over_hold[0] == 0.0
    assert np.isfinite(found.money).all()
    order = np.append(0, rng.permutation(np.arange(1, mode.size)))
    again = playbook.value.values_of(x[order], mode[order], contact[order], hold)
    assert np.allclose(again.money, found.money[order], rtol=1e-12, atol=1e-12)


@given(seed=MESSY)
def test_many_moments_at_once_are_each_alone(playbook, seed):
    x, mode, contact, _ = messy(seed, 6)
    y, other, touched, _ = messy(seed + 1, 5)
    hold = np.repeat([0, 6], [6, 5])
    both = playbook.value.values_of(
        np.concatenate([x, y]), np.concatenate([mode, other]), np.concatenate([contact, touched]), hold
    )
    for rows, args in ((slice(0, 6), (x, mode, contact)), (slice(6, 11), (y, other, touched))):
        alone = playbook.value.values_of(*args, np.zeros(len(args[0]), dtype=np.int64))
        assert np.allclose(both.over_hold[rows], alone.over_hold, rtol=1e-12, atol=1e-12)
        assert np.allclose(both.parts["order"][rows], alone.parts["order"], rtol=1e-12)
