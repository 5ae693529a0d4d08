"""Beliefs: how firmly they should be held, and what the heads learn, judged by the truth of simulated shops.

Shops live under the apprentice; at each moment the candidates and the world's truth are noted. Then, week after week,
the value heads are taught from the log so far, once under each way of holding the beliefs of `models/value.toml`, and
choose among the candidates of the week that follows: what was chosen is judged by the truth, where luck is left out.
Every way sees the same log and the same moments, so a shop is lived once. No engine is ever told the truth.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from contest.apprentices import under_apprentice
from contest.shops import Plot, sources
from knowable.judging import RESAMPLED, SEED, chosen, judged, per_customer
from knowable.seasons import Noted, Watched
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from under_load.report import hardware, keep

from cxreco.journey import COACH, DAY
from cxreco.pipelines.gather import gather
from cxreco.pipelines.workspace import opened
from cxreco.repeat.training import Lessons, fit_playbook, learn
from cxreco.request.candidates import VALUE_COLUMN

F64 = NDArray[np.float64]
Found = dict[str, Any]
Way = Mapping[str, Any]
SHOPS = ("adversarial-301", "adversarial-302", "low_trust-301", "seasonal-301", "sparse-301", "staples-208")
SHIPPED, UNTAUGHT = "as shipped", "as shipped, never taught"
FIRM = "nudges and harm firmly"
_AS_BEFORE = {"sd_shared": 0.1, "sd_mode": 0.1}
# What each way changes of the tables of `models/value.toml`.
WAYS: Mapping[str, Way] = {
    SHIPPED: {},
    "nudges as firmly as the rest": {"order": {"coach_behavior": {"need_open": 2.4}}},
    "harm firmly": {"unsubscribed": _AS_BEFORE, "complained": _AS_BEFORE},
    FIRM: {
        "order": {"coach_behavior": {"need_open": 2.4}}, "unsubscribed": _AS_BEFORE, "complained": _AS_BEFORE,
    },
    "harm more loosely": {name: {"sd_shared": 1.0, "sd_mode": 1.0} for name in ("unsubscribed", "complained")},
    "orders more loosely: 0.15, 0.1": {"order": {"sd_mode": 0.15, "sd_shared": 0.1}},
    "orders more loosely: 0.3, 0.2": {"order": {"sd_mode": 0.3, "sd_shared": 0.2}},
    "without trees": {"trees": {"least_leaf": 1_000_000}},
}  # fmt: skip


def merged(table: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with some of its numbers changed; a change that is a table goes into the one of its name."""
    out = dict(table)
    for name, value in change.items():
        inner = out.get(name)
        out[name] = merged(inner, value) if isinstance(value, Mapping) and isinstance(inner, Mapping) else value
    return out


def foreseen(lessons: Lessons, shop: Noted, way: Way, weeks: int) -> F64:
    """Return (n,) values of a shop's candidates, those of each week by what the log had taught before it.

    The first week's are the apprentice's.
    """
    now = lessons.log.now
    lessons = replace(lessons, specs={**lessons.specs, "value": merged(lessons.specs["value"], way)})
    out = np.empty(shop.mode.size)
    for week in range(weeks):
        value = fit_playbook(lessons, salt="beliefs", until=now - (weeks - week) * 7 * DAY).value
        during = shop.day // 7 == week
        part = shop.part(during)
        rows = np.repeat(during, shop.size)
        out[rows] = value.values_of(part.x, part.mode.astype(np.int16), part.contact, part.hold).over_hold
    return out


