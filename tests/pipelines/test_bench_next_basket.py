"""The next-basket comparison: hand-checked measures and methods, and a small run through the product."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def baskets(monkeypatch):
    """Return the modules of the comparison, imported as its own script imports them."""
    monkeypatch.syspath_prepend(str(BENCH))
    import baskets.measures as measures
    import baskets.methods as methods
    import baskets.shops as shops

    return shops, methods, measures


def history(shops, *rows):
    """rows: (customer, items) in order of time."""
    return shops._baskets([(c, place, items) for place, (c, items) in enumerate(rows)], 3, 8)


def test_measures_of_two_customers_by_hand(baskets):
    shops, _, measures = baskets
    past = history(shops, (0, [0, 1]), (0, [1]), (1, [2]))
    truth = [np.array([1, 5, 6], np.int32), np.array([3], np.int32)]
    task = shops.Task(history=past, customers=np.array([0, 1]), truth=truth)
    lists = np.full((2, measures.MOST), -1, np.int32)
    lists[0, :3], lists[1, :12] = [1, 7, 5], [*([4] * 11), 3]
    found = measures.measured(task, lists)
    ideal = 1.0 + 1.0 / np.log2(3) + 1.0 / np.log2(4)
    assert found["all.recall@10"].tolist() == [2 / 3, 0.0] and found["all.recall@20"].tolist() == [2 / 3, 1.0]
    assert found["all.ndcg@10"] == pytest.approx([(1.0 + 1.0 / np.log2(4)) / ideal, 0.0])
    assert found["all.ndcg@20"][1] == pytest.approx(1.0 / np.log2(13))
    assert found["all.phr@10"].tolist() == [1.0, 0.0]
    assert found["repeat.recall@10"][0] == 1.0 and np.isnan(found["repeat.recall@10"][1])
    assert found["explore.recall@10"].tolist() == [0.5, 0.0]


def test_a_customer_of_several_folds_is_resampled_as_one(baskets):
    _, _, measures = baskets
    rng = np.random.default_rng(1)
    once = rng.normal(size=400)
    thrice, who = np.tile(once, 3), np.tile(np.arange(400), 3)
    (_, low, high), (_, low_3, high_3) = measures.interval(once, np.arange(400)), measures.interval(thrice, who)
    assert high - low == pytest.approx(4 * once.std() / 20, rel=0.1)
    assert (low_3, high_3) == pytest.approx((low, high), abs=1e-9)


def test_frequency_methods_by_hand(baskets):
    shops, methods, _ = baskets
    past = history(shops, (0, [0, 1]), (0, [1]), (1, [2]), (1, [2, 4]), (2, [2]))
    who = np.array([0, 2])
    lists = {name: methods.lists_of(methods.personal_frequency(past, {"fill": fill}), who)
             for name, fill in (("P", 0.0), ("GP", 1.0))}  # fmt: skip
    assert [item for item in lists["P"][0].tolist() if item >= 0] == [1, 0]
    assert lists["GP"][0].tolist()[:4] == [1, 0, 2, 4] and lists["GP"][1].tolist()[:2] == [2, 1]
    decayed = methods.decayed_frequency(past, {"decay": 0.5, "popularity": 0.0})(who)
    assert decayed[0].tolist()[:2] == [0.5, 1.5]


def test_tifu_vectors_decay_within_and_between_groups(baskets):
    shops, methods, _ = baskets
    past = history(shops, (0, [0]), (0, [1]), (0, [2]), (0, [3]), (1, [4]))
    vectors = methods.tifu_vectors(past, {"groups": 2, "within": 0.9, "between": 0.5}).toarray()
    # Two groups of two: (0.9, 1) / 2 each, the earlier one halved, the mean of both.
    assert vectors[0, :4] == pytest.approx([0.9 / 2 * 0.5 / 2, 1 / 2 * 0.5 / 2, 0.9 / 2 / 2, 1 / 2 / 2])
    assert vectors[1, 4] == 1.0


def test_up_cf_is_asymmetric_cosine_times_recent_popularity(baskets):
    shops, methods, _ = baskets
    past = history(shops, (0, [0]), (0, [1]), (1, [0, 2]))
    scores = methods.up_cf(past, {"r": 1, "alpha": 0.25, "q": 2.0})(np.array([0]))[0]
    # Customer 0 is (1/2, 1/2) over items 0 and 1, customer 1 is (1, 1) over items 0 and 2.
    likeness = 0.5 / (0.5**0.25 * 2.0**0.75)
    assert scores[:3] == pytest.approx([likeness**2, 1.0, likeness**2], rel=1e-5)


def test_a_small_shop_is_compared_through_the_product_and_written(tmp_path):
    rng = np.random.default_rng(5)
    folder = tmp_path / "data" / "tafeng_next_basket"
    folder.mkdir(parents=True)
    past, future = {}, {}
    for customer in range(40):
        own = [int(i) for i in rng.choice(25, 3, replace=False)]
        draw = [sorted({*own[:2], int(rng.integers(0, 25))}) for _ in range(int(rng.integers(3, 7)))]
        past[str(customer)], future[str(customer)] = [[-1], *draw, [-1]], [[-1], own[:2], [-1]]
    for name, body in (("history", past), ("future", future)):
        (folder / f"{name}.json.gz").write_bytes(gzip.compress(json.dumps(body).encode()))
    for fold in range(3):
        names = list(past)
        key = {"item_num": 25, "train": names[:20], "val": names[20:30], "test": names[30 - fold : 40 - fold]}
        (folder / f"keyset_{fold}.json").write_text(json.dumps(key))
    out = tmp_path / "found.json"
    asked = ["--data", str(tmp_path / "data"), "--shop", "tafeng", "--quick", "--out", str(out)]
    command = [sys.executable, str(BENCH / "next_basket.py"), *asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())["tafeng"]
    assert {"cxreco", "TIFU-KNN", "UP-CF@r", "GP-TopFreq"} <= set(found["methods"])
    assert found["customers"] == 12 and found["folds"] == 3
    assert found["methods"]["cxreco"]["repeat.recall@10"]["mean"] > 0.6
    assert set(found["seconds"]["cxreco"]) == {"import", "train", "rank"}
    done = subprocess.run([*command, "--as-tuned"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    again = json.loads(out.read_text())["tafeng"]
    assert again["parameters"] == found["parameters"]
    for name in ("TIFU-KNN", "UP-CF@r", "GP-TopFreq"):
        assert again["methods"][name] == found["methods"][name]
        assert again["seconds"][name] == found["seconds"][name]


def test_what_was_never_tuned_cannot_be_taken_as_tuned(tmp_path):
    done = subprocess.run(
        [sys.executable, str(BENCH / "next_basket.py"), "--as-tuned", "--out", str(tmp_path / "none.json")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "run it once without --as-tuned" in " ".join(done.stdout.split())


def test_what_to_download_is_said(tmp_path):
    done = subprocess.run(
        [sys.executable, str(BENCH / "next_basket.py"), "--data", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "download history.json.gz" in " ".join(done.stdout.split())
