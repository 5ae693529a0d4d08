"""The ceiling: what a forest that was told the truth makes of what the heads see, and what the rest hangs on.

Shops live under the apprentice; at each moment the candidates, what is seen of them, what is hidden and the world's
truth are noted. A forest learns the truth itself from what the engine's heads see, on some shops, and chooses on
others. No engine is ever told the truth, so that what it closes of the gap is a mark to reach; it is what one forest
finds, not a bound. With hidden columns added it shows what knowing each would be worth. The candidates are held against
what somebody would propose who knows the customer's mind and asks no guardrails. A diagnosis: nothing of it reaches the
engine.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from contest.shops import Plot, sources
from knowable.judging import PLACES, chosen, judged
from knowable.minds import HIDDEN, columns_of
from knowable.seasons import Noted, noted
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from under_load.report import hardware, keep

from cxreco.journey import MODES
from cxreco.request.candidates import VALUE_FEATURES
from cxreco.request.growing import grow
from cxreco.request.lightgbm_library import Booster
from cxreco.world import WORLDS

F64 = NDArray[np.float64]
Found = dict[str, Any]
FOREST = {"rounds": 400, "num_leaves": 31, "learning_rate": 0.04, "min_data_in_leaf": 60, "feature_fraction": 0.6}
# What is known in each row: the columns about these besides what the heads see.
KNOWN: dict[str, tuple[str, ...]] = {
    "what the heads see": (), "and the needs": ("need",), "and the taste": ("taste",), "and the wish": ("wish",),
    "and the mood": ("mood",), "and needs and taste": ("need", "taste"), "and all of it": tuple(HIDDEN),
}  # fmt: skip


def features(shop: Noted, about: Sequence[str]) -> F64:
    """Return (n, columns) what a forest is told."""
    one_hot = np.eye(len(MODES))[shop.mode]
    return np.column_stack([shop.x, one_hot, shop.hidden[:, columns_of(*about)]])


def learned(train: Sequence[Noted], about: Sequence[str]) -> Booster:
    """Return a forest that has learned the truth from some shops; `hold` is worth nothing and is left out."""
    acts = [shop.mode > 0 for shop in train]
    x = np.concatenate([features(shop, about)[act] for shop, act in zip(train, acts, strict=True)])
    y = np.concatenate([shop.truth[act] for shop, act in zip(train, acts, strict=True)])
    columns = columns_of(*about).size
    names = (*VALUE_FEATURES, *(f"mode_{k}" for k in range(len(MODES))), *(f"hidden_{k}" for k in range(columns)))
    return Booster(grow(x, y, objective="regression", params=FOREST, names=names))


def foreseen(forest: Booster, shop: Noted, about: Sequence[str]) -> F64:
    """Return (n,) what a forest makes of a shop's candidates."""
    return np.where(shop.mode > 0, forest.score(np.ascontiguousarray(features(shop, about))), 0.0)


def measured(train: Sequence[Noted], test: Sequence[Noted]) -> Found:
    """Return the figures: the apprentice, forests that know more and more, and the candidates themselves."""
    found: Found = {"apprentice, its best guess": judged(test, [shop.believed for shop in test])}
    for name, about in KNOWN.items():
        forest = learned(train, about)
        found[name] = judged(test, [foreseen(forest, shop, about) for shop in test])
    best = [shop.truth[chosen(shop, shop.truth)] for shop in test]
    informed = sum(float(np.maximum(shop.informed_best, one).sum()) for shop, one in zip(test, best, strict=True))
    offered = sum(float(one.sum()) for one in best)
    moments = sum(shop.size.size for shop in test)
    return {"known": found, "best_offered": offered, "best_there_could_be": informed, "moments": moments}


def show(world: str, found: Found, console: Console) -> None:
    """Print the figures of one world."""
    title = f"{world}: what is knowable; EUR got where a mode is best, of what was to be had there"
    table = Table("chosen by", "gap closed", *map(str, MODES), *PLACES, title=title)
    for name, row in found["known"].items():
        share, low, high = row["closed"]
        got, best = ([*row[f"{what}_by_mode"], *row[f"{what}_by_place"]] for what in ("got", "best"))
        parts = [f"{own:.0f} of {top:.0f}" for own, top in zip(got, best, strict=True)]
        table.add_row(name, f"{share:.0%} ({low:.0%} to {high:.0%})", *parts)
    console.print(table)
    console.print(
        f"of the best that somebody who knows the customer and asks no guardrails would propose, the candidates hold "
        f"{found['best_offered'] / found['best_there_could_be']:.0%}, at {found['moments']:,} moments",
        highlight=False,
    )


def main() -> int:
    """Live the shops, learn the truth on some, choose on others, print and keep."""
    parser = argparse.ArgumentParser(
        prog="cxreco bench ceiling --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=["staples"], metavar="WORLD")
    parser.add_argument("--train", nargs="+", type=int, default=[201, 202, 203, 204, 205], help="seeds to learn from")
    parser.add_argument("--test", nargs="+", type=int, default=[206, 207], help="seeds to choose on")
    parser.add_argument("--customers", type=int, default=150)
    parser.add_argument("--history", type=int, default=26, help="weeks")
    parser.add_argument("--weeks", type=int, default=6)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "cxreco-ceiling")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "ceiling.json")
    asked = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=210)
    found: Found = {"where": hardware(), "engine": sources(), "train": asked.train, "test": asked.test, "worlds": {}}
    for world in asked.worlds:
        shops = []
        for seed in (*asked.train, *asked.test):
            plot = Plot(world=world, seed=seed, customers=asked.customers, history=asked.history, weeks=asked.weeks)
            shops.append(noted(plot, asked.home, lambda what: console.print(f"[dim]{what}[/]", highlight=False)))
        found["worlds"][world] = measured(shops[: len(asked.train)], shops[len(asked.train) :])
        show(world, found["worlds"][world], console)
    keep(found, asked.out, console)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
