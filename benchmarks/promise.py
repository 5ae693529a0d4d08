"""The promise of history: of the orders that it calls right, how many are welcome once they are placed.

Before anything is placed, the trust ladder knows only what customers did unprompted: an order that would have been
placed counts as right if it was made within one usual gap (README, decision 12). Here each simulated shop opens every
category at once, whatever history says, and lives on under the apprentice: the share that history calls wrong beside
the share of placed orders that were cancelled, sent back or complained about; and what placed orders were truly worth
over hold, which no engine is told.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from contest.apprentices import champion_of
from contest.shops import Plot, founded, sources
from rich.console import Console
from rich.table import Table
from scipy import stats
from under_load.report import hardware, keep

from cxreco.journey import DAY, MODE_CODE, Arm, Mode
from cxreco.pipelines.season import Season, branch, counted, under
from cxreco.pipelines.workspace import opened
from cxreco.world import WORLDS

Found = dict[str, Any]
AUTOMATE = MODE_CODE[Mode.AUTOMATE]


def measured(plot: Plot, home: Path, console: Console) -> Found:
    """Found a shop, open every category, live on, and return what was promised and what came of it."""
    console.print(f"[dim]{plot.name}[/]", highlight=False)
    shop = founded(plot, home / plot.name)
    world = shop.world()
    own = under(shop.settings(home), branch(shop.base, shop.home / "promise"), Arm.CHAMPION)
    with opened(own, clock=lambda: world.now) as workspace:
        playbook = champion_of(workspace)
        categories = list(workspace.shop.codes.category_names)
    bar, since = playbook.ladder.bar, world.now
    open_all = replace(playbook.ladder, notice=dict.fromkeys(categories, bar.least_certainty), automatic={})
    season = Season("promise", world, own)
    with closing(season):
        season.adopt(replace(playbook, ladder=open_all))
        for _ in season.days(7 * plot.weeks):
            pass
    # Booked at the moment of the decision, so that nothing of the last days is missing.
    wrong = counted(world, since, since + plot.weeks * 7 * DAY).get("wrong_auto", 0)
    placed = np.array(season.open.chosen) == AUTOMATE
    told = playbook.report
    promised = round(told["shadow_wrong_share"] * told["shadow_orders"])
    return {
        **plot.key,
        "promised": _share(promised, int(told["shadow_orders"])),
        "placed": _share(wrong, int(placed.sum())),
        "worth": float(np.array(season.open.got)[placed].mean()) if placed.any() else float("nan"),
        "opened_by_history": sorted(playbook.ladder.notice),
    }


def _share(hits: int, n: int) -> Found:
    if n == 0:
        return {"n": 0, "value": float("nan"), "low": 0.0, "high": 1.0}
    exact = stats.binomtest(hits, n).proportion_ci(0.95)
    return {"n": n, "value": hits / n, "low": float(exact.low), "high": float(exact.high)}


def show(shops: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print what was found, a row a shop."""
    columns = ("shop", "by history", "wrong", "placed", "wrong", "worth over hold, EUR", "history would open")
    table = Table(*columns, title="automatic orders: promised and placed (95 % intervals)")
    for row in shops:
        cells = []
        for part in (row["promised"], row["placed"]):
            cells += [f"{part['n']:,}", f"{part['value']:.1%} ({part['low']:.1%} to {part['high']:.1%})"]
        opened_by = ", ".join(row["opened_by_history"]) or "nothing"
        table.add_row(f"{row['world']} {row['seed']}", *cells, f"{row['worth']:+.2f}", opened_by)
    console.print(table)


def main() -> int:
    """Live the shops, print and keep."""
    parser = argparse.ArgumentParser(
        prog="cxreco bench promise --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), metavar="WORLD",
                        default=["staples", "staples", "low_trust", "drifting", "seasonal"])  # fmt: skip
    parser.add_argument("--seed", type=int, default=101, help="of the first shop; the next have the next ones")
    parser.add_argument("--customers", type=int, default=400)
    parser.add_argument("--history", type=int, default=26, help="weeks")
    parser.add_argument("--weeks", type=int, default=6)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "cxreco-promise")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "promise.json")
    asked = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=180)
    found: Found = {"where": hardware(), "engine": sources(), "shops": []}
    for number, world in enumerate(asked.worlds):
        plot = Plot(world=world, seed=asked.seed + number, customers=asked.customers, history=asked.history,
                    weeks=asked.weeks)  # fmt: skip
        found["shops"].append(measured(plot, asked.home, console))
    show(found["shops"], console)
    keep(found, asked.out, console)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
