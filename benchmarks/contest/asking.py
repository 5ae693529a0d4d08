"""What a comparison of seasons is asked for on the command line, and how far apart two seasons of one shop are."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contest.shops import Plot
from cxreco.world import WORLDS

F64 = NDArray[np.float64]
RESAMPLED, SEED = 2_000, 5


def asked(name: str, doc: str | None, worlds: Sequence[str], customers: int) -> argparse.Namespace:
    """Return what was asked for of `cxreco bench NAME`: which shops, how large, and where they and the results go."""
    parser = argparse.ArgumentParser(
        prog=f"cxreco bench {name} --", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    results = Path(__file__).parents[1] / "results"
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=list(worlds), metavar="WORLD")
    parser.add_argument("--seed", type=int, default=101, help="of the first shop; the next have the next ones")
    parser.add_argument("--customers", type=int, default=customers)
    parser.add_argument("--history", type=int, default=26, help="weeks")
    parser.add_argument("--weeks", type=int, default=6)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / f"cxreco-{name}")
    parser.add_argument("--out", type=Path, default=results / f"{name}.json")
    return parser.parse_args()


def plots(asked: argparse.Namespace) -> list[Plot]:
    """Return the shops that were asked for."""
    return [
        Plot(world=world, seed=asked.seed + k, customers=asked.customers, history=asked.history, weeks=asked.weeks)
        for k, world in enumerate(asked.worlds)
    ]


def resampled(apart: F64) -> tuple[float, float, float]:
    """Return the mean of (customers,) paired differences and its 95 % interval, customers resampled."""
    rows = np.random.default_rng(SEED).integers(0, apart.size, (RESAMPLED, apart.size))
    low, high = np.quantile(apart[rows].mean(axis=1), (0.025, 0.975))
    return float(apart.mean()), float(low), float(high)
