"""Watching: does the live champion do harm, against the one before it? Then that one comes back by itself."""

from dataclasses import replace
from math import isfinite

import numpy as np

from cxreco.edge.champion import Pointer
from cxreco.errors import NoSupport
from cxreco.pipelines.card import restored
from cxreco.pipelines.trials import Trials
from cxreco.pipelines.workspace import Workspace
from cxreco.repeat.evaluation import evaluate
from cxreco.repeat.harm import Watch, watch
from cxreco.repeat.log import Log
from cxreco.repeat.promotion import PromotionRules
from cxreco.repeat.reward import outcomes_of
from cxreco.repeat.targets import target_of
from cxreco.respond.worth import Worth


def watched(workspace: Workspace, log: Log) -> str:
    """Compare the champion's outcomes since it serves with its predecessor's; evidently worse, it is rolled back.

    What was seen is kept in MLflow, as a run named `watch`, where there was enough to see.

    Returns
    -------
    Why it was rolled back; empty: it was not.
    """
    champion = workspace.live()
    if champion is None:
        return ""
    seen = watch_of(workspace, log, champion)
    if not seen.seen:
        return ""
    currency = workspace.settings.currency
    found = {
        f"watch.{each.name}.{part}": float(getattr(each, part))
        for each in seen.seen
        for part in ("worse", "low", "high", "limit")
    }
    reason = "; ".join(each.words(currency) for each in seen.harm)
    lines = [*(each.words(currency) for each in seen.seen), f"rolled back: {reason}" if reason else "no evident harm"]
    workspace.registry.save(
        workspace.registry.load(champion.version),
        metrics={name: value for name, value in found.items() if isfinite(value)},
        artifacts={"watch.txt": "\n".join(lines).encode()},
        run_name="watch",
    )
    if reason:
        _rolled_back(workspace, champion, reason)
    return reason


def watch_of(workspace: Workspace, log: Log, champion: Pointer) -> Watch:
    """Return what can be seen of a champion since its first decision, or why nothing can."""
    trials = Trials(workspace.settings.home)
    before = trials.of(champion.previous)
    if not champion.previous:
        return Watch(reason="there is no champion before this one")
    if before is not None and before.rolled_back:
        return Watch(reason=f"the one before, {before.version}, was itself rolled back")
    frame = log.decisions.decisions
    own = frame.loc[frame["policy_version"] == champion.version, "seq"]
    if own.empty:
        return Watch(reason="it has decided nothing yet")
    later = log.decisions.take(frame["seq"].to_numpy(np.int64) >= int(own.min()))
    rules = PromotionRules.from_spec(workspace.specs["promotion"])
    outcomes = outcomes_of(
        later.decisions,
        log.ticks,
        customer=log.code_of(list(later.decisions["customer_id"])),
        worth=Worth.from_spec(workspace.specs["reward"]),
        as_of=log.now,
        order=log.order,
    )
    targets = [target_of(workspace.registry.playbook(name), later) for name in (champion.version, champion.previous)]
    try:
        ours, theirs = (
            evaluate(later, outcomes.frame, target.joint, name=name, q=targets[1].money, rules=rules.support)
            for name, target in zip(("the champion", "its predecessor"), targets, strict=True)
        )
        return watch(ours, theirs, rules)
    except NoSupport as thin:
        return Watch(reason=str(thin))


def _rolled_back(workspace: Workspace, champion: Pointer, reason: str) -> None:
    """Bring the predecessor back, and write the reason where people will look."""
    registry, trials = workspace.registry, Trials(workspace.settings.home)
    registry.rollback()
    trial = trials.of(champion.version)
    if trial is not None:
        trials.keep(replace(trial, rolled_back=reason))
    registry.note(champion.version, tags={"cxreco.rolled_back": reason}, artifacts={"rolled_back.txt": reason.encode()})
    restored(workspace, f"{champion.version} was rolled back by itself, for harm: {reason}")
