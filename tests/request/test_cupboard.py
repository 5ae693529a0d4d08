"""The cupboard against lives whose truth is known: its tables, what it infers of a customer, what it learns of all."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxreco.journey import DAY
from cxreco.recognise.layout import TICK, Kind, Mark
from cxreco.recognise.replay import moments_of, replay
from cxreco.request.cupboard import UNTOLD, Cupboard, cupboard_of, told, within
from cxreco.request.cupboard_fitting import fit_cupboard, marks_of
from cxreco.request.cupboard_tables import AHEAD, CUPBOARD, CYCLES, LONGEST_DAYS, NOTICE, Habits
from cxreco.request.need import NeedModel
from cxreco.request.need_features import NEED_FEATURES, expand
from cxreco.request.renewal import renewal_within

F64 = NDArray[np.float64]
TRUE = Habits(notices=0.3, buys=0.6, shows=0.7, leaves=0.4, elsewhere=0.08, gone=0.002, irregular=0.15, spread=0.3)
MEDIAN = {1: 12.0, 2: 35.0}
START = 20_000


@dataclass
class Lives:
    """Customers by category, lived day by day: ticks, and the day of the next purchase after `until`."""

    ticks: NDArray[np.void]
    until: int
    waits: dict[tuple[int, int], float]


def lived(customers: int, days: int, seed: int, habits: Habits = TRUE, ahead: int = 28) -> Lives:
    """Live cupboards as `Habits` says, from days `-60` on, so that they begin anywhere in their cycle."""
    rng = np.random.default_rng(seed)
    rows, waits = [], {}
    base = np.log(habits.notices / (1 - habits.notices))
    for customer in range(customers):
        for category, median in MEDIAN.items():
            cycle = median * np.exp(habits.spread * rng.standard_normal())
            notice = 1 / (1 + np.exp(-(base + rng.choice(NOTICE, p=[0.25, 0.5, 0.25]))))
            left, wait = rng.random() * cycle, np.inf
            for day in range(-60, days + ahead):
                left -= 1.0
                if left > 0.0:
                    continue
                if rng.random() < notice:
                    bought = rng.random() < habits.buys
                    seen = bought or rng.random() < habits.shows
                    met = bought or rng.random() < habits.leaves
                    if bought and day >= days:
                        wait = min(wait, day - days + 1)
                    if seen and 0 <= day < days:
                        rows.append((day, customer, category, bought))
                else:
                    met = rng.random() < habits.elsewhere
                if met:
                    left = cycle * np.exp(habits.irregular * rng.standard_normal())
            waits[customer, category] = wait
    ticks = np.zeros(len(rows), TICK)
    for tick, (day, customer, category, bought) in zip(
        ticks, sorted(rows, key=lambda row: (row[1], row[0])), strict=True
    ):
        tick["at"], tick["customer"], tick["category"], tick["item"] = (
            (START + day) * DAY + 1,
            customer,
            category,
            category,
        )
        tick["kind"], tick["mode"] = Kind.ORDER_LINE if bought else Kind.VIEW, -1
    ticks["seq"] = np.arange(ticks.size)
    return Lives(ticks=ticks, until=(START + days) * DAY, waits=waits)


@pytest.fixture(scope="module")
def lives() -> Lives:
    return lived(500, 200, seed=1)


@pytest.fixture(scope="module")
def learned(lives: Lives) -> Cupboard:
    return fit_cupboard(lives.ticks, until=lives.until)


@pytest.fixture(scope="module")
def foretold(lives: Lives, learned: Cupboard) -> tuple[F64, F64, F64, F64]:
    """Return what is inferred of each pair that bought twice, its wait, its renewal in a week and its age in days."""
    inferred, waits, rhythm = [], [], []
    who = np.unique(lives.ticks["customer"])
    for row, state in replay(lives.ticks, moments_of(who, np.full(who.size, lives.until - 1))):
        found = cupboard_of(state.category_slots, lives.until - 1, learned.tables)
        for slot, said in zip(state.category_slots, found, strict=False):
            if slot["orders"] >= 2:
                inferred.append(said)
                waits.append(lives.waits[int(who[row]), int(slot["key"])])
                since = lives.until / DAY - slot["last_at"] / 86_400
                rhythm.append((renewal_within(slot["gap_mean"], 0.4, 0.95, since, 7.0), since))
    return np.array(inferred), np.array(waits), *np.array(rhythm).T


def test_chances_of_what_comes_next_add_up(learned: Cupboard) -> None:
    t = learned.tables
    # Of a day, one row is that nothing came; a purchase the shop made is no end of a wait, but a place to look from.
    coming = np.exp(t.between[:, : Mark.PLACED]).sum(axis=1)
    np.testing.assert_allclose(coming.cumsum(axis=1) + np.exp(t.silent), 1.0, atol=1e-5)
    assert (np.diff(t.ahead[..., 1:], axis=-1) >= -1e-6).all()
    assert ((t.ahead >= 0.0) & (t.ahead <= 1.0)).all()


def test_the_tables_are_what_lives_of_one_kind_come_to() -> None:
    cupboard = Cupboard(habits=TRUE, cycle=np.array([20.0, 20.0]))
    k = int(np.argmin(np.abs(CYCLES - 20.0))) * NOTICE.size + 1
    cycle, rng, n = CYCLES[k // NOTICE.size], np.random.default_rng(3), 60_000
    left = cycle * np.exp(TRUE.irregular * rng.standard_normal(n))
    mark = np.full(n, 999)
    for day in range(1, 80):
        is_open = left <= day + 0.5
        visit = is_open & (rng.random(n) < TRUE.notices)
        buys = visit & (rng.random(n) < TRUE.buys)
        seen = buys | (visit & (rng.random(n) < TRUE.shows))
        mark = np.where((mark == 999) & seen, np.where(buys, day, -day), mark)
        met = (visit & ~buys & ~seen & (rng.random(n) < TRUE.leaves)) | (
            is_open & ~visit & (rng.random(n) < TRUE.elsewhere)
        )
        left = np.where(met, day + cycle * np.exp(TRUE.irregular * rng.standard_normal(n)), left)
    t = cupboard.tables
    for day in (15, 20, 25, 40, 60):
        for kind, sign in ((Mark.BOUGHT, 1), (Mark.LOOKED, -1)):
            share = ((mark * sign > 0) & (np.abs(mark) <= day)).mean() * (1 - TRUE.gone)
            table = np.exp(t.between[Mark.BOUGHT, kind, : day + 1, k]).sum()
            assert abs(share - table) < 4 * np.sqrt(0.25 / n), (day, kind)


def test_it_learns_how_long_things_last_and_how_people_notice(learned: Cupboard) -> None:
    habits = learned.habits
    assert habits is not None
    for category, median in MEDIAN.items():
        assert learned.cycle[category] == pytest.approx(median, rel=0.1)
    assert habits.notices == pytest.approx(TRUE.notices, abs=0.06)
    assert habits.irregular == pytest.approx(TRUE.irregular, abs=0.08)
    assert habits.spread == pytest.approx(TRUE.spread, abs=0.08)
    assert habits.gone < 0.02


def test_what_it_foretells_comes_as_often_as_it_says(foretold: tuple[F64, F64, F64, F64]) -> None:
    inferred, waits, *_ = foretold
    for j, days in enumerate(AHEAD):
        p, came = inferred[:, 1 + j], waits <= days
        assert abs(p.mean() - came.mean()) < 4 * np.sqrt(0.25 / waits.size), days
        for fifth in np.array_split(np.argsort(p), 5):
            share = np.clip(came[fifth].mean(), 0.02, 0.98)
            assert abs(p[fifth].mean() - share) < 4 * np.sqrt(share * (1 - share) / fifth.size) + 0.03, days


def test_it_tells_more_than_the_mean_gap(foretold: tuple[F64, F64, F64, F64]) -> None:
    inferred, waits, rhythm, _ = foretold
    came = waits <= 7.0

    def surprise(p: F64) -> F64:
        p = np.clip(p, 0.01, 0.99)
        return -np.where(came, np.log(p), np.log(1 - p))

    # The rival is told how often it comes on average.
    shifted = rhythm * came.mean() / rhythm.mean()
    gained = surprise(shifted) - surprise(inferred[:, 1 + AHEAD.index(7)])
    assert gained.mean() > 4 * gained.std() / np.sqrt(gained.size)


def test_a_state_keeps_the_end_of_what_it_is_learned_from(lives: Lives) -> None:
    marks = marks_of(lives.ticks, lives.until)
    sequences = [
        list(zip(marks.days[a:b], marks.kinds[a:b], strict=True))
        for a, b in zip(marks.start[:-1], marks.start[1:], strict=True)
    ]
    kept = []
    who = np.unique(lives.ticks["customer"])
    for _, state in replay(lives.ticks, moments_of(who, np.full(who.size, lives.until))):
        for slot in np.sort(state.category_slots, order="key"):
            kinds = [(int(slot["mark_kinds"]) >> (2 * i)) & 3 for i in range(int(slot["marks"]))]
            kept.append(list(zip(slot["mark_days"].tolist(), kinds, strict=False)))
    bought = [one for one in kept if any(kind == Mark.BOUGHT for _, kind in one)]
    short = [sequence[-6:] for sequence in sequences]
    # Looks before the first purchase are in the state alone.
    agree = sum(
        one[-len(other) :] == [(int(d), int(k)) for d, k in other] for one, other in zip(bought, short, strict=True)
    )
    assert agree == len(short) > 900


def test_without_enough_to_learn_from_it_says_nothing(lives: Lives) -> None:
    few = lives.ticks[lives.ticks["customer"] < 10]
    cupboard = fit_cupboard(few, until=lives.until)
    assert cupboard.habits is None
    for _, state in replay(few, moments_of(np.array([3]), np.array([lives.until]))):
        assert np.isnan(cupboard_of(state.category_slots, lives.until, cupboard.tables)).all()
        assert np.isnan(cupboard_of(state.category_slots, lives.until, UNTOLD)).all()


def test_nothing_after_the_end_is_looked_at(lives: Lives) -> None:
    end = lives.until - 60 * DAY
    past = lives.ticks[lives.ticks["at"] < end]
    assert fit_cupboard(lives.ticks, until=end).to_json() == fit_cupboard(past, until=end).to_json()


def test_it_is_the_same_from_its_file(learned: Cupboard) -> None:
    again = Cupboard.from_json(learned.to_json())
    assert all(np.array_equal(a, b) for a, b in zip(learned.tables, again.tables, strict=True))


@given(st.integers(0, 400), st.lists(st.tuples(st.integers(1, 300), st.integers(0, 2)), max_size=5))
@settings(max_examples=60)
def test_any_marks_make_a_distribution(learned: Cupboard, since: int, gaps: list[tuple[int, int]]) -> None:
    t = learned.tables
    kinds = np.array([1, *(kind for _, kind in gaps)])
    days = np.cumsum([START, *(gap for gap, _ in gaps)])
    weight = np.empty(t.prior.shape[1])
    likelihood = told(kinds, days, t.prior[1], t.between, t.silent, since, weight)
    assert np.isfinite(likelihood)
    assert weight.sum() == pytest.approx(1.0)
    said = weight @ t.ahead[kinds[-1], min(since, LONGEST_DAYS)]
    assert said.size == len(CUPBOARD)
    assert (np.diff(said[1:]) >= -1e-6).all()


@given(
    st.lists(st.floats(0.0, 1.0), min_size=len(AHEAD), max_size=len(AHEAD)), st.floats(0.1, 60.0), st.floats(0.0, 9.0)
)
def test_between_its_days_it_rises(chances: list[float], days: float, more: float) -> None:
    ahead = np.sort(np.array(chances))
    assert within(ahead, days) <= within(ahead, days + more) + 1e-9
    for j, each in enumerate(AHEAD):
        assert within(ahead, float(each)) == pytest.approx(ahead[j], abs=1e-6)


def test_need_starts_from_it_as_far_as_it_is_asked() -> None:
    x = np.full((2, len(NEED_FEATURES)), np.nan)
    column = {name: i for i, name in enumerate(NEED_FEATURES)}
    x[:, column["orders"]], x[:, column["gap"]], x[:, column["spread"]], x[:, column["repeat"]] = 3.0, 20.0, 0.4, 0.9
    x[:, column["days_since"]], x[:, column["is_category"]], x[:, column["category_share"]] = (
        10.0,
        (0.0, 1.0),
        (0.5, 1.0),
    )
    x[:, [column[name] for name in CUPBOARD]] = 0.2
    own = renewal_within(20.0, 0.4, 0.9, 10.0, 7.0)
    for part in (0.0, 0.25, 1.0):
        _, offset = expand(x, np.array([7.0]), np.full(2, part))
        expected = [(1 - part) * own + part * share * 0.2 for share in (0.5, 1.0)]
        np.testing.assert_allclose(1 / (1 + np.exp(-offset)), expected, rtol=1e-6)
    assert (NeedModel().by_cupboard == 0.0).all()
