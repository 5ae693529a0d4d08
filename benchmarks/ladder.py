"""The trust ladder: is the share of wrong automatic orders held at the declared level as often as declared.

Simulated shops whose true share of wrong orders is known at every certainty: some categories deserve a rung from some
certainty on, some never; one customer's orders may be wrong together. The ladder sees a period's orders and opens what
it opens; the truth says whether the share at and above the opened certainty is below the level, how many orders it lets
through and what they bring. The test takes every order for itself: rows with customers alike show what that costs.
Then half a year of weekly retrainings, each looking at the last nine weeks, beside exact p-values for each category by
itself, as Learn-then-Test is commonly applied. Then a drift: how many orders it takes until a rung that was right
closes, and how often one closes by mere chance.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats
from simulated.shops import GAIN, LOSS, Category, evidence_of, shop, undeserving
from under_load.report import hardware, keep

from cxreco.errors import BadInput
from cxreco.journey import Rung
from cxreco.respond import ladder
from cxreco.respond.ladder import STEPS, Bar, Evidence, climb

LEVELS = (0.05, 0.10, 0.20)
ALIKE = (0.0, 0.15, 0.35)
CONFIDENCE = 0.90
FAMILIES = ("as shops are", "no rung deserves to open")
MONEY = ("takings", "told", "best")
LOOKS, WINDOW = 26, 9
PASTS, DRIFTS, WEEKLY, WEEKS = (100, 500, 1_000), (1.5, 2.0, 3.0, 5.0), 20, 52
Found = dict[str, Any]


def worth(share: float, wrong: float) -> float:
    """Return what orders bring a would-be order, where a share of those is placed and a share of these is wrong."""
    return share * (GAIN * (1.0 - wrong) - LOSS * wrong)


def judged(categories: list[Category], opened: dict[str, float], bar: Bar) -> Found:
    """Hold what was opened against the truth; shares and money over all would-be orders of the shop."""
    volume = np.array([category.customers for category in categories], dtype=np.float64)
    volume /= volume.sum()
    found = {"over": 0, "opened": len(opened), "through": 0.0, "wrong": 0.0, "takings": 0.0, "told": 0.0, "best": 0.0}
    for part, category in zip(volume.tolist(), categories, strict=True):
        curve = [category.at_or_above(float(t)) for t in np.linspace(0.99, bar.least_certainty, STEPS)]
        allowed = [worth(*point) for point in curve if point[1] <= bar.max_wrong_share]
        found["told"] += part * max(0.0, *allowed, 0.0)
        found["best"] += part * max(0.0, *(worth(*point) for point in curve))
        if category.name in opened:
            share, wrong = category.at_or_above(opened[category.name])
            found["over"] += int(wrong > bar.max_wrong_share)
            found["through"] += part * share
            found["wrong"] += part * share * wrong
            found["takings"] += part * worth(share, wrong)
    return found


def guarantee(shops: int, family: str, level: float, alike: float) -> Found:
    """Let the ladder judge many shops, and say how often the truth is as declared."""
    bar = Bar(max_wrong_share=level, confidence=CONFIDENCE)
    rows = []
    for seed in range(shops):
        rng = np.random.default_rng([seed, FAMILIES.index(family)])
        made = shop(rng, alike=alike) if family == FAMILIES[0] else undeserving(rng, level, alike=alike)
        seen = evidence_of(made, rng)
        rows.append(judged(made, dict(climb(bar, seen, Evidence.none()).notice), bar))
    over, opened = (np.array([row[name] for row in rows]) for name in ("over", "opened"))
    through, wrong = (np.array([row[name] for row in rows]) for name in ("through", "wrong"))
    categories = shops * len(made)
    return {
        "family": family, "level": level, "alike": alike, "shops": shops,
        "categories_held": _share(categories - int(over.sum()), categories),
        "of_the_opened_held": _share(int(opened.sum() - over.sum()), int(opened.sum())),
        "shops_held_pooled": _share(int((wrong <= level * through + 1e-12).sum()), shops),
        "shops_held_in_every_category": _share(int((over == 0).sum()), shops),
        "categories_opened": _share(int(opened.sum()), categories),
        "through": _mean(through),
        "wrong_share": float(wrong.sum() / through.sum()) if through.sum() else 0.0,
        **{f"{name}_per_100": _mean(np.array([100.0 * row[name] for row in rows])) for name in MONEY},
    }  # fmt: skip


def looking(shops: int, level: float) -> Found:
    """Let shops where no rung deserves to open, and shops as they are, be judged every week for half a year.

    What is opened at any of the looks counts as opened.
    """
    bar = Bar(max_wrong_share=level, confidence=CONFIDENCE)
    row: Found = {"level": level, "shops": shops, "looks": LOOKS}
    for family in FAMILIES:
        held: dict[str, list[int]] = {"ladder": [], "p-values": []}
        through: dict[str, list[float]] = {"ladder": [], "p-values": []}
        for seed in range(shops):
            rng = np.random.default_rng([seed, 26, FAMILIES.index(family)])
            made = shop(rng, alike=0.0) if family == FAMILIES[0] else undeserving(rng, level, alike=0.0)
            weekly = [evidence_of([of_a_week(category) for category in made], rng) for _ in range(WINDOW + LOOKS - 1)]
            windows = [together(weekly[week : week + WINDOW]) for week in range(LOOKS)]
            for name, test in (("ladder", _climbed), ("p-values", by_p_values)):
                seen = [judged(made, test(bar, window), bar) for window in windows]
                held[name].append(int(all(one["over"] == 0 for one in seen)))
                through[name].append(float(np.mean([one["through"] for one in seen])))
        for name, of in held.items():
            found = {"shops_held": _share(sum(of), shops), "through": _mean(np.array(through[name]))}
            row.setdefault(family, {})[name] = found
    return row


def of_a_week(category: Category) -> Category:
    """Return a category with the customers of one week in place of a period."""
    return replace(category, customers=max(1, round(category.customers / WINDOW)))


def together(parts: list[Evidence]) -> Evidence:
    """Return the orders of several weeks as one."""
    names = [name for part in parts for name in part.category]
    certainty, wrong, gain, loss = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("certainty", "wrong", "gain", "loss")
    )
    return Evidence(category=names, certainty=certainty, wrong=wrong, gain=gain, loss=loss)


def _climbed(bar: Bar, seen: Evidence) -> dict[str, float]:
    return dict(climb(bar, seen, Evidence.none()).notice)


def by_p_values(bar: Bar, seen: Evidence) -> dict[str, float]:
    """Return what exact binomial p-values open at the full level, category by category, from the surest down."""
    opened: dict[str, float] = {}
    for name in {*seen.category}:
        rows = np.array(seen.category) == name
        certainty, wrong = seen.certainty[rows], seen.wrong[rows]
        for threshold in np.linspace(0.99, bar.least_certainty, STEPS):
            sure = certainty >= threshold
            n = int(sure.sum())
            if (1.0 - bar.max_wrong_share) ** n > 1.0 - CONFIDENCE:
                continue
            if stats.binom.cdf(int(wrong[sure].sum()), n, bar.max_wrong_share) > 1.0 - CONFIDENCE:
                break
            opened[name] = float(threshold)
    return opened


def _share(hits: int, n: int) -> Found:
    if n == 0:
        return {"value": float("nan"), "low": 0.0, "high": 1.0}
    exact = stats.binomtest(hits, n).proportion_ci(0.95)
    return {"value": hits / n, "low": float(exact.low), "high": float(exact.high)}


def _mean(values: np.ndarray[Any, np.dtype[np.float64]]) -> Found:
    radius = float(stats.t.ppf(0.975, values.size - 1) * values.std(ddof=1) / values.size**0.5)
    mean = float(values.mean())
    return {"value": mean, "low": mean - radius, "high": mean + radius}


@contextmanager
def _without_the_sum_of_late_orders() -> Iterator[None]:
    kept = ladder.PATIENCE
    ladder.PATIENCE = inf
    try:
        yield
    finally:
        ladder.PATIENCE = kept


def placed_orders(wrong: np.ndarray[Any, np.dtype[np.bool_]]) -> Evidence:
    """Return orders of one category, all sure, in the order of time."""
    ones = np.ones(wrong.size)
    return Evidence(category=["tea"] * wrong.size, certainty=ones, wrong=wrong, gain=GAIN * ones, loss=LOSS * ones)


def weeks_open(bar: Bar, wrong: np.ndarray[Any, np.dtype[np.bool_]], past: int, good: Evidence) -> float:
    """Return the week, looked at weekly from `past` orders on, in which nothing is ordered any more; inf if never."""
    for week in range(1, (wrong.size - past) // WEEKLY + 1):
        seen = placed_orders(wrong[: past + week * WEEKLY])
        if climb(bar, good, seen).rung("tea", 1.0) is Rung.SHADOW:
            return float(week)
    return inf


def demotion(lives: int, step: Callable[[str], None]) -> list[Found]:
    """Let a rung live whose orders go wrong from one day on, and count the weeks until it closes."""
    bar = Bar(max_wrong_share=0.10, confidence=CONFIDENCE)
    good = placed_orders(np.zeros(300, dtype=bool))
    rows: list[Found] = []
    for past in PASTS:
        for times in (1.0 / 3.0, *DRIFTS):
            step(f"drift to {times:.2g} times the level after {past:,} good orders")
            row: Found = {"past": past, "before": 0.03, "after": times * bar.max_wrong_share, "lives": lives}
            taken: dict[str, list[float]] = {"sum": [], "pooled": []}
            for seed in range(lives):
                rng = np.random.default_rng([seed, past])
                chance = np.repeat([0.03, times * bar.max_wrong_share], [past, WEEKLY * WEEKS])
                wrong = rng.random(chance.size) < chance
                taken["sum"].append(weeks_open(bar, wrong, past, good))
                if times > 1.0:
                    with _without_the_sum_of_late_orders():
                        taken["pooled"].append(weeks_open(bar, wrong, past, good))
            for name, weeks in taken.items():
                if weeks:
                    row[name] = _weeks(np.array(weeks))
            rows.append(row)
    return rows


def _weeks(weeks: np.ndarray[Any, np.dtype[np.float64]]) -> Found:
    # Resampled lives; a rung that stayed open for the year counts as longer than that.
    capped = np.where(np.isfinite(weeks), weeks, WEEKS + 1.0)
    drawn = np.random.default_rng(1).choice(capped, (500, weeks.size))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return {
        "median": float(np.median(capped)), "low": float(low), "high": float(high),
        "nine_in_ten": float(np.quantile(capped, 0.9)),
        "closed_in_a_year": _share(int((weeks <= WEEKS).sum()), weeks.size),
    }  # fmt: skip


def show(found: Found, console: Console) -> None:
    """Print the guarantee, what it lets through and brings, and the weeks to a demotion."""
    for family in FAMILIES:
        for alike in ALIKE:
            table = Table(
                "level", "bound held, categories", "shops, pooled", "shops, all categories", "orders through",
                "wrong", "EUR per 100", "knowing the shares", "best",
                title=f"{family}; one customer's orders alike {alike:.2f}; declared {CONFIDENCE:.0%} (95 % intervals)",
            )  # fmt: skip
            for row in found["guarantee"]:
                if (row["family"], row["alike"]) != (family, alike):
                    continue
                held = (row[name] for name in ("categories_held", "shops_held_pooled", "shops_held_in_every_category"))
                money = (f"{row[f'{name}_per_100']['value']:.1f}" for name in ("told", "best"))
                table.add_row(
                    f"{row['level']:.0%}", *(_percent(part) for part in held), _percent(row["through"]),
                    f"{row['wrong_share']:.1%}", _number(row["takings_per_100"]), *money,
                )  # fmt: skip
            console.print(table)
    table = Table("level", "shops in which", *(f"{what}, {name}" for name in ("ladder", "p-values") for what in (
        "nothing undeserved ever opened", "orders through")), title=f"{LOOKS} weekly looks at the last {WINDOW} weeks",
    )  # fmt: skip
    for row in found["looking"]:
        for family in FAMILIES:
            cells = (
                _percent(row[family][name][what])
                for name in ("ladder", "p-values")
                for what in ("shops_held", "through")
            )
            table.add_row(f"{row['level']:.0%}", family, *cells)
    console.print(table)
    table = Table("good before", "wrong after", "weeks to close", "9 in 10", "closed in a year", "without the sum",
                  title=f"3 % wrong, then more; level 10 %, {WEEKLY} orders a week, looked at weekly")  # fmt: skip
    for row in found["demotion"]:
        here, pooled = row["sum"], row.get("pooled")
        table.add_row(
            f"{row['past']:,}", f"{row['after']:.0%}", _span(here), _week(here["nine_in_ten"]),
            _percent(here["closed_in_a_year"]), _span(pooled) if pooled else "",
        )  # fmt: skip
    console.print(table)


def _percent(part: Found) -> str:
    return f"{part['value']:.1%} ({part['low']:.1%}-{part['high']:.1%})"


def _number(part: Found) -> str:
    return f"{part['value']:.1f} ({part['low']:.1f}-{part['high']:.1f})"


def _week(weeks: float) -> str:
    return f"{weeks:.0f}" if weeks <= WEEKS else f"over {WEEKS}"


def _span(part: Found) -> str:
    return f"{_week(part['median'])} ({_week(part['low'])}-{_week(part['high'])})"


def main() -> int:
    """Measure, print, and write the figures with what they were measured on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shops", type=int, default=200, help="simulated shops a row")
    parser.add_argument("--lives", type=int, default=40, help="simulated drifts a row")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "ladder.json")
    asked = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=180)
    begun = time.perf_counter()
    found: Found = {"where": hardware(), "confidence": CONFIDENCE, "gain": GAIN, "loss": LOSS, "guarantee": []}
    with console.status("shops") as status:
        for family in FAMILIES:
            for alike in ALIKE:
                for level in LEVELS:
                    status.update(f"{family}, alike {alike}, level {level:.0%}")
                    found["guarantee"].append(guarantee(asked.shops, family, level, alike))
        found["looking"] = []
        for level in LEVELS:
            status.update(f"half a year of looks, level {level:.0%}")
            found["looking"].append(looking(asked.shops, level))
        found["demotion"] = demotion(asked.lives, status.update)
    found["seconds"] = time.perf_counter() - begun
    show(found, console)
    keep(found, asked.out, console)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BadInput as wrong:
        print(f"ladder: {wrong}", file=sys.stderr)
        raise SystemExit(1) from None
