"""The figures of the contest as tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.box import MARKDOWN
from rich.table import Table

from contest.standings import F64, TENURES, Standing, over, standings
from contest.ways import CEILING, FLOOR, NAMES, OWN, label_of
from cxreco.journey import MODES

RIVALS: Mapping[str, Sequence[str]] = {
    "rules": ("rules",),
    "Vowpal Wabbit": ("vw-squarecb", "vw-regcb", "vw-epsilon", "vw-cover"),
    "LinUCB or Thompson": ("linucb", "lints"),
    "never retrained": ("cxreco-frozen",),
    "no individual state": ("cxreco-masked",),
    "no exploration": ("cxreco-greedy",),
}
# Comparators were tuned on seeds from here on.
FIRST_FOR_DEVELOPMENT = 101
SHORT = ("hold", "respond", "curate", "coach", "automatic")


def tables(standing: Standing) -> Iterator[Table]:
    """Yield the tables of one kind of shop."""
    yield takings(standing)
    yield by_week(standing)
    yield conduct(standing)
    yield modes(standing)
    if OWN in standing.rows and len(standing.policies) > 1:
        yield tenure(standing)


def summary(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a line a shop: how far cxreco is ahead of rules, of the best of each kind of bandit, and of its ablations.

    The bandits are each shop's best by takings, which is more than anybody could have known before.
    """
    table = Table(title="cxreco in every shop, EUR per customer-week, less each of the others (95 % over customers)",
                  box=MARKDOWN)  # fmt: skip
    table.add_column("world, seed", no_wrap=True)
    for heading in ("cxreco", *(f"less {what}" for what in RIVALS), "gap to the oracle closed"):
        table.add_column(heading, justify="right", no_wrap=True)
    ahead: dict[str, list[F64]] = {what: [] for what in RIVALS}
    for (world, seed), lived in sorted(_by_shop(rows).items()):
        for standing in standings(lived, NAMES):
            if OWN in standing.rows:
                apart = _apart(standing)
                closed = standing.closed(OWN)
                table.add_row(
                    f"{world}, {seed}",
                    f"{standing.takings(OWN).mean:.2f}",
                    *(over(apart[what]).said(signed=True) if what in apart else "" for what in RIVALS),
                    closed.said(share=True) if closed else "",
                )
                for what in apart if seed < FIRST_FOR_DEVELOPMENT else ():
                    ahead[what].append(apart[what])
    pooled = (over(np.concatenate(each)).said(signed=True) if each else "" for each in ahead.values())
    table.add_row(f"all below {FIRST_FOR_DEVELOPMENT}", "", *pooled, "")
    return table


