"""Evaluate: what the challenger would have earned on days later than its training, and what the gate says to it."""

from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape

from cxreco.edge.settings import Settings
from cxreco.errors import NoSupport
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.trials import Trial, Trials
from cxreco.pipelines.workspace import Workspace, opened, steps, there
from cxreco.repeat.evaluation import Report, evaluate
from cxreco.repeat.log import Log
from cxreco.repeat.promotion import Change, PromotionRules, Verdict, judge
from cxreco.repeat.reward import outcomes_of
from cxreco.repeat.targets import foresight_of, target_of
from cxreco.repeat.value_training import ValueSpec
from cxreco.respond.worth import Worth

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict with the reports that it rests on; without a champion, or without support, there are none."""

    verdict: Verdict
    reports: tuple[Report, ...] = ()

    def words(self, currency: str) -> str:
        """Say it plainly."""
        head = "promote" if self.verdict.promote else "held back"
        lines = [f"verdict on the {self.verdict.kind}: {head}", *(f"  {reason}" for reason in self.verdict.reasons)]
        for report in self.reports:
            lines += [f"  {line}" for line in report.words(currency)]
        return "\n".join(lines)


def run(settings: Settings, console: Console) -> int:
    """Judge the latest challenger and print the verdict."""
    with opened(there(settings)) as workspace:
        trial = Trials(settings.home).latest()
        if settled := already(workspace, trial):
            console.print(escape(settled), highlight=False, soft_wrap=True)
            return 0
        with steps(console) as step:
            log = gathered(workspace, step)
            step("estimating what the challenger would have earned")
            judgement = judged(workspace, log, trial)
        console.print(escape(judgement.words(settings.currency)), highlight=False, soft_wrap=True)
    return 0


def already(workspace: Workspace, trial: Trial) -> str:
    """Return why there is nothing to judge: the latest challenger is the champion; empty: it is not."""
    champion = workspace.live()
    if champion is None or champion.version != trial.version:
        return ""
    return (
        f"{trial.version}, the latest challenger, is the champion already, since {champion.promoted_at}: there is "
        "nothing to judge. Next: let it serve (`cxreco serve`); then `cxreco retrain` trains one on what was answered"
    )


def judged(workspace: Workspace, log: Log, trial: Trial) -> Judgement:
    """Hold a challenger against the champion on the decisions after its cut; the verdict is kept with the trial."""
    champion = workspace.live()
    if champion is None:
        verdict = Verdict(
            promote=True, kind="change", reasons=("there is no champion yet: the first goes live",), needed=None,
            checks=(),
        )  # fmt: skip
        return _kept(workspace, trial, Judgement(verdict=verdict))
    trials = Trials(workspace.settings.home)
    before = trials.of(champion.version)
    kind: Change = "refresh" if before is not None and before.spec == trial.spec else "change"
    rules = PromotionRules.from_spec(workspace.specs["promotion"])
    versions = {"champion": champion.version, "challenger": trial.judged}
    try:
        reports, foresight = _reports(workspace, log, trial, versions, rules)
    except NoSupport as thin:
        verdict = Verdict(promote=False, kind=kind, reasons=(str(thin),), needed=None, checks=())
        return _kept(workspace, trial, Judgement(verdict=verdict))
    verdict = judge(
        reports["champion"],
        reports["challenger"],
        rules,
        kind=kind,
        attempt=trials.attempts() + 1,
        since=before.chain if before is not None else None,
        foresight=foresight,
    )
    return _kept(workspace, trial, Judgement(verdict=verdict, reports=(reports["champion"], reports["challenger"])))


def _reports(
    workspace: Workspace, log: Log, trial: Trial, versions: dict[str, str], rules: PromotionRules
) -> tuple[dict[str, Report], F64]:
    later = log.decisions.take(log.decisions.decisions["at"].to_numpy(np.int64) >= trial.cut)
    if not len(later):
        raise NoSupport("no decision was logged after what the challenger learned from: nothing can be judged yet")
    frame = later.decisions
    outcomes = outcomes_of(
        frame,
        log.ticks,
        customer=log.code_of(list(frame["customer_id"])),
        worth=Worth.from_spec(workspace.specs["reward"]),
        as_of=log.now,
        order=log.order,
    )
    shelf = log.catalogue.shelf(log.now)
    items = [log.codes.item_code(item_id) if item_id else -1 for item_id in later.candidates["item_id"]]
    groups = np.array([shelf.category_names[shelf.category[item]] if item >= 0 else "" for item in items], dtype=object)
    playbooks = {name: workspace.registry.playbook(version) for name, version in versions.items()}
    # One model of money for all: the challenger's twin, which never saw these days.
    targets = {name: target_of(playbook, later) for name, playbook in playbooks.items()}
    q = targets["challenger"].money
    reports = {
        name: evaluate(later, outcomes.frame, target.joint, name=name, q=q, groups=groups, rules=rules.support)
        for name, target in targets.items()
    }
    soon = ValueSpec.from_spec(workspace.specs["value"]).soon
    customer = log.code_of(list(frame["customer_id"]))
    ordered, _ = soon.after(frame, log.ticks, customer, Worth.from_spec(workspace.specs["reward"]).margin_share)
    foresight = foresight_of(targets["champion"], targets["challenger"], later, ordered)
    used = np.isin(frame["decision_id"].to_numpy(object).astype(str), reports["champion"].decision_id.astype(str))
    return reports, foresight[used]


def measured(judgement: Judgement) -> dict[str, float]:
    """Return what MLflow keeps of a judgement: money by policy and mode with intervals, and the paired difference."""
    found = {"promote": float(judgement.verdict.promote)}
    apart = judgement.verdict.difference
    if apart is not None:
        found |= {f"difference.{part}": float(getattr(apart, part)) for part in ("value", "low", "high")}
    for report in judgement.reports:
        rows = report.rows[report.rows["level"].isin(("all", "mode"))].to_dict("records")
        for row in rows:
            subject = row["name"] if row["level"] == "all" else row["subject"]
            found |= {f"{report.name}.{subject}.{part}": float(row[part]) for part in ("value", "low", "high")}
    return {name: value for name, value in found.items() if isfinite(value)}


def _kept(workspace: Workspace, trial: Trial, judgement: Judgement) -> Judgement:
    words = judgement.words(workspace.settings.currency).encode()
    registry = workspace.registry
    files = registry.load(trial.version)
    registry.save(files, metrics=measured(judgement), artifacts={"verdict.txt": words}, run_name="evaluate")
    Trials(workspace.settings.home).keep(
        replace(trial, spent=trial.spent or judgement.verdict.spent, reasons=judgement.verdict.reasons)
    )
    return judgement
