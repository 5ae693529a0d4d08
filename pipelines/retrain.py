"""Retrain: train, judge, promote or hold back; does nothing twice for the same log."""

from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from cxreco.edge.settings import Settings
from cxreco.pipelines.evaluate import Judgement, judged
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.promote import challenged, furnished, promoted
from cxreco.pipelines.train import summary, trained
from cxreco.pipelines.trials import Trial, Trials
from cxreco.pipelines.watching import watched
from cxreco.pipelines.workspace import Step, Workspace, opened, steps, there
from cxreco.repeat.log import Log
from cxreco.repeat.spec_check import check_specs
from cxreco.repeat.training import spec_hash
from cxreco.respond.playbook import Playbook


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One turn of the repeat loop; `judgement` is None where this log was learned from and judged before.

    Attributes
    ----------
    rolled_back
        Why the champion was rolled back first; empty: it did no evident harm.
    challenging
        Whether the challenger, held back for lack of evidence, was handed the challenger arm.
    """

    trial: Trial
    playbook: Playbook
    judgement: Judgement | None
    rolled_back: str = ""
    challenging: bool = False

    @property
    def promoted(self) -> bool:
        """Whether this turn made a new champion."""
        return self.judgement is not None and self.judgement.verdict.promote


def run(settings: Settings, console: Console) -> int:
    """Turn the repeat loop once and say what came of it."""
    with opened(there(settings)) as workspace:
        with steps(console) as step:
            turn = turned(workspace, step)
            if turn.promoted:
                furnished(workspace, step)
        if turn.rolled_back:
            console.print(escape(f"the champion was rolled back for harm: {turn.rolled_back}"), highlight=False)
        console.print(summary(turn.trial, turn.playbook), highlight=False)
        if turn.judgement is None:
            console.print("this log was learned from and judged before: nothing to do", highlight=False)
            return 0
        console.print(escape(turn.judgement.words(settings.currency)), highlight=False, soft_wrap=True)
        if turn.challenging:
            console.print(f"{turn.trial.version} serves the challenger arm meanwhile", highlight=False)
        champion = workspace.live()
        console.print(f"champion: {champion.version if champion else 'none'}", highlight=False)
    return 0


def judged_before(workspace: Workspace, log: Log) -> bool:
    """Tell whether this log was learned from, by these specs, and judged."""
    known = (log.position, spec_hash(workspace.specs.tables))
    trials = Trials(workspace.settings.home).all()
    return any((trial.position, trial.spec) == known and trial.reasons for trial in trials)


def turned(workspace: Workspace, step: Step) -> Round:
    """Turn the repeat loop once: roll back on harm, train, judge on later days, promote if the gate opens."""
    check_specs(workspace.specs.tables, currency=workspace.settings.currency)
    log = gathered(workspace, step)
    harm = ""
    if not judged_before(workspace, log):
        step("watching the champion for harm")
        harm = watched(workspace, log)
    trial, playbook = trained(workspace, log, step)
    if trial.reasons:
        return Round(trial=trial, playbook=playbook, judgement=None, rolled_back=harm)
    step("judging the challenger")
    judgement = judged(workspace, log, trial)
    if judgement.verdict.promote:
        step("promoting it")
        promoted(workspace, Trials(workspace.settings.home).latest(), judgement)
        challenging = False
    else:
        challenging = challenged(workspace, trial, judgement)
    return Round(trial=trial, playbook=playbook, judgement=judgement, rolled_back=harm, challenging=challenging)
