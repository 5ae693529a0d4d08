"""The MineThatData e-mail trial (Hillstrom 2008): who was dealt which e-mail, and what followed within two weeks."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.repeat.uplift import Trial

ARMS = ("none", "Mens", "Womens")
OUTCOMES = ("visit", "spend")
_SEGMENTS = {"No E-Mail": 0, "Mens E-Mail": 1, "Womens E-Mail": 2}


def load(path: Path, outcome: str) -> Trial:
    """Return the trial of three arms, each dealt to a third; categories as columns of 0 and 1.

    Raises
    ------
    BadInput
        If the file is not there or not the trial.
    """
    if not path.exists():
        raise BadInput("is not there: see the README, under benchmarks, for where the data goes", where=str(path))
    table = pd.read_csv(path)
    missing = {"segment", "recency", "history", "zip_code", "channel", outcome} - set(table.columns)
    if missing:
        raise BadInput(f"is not the MineThatData trial: columns {sorted(missing)} are missing", where=str(path))
    numbers = [table["recency"], np.log(table["history"]), table["mens"], table["womens"], table["newbie"]]
    dummies = [table[name] == value for name in ("zip_code", "channel") for value in sorted(table[name].unique())]
    x: NDArray[np.float64] = np.column_stack([*numbers, *dummies]).astype(np.float64)
    arm: NDArray[np.int64] = np.asarray(table["segment"].map(_SEGMENTS), dtype=np.int64)
    return Trial.dealt(x, arm, table[outcome].to_numpy(np.float64), np.ones(len(ARMS)))
