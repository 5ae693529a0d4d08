"""What uplift and slates are measured with: averages of learners, messages of known effect, what went unanswered."""

from pathlib import Path

import numpy as np
import pytest

from cxreco.journey import CURATE
from cxreco.recognise.layout import SLOT
from cxreco.recognise.state import State

BENCH = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def bench(monkeypatch):
    """Let the parts of the scripts be imported as the scripts import them."""
    monkeypatch.syspath_prepend(str(BENCH))


def test_weights_of_an_average_lie_on_the_simplex_and_go_to_what_foretells():
    from mail_trial.averages import aggregated

    rng = np.random.default_rng(1)
    true = rng.normal(size=20_000)
    told = np.stack([true, rng.normal(size=20_000), -true])
    weights = aggregated(told, true + 3.0 * rng.normal(size=20_000))
    assert weights.sum() == pytest.approx(1.0) and weights.min() >= 0.0
    assert weights[0] > 0.9
    # Two that err independently are better together than either alone.
    both = np.stack([true + rng.normal(size=20_000), true + rng.normal(size=20_000)])
    assert aggregated(both, true + rng.normal(size=20_000)) == pytest.approx([0.5, 0.5], abs=0.1)


def test_messages_of_known_effect_bring_what_is_said(playbook):
    from simulated.letters import letters

    drawn = letters(playbook.value, 3, 60_000, size=0.1, carried=0.6)
    own, money = drawn.messages, drawn.messages.money
    signed = np.where(own.sent, 1.0 / own.chance, -1.0 / (1.0 - own.chance))
    for came, true in ((own.soon, drawn.orders), (money, drawn.money)):
        terms = signed * (came - came.mean()) - true
        assert abs(terms.mean()) < 4.0 * terms.std() / np.sqrt(terms.size)
    # Where orders are worth nothing a message costs what it costs, whatever it moves.
    assert np.ptp(letters(playbook.value, 3, 500, size=0.1, carried=0.0).money) == 0.0


def test_what_was_shown_counts_until_it_is_looked_at():
    from slating.seasons import DAY_S, Unanswered

    memory, state, day = Unanswered(), State.empty(), int(DAY_S)
    shown = state.head["last_shown_at"]
    memory.decided("ada", 10 * day, (1, 2))
    # The slate was decided on, and never seen.
    assert memory.of("ada", state, 11 * day) == {}
    memory.decided("ada", 11 * day, (1, 2))
    shown[0, CURATE] = 11 * day + 1
    assert memory.of("ada", state, 11 * day) == {1: 1.0, 2: 1.0}
    assert memory.of("ada", state, 18 * day) == pytest.approx({1: 0.5, 2: 0.5})
    looked = np.zeros(1, SLOT)
    looked["key"], looked["touched_at"] = 2, 12 * day
    state.items[:1], state.head["items"] = looked, 1
    assert memory.of("ada", state, 18 * day) == pytest.approx({1: 0.5, 2: 0.0})
    assert memory.of("bob", state, 18 * day) == {}


def test_slates_are_chosen_by_worth_among_those_that_find_no_less_of_the_next_order():
    import slates

    names = [way.name for way in slates.GRID]
    orders = {"ways": {name: {slates.KEPT: {"high_less_best": -0.01}} for name in names}}
    tuned = {"curate.personal": {"ways": {name: {"mean": float(k)} for k, name in enumerate(names)}}}
    for name in names[:3]:
        orders["ways"][name][slates.KEPT]["high_less_best"] = 0.0
    assert slates.choice(tuned, orders) == names[2], "worth more, but finding evidently less, the others are out"


def test_no_way_is_evidently_behind_the_best_of_real_orders_and_that_one_is_never():
    import slates

    rng = np.random.default_rng(3)
    figures = rng.random((300, len(slates.NAMES), len(slates.MEASURES)))
    best = slates.GRID[4].name
    figures[:, slates.NAMES.index(best)] += 0.5
    found = slates.real(figures)["ways"]
    assert found[best][slates.KEPT]["high_less_best"] == 0.0
    assert all(found[way.name][slates.KEPT]["high_less_best"] < 0.0 for way in slates.GRID if way.name != best)
