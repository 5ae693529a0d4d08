"""The figures of a real shop's log against numbers worked out by hand, and the demo on a part of the real file."""

import gzip
from collections.abc import Callable
from itertools import islice
from math import log2
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from cxreco.edge.settings import load_settings
from cxreco.errors import BadInput
from cxreco.journey import DAY
from cxreco.pipelines import demo_shop, demo_shop_told, shop_figures, shop_returns
from cxreco.recognise.layout import TICK, Kind
from cxreco.recognise.replay import sort_ticks


def lines(*rows: tuple[int, int, int]) -> np.ndarray:
    """Return order lines of (customer, day, item)."""
    ticks = np.zeros(len(rows), TICK)
    ticks["kind"] = Kind.ORDER_LINE
    for row, (customer, day, item) in enumerate(rows):
        ticks["customer"][row], ticks["at"][row], ticks["item"][row] = customer, day * DAY, item
        ticks["seq"][row] = row
    return sort_ticks(ticks)


def test_recall_and_ndcg_are_those_worked_out_by_hand() -> None:
    found, bought = np.array([5, 1, 7, 2], np.int32), np.array([1, 2, 9], np.int32)
    assert shop_figures.recall_at(found, bought, 4) == pytest.approx(2 / 3)
    assert shop_figures.recall_at(found, bought, 2) == pytest.approx(1 / 3)
    gain = 1 / log2(3) + 1 / log2(5)
    assert shop_figures.ndcg_at(found, bought, 4) == pytest.approx(gain / (1 + 1 / log2(3) + 1 / log2(4)))
    # The ideal list of two holds two hits, not three.
    assert shop_figures.ndcg_at(found, bought, 2) == pytest.approx((1 / log2(3)) / (1 + 1 / log2(3)))
    assert shop_figures.ndcg_at(bought, bought, 10) == pytest.approx(1.0)


def test_a_short_list_is_no_error() -> None:
    none = np.empty(0, np.int32)
    assert shop_figures.recall_at(none, np.array([1], np.int32)) == 0.0
    assert shop_figures.ndcg_at(none, np.array([1], np.int32)) == 0.0


def test_baselines_count_orders_and_fill_up_with_what_everybody_buys() -> None:
    log = lines((0, 1, 3), (0, 2, 3), (0, 2, 4), (1, 1, 2), (1, 2, 2), (1, 3, 2), (2, 1, 4), (2, 1, 4))
    of = shop_figures.baselines(log, 6)
    ranked = of(0)
    assert ranked["P-TopFreq"].tolist() == [3, 4]
    assert ranked["G-TopFreq"].tolist()[:3] == [2, 3, 4]
    assert ranked["GP-TopFreq"].tolist() == [3, 4, 2, 0, 1, 5]
    assert of(99)["P-TopFreq"].size == 0
    assert of(99)["GP-TopFreq"].tolist() == of(99)["G-TopFreq"].tolist()


def test_reliability_compares_bins_of_equal_size() -> None:
    chance = np.array([0.9, 0.1, 0.2, 0.8])
    happened = np.array([True, False, True, True])
    table = shop_figures.reliability(chance, happened, 2)
    assert table == pytest.approx(np.array([[0.15, 0.5, 2], [0.85, 1.0, 2]]))
    assert shop_figures.calibration_error(table) == pytest.approx((0.35 + 0.15) / 2)


def test_timing_counts_only_what_came_and_had_a_gap() -> None:
    found = shop_figures.Needs(
        customer=np.arange(4),
        item=np.zeros(4, np.int32),
        chance=np.zeros((4, 2)),
        days=np.array([10.0, np.inf, 4.0, 20.0]),
        foretold=np.array([9.0, 5.0, 7.0, 28.0]),
        mean_gap=np.array([14.0, 3.0, np.nan, 18.0]),
        last_gap=np.array([10.0, 3.0, np.nan, 0.0]),
        bg_nbd=np.array([8.0, 5.0, 7.0, 16.0]),
        bg_nbd_chance=np.zeros((4, 2)),
    )
    assert shop_figures.timing(found) == {
        "cxreco": 4.5,
        "mean gap": 3.0,
        "last gap": 10.0,
        "BG/NBD": 3.0,
        "always 14": 5.0,
    }
    apart = shop_figures.timing_apart(found)
    assert apart.value == 1.5
    assert apart.low <= 1.5 <= apart.high


