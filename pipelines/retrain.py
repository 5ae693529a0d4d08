"""Retrain: train, judge, promote or hold back; does nothing twice for the same log."""

from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from cxreco.edge.settings import Settings
from cxreco.pipelines.evaluate import Judgement, judged
from cxreco.pipelines.promote import promoted
from cxreco.pipelines.train import gathered, summary, trained
from cxreco.pipelines.trials import Trial, Trials
from cxreco.pipelines.workspace import Step, Workspace, opened, steps
from cxreco.respond.playbook import Playbook


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One turn of the repeat loop; `judgement` is None where this log was learned from and judged before."""

    trial: Trial
    playbook: Playbook
    judgement: Judgement | None

    @property
    def promoted(self) -> bool:
        """Whether this turn made a new champion."""
        return self.judgement is not None and self.judgement.verdict.promote


def run(settings: Settings, console: Console) -> int:
    """Turn the repeat loop once and say what came of it."""
    with opened(settings) as workspace:
        with steps(console) as step:
            turn = turned(workspace, step)
        console.print(summary(turn.trial, turn.playbook), highlight=False)
        if turn.judgement is None:
            console.print("this log was learned from and judged before: nothing to do", highlight=False)
            return 0
        console.print(escape(turn.judgement.words(settings.currency)), highlight=False)
        champion = workspace.registry.live()
        console.print(f"champion: {champion.version if champion else 'none'}", highlight=False)
    return 0


def turned(workspace: Workspace, step: Step) -> Round:
    """Turn the repeat loop once: train on the log, judge on its later days, promote if the gate opens."""
    log = gathered(workspace, step)
    trial, playbook = trained(workspace, log, step)
    if trial.reasons:
        return Round(trial=trial, playbook=playbook, judgement=None)
    step("judging the challenger")
    judgement = judged(workspace, log, trial)
    if judgement.verdict.promote:
        step("promoting it")
        promoted(workspace, Trials(workspace.settings.home).latest(), judgement)
    return Round(trial=trial, playbook=playbook, judgement=judgement)
