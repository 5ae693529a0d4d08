"""Decisions: cxreco beside rules, Vowpal Wabbit, LinUCB, Thompson sampling, ablations and the oracle, in known worlds.

Each shop (a world and a seed) lives its history once; the apprentice is trained on it. Then every policy lives the same
weeks from there: the same customers and luck, the engine's own candidates, guardrails and log. Comparators see the
value features of the admitted candidates and learn online, each night, from the money that the engine's reward window
gives a decision, once it is ripe; never from the truth. They decide among the candidates of the founding playbook, as
rules, random and the oracle do; only cxreco retrains (weekly), and its ablations say what that is worth. Any of them
with a `+` (`vw-squarecb+`, `oracle+`) has the models behind its candidates retrained every week too.

Comparators are tuned first: `--tune` lives all settings of `contest/ways.py` on development seeds (101 and on), and
the best of each family by takings is the one that plays. Results are added as each season ends, so that a run that was
interrupted goes on where it was; `--report` prints what there is, `--again` lives seasons anew.

The comparators' environment is made by uv in the user's cache (about 200 MB) when first needed.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contest import results, ways
from contest.peers import PACKAGES, environment
from contest.seasons import Plan, lived
from contest.shops import Plot, founded, sources
from contest.standings import standings
from contest.tables import cost, summary, tables, true_worth
from rich.console import Console
from under_load.report import hardware

from cxreco.errors import CxRecoError
from cxreco.world import WORLDS

RESULTS = Path(__file__).with_name("results")
FILE, TUNING = RESULTS / "decisions.json", RESULTS / "decisions_tuning.json"
DEVELOPMENT = (101, 102)


def season(plan: Plan) -> dict[str, Any]:
    """Live a season in this process, with a progress line a week; it ends with the run that asked for it."""
    parent = os.getppid()

    def say(what: str) -> None:
        if os.getppid() != parent:
            raise CxRecoError("the run that asked for this season has ended")
        print(f"{datetime.now(UTC):%H:%M:%S} {plan.plot.name} {plan.way.name}: {what}", flush=True)

    return lived(plan, say)


def found(plot: Plot, home: Path) -> float:
    """Found a shop in this process; returns the CPU seconds that it took when it was founded."""
    return founded(plot, home / plot.name).cpu_s


def run(plans: Sequence[Plan], path: Path, console: Console, jobs: int) -> int:
    """Live the seasons that are missing, shop by shop, keeping each as it ends; returns how many failed."""
    about = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **hardware(), "comparators": list(PACKAGES)}
    failures, done, begun = 0, 0, time.perf_counter()
    context = multiprocessing.get_context("spawn")
    for plot, group in by_shop(plans):
        # A process a season: nothing that one compiled or kept helps or hinders the next.
        with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool:
            console.print(f"{plot.name}: founding", highlight=False)
            try:
                seconds = pool.submit(found, plot, group[0].home).result()
            except CxRecoError as error:
                console.print(f"{plot.name}: {error}", style="red", highlight=False)
                failures += len(group)
                continue
            console.print(f"{plot.name}: founded ({seconds:.0f} CPU s)", highlight=False)
            running: dict[Future[dict[str, Any]], Plan] = {pool.submit(season, plan): plan for plan in group}
            for future in as_completed(running):
                name = running[future].way.name
                try:
                    row = future.result()
                except Exception as error:
                    failures += 1
                    console.print(f"{plot.name} {name} failed: {error!r}", style="red", highlight=False, markup=False)
                    continue
                results.add(path, about, row)
                done += 1
                week = sum(row["money"]) / len(row["money"]) / plot.weeks
                console.print(
                    f"{plot.name} {name}: {week:.3f} EUR per customer-week, {row['cpu_s']:.0f} CPU s; "
                    f"{done + failures} of {len(plans)} seasons, {(time.perf_counter() - begun) / 60:.0f} min",
                    highlight=False,
                )
    return failures


def by_shop(plans: Sequence[Plan]) -> Iterator[tuple[Plot, list[Plan]]]:
    """Yield each shop with its seasons."""
    for plot in dict.fromkeys(plan.plot for plan in plans):
        yield plot, [plan for plan in plans if plan.plot == plot]


def show(path: Path, console: Console) -> None:
    """Print what there is."""
    _, rows = results.read(path)
    if not rows:
        console.print(f"{path} holds no seasons yet")
        return
    order = (*ways.NAMES, *ways.TRIALS)
    for standing in standings(rows, order):
        for table in tables(standing):
            console.print(table)
    console.print(cost(rows))
    console.print(summary(rows))
    console.print(true_worth(rows))
    codes = sorted({row["sources"] for row in rows})
    if len(codes) > 1:
        console.print(f"seasons of {len(codes)} versions of the code stand side by side: {', '.join(codes)}")
    settings = {row["policy"]: row["setting"] for row in rows if row["setting"]}
    for name, setting in settings.items():
        console.print(f"{ways.label_of(name)}: {setting}", highlight=False, markup=False)


def asked() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="cxreco bench decisions --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=list(WORLDS), metavar="WORLD")
    parser.add_argument("--seeds", nargs="+", type=int, help="default: 1 2 3; with --tune: 101 102")
    parser.add_argument("--customers", type=int, default=400)
    parser.add_argument("--history", type=int, default=26, help="weeks; cold_start has the fewest days that teach")
    parser.add_argument("--weeks", type=int, default=8)
    parser.add_argument("--policies", nargs="+", metavar="POLICY", help=f"default: {' '.join(ways.NAMES)}")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=1, help="seasons at a time")
    parser.add_argument("--tune", action="store_true", help="live all settings of the comparators")
    parser.add_argument("--again", action="store_true", help="live seasons that are there already")
    parser.add_argument("--report", action="store_true", help="print what is there, live nothing")
    parser.add_argument("--out", type=Path, help=f"default: results/{FILE.name}, or {TUNING.name} with --tune")
    parser.add_argument("--tuning", type=Path, default=TUNING, help="where the settings were chosen")
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "cxreco-decisions")
    return parser.parse_args()


def main() -> int:
    """Live what is missing, keep it, print the report."""
    options = asked()
    console = Console() if Console().is_terminal else Console(width=200)
    path = options.out or (options.tuning if options.tune else FILE)
    # One thread a season: two seasons share two cores, and CPU seconds mean something.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    failures = 0
    try:
        tuned = results.best_settings(results.read(options.tuning)[1])
        names = options.policies or (ways.TRIALS if options.tune else ways.NAMES)
        chosen = [ways.way_of(name, tuned) for name in names]
        if not options.report:
            plots = [
                Plot(world=world, seed=seed, customers=options.customers, history=options.history, weeks=options.weeks)
                for world in options.worlds
                for seed in options.seeds or (DEVELOPMENT if options.tune else (1, 2, 3))
            ]
            kept = [] if options.again else results.read(path)[1]
            # A comparator that was tuned anew since is to be lived again.
            there = {(results.key_of(row), str(row["setting"])) for row in kept}
            plans = [
                Plan(plot=plot, home=options.home, way=way)
                for plot in plots
                for way in chosen
                if (results.key_of({**plot.key, "policy": way.name}), str(dict(way.setting or {}))) not in there
            ]
            console.print(f"{len(plans)} seasons to live, engine {sources()}; results go to {path}", highlight=False)
            if any(plan.way.family for plan in plans):
                environment()
            untuned = sorted({way.family for way in chosen if way.family and "@" not in way.name} - set(tuned))
            if untuned:
                console.print(f"not tuned yet, in their first setting: {', '.join(untuned)} (run --tune)")
            failures = run(plans, path, console, options.jobs)
        show(path, console)
        if options.tune:
            chosen_now = results.best_settings(results.read(path)[1])
            console.print(f"best by takings: {chosen_now}", highlight=False)
    except CxRecoError as failed:
        console.print(f"{failed}", style="red", highlight=False)
        return 1
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
