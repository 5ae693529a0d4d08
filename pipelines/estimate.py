"""Estimate: from a file of logged decisions to what a target policy would have earned, with interval and support."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from cxreco.errors import BadInput
from cxreco.repeat.estimators import estimate_frame

COLUMNS = ("level", "estimator", "per decision", "95 % from", "to", "effective", "not supported")


def read_frame(path: Path) -> pd.DataFrame:
    """Read a frame from .parquet, .csv or .jsonl, the latter two gzipped too.

    Raises
    ------
    BadInput
        If the ending is none of these, or the file is not what its ending says.
    """
    ending = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    try:
        if ending == "parquet":
            return pd.read_parquet(path)
        if ending == "csv":
            return pd.read_csv(path)
        if ending == "jsonl":
            return pd.read_json(path, lines=True)
    except (ValueError, OSError) as error:
        raise BadInput(f"cannot be read as {ending}: {error}", where=str(path)) from error
    raise BadInput("expected .parquet, .csv or .jsonl", where=str(path))


def run(path: Path, console: Console) -> None:
    """Print the estimates of every estimator that the file's columns allow.

    Raises
    ------
    BadInput
        If the file or one of its columns cannot be read.
    NoSupport
        If the log cannot speak for the target policy, with the reasons.
    """
    estimates = estimate_frame(read_frame(path))
    table = Table(*COLUMNS, title=f"What the target policy would have earned, by {path.name}")
    for row in estimates.to_dict("records"):
        table.add_row(*_cells(row))
    # Every level is read off the same rows.
    first = estimates.iloc[0]
    table.caption = f"from {first['n']:,} decisions of {first['customers']:,} customers"
    console.print(table)
    if not bool(estimates["consistent"].all()):
        console.print("* leans on the reward model: its interval does not cover all of the model's error")


def _cells(row: dict[Any, Any]) -> list[str]:
    return [
        row["level"],
        row["name"] if row["consistent"] else f"{row['name']} *",
        f"{row['value']:.4f}",
        f"{row['low']:.4f}",
        f"{row['high']:.4f}",
        f"{row['ess']:,.0f}",
        f"{row['unsupported']:.1%}",
    ]
