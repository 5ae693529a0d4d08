"""What the demo on a real shop's log says of needs, returns and lifetimes, with reliability diagrams."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from cxreco.journey import DAY
from cxreco.pipelines import shop_figures as figures
from cxreco.pipelines import shop_returns
from cxreco.pipelines.pictures import COLOURS, sheet
from cxreco.pipelines.shop_figures import F64, HORIZONS
from cxreco.pipelines.workspace import Workspace
from cxreco.recognise.market import Market
from cxreco.repeat.lifetime_log import Bought, LifetimeModel
from cxreco.repeat.log import Log
from cxreco.request.propose import RequestModels
from cxreco.respond.worth import Worth

LATER_DAYS = 28
# Samples, said beside each figure: the whole run has minutes.
CUSTOMERS, ITEMS, RETURNS = 1_500, 20, 4_000
EARLIER_DAYS = 56
Metrics = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """The log, and what could be known of it four weeks before its end."""

    log: Log
    cut: int
    market: Market
    models: RequestModels


def replenishment(later: Later, pictures: Path, console: Console) -> Metrics:
    """Print and draw how the foretold chances of buying an item again held, and how far off the foretold day was."""
    need, cupboard = later.models.need, later.models.cupboard.tables
    found = figures.needs(
        need, later.log, later.market, later.cut, customers=CUSTOMERS, items=ITEMS, cupboard=cupboard
    )  # fmt: skip
    came = found.days[:, None] <= np.array(HORIZONS)
    tables, rivals = (
        [figures.reliability(chance[:, place], came[:, place]) for place in range(len(HORIZONS))]
        for chance in (found.chance, found.bg_nbd_chance)
    )
    console.print(
        f"Will an item bought before be bought again within so many days? {found.days.size:,} pairs of customer and\n"
        f"item at the cut, of at most {CUSTOMERS:,} customers and {ITEMS} items each, by deciles of what was foretold",
        highlight=False,
    )
    table = Table()
    for days in HORIZONS:
        table.add_column(f"{days:.0f} days: foretold", justify="right")
        table.add_column("happened", justify="right")
    for rows in zip(*tables, strict=True):
        table.add_row(*(f"{share:.2%}" for row in rows for share in row[:2]))
    console.print(table)
    error, rival = ([figures.calibration_error(rows) for rows in part] for part in (tables, rivals))
    areas, behind = (
        [shop_returns.auc_of(chance[:, place], came[:, place], np.arange(len(came))) for place in range(len(HORIZONS))]
        for chance in (found.chance, found.bg_nbd_chance)
    )
    timed = int((np.isfinite(found.days) & np.isfinite(found.mean_gap)).sum())
    missed = figures.timing(found)
    console.print(
        f"mean distance of foretold from happened: {error[0]:.2%} within 7 days, {error[1]:.2%} within 28 "
        f"(BG/NBD {rival[0]:.2%}, {rival[1]:.2%})\n"
        f"AUC within 7 days {areas[0]} (BG/NBD {behind[0].value:.3f}), within 28 {areas[1]} "
        f"(BG/NBD {behind[1].value:.3f})\n"
        f"timing error, median days off, of {timed:,} purchases within 28 days of items bought twice or more\n"
        "  (all told that it comes within 28 days): "
        + ", ".join(f"{name} {days:.1f}" for name, days in missed.items())
        + f"; cxreco less BG/NBD {figures.timing_apart(found)}",
        highlight=False,
    )
    drawn = {f"within {days:.0f} days": rows for days, rows in zip(HORIZONS, tables, strict=True)}
    reliability_picture(drawn, "An item bought before is bought again, by deciles", pictures / "reliability.png")
    return {
        **{f"shop.need.calibration_error_{days:.0f}": far for days, far in zip(HORIZONS, error, strict=True)},
        **{f"shop.need.calibration_error_{days:.0f}.bg_nbd": far for days, far in zip(HORIZONS, rival, strict=True)},
        **{f"shop.need.auc_{days:.0f}": area.value for days, area in zip(HORIZONS, areas, strict=True)},
        **{f"shop.need.auc_{days:.0f}.bg_nbd": area.value for days, area in zip(HORIZONS, behind, strict=True)},
        **{f"shop.need.days_off.{_key(name)}": days for name, days in missed.items()},
    }


def _key(name: str) -> str:
    return name.lower().replace(", ", " ").replace(" ", "_").replace("/", "_")


def return_risk(workspace: Workspace, log: Log, pictures: Path, console: Console) -> Metrics:
    """Print and draw how well it could be told, before an order, that something of it would come back."""
    worth = Worth.from_spec(workspace.specs["reward"])
    until = log.now - worth.harm_window
    since = until - LATER_DAYS * DAY
    found = shop_returns.returns(log, worth, since=since, until=until, most=RETURNS)
    settled = since - worth.harm_window
    earlier = shop_returns.returns(log, worth, since=settled - EARLIER_DAYS * DAY, until=settled, most=RETURNS)
    bent = shop_returns.calibrated(earlier, found)
    scores = {"items": found.by_items, "items and customer": found.by_both}
    scores |= {} if bent is None else {"both, calibrated on earlier orders": bent}
    areas = {name: shop_returns.auc_of(score, found.returned, found.customer) for name, score in scores.items()}
    tables = {name: figures.reliability(score, found.returned) for name, score in scores.items()}
    error = {name: figures.calibration_error(table) for name, table in tables.items()}
    console.print(
        f"return risk, AUC over {found.returned.size:,} orders of the latest {LATER_DAYS} days whose "
        f"{worth.harm_days:.0f} days for returns are over, {found.returned.mean():.1%} of them returned in part: "
        + ", ".join(f"by {name} {area}" for name, area in areas.items())
        + "\n  mean distance of foretold from happened, by deciles: "
        + ", ".join(f"by {name} {far:.1%}" for name, far in error.items())
        + f"\n  in decisions a customer's own returns count with weight {found.weight:.2f}, learned before; these they "
        f"foretell better than the usual rate by {shop_returns.better_by(found)} nats an order",
        highlight=False,
    )
    drawn = {f"by {name}": table for name, table in tables.items()}
    reliability_picture(drawn, "Something of an order comes back, by deciles", pictures / "return_risk.png")
    return {
        **{f"shop.returns.auc.{_key(name)}": area.value for name, area in areas.items()},
        **{f"shop.returns.calibration_error.{_key(name)}": far for name, far in error.items()},
        "shop.returns.own.weight": found.weight,
        "shop.returns.own.better_nats": float(found.better.mean()),
    }


def lifetimes(workspace: Workspace, later: Later, console: Console) -> Metrics:
    """Print what customers are worth over the next year, and how well the last weeks' orders were foretold before."""
    worth = Worth.from_spec(workspace.specs["reward"])
    bought = Bought.until(later.log.ticks, later.cut, worth)
    model = LifetimeModel.fit(bought)
    expected = model.activity.orders(bought.purchases, float(LATER_DAYS))
    whole = Bought.until(later.log.ticks, later.log.now, worth)
    before = dict(zip(bought.customer.tolist(), (bought.purchases.repeats + 1.0).tolist(), strict=True))
    now = dict(zip(whole.customer.tolist(), (whole.purchases.repeats + 1.0).tolist(), strict=True))
    came = np.array([now[customer] - days for customer, days in before.items()])
    fits = np.array([np.corrcoef(said, came)[0, 1] for said in (expected, bought.purchases.repeats)])
    year = LifetimeModel.fit(whole).of(whole)
    currency, active = workspace.settings.currency, float(year.alive.sum())
    nobody = "; the log shows no sign of anybody leaving for good" if year.alive.min() > 0.99 else ""
    each = float(year.value.sum()) / active
    console.print(
        f"lifetimes (BG/NBD and Gamma-Gamma): of {came.size:,} customers known at the cut {came.sum():,.0f} order days "
        f"came in the last {LATER_DAYS} days, {expected.sum():,.0f} were foretold;\n"
        f"  correlation over customers {fits[0]:.3f}, of their past order days alone {fits[1]:.3f}\n"
        f"  about {active:,.0f} of {year.customer.size:,} customers are still active, one of them worth {each:,.2f} "
        f"{currency} of margin over the next year{nobody}",
        highlight=False,
    )
    return {
        "shop.lifetime.foretold_share": float(expected.sum() / came.sum()) if came.sum() else float("nan"),
        "shop.lifetime.correlation": float(fits[0]),
        "shop.lifetime.correlation_of_past_orders": float(fits[1]),
        "shop.lifetime.value_of_an_active_customer": each,
    }


def reliability_picture(tables: Mapping[str, F64], title: str, path: Path) -> None:
    """Draw what happened against what was foretold, a line a table of `shop_figures.reliability`; 95 % intervals."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = sheet(5.5, 5)
    most = max(float(table[:, :2].max()) for table in tables.values()) * 1.05
    axes.plot([0.0, most], [0.0, most], color=COLOURS[2], linewidth=1)
    for colour, (name, table) in zip((COLOURS[0], COLOURS[1], *COLOURS[3:]), tables.items(), strict=False):
        spread = 1.96 * np.sqrt(table[:, 1] * (1.0 - table[:, 1]) / table[:, 2])
        axes.errorbar(table[:, 0], table[:, 1], yerr=spread, marker="o", capsize=2, color=colour, label=name)
    axes.set(xlabel="foretold", ylabel="happened", title=title)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
