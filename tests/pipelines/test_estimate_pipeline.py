"""The file goes in as it is, the numbers come out as the estimators gave them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from cxreco.errors import BadInput, NoSupport
from cxreco.pipelines import estimate
from cxreco.repeat.estimators import estimate_frame

WRITERS = {
    "log.parquet": lambda frame, path: frame.to_parquet(path),
    "log.csv": lambda frame, path: frame.to_csv(path, index=False),
    "log.csv.gz": lambda frame, path: frame.to_csv(path, index=False),
    "log.jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
}


def logged(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    propensity, target = np.array([0.7, 0.3]), np.array([0.4, 0.6])
    action = rng.choice(2, p=propensity, size=n)
    return pd.DataFrame(
        {
            "customer_id": [f"C{i % 80}" for i in range(n)],
            "reward": rng.normal(np.array([1.0, 2.0])[action], 1.0),
            "propensity": propensity[action],
            "target_propensity": target[action],
        }
    )


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_estimators_numbers(name: str, tmp_path: Path) -> None:
    frame = logged()
    WRITERS[name](frame, tmp_path / name)
    console = Console(record=True, width=160)
    estimate.run(tmp_path / name, console)
    told = console.export_text()
    for value in estimate_frame(frame)["value"]:
        assert f"{value:.4f}" in told


def test_the_table_fits_a_terminal_of_eighty_columns_with_every_heading_whole(tmp_path: Path) -> None:
    logged().to_parquet(tmp_path / "log.parquet")
    console = Console(record=True, width=80)
    estimate.run(tmp_path / "log.parquet", console)
    told = console.export_text()
    assert "…" not in told and "estimator" in told and "supported" in told
    assert "from 400 decisions of 80 customers" in told


def test_a_log_without_propensities_is_refused_by_column(tmp_path: Path) -> None:
    logged().drop(columns="propensity").to_csv(tmp_path / "log.csv")
    with pytest.raises(BadInput, match="propensity"):
        estimate.run(tmp_path / "log.csv", Console())


def test_a_log_that_never_tried_it_is_refused(tmp_path: Path) -> None:
    logged().assign(target_propensity=0.0).to_csv(tmp_path / "log.csv")
    with pytest.raises(NoSupport):
        estimate.run(tmp_path / "log.csv", Console())


@pytest.mark.parametrize("name", ["log.xlsx", "log.parquet"])
def test_a_file_that_is_not_what_it_says_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("reward,propensity\n")
    with pytest.raises(BadInput, match="log"):
        estimate.run(tmp_path / name, Console())
