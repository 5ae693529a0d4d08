"""The uplift comparison runs on a small trial, peers or not, and writes what it measured with what it ran on."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

BENCH = Path(__file__).resolve().parents[2] / "benchmarks" / "uplift.py"


def test_a_small_trial_is_compared_and_written(tmp_path):
    rng = np.random.default_rng(3)
    n = 240
    mens = rng.integers(0, 2, n)
    segment = np.array(["No E-Mail", "Mens E-Mail", "Womens E-Mail"])[np.arange(n) % 3]
    visit = (rng.random(n) < 0.2 + 0.4 * mens * (segment == "Mens E-Mail")).astype(int)
    table = pd.DataFrame(
        {"recency": rng.integers(1, 12, n), "history": rng.uniform(30, 500, n), "mens": mens, "womens": 1 - mens,
         "zip_code": rng.choice(["Rural", "Urban"], n), "newbie": rng.integers(0, 2, n),
         "channel": rng.choice(["Phone", "Web"], n), "segment": segment, "visit": visit, "spend": 10.0 * visit}
    )  # fmt: skip
    data, out = tmp_path / "trial.csv", tmp_path / "found.json"
    table.to_csv(data, index=False)
    asked = ["--data", str(data), "--seeds", "1", "--resampled", "5", "--alone", "--outcomes", "visit"]
    done = subprocess.run(
        [sys.executable, str(BENCH), *asked, "--out", str(out)], capture_output=True, text=True, check=True
    )
    found = json.loads(out.read_text())
    assert set(found["tasks"]) == {"Mens against none, visit", "Womens against none, visit"}
    figure = found["tasks"]["Mens against none, visit"]["methods"]["cxreco"]["qini"]
    assert figure["low"] <= figure["high"]
    assert found["policies"]["visit"]["over_the_best_single_arm"]["cxreco"]["low"] <= 1.0
    assert found["where"]["packages"]["numpy"] == np.__version__
    assert "by IPS" in done.stdout


def test_a_file_that_is_not_the_trial_is_a_line(tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    done = subprocess.run(
        [sys.executable, str(BENCH), "--data", str(other)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "is not the MineThatData trial" in done.stderr
    assert "Traceback" not in done.stderr
