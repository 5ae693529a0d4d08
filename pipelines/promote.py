"""Promote: make the challenger champion if the gate lets it through, with a card that says why; and roll back."""

from dataclasses import replace

from rich.console import Console
from rich.markup import escape

from cxreco.edge.champion import CHALLENGER, CHAMPION, Pointer
from cxreco.edge.publishing import day_to_serve, publish
from cxreco.edge.settings import Settings
from cxreco.journey import Arm
from cxreco.pipelines.card import remove_card, restored, write_card
from cxreco.pipelines.evaluate import Judgement, already, judged
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.trials import Trial, Trials
from cxreco.pipelines.workspace import Step, Workspace, opened, steps, there
from cxreco.repeat.chain import Chain


def run(settings: Settings, console: Console, version: str | None = None) -> int:
    """Judge the challenger and promote it if it may be; a version named is promoted on your word. 1 if held back."""
    with opened(there(settings)) as workspace:
        trials = Trials(settings.home)
        if version is not None:
            with steps(console) as step:
                step("opening the registry")
                workspace.registry.promote(version)
                restored(workspace, "it was promoted by name, on somebody's word")
                furnished(workspace, step)
            console.print(f"{escape(version)} is the champion now, on your word")
            return 0
        trial = trials.latest()
        if settled := already(workspace, trial):
            console.print(escape(settled), highlight=False, soft_wrap=True)
            return 0
        if trial.rolled_back:
            console.print(escape(f"{trial.version} was rolled back for harm: {trial.rolled_back}"), highlight=False)
            console.print(f"`cxreco promote {trial.version}` promotes it all the same, on your word", highlight=False)
            return 1
        with steps(console) as step:
            log = gathered(workspace, step)
            step("judging the challenger")
            judgement = judged(workspace, log, trial)
        console.print(escape(judgement.words(settings.currency)), highlight=False, soft_wrap=True)
        if not judgement.verdict.promote:
            if challenged(workspace, trial, judgement):
                console.print(f"{trial.version} serves the challenger arm meanwhile", highlight=False)
            return 1
        with steps(console) as step:
            promoted(workspace, trials.latest(), judgement)
            furnished(workspace, step)
        console.print(f"{trial.version} is the champion now", highlight=False)
    return 0


def promoted(workspace: Workspace, trial: Trial, judgement: Judgement) -> Pointer:
    """Make a judged challenger the champion and write its card."""
    registry, trials = workspace.registry, Trials(workspace.settings.home)
    before = registry.live()
    inherited = trials.of(before.version) if before is not None else None
    chain, apart = Chain(), judgement.verdict.difference
    if judgement.verdict.kind == "refresh" and inherited is not None and apart is not None:
        chain = inherited.chain.longer(apart)
    pointer = registry.promote(trial.version)
    trials.keep(replace(trial, promoted=True, chain=chain))
    write_card(workspace, registry.playbook(trial.version), trial, judgement, CHAMPION)
    _vacated(workspace)
    return pointer


def furnished(workspace: Workspace, step: Step) -> None:
    """Publish the statistics of the day, where they are not: a champion's first decisions must not miss them."""
    as_of = day_to_serve(workspace.store, workspace.clock())
    if as_of >= 0:
        step("publishing the statistics of the day")
        publish(workspace.settings, workspace.store, workspace.shop, as_of)


def challenged(workspace: Workspace, trial: Trial, judgement: Judgement) -> bool:
    """Hand the challenger arm to one held back for lack of evidence; vacate it for any other. Tells which it was."""
    if not workspace.settings.arms.get(Arm.CHALLENGER) or not judgement.verdict.undecided:
        _vacated(workspace)
        return False
    workspace.registry.challenge(trial.version)
    write_card(workspace, workspace.registry.playbook(trial.version), trial, judgement, CHALLENGER)
    return True


def _vacated(workspace: Workspace) -> None:
    if workspace.live(CHALLENGER) is not None:
        workspace.registry.challenge(None)
    remove_card(workspace, CHALLENGER)


def rollback(settings: Settings, console: Console) -> int:
    """Bring the previous champion back; running servers follow within seconds."""
    with opened(there(settings)) as workspace, steps(console) as step:
        step("opening the registry")
        pointer = workspace.registry.rollback()
        restored(workspace, f"{pointer.previous} was rolled back by hand")
    console.print(f"{pointer.version} is the champion again; `cxreco rollback` once more undoes this", highlight=False)
    return 0