def test_a_rhythm_is_read_from_purchases_before_the_cut() -> None:
    own = lines((0, 10, 1), (0, 20, 1), (0, 34, 1), (0, 41, 1), (0, 12, 2))
    assert shop_figures._rhythm(own, 1, 36 * DAY) == pytest.approx((5.0, 10.0, 12.0, 2.0, 24.0, 26.0))
    days, mean_gap, _, *bought = shop_figures._rhythm(own, 2, 36 * DAY)
    assert np.isinf(days)
    assert np.isnan(mean_gap)
    assert bought == [0.0, 0.0, 24.0]
    assert shop_figures._rhythm(own, 1, 100 * DAY)[1] == 0.0


def test_intervals_hold_their_value_and_shrink_with_customers() -> None:
    rng = np.random.default_rng(1)
    few, many = shop_figures.mean_of(rng.random(50)), shop_figures.mean_of(rng.random(5_000))
    assert few.low < few.value < few.high
    assert many.high - many.low < 0.3 * (few.high - few.low)
    assert f"{shop_figures.mean_of(np.full(5, 0.25))}" == "0.250 (0.250 to 0.250)"


def test_the_area_is_one_for_a_perfect_score_and_unknown_where_all_ended_alike() -> None:
    customer = np.arange(40) // 2
    outcome = np.arange(40) % 2 == 1
    area = shop_returns.auc_of(outcome.astype(float), outcome, customer)
    assert (area.value, area.low, area.high) == (1.0, 1.0, 1.0)
    assert np.isnan(shop_returns.auc_of(np.zeros(40), np.zeros(40, bool), customer).value)


def test_another_file_is_refused_in_one_line(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="is not the UCI Online Retail log"):
        demo_shop.run(load_settings(home=tmp_path / "home"), other, Console(quiet=True))


def test_a_part_that_fails_is_one_line_and_stops_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> dict[str, float]:
        raise ValueError("no such [thing]")

    kept: dict[str, float] = {}
    console = Console(width=200)
    assert not demo_shop._tried("return risk", broken, kept, console)
    assert demo_shop._tried("another", lambda: {"a": 1.0}, kept, console)
    assert capsys.readouterr().out == "return risk: not shown, no such [thing]\n"
    assert kept == {"a": 1.0}


@pytest.mark.slow
def test_the_demo_runs_on_the_first_months_of_the_real_log(
    data_file: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "part.csv"
    with gzip.open(data_file("online_retail/online_retail.csv.gz"), "rt", encoding="utf-8") as whole:
        part.write_text("".join(islice(whole, 90_000)), encoding="utf-8")
    assert demo_shop.run(load_settings(home=tmp_path / "home"), part, Console(width=200)) == 0
    told = capsys.readouterr().out
    for said in (
        "Recall@10",
        "GP-TopFreq",
        "timing error",
        "BG/NBD",
        "AUC",
        "still active",
        "logged decisions",
        "still the apprentice",
    ):
        assert said in told
    for mode in ("respond_to_desire", "curated_offering", "coach_behavior", "automatic_execution"):
        assert f"\n{mode}: " in told
    pictures = tmp_path / "home" / demo_shop.SHOP / "pictures"
    assert sorted(path.name for path in pictures.iterdir()) == ["reliability.png", "return_risk.png"]


def test_a_risk_that_says_too_much_is_bent_to_what_came_back() -> None:
    rng = np.random.default_rng(2)

    def orders(n: int) -> shop_returns.Returns:
        said = rng.random(n)
        return shop_returns.Returns(
            customer=np.arange(n), returned=rng.random(n) < 0.3 * said, by_items=said, by_both=said,
            better=np.zeros(n), weight=0.0,
        )  # fmt: skip

    later = orders(4_000)
    bent = shop_returns.calibrated(orders(4_000), later)
    assert bent is not None
    held = shop_figures.calibration_error(shop_figures.reliability(bent, later.returned))
    assert held < 0.03 < shop_figures.calibration_error(shop_figures.reliability(later.by_both, later.returned))
    assert shop_returns.calibrated(orders(20), later) is None


def test_a_reliability_diagram_is_a_picture(tmp_path: Path) -> None:
    table = np.array([[0.1, 0.08, 50.0], [0.4, 0.45, 50.0]])
    demo_shop_told.reliability_picture({"within 7 days": table}, "title", tmp_path / "new" / "picture.png")
    assert (tmp_path / "new" / "picture.png").read_bytes()[:4] == b"\x89PNG"
