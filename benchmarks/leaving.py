"""Leaving: what it changes to price an unsubscribe and a complaint by what the customer is still worth.

One simulated shop is lived several times from the same history, with the same customers and luck, under the apprentice:
each time with other prices in `models/reward.toml`. What is told: contacts, who unsubscribed and complained, and what
customers brought, against the flat prices, with intervals over customers; and what a decision takes.
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
from under_load.report import hardware, keep

from cxreco.journey import DAY, Arm
from cxreco.pipelines.season import Season, branch, counted, under, weekly
from cxreco.pipelines.workspace import opened

F64 = NDArray[np.float64]
Found = dict[str, Any]
FLAT = "flat"
# Of models/reward.toml: by name, what is priced otherwise. 2.5 % of a year's margin is about the flat price.
PRICES: Mapping[str, Mapping[str, Any]] = {
    FLAT: {},
    "2.5 % in place of it": {"unsubscribe": 0.0, "unsubscribe_share": 0.025},
    "10 % on top": {"unsubscribe_share": 0.10},
    "10 % of both on top": {"unsubscribe_share": 0.10, "complaint_share": 0.10},
    "half on top": {"unsubscribe_share": 0.50},
}


def lived(shop: Founded, name: str, prices: Mapping[str, Any]) -> tuple[Found, F64]:
    """Return what came of a season, and money by customer, (customers,)."""
    world = shop.world()
    own = under(shop.settings(shop.home), branch(shop.base, shop.home / "leaving"), Arm.CHAMPION)
    with opened(own, clock=lambda: world.now) as workspace:
        playbook = champion_of(workspace)
    value = replace(playbook.value, worth=replace(playbook.value.worth, **prices))
    since, weeks = world.now, shop.plot.weeks
    season = Season(name, world, own)
    with closing(season):
        season.adopt(replace(playbook, value=value))
        decisions = sum(season.days(7 * weeks))
    count = counted(world, since, since + weeks * 7 * DAY)
    found = {name: count.get(name, 0) for name in ("contact", "unsubscribe", "complaint", "order")}
    got = np.array(season.open.got)
    usual = playbook.value.still_worth
    told = {"decisions": decisions, "true_worth": float(got.sum()), "of_nobody_known": usual.usual}
    return found | told, weekly(world, since, weeks).sum(axis=1) / weeks


def measured(plot: Plot, home: Path, console: Console) -> Found:
    """Live one shop under every price."""
    shop = founded(plot, home / plot.name)
    rows: Found = {}
    flat: F64 | None = None
    for name, prices in PRICES.items():
        console.print(f"[dim]{plot.name}: {name}[/]", highlight=False)
        rows[name], money = lived(shop, name, prices)
        flat = money if flat is None else flat
        rows[name] |= {"takings": float(money.mean()), "less_flat": resampled(money - flat)}
    return {**plot.key, "prices": rows}


def show(shops: Sequence[Found], console: Console) -> None:
    """Print what was found."""
    columns = ("shop", "an unsubscribe costs", "contacts", "unsubscribes", "complaints", "takings", "less flat")
    table = Table(*columns, title="EUR a customer and week (95 % over customers)")
    for shop in shops:
        for name, row in shop["prices"].items():
            counts = [str(row[what]) for what in ("contact", "unsubscribe", "complaint")]
            apart = "{:+.3f} ({:+.3f} to {:+.3f})".format(*row["less_flat"])
            table.add_row(f"{shop['world']} {shop['seed']}", name, *counts, f"{row['takings']:.3f}", apart)
    console.print(table)


def main() -> int:
    """Live the shops, print and keep."""
    options = asked("leaving", __doc__, ("staples", "low_trust"), 150)
    console = Console() if Console().is_terminal else Console(width=180)
    found: Found = {"where": hardware(), "engine": sources(), "shops": []}
    for plot in plots(options):
        found["shops"].append(measured(plot, options.home, console))
    show(found["shops"], console)
    keep(found, options.out, console)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