def true_worth(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a line a shop: what each policy's choices were truly worth over hold, at its own moments.

    Luck is left out, and so is what a decision leads to later than the truth looks: who tires nobody, or leaves needs
    open, finds more to win at later moments. Of each kind of bandit it is the shop's best by takings.
    """
    table = Table(title="true worth over hold of what was chosen, EUR per customer-week", box=MARKDOWN)
    table.add_column("world, seed", no_wrap=True)
    kinds = {OWN: (OWN,), **RIVALS, "random": (FLOOR,), "myopic oracle": (CEILING,)}
    for heading in kinds:
        table.add_column(heading, justify="right")
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for (world, seed), lived in sorted(_by_shop(rows).items()):
        for standing in standings(lived, NAMES):
            best = {kind: _best(standing, names) for kind, names in kinds.items()}
            worth = {kind: float(standing.worth(name)[0].mean()) for kind, name in best.items() if name}
            for kind, mean in worth.items():
                found[kind].append(mean)
            table.add_row(f"{world}, {seed}", *(f"{worth[kind]:.2f}" if kind in worth else "" for kind in kinds))
    whole = max(map(len, found.values()))
    means = (f"{sum(each) / whole:.2f}" if len(each) == whole else "" for each in found.values())
    table.add_row("mean, where all were lived", *means)
    return table


def _by_shop(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], list[Mapping[str, Any]]]:
    shops: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        shops.setdefault((row["world"], row["seed"]), []).append(row)
    return shops


def _best(standing: Standing, names: Sequence[str]) -> str:
    """Return which of some policies took most; empty where none played."""
    there = [name for name in names if name in standing.rows]
    return max(there, key=lambda name: standing.takings(name).mean) if there else ""


def _apart(standing: Standing) -> dict[str, F64]:
    """Return by how much each customer is worth more than with the best of each kind of rival."""
    out = {}
    for what, rivals in RIVALS.items():
        if best := _best(standing, rivals):
            out[what] = (standing.money(OWN) - standing.money(best)).ravel()
    return out


def takings(standing: Standing) -> Table:
    """Return what each policy earned, and how far cxreco is ahead of it."""
    seeds = ", ".join(str(seed) for seed in standing.seeds)
    table = Table(
        title=f"{standing.world}: {standing.customers} customers, {standing.history} weeks of history, "
        f"{standing.weeks} weeks lived, seeds {seeds}; EUR per customer-week, 95 % intervals over customers"
    )
    _columns(table, "takings", "last third", "a customer, all weeks", "cxreco ahead by", "over seeds",
             "gap closed", "in the last third", "regret")  # fmt: skip
    for name in standing.policies:
        total = standing.takings(name)
        row = [total.said(), standing.takings(name, "late").said(), f"{total.mean * standing.weeks:.2f}"]
        if name == OWN or OWN not in standing.rows:
            row += ["", ""]
        else:
            row.append(standing.ahead(OWN, name).said())
            row.append(standing.ahead_by_seed(OWN, name).said() if len(standing.seeds) > 1 else "one seed")
        for what in ("money", "late"):
            closed = standing.closed(name, what)
            row.append(closed.said(share=True) if closed else "")
        table.add_row(label_of(name), *row, standing.takings(name, "regret").said())
    return table


def by_week(standing: Standing) -> Table:
    """Return the true worth over hold of what was chosen, as a share of the best at those moments, by week."""
    table = Table(title=f"{standing.world}, by week: takings, EUR per customer (true worth as a share of the best)")
    _columns(table, *(str(week) for week in range(1, standing.weeks + 1)))
    for name in standing.policies:
        got, most = standing.worth(name)
        cells = (
            f"{money:.2f} ({own / best:.0%})" for money, own, best in zip(standing.weekly(name), got, most, strict=True)
        )
        table.add_row(label_of(name), *cells)
    return table


def conduct(standing: Standing) -> Table:
    """Return what each policy did, where it lost, and the harm that came of it."""
    table = Table(title=f"{standing.world}: share of decisions by mode (true worth, EUR per 100 customer-weeks), harm")
    _columns(table, *SHORT, "mode right", "wrong automatic", "unsubscribed", "complaints", "returns", "contacts")
    for name in standing.policies:
        mix = standing.mix(name)
        total = max(mix.sum(), 1.0)
        worth = 100.0 * standing.summed(name, "worth_by_mode")
        cells = [f"{share:.0%} ({money:.0f})" for share, money in zip(mix.sum(axis=0) / total, worth, strict=True)]
        placed = int(mix[:, -1].sum())
        harm = ("unsubscribe", "complaint", "return", "contact")
        table.add_row(
            label_of(name), *cells, f"{mix.trace() / total:.0%}",
            f"{standing.count(name, 'wrong_auto')} of {placed}", *(str(standing.count(name, kind)) for kind in harm),
        )  # fmt: skip
    return table


def modes(standing: Standing) -> Table:
    """Return the takings by the mode of the decision they began with, and what was missed where each mode was best."""
    table = Table(
        title=f"{standing.world}, EUR per 100 customer-weeks: takings by the mode they began with "
        "(regret at moments where that mode was the best)"
    )
    _columns(table, *SHORT, "not asked")
    for name in standing.policies:
        money = [100.0 * standing.booked(name, mode.value) for mode in MODES]
        missed = 100.0 * standing.summed(name, "regret_by_best_mode")
        cells = [f"{taken:.0f} ({loss:.0f})" for taken, loss in zip(money, missed, strict=True)]
        table.add_row(label_of(name), *cells, f"{100.0 * standing.booked(name, 'alone'):.0f}")
    return table


def tenure(standing: Standing) -> Table:
    """Return how far cxreco is ahead of each policy among customers of whom more or less is known."""
    table = Table(title=f"{standing.world}: cxreco ahead by, EUR per customer-week, by orders before the season")
    found = {
        label: [standing.of_tenure(OWN, name, low, high) for name in standing.policies] for label, low, high in TENURES
    }
    kept = {label: cells for label, cells in found.items() if any(cells)}
    _columns(table, *(f"{label} (n={max(c[0] for c in cells if c)})" for label, cells in kept.items()))
    for row, name in enumerate(standing.policies):
        if name != OWN:
            cells = (made[row] for made in kept.values())
            table.add_row(label_of(name), *(cell[1].said() if cell else "" for cell in cells))
    return table


def cost(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return CPU seconds of a season by policy and size of shop."""
    table = Table(title="CPU seconds per season (founding apart)")
    _columns(table, "shop", "seasons", "mean", "most", "founding")
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        shop = f"{row['customers']} x {row['weeks']}, {row['history']} before"
        groups.setdefault((row["policy"].partition("@")[0], shop), []).append(row)
    for (name, shop), group in groups.items():
        seconds = [row["cpu_s"] for row in group]
        founding = max(row["founding_cpu_s"] for row in group)
        table.add_row(
            label_of(name), shop, str(len(group)), f"{sum(seconds) / len(seconds):.0f}", f"{max(seconds):.0f}",
            f"{founding:.0f}",
        )  # fmt: skip
    return table


def _columns(table: Table, *headings: str) -> None:
    table.add_column("policy", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
