"""The promise of history: of the orders that it calls right, how many are welcome once they are placed.

Before anything is placed, the trust ladder knows only what customers did unprompted: an order that would have been
placed counts as right if it was made within one usual gap (README, decision 12). Here each simulated shop opens every
category at once, whatever history says, and lives on under the apprentice: the share that history calls wrong beside
the share of placed orders that were cancelled, sent back or complained about; and what placed orders were truly worth
over hold, which no engine is told. Then the same weeks with every category shut: what the orders are worth to the shop,
in takings and in true worth, whatever else it would have done at those moments.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from contest.apprentices import champion_of
from contest.asking import asked, plots, resampled
from contest.shops import Founded, Plot, founded, sources
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import stats
from under_load.report import hardware, keep

from cxreco.journey import AUTOMATE, DAY, Arm
from cxreco.pipelines.season import Season, branch, counted, under, weekly
from cxreco.pipelines.workspace import opened
from cxreco.respond.playbook import Playbook
from cxreco.world import World

F64 = NDArray[np.float64]
Found = dict[str, Any]


def lived(shop: Founded, *, trusted: bool) -> tuple[Season, World, Playbook]:
    """Live the weeks of a shop under the apprentice, every category open for orders or none; returns how it ended."""
    world = shop.world()
    own = under(shop.settings(shop.home), branch(shop.base, shop.home / "promise"), Arm.CHAMPION)
    with opened(own, clock=lambda: world.now) as workspace:
        playbook = champion_of(workspace)
        categories = workspace.shop.codes.category_names if trusted else ()
    notice = dict.fromkeys(categories, playbook.ladder.bar.least_certainty)
    season = Season("promise", world, own)
    with closing(season):
        season.adopt(replace(playbook, ladder=replace(playbook.ladder, notice=notice, automatic={})))
        for _ in season.days(7 * shop.plot.weeks):
            pass
    return season, world, playbook


def measured(plot: Plot, home: Path, console: Console) -> Found:
    """Live on with every category open and with none; return what was promised and what came of it."""
    console.print(f"[dim]{plot.name}[/]", highlight=False)
    shop = founded(plot, home / plot.name)
    season, world, playbook = lived(shop, trusted=True)
    other, without, _ = lived(shop, trusted=False)
    since = without.now - plot.weeks * 7 * DAY
    # Booked at the moment of the decision, so that nothing of the last days is missing.
    wrong = counted(world, since, world.now).get("wrong_auto", 0)
    placed = np.array(season.open.chosen) == AUTOMATE
    told = playbook.report
    # The share of no orders at all is not a number.
    promised = round(float(np.nan_to_num(told["shadow_wrong_share"])) * told["shadow_orders"])
    money = [weekly(one, since, plot.weeks).sum(axis=1) / plot.weeks for one in (world, without)]
    worth = [one.open.weekly(plot.weeks)[0].sum() / plot.customers / plot.weeks for one in (season, other)]
    return {
        **plot.key,
        "promised": _share(promised, int(told["shadow_orders"])),
        "placed": _share(wrong, int(placed.sum())),
        "worth": float(np.array(season.open.got)[placed].mean()) if placed.any() else float("nan"),
        "opened_by_history": sorted(playbook.ladder.notice),
        "takings_apart": resampled(money[0] - money[1]),
        "true_worth_apart": worth[0] - worth[1],
    }


def _share(hits: int, n: int) -> Found:
    if n == 0:
        return {"n": 0, "value": float("nan"), "low": 0.0, "high": 1.0}
    exact = stats.binomtest(hits, n).proportion_ci(0.95)
    return {"n": n, "value": hits / n, "low": float(exact.low), "high": float(exact.high)}


def show(shops: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print what was found, a row a shop."""
    columns = (
        "shop",
        "by history",
        "wrong",
        "placed",
        "wrong",
        "each worth, EUR",
        "history would open",
        "takings",
        "true worth",
    )
    table = Table(*columns, title="automatic orders: promised and placed; EUR per customer-week more than with none")
    for row in shops:
        cells = []
        for part in (row["promised"], row["placed"]):
            cells += [f"{part['n']:,}", f"{part['value']:.1%} ({part['low']:.1%} to {part['high']:.1%})"]
        opened_by = ", ".join(row["opened_by_history"]) or "nothing"
        apart = "{:+.3f} ({:+.3f} to {:+.3f})".format(*row["takings_apart"]), f"{row['true_worth_apart']:+.3f}"
        table.add_row(f"{row['world']} {row['seed']}", *cells, f"{row['worth']:+.2f}", opened_by, *apart)
    console.print(table)


def main() -> int:
    """Live the shops, print and keep."""
    options = asked("promise", __doc__, ("staples", "staples", "low_trust", "drifting", "seasonal"), 400)
    console = Console() if Console().is_terminal else Console(width=180)
    found: Found = {"where": hardware(), "engine": sources(), "shops": []}
    for plot in plots(options):
        found["shops"].append(measured(plot, options.home, console))
    show(found["shops"], console)
    keep(found, options.out, console)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
