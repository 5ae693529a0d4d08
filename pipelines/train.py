"""Train: from the log to a registered challenger, and its twin that never saw the days it will be judged on."""

from rich.console import Console

from cxreco.edge.settings import Settings
from cxreco.errors import BadInput
from cxreco.journey import DAY
from cxreco.pipelines.gather import gather
from cxreco.pipelines.trials import Trial, Trials
from cxreco.pipelines.workspace import Step, Workspace, opened, steps
from cxreco.repeat.log import Log
from cxreco.repeat.training import Lessons, TrainingSpec, fit_playbook, learn, spec_hash
from cxreco.respond.playbook import Playbook


def run(settings: Settings, console: Console) -> int:
    """Train and register a challenger."""
    with opened(settings) as workspace:
        with steps(console) as step:
            trial, playbook = trained(workspace, gathered(workspace, step), step)
        console.print(summary(trial, playbook), highlight=False)
    return 0


def gathered(workspace: Workspace, step: Step) -> Log:
    """Read the workspace's log.

    Raises
    ------
    BadInput
        If it is empty.
    """
    step("reading the log")
    log = gather(workspace.store, workspace.shop)
    if log.ticks.size == 0:
        raise BadInput("the log is empty: `cxreco import` something first, or `cxreco simulate` a shop")
    return log


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
    step("registering the playbook")
    registry = workspace.registry
    params = {"spec": spec, "position": log.position, "decisions": playbook.decisions, "policy": playbook.name}
    version = registry.save(playbook.to_files(), metrics=dict(playbook.report), params=params, run_name="train")
    registry.save(judged.to_files(), params={"twin_of": version}, run_name="train, without the evaluation days")
    trial = Trial(number=0, version=version, judged=judged.version, cut=cut, position=log.position, spec=spec)
    return trials.keep(trial), playbook


def evaluation_cut(lessons: Lessons, workspace: Workspace) -> int:
    """Return where the evaluation days begin: so many ripe days before now, and after the champion's own training.

    At least the latest ripe half of them is kept, even where the champion has learned from a part of it: that can only
    speak for the champion.
    """
    days = TrainingSpec.from_spec(lessons.specs["training"]).evaluation_days
    ripe = lessons.log.now - lessons.worth.order_window
    champion = workspace.registry.live()
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
