"""The Open Bandit Dataset, campaign men (Saito et al. 2021): rounds, and Bernoulli TS's choices."""

import importlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from cxreco.errors import BadInput

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

ITEMS, PLACES = 34, 3
FOLDS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rounds:
    """Logged rounds of one policy, (n,) each: item, place (0 to 2), click, propensity; `q` (n, items) a click model."""

    item: I64
    place: I64
    click: F64
    propensity: F64
    q: F64


def load(folder: Path, policy: str) -> Rounds:
    """Read the rounds that `random` or `bts` logged.

    Raises
    ------
    BadInput
        If the file is not there.
    """
    path = folder / f"{policy}_men.csv.zst"
    if not path.exists():
        raise BadInput("is not there: see the README, under benchmarks, for where the data goes", where=str(path))
    wanted = ["item_id", "position", "click", "propensity_score"]
    with pa.input_stream(str(path), compression="zstd") as stream:
        table = csv.read_csv(stream, convert_options=csv.ConvertOptions(include_columns=wanted))
    item, place, click, propensity = (table[name].to_numpy() for name in wanted)
    item, place, click = item.astype(np.int64), place.astype(np.int64) - 1, click.astype(np.float64)
    return Rounds(item=item, place=place, click=click, propensity=propensity.astype(np.float64),
                  q=_click_rates(item, click))  # fmt: skip


def _click_rates(item: I64, click: F64) -> F64:
    """Foretell clicks by item, shrunk to the mean as by 200 rounds; each third of the rounds by the other two, (n, 34).

    Fitted on other rounds than it is used on, so that the doubly robust estimate owes nothing to its own noise.
    """
    fold = np.arange(item.size) % FOLDS
    q = np.empty((item.size, ITEMS))
    for k in range(FOLDS):
        other = fold != k
        shown = np.bincount(item[other], minlength=ITEMS)
        clicked = np.bincount(item[other], weights=click[other], minlength=ITEMS)
        q[fold == k] = (clicked + 200.0 * click[other].mean()) / (shown + 200.0)
    return q


def bernoulli_ts(folder: Path, *, draws: int, seed: int) -> F64:
    """Return the probability of each item at each place under Bernoulli TS with its published priors, (34, 3).

    Every draw ranks the items by one draw of each item's Beta and shows the first three.
    """
    # By name: PyYAML comes with MLflow, and has no types of its own.
    yaml = importlib.import_module("yaml")
    priors = yaml.safe_load((folder / "prior_bts.yaml").read_text())["men"]
    alpha, beta = (np.array(priors[name], dtype=np.float64) for name in ("alpha", "beta"))
    rng = np.random.default_rng(seed)
    counts, left = np.zeros((ITEMS, PLACES)), draws
    while left > 0:
        block = min(left, 20_000)
        first = np.argsort(-rng.beta(alpha, beta, size=(block, ITEMS)), axis=1)[:, :PLACES]
        for place in range(PLACES):
            counts[:, place] += np.bincount(first[:, place], minlength=ITEMS)
        left -= block
    return counts / draws
