"""Train: from the log to a registered challenger, and its twin that never saw the days it will be judged on."""

import json

from rich.console import Console

from cxreco.edge.settings import Settings
from cxreco.journey import DAY
from cxreco.pipelines.curves import loop_curves
from cxreco.pipelines.explanations import explained
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.results import results_of
from cxreco.pipelines.trials import Trial, Trials, flat
from cxreco.pipelines.workspace import Step, Workspace, opened, steps, there
from cxreco.repeat.log import Log
from cxreco.repeat.promotion import PromotionRules
from cxreco.repeat.spec_check import check_specs
from cxreco.repeat.training import Lessons, TrainingSpec, fit_playbook, learn, spec_hash
from cxreco.respond.playbook import Playbook


def run(settings: Settings, console: Console) -> int:
    """Train and register a challenger."""
    with opened(there(settings)) as workspace:
        check_specs(workspace.specs.tables, currency=workspace.settings.currency)
        with steps(console) as step:
            trial, playbook = trained(workspace, gathered(workspace, step), step)
        console.print(summary(trial, playbook), highlight=False)
    return 0


def trained(workspace: Workspace, log: Log, step: Step) -> tuple[Trial, Playbook]:
    """Train on a log and register the challenger; the same log and specs train nothing twice."""
    trials = Trials(workspace.settings.home)
    spec = spec_hash(workspace.specs.tables)
    same = [trial for trial in trials.all() if (trial.position, trial.spec) == (log.position, spec)]
    if same:
        step("this log was learned from before")
        return same[-1], workspace.registry.playbook(same[-1].version)
    lessons = learn(log, workspace.specs.tables, step=step)
    cut = evaluation_cut(lessons, workspace)
    step("teaching the value heads")
    salt = f"{workspace.salt}:{log.position}"
    playbook = fit_playbook(lessons, salt=salt)
    judged = fit_playbook(lessons, salt=salt, until=cut)
    metrics, artifacts = told(workspace, lessons, (playbook, judged), cut, step)
    step("registering the playbook")
    registry = workspace.registry
    params = {"spec": spec, "position": log.position, "decisions": playbook.decisions, "policy": playbook.name}
    version = registry.save(
        playbook.to_files(),
        metrics={**playbook.report, **metrics},
        params={**params, **flat(workspace.specs.tables)},
        artifacts={**artifacts, "specs.json": json.dumps(workspace.specs.tables, indent=1, sort_keys=True).encode()},
        run_name="train",
    )
    registry.save(judged.to_files(), params={"twin_of": version}, run_name="train, without the evaluation days")
    trial = Trial(number=0, version=version, judged=judged.version, cut=cut, position=log.position, spec=spec)
    return trials.keep(trial), playbook


def told(
    workspace: Workspace, lessons: Lessons, fitted: tuple[Playbook, Playbook], cut: int, step: Step
) -> tuple[dict[str, float], dict[str, bytes]]:
    """Return what a training run tells people, as metrics and artifacts.

    Parameters
    ----------
    fitted
        The playbook, and its twin that never saw what came after `cut`.
    """
    currency = workspace.settings.currency
    step("explaining what drives it")
    explanations = explained(lessons, fitted[0], currency)
    step("measuring what the repeat loop is worth")
    rules = PromotionRules.from_spec(workspace.specs["promotion"])
    loop = loop_curves(lessons, fitted[1], cut, rules.support)
    step("comparing arms and modes")
    results = results_of(workspace, lessons.log)
    return loop.metrics() | results.metrics(), explanations | loop.artifacts(currency) | results.artifacts(currency)


def evaluation_cut(lessons: Lessons, workspace: Workspace) -> int:
    """Return where the evaluation days begin: so many ripe days before now, and after the champion's own training.

    At least the latest ripe half of them is kept, even where the champion has learned from a part of it: that can only
    speak for the champion.
    """
    days = TrainingSpec.from_spec(lessons.specs["training"]).evaluation_days
    ripe = lessons.log.now - lessons.worth.order_window
    champion = workspace.live()
    known = workspace.registry.playbook(champion.version).trained_to if champion else 0
    return max(ripe - int(days * DAY), min(known, ripe - int(days * DAY / 2)))


def summary(trial: Trial, playbook: Playbook) -> str:
    """Say what was trained."""
    taught = f"{playbook.decisions:,} answered decisions"
    who = "the apprentice: modes by belief, no decision was answered yet" if playbook.apprentice else taught
    rungs = len(playbook.ladder.notice), len(playbook.ladder.automatic)
    return (
        f"challenger {trial.version} learned from {who}; the trust ladder stands at notice in {rungs[0]} categories "
        f"and at automatic in {rungs[1]}"
    )
