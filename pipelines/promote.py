"""Promote: make the challenger champion if the gate lets it through, with a card that says why; and roll back."""

from dataclasses import replace

from rich.console import Console
from rich.markup import escape

from cxreco.edge.champion import Pointer
from cxreco.edge.settings import Settings
from cxreco.pipelines.card import card_of
from cxreco.pipelines.evaluate import Judgement, judged
from cxreco.pipelines.train import gathered
from cxreco.pipelines.trials import Trial, Trials
from cxreco.pipelines.workspace import Workspace, opened, steps


def run(settings: Settings, console: Console, version: str | None = None) -> int:
    """Judge the challenger and promote it if it may be; a version named is promoted on your word. 1 if held back."""
    with opened(settings) as workspace:
        trials = Trials(settings.home)
        if version is not None:
            workspace.registry.promote(version)
            console.print(f"{escape(version)} is the champion now, on your word")
            return 0
        with steps(console) as step:
            trial = trials.latest()
            log = gathered(workspace, step)
            step("judging the challenger")
            judgement = judged(workspace, log, trial)
        console.print(escape(judgement.words(settings.currency)), highlight=False)
        if not judgement.verdict.promote:
            return 1
        promoted(workspace, trials.latest(), judgement)
        console.print(f"{trial.version} is the champion now", highlight=False)
    return 0


def promoted(workspace: Workspace, trial: Trial, judgement: Judgement) -> Pointer:
    """Make a judged challenger the champion and write its card."""
    registry, trials = workspace.registry, Trials(workspace.settings.home)
    before = registry.live()
    inherited = trials.of(before.version) if before is not None else None
    won = judgement.verdict.kind == "change" or inherited is None
    anchor = trial.version if won or inherited is None else inherited.anchor
    pointer = registry.promote(trial.version)
    trials.keep(replace(trial, promoted=True, anchor=anchor))
    card = card_of(registry.playbook(trial.version), trial, judgement, workspace.settings.currency)
    folder = workspace.settings.home / "models"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "champion.md").write_text(card)
    return pointer


def rollback(settings: Settings, console: Console) -> int:
    """Bring the previous champion back; running servers follow within seconds."""
    with opened(settings) as workspace:
        pointer = workspace.registry.rollback()
    console.print(f"{pointer.version} is the champion again; `cxreco rollback` once more undoes this", highlight=False)
    return 0
