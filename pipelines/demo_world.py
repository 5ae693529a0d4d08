"""The demo on the simulated shop: history, training, weeks of serving with weekly retraining, and what it earned."""

import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from cxreco.edge.settings import FILE_NAME, Settings, load_settings
from cxreco.edge.specs import set_number, write_default_specs
from cxreco.errors import NotFound
from cxreco.journey import DAY, MODES, Arm
from cxreco.pipelines.ingest import imported
from cxreco.pipelines.pictures import confusion_picture, curve_picture
from cxreco.pipelines.retrain import turned
from cxreco.pipelines.season import Season, branch, counted, under, weekly
from cxreco.pipelines.simulate import lived, shop_of
from cxreco.pipelines.workspace import Plainly, Step, opened, steps
from cxreco.repeat.intervals import clustered, t_interval
from cxreco.respond.playbook import Playbook
from cxreco.world import World, WorldSpec

F64 = NDArray[np.float64]
HISTORY_WEEKS = 26
# The demo's shop lets its engine place orders where one in two, not one in ten, may turn out wrong: an order that is
# cancelled in its notice costs it 50 ct, and half a year of 400 customers is too little to prove more. The level is
# written to the workspace's own copy of the specs, as any shop would.
MOST_WRONG = 0.5
# A shop of 400 customers learns its ranking from its latest 3,000 orders: more would take longer than a demo may.
RANKER_MOMENTS = 3_000
# The modes as tables call them, in the order of `MODES`.
SHORT = ("hold", "respond", "curate", "coach", "automatic")
POLICIES: tuple[tuple[str, Arm], ...] = (
    ("cxreco", Arm.CHAMPION),
    ("never retrained", Arm.CHAMPION),
    ("hand-written rules", Arm.RULES),
    ("random", Arm.RANDOM),
    ("myopic oracle", Arm.CHAMPION),
)
LEARNER, ORACLE = POLICIES[0][0], POLICIES[-1][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a demo run measured.

    Attributes
    ----------
    money
        Policy -> (customers, weeks) money.
    counts
        Policy -> entry -> number.
    modes
        Policy -> (5,) decisions by mode.
    confusion
        (5, 5) decisions of the engine: best mode by the world's truth down, chosen mode across.
    promotions
        What the gate said each week.
    worth
        Policy -> (2, weeks) what its choices were truly worth over hold, and what the best at those moments were.
    learned
        (customers, weeks) how much more true worth cxreco's playbook of the day had than that of the first day, at the
        same moments and among the same candidates.
    """

    money: dict[str, F64]
    counts: dict[str, dict[str, int]]
    modes: dict[str, F64]
    confusion: F64
    promotions: list[str]
    worth: dict[str, F64]
    learned: F64

    @property
    def gap_closed(self) -> float:
        """Share of the gap between random and the oracle that the engine closed."""
        mean = {name: float(table.mean()) for name, table in self.money.items()}
        return (mean[LEARNER] - mean["random"]) / (mean[ORACLE] - mean["random"])


def run(settings: Settings, *, seed: int, console: Console, customers: int = 400, weeks: int = 8) -> int:
    """Run the demo and print what it earned."""
    home = settings.home
    result = measured(settings, seed=seed, console=console, customers=customers, weeks=weeks)
    console.print(takings_table(result, settings.currency))
    console.print(worth_table(result, settings.currency))
    console.print(conduct_table(result))
    console.print(harm_table(result))
    console.print(confusion_table(result))
    console.print(
        "retraining: at the same moments and among the same candidates, the playbooks of the day were truly worth "
        f"{_interval(result.learned, 3)} {settings.currency} per customer-week more than the first day's; by week "
        + ", ".join(f"{gain:+.3f}" for gain in result.learned.mean(axis=0)),
        highlight=False,
    )
    for week, said in enumerate(result.promotions, start=1):
        console.print(f"week {week}: {escape(said)}", highlight=False)
    for name in ("hand-written rules", "never retrained", "random"):
        apart = result.money[LEARNER] - result.money[name]
        half = apart.shape[1] // 2
        console.print(
            f"cxreco less {name}, the same customers: {_interval(apart)} {settings.currency} per customer-week; "
            f"first half {_interval(apart[:, :half])}, second half {_interval(apart[:, half:])}",
            highlight=False,
        )
    console.print(
        f"cxreco closed {result.gap_closed:.0%} of the gap between random and the oracle that knows the truth",
        highlight=False,
    )
    pictures = home / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    curve_picture(result.money, settings.currency, pictures / "learning.png")
    confusion_picture(result.confusion, pictures / "modes.png")
    console.print(f"pictures   {pictures / 'learning.png'} and {pictures / 'modes.png'}", highlight=False)
    engine = home / "cxreco"
    console.print(f"MLflow     cxreco --home {engine} ui", highlight=False)
    console.print(f"the API    cxreco --home {engine} serve     then open http://127.0.0.1:8080/docs", highlight=False)
    return 0


def measured(settings: Settings, *, seed: int, console: Console, customers: int, weeks: int) -> Result:
    """Live the same weeks under every policy, from the same history, with the same customers and luck.

    Each policy is a process of its own, two at a time.
    """
    shutil.rmtree(settings.home / "base", ignore_errors=True)
    founded(settings, seed=seed, console=console, customers=customers)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=console) as progress,
        multiprocessing.Manager() as manager,
        ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        told = manager.Queue()
        plans = [
            Plan(name=name, arm=arm, home=settings.home, seed=seed, customers=customers, weeks=weeks)
            for name, arm in POLICIES
        ]
        # Where nobody watches a bar move (a pipe, a file), a line is said each week.
        plainly = None if console.is_terminal else Plainly(console)
        tasks = {plan.name: progress.add_task(f"{plan.name}: {weeks} weeks", total=weeks * 7) for plan in plans}
        running = [pool.submit(lived_under, plan, told) for plan in plans]
        while not all(each.done() for each in running):
            _show(progress, tasks, told, plainly)
        seasons = [each.result() for each in running]
    return Result(
        money={plan.name: season.money for plan, season in zip(plans, seasons, strict=True)},
        counts={plan.name: season.counts for plan, season in zip(plans, seasons, strict=True)},
        modes={plan.name: season.confusion.sum(axis=0) for plan, season in zip(plans, seasons, strict=True)},
        confusion=seasons[0].confusion,
        promotions=seasons[0].promotions,
        worth={plan.name: season.worth / customers for plan, season in zip(plans, seasons, strict=True)},
        learned=seasons[0].learned,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A season to be lived by a process of its own."""

    name: str
    arm: Arm
    home: Path
    seed: int
    customers: int
    weeks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What a season came to.

    (customers, weeks) money, entries by kind, (5, 5) best mode against chosen, verdicts, (2, weeks) true worth of what
    was chosen and of the best, (customers, weeks) what was learned (see `Result`).
    """

    money: F64
    counts: dict[str, int]
    confusion: F64
    promotions: list[str]
    worth: F64
    learned: F64


def lived_under(plan: Plan, told: "Queue[tuple[str, int, str]]") -> Lived:
    """Live a season and return what it came to; `told` hears of every day and of every retraining."""
    world = lived(_shop(plan.customers), plan.seed, plan.home / "shop" / plan.name, lambda _: None)
    since = world.now
    learns = plan.name == LEARNER
    promotions: list[str] = []
    with closing(_season(plan, world)) as season:
        for week in range(plan.weeks):
            for _ in season.days(7):
                told.put((plan.name, 1, f"week {week + 1} of {plan.weeks}"))
            if learns and week < plan.weeks - 1:
                promotions.append(_retrained(season, lambda what: told.put((plan.name, 0, f"retraining, {what}"))))
    return Lived(
        money=weekly(world, since, plan.weeks),
        counts=counted(world, since, since + plan.weeks * 7 * DAY),
        confusion=_confusion(season),
        promotions=promotions,
        worth=season.open.weekly(plan.weeks),
        learned=season.open.gained(plan.weeks),
    )


def _show(
    progress: Progress, tasks: dict[str, TaskID], told: "Queue[tuple[str, int, str]]", plainly: Plainly | None
) -> None:
    try:
        name, days, what = told.get(timeout=0.5)
    except Empty:
        return
    progress.update(tasks[name], advance=days, description=f"{name}: {what}")
    if plainly is not None and days and progress.tasks[tasks[name]].completed % 7 == 0:
        plainly.say(f"{name}: {what}")


def _shop(customers: int) -> WorldSpec:
    return shop_of("staples", customers=customers, weeks=HISTORY_WEEKS)


def founded(settings: Settings, *, seed: int, console: Console, customers: int) -> Playbook:
    """Let a shop live its history, import it, and train the apprentice on it: the common past of all policies."""
    home = settings.home
    own = {"home": home / "base", "durability": "relaxed", "salt": f"demo-{seed}"}
    base = settings.embedded().model_copy(update=own)
    with steps(console) as step:
        world = lived(_shop(customers), seed, home / "shop", step)
    own_specs(base.home)
    console.print(f"guardrails: orders may be placed where at most {MOST_WRONG:.0%} turn out wrong", highlight=False)
    with opened(base, clock=lambda: world.now) as workspace:
        for kind in ("items", "events"):
            report = imported(workspace, kind, home / "shop" / f"{kind}.jsonl", None, console)
            console.print(escape(report.lines()[0] + ":" + report.lines()[1].removeprefix("  made")), highlight=False)
        with steps(console) as step:
            return turned(workspace, step).playbook


def own_specs(home: Path) -> None:
    """Write the shop's own specs: its level of wrong orders, and how much its ranker learns from."""
    write_default_specs(home)
    set_number(home, "guardrails", "max_wrong_share", MOST_WRONG)
    set_number(home, "training", "ranker_moments", RANKER_MOMENTS)


def _season(plan: Plan, world: World) -> Season:
    place = branch(plan.home / "base", plan.home / plan.name.replace(" ", "-"))
    own = under(load_settings(salt=f"demo-{plan.seed}"), place, plan.arm)
    # Whoever opens this workspace later deals its customers out as they lived, or `cxreco results` would disown them.
    (place / FILE_NAME).write_text(f'arms = "{plan.arm.value}=100"  # everybody lived under one arm here\n')
    season = Season(plan.name, world, own)
    with opened(own, clock=lambda: world.now) as workspace:
        champion = workspace.live()
        if champion is None:
            raise NotFound("the shop has no champion: its history taught nothing")
        season.adopt(workspace.registry.playbook(champion.version), oracle=plan.name == ORACLE)
    return season


def _retrained(season: Season, step: Step) -> str:
    with opened(season.settings, clock=lambda: season.world.now) as workspace:
        turn = turned(workspace, step)
        champion = workspace.live()
        if champion is not None and (turn.promoted or turn.rolled_back):
            season.adopt(workspace.registry.playbook(champion.version))
    harm = f"the champion was rolled back for harm: {turn.rolled_back}; " if turn.rolled_back else ""
    said = "promoted" if turn.promoted else "held back"
    reasons = turn.judgement.verdict.reasons if turn.judgement else ()
    return f"{harm}{said}: {reasons[0] if reasons else 'this log was judged before'}"


def _confusion(season: Season) -> F64:
    table = np.zeros((len(MODES), len(MODES)))
    np.add.at(table, (np.array(season.open.best, dtype=int), np.array(season.open.chosen, dtype=int)), 1.0)
    return table


def takings_table(result: Result, currency: str) -> Table:
    """Return the table of what each policy earned, with 95 % intervals over customers."""
    table = Table(title=f"takings, {currency} per customer-week (95 % intervals over customers)")
    for heading in ("policy", "all weeks", "first half", "second half"):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    for name, money in result.money.items():
        half = money.shape[1] // 2
        table.add_row(name, *(_interval(part) for part in (money, money[:, :half], money[:, half:])))
    return table


def worth_table(result: Result, currency: str) -> Table:
    """Return the table of what the choices were worth by the world's own expectation: what luck did is left out."""
    table = Table(title=f"true worth of the choices over hold, {currency} per customer-week (and share of the best)")
    for heading in ("policy", "all weeks", "first half", "second half"):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    for name, worth in result.worth.items():
        half = worth.shape[1] // 2
        parts = (part.mean(axis=1) for part in (worth, worth[:, :half], worth[:, half:]))
        table.add_row(name, *(f"{got:.2f} ({got / best:.0%})" for got, best in parts))
    return table


def conduct_table(result: Result) -> Table:
    """Return the table of what each policy did: its mix of modes."""
    table = Table(title="what each policy did")
    for heading in ("policy", *SHORT):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    for name in result.money:
        share = result.modes[name] / max(result.modes[name].sum(), 1.0)
        table.add_row(name, *(f"{part:.0%}" for part in share))
    return table


def harm_table(result: Result) -> Table:
    """Return the table of how often each policy wrote to customers, and of the harm that came with it."""
    table = Table(title="and what went wrong")
    for heading in ("policy", "returns", "complaints", "unsubscribed", "contacts"):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    for name in result.money:
        counts = (result.counts[name].get(kind, 0) for kind in ("return", "complaint", "unsubscribe", "contact"))
        table.add_row(name, *(f"{count:,}" for count in counts))
    return table


def confusion_table(result: Result) -> Table:
    """Return the confusion of the mode that the engine chose with the one that the world's truth favours."""
    table = Table(title="best mode by the world's truth (down) against the mode cxreco chose (across)")
    table.add_column("best")
    for name in (*SHORT, "moments"):
        table.add_column(name, justify="right")
    for mode, row in zip(MODES, result.confusion, strict=True):
        table.add_row(mode.value, *(f"{part:.0%}" for part in row / max(row.sum(), 1.0)), f"{row.sum():.0f}")
    return table


def _interval(money: F64, digits: int = 2) -> str:
    by_customer = money.mean(axis=1)
    low, high = t_interval(clustered(by_customer), 0.95)
    return f"{by_customer.mean():.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
