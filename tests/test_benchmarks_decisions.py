"""The contest of policies: what is tuned, kept and compared; seasons themselves are too long for a test."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxreco.errors import BadInput
from cxreco.journey import COACH
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES, Candidates

BENCH = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def contest(monkeypatch):
    """Return the modules of the contest, imported as its own script imports them."""
    monkeypatch.syspath_prepend(str(BENCH))
    import contest.peer_process as peer_process
    import contest.plugs as plugs
    import contest.results as results
    import contest.sights as sights
    import contest.standings as standings
    import contest.tables as tables
    import contest.ways as ways

    names = (peer_process, plugs, results, sights, standings, tables, ways)
    return {module.__name__.rpartition(".")[2]: module for module in names}


def row(policy, seed=1, money=(1.0, 2.0, 3.0, 4.0), **more):
    shop = {"world": "staples", "seed": seed, "customers": 4, "history": 8, "weeks": 3, "policy": policy}
    return shop | {"money": list(money), "late": list(money), "orders_before": [0, 1, 5, 20]} | more


def candidates(n=3):
    x = np.random.default_rng(0).normal(size=(n, len(VALUE_FEATURES)))
    mode = np.array([0] + [COACH] * (n - 1), dtype=np.int16)
    return Candidates(
        mode=mode, action=mode, item=np.arange(n, dtype=np.int32) - 1, quantity=np.ones(n),
        slate=np.zeros((n, 1), np.int32), score=np.zeros((n, 1)), reason=np.zeros((n, 1), np.int32), x=x,
        actions=("hold", "a", "b", "c"), reasons=(),
    )  # fmt: skip


def test_a_season_takes_the_place_of_an_earlier_one_of_its_key(contest, tmp_path):
    results, path = contest["results"], tmp_path / "deep" / "decisions.json"
    results.add(path, {"at": "then"}, row("random"))
    results.add(path, {"at": "now"}, row("random", money=(9.0, 9.0, 9.0, 9.0)))
    results.add(path, {"at": "now"}, row("random", seed=2))
    about, rows = results.read(path)
    assert about == {"at": "now"}
    assert [(each["seed"], each["money"][0]) for each in rows] == [(1, 9.0), (2, 1.0)]


def test_the_setting_that_took_most_plays(contest):
    ways = contest["ways"]
    tried = [row(f"linucb@{k}", money=(k % 2, 1.0, 1.0, 1.0)) for k in range(len(ways.SETTINGS["linucb"]))]
    assert contest["results"].best_settings(tried) == {"linucb": 1}
    assert contest["results"].best_settings(tried[1:]) == {}
    assert ways.way_of("linucb", {"linucb": 1}).setting == ways.way_of("linucb@1", {}).setting
    with pytest.raises(BadInput, match="no policy is called"):
        ways.way_of("linucb@99", {})


def test_the_gap_is_closed_from_random_to_the_oracle(contest):
    rows = [row("random", seed, (0.0, 1.0, 2.0, 3.0)) for seed in (1, 2)]
    rows += [row("oracle", seed, (3.0, 4.0, 5.0, 6.0)) for seed in (1, 2)]
    rows += [row("cxreco", seed, (1.5, 2.5, 3.5, 4.5)) for seed in (1, 2)] + [row("rules", 1)]
    (found,) = contest["standings"].standings(rows, contest["ways"].NAMES)
    assert found.seeds == (1,), "compared is what everybody played"
    assert [found.closed(name).mean for name in ("random", "cxreco", "oracle")] == [0.0, 0.5, 1.0]
    assert found.closed("cxreco") == pytest.approx((0.5, 0.5, 0.5))
    assert found.ahead("cxreco", "random").mean == pytest.approx(0.5), "1.5 in three weeks"
    assert found.of_tenure("cxreco", "random", 0, 3)[0] == 2
    (full,) = contest["standings"].standings(rows[:-1], contest["ways"].NAMES)
    assert full.seeds == (1, 2)


def test_a_shop_in_one_line_stands_beside_its_best_bandit(contest):
    rows = [row("random", money=(0.0, 1.0, 2.0, 3.0)), row("oracle", money=(6.0, 7.0, 8.0, 9.0)), row("rules")]
    rows += [row("cxreco", money=(4.0, 5.0, 6.0, 7.0)), row("vw-regcb", money=(0.0, 1.0, 2.0, 3.0))]
    rows += [row("vw-cover", money=(2.5, 3.5, 4.5, 5.5)), row("cxreco", seed=2)]
    table = contest["tables"].summary(rows)
    cells = [list(column.cells) for column in table.columns]
    assert cells[0] == ["staples, 1", "staples, 2", "all below 101"]
    assert cells[1] == ["1.83", "0.83", ""] and cells[2][2] == cells[2][0]
    assert cells[2][0].startswith("+1.00") and cells[3][0].startswith("+0.50")
    assert cells[2][1] == cells[3][1] == cells[4][0] == ""
    assert cells[-1][0].startswith("67%") and cells[-1][1] == ""


def test_what_was_chosen_is_told_in_true_worth_beside_the_rival_who_took_most(contest):
    rows = [row("cxreco", got_best=[[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]]), row("random", seed=2, got_best=[[0.1], [9.0]])]
    rows += [row("vw-regcb", money=(0.0, 0.0, 0.0, 0.0), got_best=[[9.0, 9.0, 9.0], [9.0, 9.0, 9.0]])]
    rows += [row("vw-cover", got_best=[[0.5, 0.5, 0.5], [4.0, 4.0, 4.0]])]
    table = contest["tables"].true_worth(rows)
    cells = {str(column.header): list(column.cells) for column in table.columns}
    assert cells["world, seed"][:2] == ["staples, 1", "staples, 2"]
    assert cells["cxreco"][:2] == ["2.00", ""] and cells["Vowpal Wabbit"][:2] == ["0.50", ""]
    assert cells["random"][:2] == ["", "0.10"] and cells["rules"] == ["", "", ""]
    both = contest["tables"].true_worth([*rows, row("cxreco", seed=2, got_best=[[4.0], [9.0]])])
    assert list(both.columns[1].cells) == ["2.00", "4.00", "3.00"] and list(both.columns[3].cells)[-1] == ""


def test_a_masked_customer_is_like_any_other(contest):
    usual, here = contest["plugs"].Usual(), candidates()
    usual.met(here)
    masked = usual.masked(here)
    need, margin = VALUE_COLUMN["need"], VALUE_COLUMN["item_margin"]
    assert masked.x[1, need] == masked.x[2, need] == pytest.approx(here.x[1:, need].mean())
    assert masked.x[:, margin].tolist() == here.x[:, margin].tolist()
    assert here.x[1, need] != here.x[2, need], "what was given stays as it was"


def test_what_is_not_known_is_nought_to_comparators(contest):
    sights, here = contest["sights"], candidates()
    x = here.x.copy()
    x[:, VALUE_COLUMN["nps"]] = np.nan
    seen = sights.sight(replace(here, x=x))
    assert np.isfinite(seen).all() and not seen[:, sights.NAMES.index("nps")].any()
    assert sorted(i for columns in sights.groups().values() for i in columns) == list(range(len(sights.NAMES)))


def test_rewards_are_told_less_the_mean_before_them(contest):
    means = contest["peer_process"].Means()
    assert [means.less("page", reward) for reward in (4.0, 2.0, 3.0)] == [4.0, -2.0, 0.0]
    assert means.less("outbound", 1.0) == 1.0
