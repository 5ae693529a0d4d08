"""Results: what the standing experiments and each mode earned, in euros against control, and what learning is worth."""

from dataclasses import dataclass
from math import isfinite

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cxreco.edge.arms import Arms
from cxreco.edge.champion import trained_to
from cxreco.edge.settings import Settings
from cxreco.journey import Arm
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.pictures import interval_picture
from cxreco.pipelines.trials import Trials
from cxreco.pipelines.workspace import Workspace, opened, steps, there
from cxreco.recognise.contract import write_time
from cxreco.repeat.experiments import Comparison, assignments_of, compare, customer_weeks
from cxreco.repeat.log import Log
from cxreco.repeat.mode_effects import effect_words, mode_effects
from cxreco.repeat.reward import outcomes_of
from cxreco.respond.worth import Worth

FOLDER = "results"
RATES = ("orders", "returned", "complained", "unsubscribed", "contacts")
WEEKS_A_YEAR = 365.25 / 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What was earned, by arm and by mode; both None where no decision was logged.

    Attributes
    ----------
    arms
        The standing experiments, since the present dealing of customers began.
    modes
        Frame of `repeat.mode_effects`.
    trial
        The challenger that is live against the champion, both since it went live; None: there is none.
    left_out
        Whom the arms leave out, and why, where an earlier dealing of customers is in the log; empty: nobody.
    """

    arms: Comparison | None = None
    modes: pd.DataFrame | None = None
    trial: Comparison | None = None
    left_out: str = ""

    def words(self, currency: str) -> tuple[str, ...]:
        """Say it plainly, a sentence a line."""
        if self.arms is None or self.modes is None:
            return ("No decision was logged yet: there is nothing to compare.",)
        live = () if self.trial is None else ("Since the challenger went live:", *self.trial.words(currency))
        early = (self.left_out,) if self.left_out else ()
        return (*early, *self.arms.words(currency), *live, *effect_words(self.modes, currency))

    def metrics(self) -> dict[str, float]:
        """Return what MLflow keeps as numbers."""
        if self.arms is None or self.modes is None:
            return {}
        found: dict[str, float] = {}
        for row in self.arms.arms.to_dict("records"):
            found |= {f"arm.{row['arm']}.{part}": float(row[part]) for part in ("money", "low", "high", "customers")}
        for row in self.arms.differences.to_dict("records"):
            name = f"arm.{row['arm']}.over_{row['control']}"
            found |= {f"{name}.{part}": float(row[part]) for part in ("difference", "low", "high", "p")}
        for row in self.modes.to_dict("records"):
            found |= {f"mode.{row['mode']}.{part}": float(row[part]) for part in ("over_hold", "low", "high")}
        return {name: value for name, value in found.items() if isfinite(value)}

    def artifacts(self, currency: str) -> dict[str, bytes]:
        """Return tables, pictures, and the whole in words."""
        files = {f"{FOLDER}/results.txt": "\n".join(self.words(currency)).encode()}
        if self.arms is None or self.modes is None:
            return files
        tables = {"arms": self.arms.arms, "arms_against_control": self.arms.differences, "modes": self.modes}
        files |= {f"{FOLDER}/{name}.csv": table.to_csv(index=False).encode() for name, table in tables.items()}
        shown = self.modes[self.modes["reason"] == ""]
        files[f"{FOLDER}/arms.png"] = interval_picture(
            self.arms.arms, "arm", "money", "what each arm earned a customer and week (95 %)", currency
        )
        if len(shown):
            title = "what each mode earned a decision over leaving the customer be (95 %)"
            files[f"{FOLDER}/modes.png"] = interval_picture(shown, "mode", "over_hold", title, currency)
        return files


def run(settings: Settings, console: Console) -> int:
    """Print what was earned, by arm and by mode, and what the repeat loop is worth."""
    with opened(there(settings)) as workspace:
        with steps(console) as step:
            log = gathered(workspace, step)
            step("comparing arms and modes")
            found = results_of(workspace, log)
        for table in tables_of(found, settings.currency):
            console.print(table)
        for line in found.words(settings.currency):
            console.print(escape(line), highlight=False, soft_wrap=True)
        trials = Trials(settings.home).all()
        told = workspace.registry.artifact(trials[-1].version, "loop/loop.txt") if trials else None
        if told is not None:
            console.print("What learning is worth, as of the last training:", highlight=False)
            console.print(escape(told.decode()), highlight=False, soft_wrap=True)
    return 0


def results_of(workspace: Workspace, log: Log) -> Results:
    """Compare the arms, and the modes, on all that was logged."""
    decisions = log.decisions
    if not len(decisions):
        return Results()
    frame, worth = decisions.decisions, Worth.from_spec(workspace.specs["reward"])
    customer = log.code_of(list(frame["customer_id"]))
    arms = Arms.of(workspace.settings, workspace.store)
    since = {version: trained_to(workspace.settings.home, version) for version in frame["policy_version"].unique()}
    frame = frame.assign(trained_to=frame["policy_version"].map(since))
    assigned = assignments_of(frame, customer, lambda name: arms.dealt(name).value)
    shares = {arm.value: share for arm, share in workspace.settings.arms.items()}
    weeks = customer_weeks(assigned, log.ticks, worth=worth, as_of=log.now, order=log.order)
    outcomes = outcomes_of(frame, log.ticks, customer=customer, worth=worth, as_of=log.now, order=log.order)
    return Results(
        arms=compare(weeks, shares=shares),
        modes=mode_effects(decisions, outcomes.frame["money"].to_numpy(np.float64)),
        trial=_live(log, assigned, worth),
        left_out=_left_out(frame, assigned),
    )


def _left_out(frame: pd.DataFrame, assigned: pd.DataFrame) -> str:
    asked, counted = frame["customer_id"].nunique(), len(assigned)
    if asked == counted:
        return ""
    until = f" before {write_time(int(assigned['from_at'].min()))}" if counted else ""
    return (
        f"The arms are those of {counted:,} of the {asked:,} customers that were asked about: the others were asked "
        f"about{until} alone, when other arms, another epoch or another salt held."
    )


def _live(log: Log, assigned: pd.DataFrame, worth: Worth) -> Comparison | None:
    """Compare the challenger's customers with the champion's since challengers serve them, if they do."""
    frame = log.decisions.decisions
    dealt = frame[frame["assigned_arm"] == Arm.CHALLENGER.value]
    vacant = dealt.loc[dealt["arm"] != Arm.CHALLENGER.value, "seq"].max()
    served = dealt if np.isnan(vacant) else dealt[dealt["seq"] > vacant]
    if served.empty:
        return None
    sides = assigned[assigned["arm"].isin((Arm.CHAMPION.value, Arm.CHALLENGER.value))]
    since = sides.assign(from_at=np.maximum(sides["from_at"].to_numpy(np.int64), int(served["at"].min())))
    weeks = customer_weeks(since, log.ticks, worth=worth, as_of=log.now, order=log.order)
    return compare(weeks, controls=(Arm.CHAMPION.value,)) if weeks["arm"].nunique() == 2 else None


def tables_of(found: Results, currency: str) -> list[Table]:
    """Return the tables for people; each fits a terminal of 80 columns."""
    if found.arms is None or found.modes is None:
        return []
    arms = _table(f"what each arm earned, {currency} a customer and week (95 %)", "arm", "customers", "weeks", currency)
    rates = _table("how often, a customer and year", "arm", *RATES)
    for row in found.arms.arms.to_dict("records"):
        money = _interval(*(float(row[name]) for name in ("money", "low", "high")))
        arms.add_row(row["arm"], f"{row['customers']:,}", f"{row['weeks']:,.0f}", money)
        rates.add_row(row["arm"], *(f"{WEEKS_A_YEAR * row[name]:.1f}" for name in RATES))
    title = f"what each mode earned, {currency} a decision (95 %), against leaving the same customers be"
    modes = _table(title, "mode", "decisions", "earned", "if held", "difference")
    for row in found.modes.to_dict("records"):
        both = (f"{row[name]:.2f}" if isfinite(row[name]) else "–" for name in ("earned", "held"))
        apart = _interval(*(float(row[name]) for name in ("over_hold", "low", "high")))
        modes.add_row(row["mode"], f"{row['decisions']:,}", *both, apart)
    return [arms, rates, modes]


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == headings[0] else "right")
    return table


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.2f} ({low:.2f} to {high:.2f})" if isfinite(low) and isfinite(high) else "too few to tell"