def nudges(shop: Noted, values: F64, weeks: int) -> list[int]:
    """Return how many nudges would be chosen on the shop's own days, by week."""
    row = chosen(shop, values)
    sent = (shop.mode[row] == COACH) & (shop.x[row, VALUE_COLUMN["on_outbound"]] > 0.0)
    return [int((shop.day[sent] // 7 == week).sum()) for week in range(weeks)]


def apart(shops: Sequence[Noted], values: Sequence[F64], other: Sequence[F64]) -> tuple[float, float, float]:
    """Return how much more choosing by values gets than by others, EUR per customer, with its interval over customers.

    Customers are those who were decided for in these weeks.
    """
    got = np.concatenate(
        [
            per_customer(shop, shop.truth[chosen(shop, a)] - shop.truth[chosen(shop, b)])
            for shop, a, b in zip(shops, values, other, strict=True)
        ]
    )
    rows = np.random.default_rng(SEED).integers(0, got.size, (RESAMPLED, got.size))
    low, high = np.quantile(got[rows].mean(axis=1), (0.025, 0.975))
    return float(got.mean()), float(low), float(high)


def measured(shops: Mapping[str, tuple[Noted, Lessons]], weeks: int, say: Callable[[str], None]) -> Found:
    """Return the figures of each way, over all weeks but the first, which is the apprentice's whatever is believed."""
    noted = {name: shop for name, (shop, _) in shops.items()}
    values: dict[str, list[F64]] = {}
    for way, change in WAYS.items():
        say(f"the heads are taught: {way}")
        values[way] = [foreseen(lessons, shop, change, weeks) for shop, lessons in shops.values()]
    # What the apprentice thought was noted when it decided.
    values[UNTAUGHT] = [shop.believed for shop in noted.values()]
    return {way: figures(noted, own, values[SHIPPED], weeks) for way, own in values.items()}


def figures(shops: Mapping[str, Noted], values: Sequence[F64], other: Sequence[F64], weeks: int) -> Found:
    """Return what choosing by values comes to from the second week on, beside choosing by others."""
    taught = [shop.day >= 7 for shop in shops.values()]
    parts = [shop.part(during) for shop, during in zip(shops.values(), taught, strict=True)]
    rows = [np.repeat(during, shop.size) for shop, during in zip(shops.values(), taught, strict=True)]
    own, beside = ([each[row] for each, row in zip(all_weeks, rows, strict=True)] for all_weeks in (values, other))
    return {
        **judged(parts, own),
        "apart": apart(parts, own, beside),
        "by_shop": {name: judged([part], [each]) for name, part, each in zip(shops, parts, own, strict=True)},
        "nudges": {name: nudges(shop, each, weeks) for (name, shop), each in zip(shops.items(), values, strict=True)},
    }


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print a row a way: all shops together, then each."""
    names = list(found[SHIPPED]["by_shop"])
    table = Table("beliefs", "gap closed", f"less {SHIPPED}, EUR a customer", "own days, EUR", *names)
    for way, row in found.items():
        share, low, high = row["closed"]
        more = "{:+.2f} ({:+.2f} to {:+.2f})".format(*row["apart"]) if way != SHIPPED else ""
        days = f"{row['got_by_place'][1]:.0f} of {row['best_by_place'][1]:.0f}"
        each = [f"{row['by_shop'][name]['closed'][0]:.0%}" for name in names]
        table.add_row(way, f"{share:.1%} ({low:.1%} to {high:.1%})", more, days, *each)
    console.print(table)
    for name in names:
        weekly = "; ".join(f"{way} {found[way]['nudges'][name]}" for way in (SHIPPED, FIRM, UNTAUGHT))
        console.print(f"nudges a week on the own days of {name}: {weekly}", highlight=False)


def lived(plot: Plot, home: Path, say: Callable[[str], None]) -> tuple[Noted, Lessons]:
    """Live a shop's weeks under the apprentice; return what was noted, and what its log teaches."""
    season = under_apprentice(plot, home, Watched, say)
    with opened(season.settings, clock=lambda: season.world.now) as workspace:
        log = gather(workspace.store, workspace.shop)
        return season.pad.closed(), learn(log, workspace.specs.tables)


def main() -> int:
    """Live the shops, teach the heads in every way, print and keep."""
    parser = argparse.ArgumentParser(
        prog="cxreco bench beliefs --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shops", nargs="+", default=list(SHOPS), metavar="WORLD-SEED")
    parser.add_argument("--customers", type=int, default=150)
    parser.add_argument("--history", type=int, default=26, help="weeks")
    parser.add_argument("--weeks", type=int, default=6)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "cxreco-beliefs")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "beliefs.json")
    asked = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=200)

    def say(what: str) -> None:
        console.print(f"[dim]{what}[/]", highlight=False)

    shops = {}
    for name in asked.shops:
        world, seed = name.rsplit("-", 1)
        weeks = {"history": asked.history, "weeks": asked.weeks}
        plot = Plot(world=world, seed=int(seed), customers=asked.customers, **weeks)
        shops[name] = lived(plot, asked.home, say)
    ways = measured(shops, asked.weeks, say)
    show(ways, console)
    about = {"where": hardware(), "engine": sources(), "customers": asked.customers, "weeks": asked.weeks}
    keep({**about, "ways": ways}, asked.out, console)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
