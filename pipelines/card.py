"""The model card: what a champion is, what changed with it, what it was judged by, and what it does not know."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cxreco.edge.champion import CHALLENGER, CHAMPION
from cxreco.journey import Rung
from cxreco.pipelines.evaluate import Judgement
from cxreco.pipelines.explanations import SAID
from cxreco.pipelines.measured import measured
from cxreco.pipelines.trials import Trial, flat
from cxreco.pipelines.workspace import Workspace
from cxreco.recognise.contract import write_time
from cxreco.respond.design import ACTING, SIGNALS
from cxreco.respond.ladder import Ladder, Standing
from cxreco.respond.playbook import Playbook

NAME = "card.md"
# A coefficient that moved by less than this many of its standard deviations did not move.
MOVED, MOST = 1.0, 5
# Of the trust ladder, as many categories as fit a page.
CATEGORIES = 20


def write_card(workspace: Workspace, playbook: Playbook, trial: Trial, judgement: Judgement, role: str) -> str:
    """Write the card of a playbook that goes live in a role, beside the specs and to its run; returns it."""
    card = card_of(playbook, trial, judgement, workspace.settings.currency, role, changes_of(workspace, playbook, role))
    _place(workspace, role).write_text(card)
    workspace.registry.note(playbook.version, artifacts={NAME: card.encode()})
    return card


def remove_card(workspace: Workspace, role: str) -> None:
    """Leave a role without a card."""
    _place(workspace, role).unlink(missing_ok=True)


def restored(workspace: Workspace, why: str) -> None:
    """Write the card of a champion that came back, or was promoted by name, with the reason on top."""
    champion = workspace.live()
    if champion is None:
        return
    kept = workspace.registry.artifact(champion.version, NAME)
    rest = kept.decode().partition("\n")[2] if kept is not None else ""
    head = f"# Champion {champion.version}\n\nChampion since {champion.promoted_at}: {why}.\n"
    _place(workspace, CHAMPION).write_text(head + rest)


def _place(workspace: Workspace, role: str) -> Path:
    folder = workspace.settings.home / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{role}.md"


def card_of(
    playbook: Playbook, trial: Trial, judgement: Judgement, currency: str, role: str, changes: tuple[str, ...]
) -> str:
    """Return the card in Markdown."""
    taught = f"{playbook.decisions:,} answered decisions" if playbook.decisions else "history alone (the apprentice)"
    changed = "\n".join(f"* {line}" for line in changes)
    serves = "" if role == CHAMPION else "\nIt serves the customers of the challenger arm, until the evidence is in.\n"
    return f"""# {role.capitalize()} {playbook.version}
{serves}
| | |
|---|---|
| policy | {playbook.name} |
| learned from | {taught} |
| events seen up to | {write_time(playbook.trained_to)} |
| log position | {playbook.position:,} |
| specs | {playbook.spec} |
| judged from | {write_time(trial.cut)} on, by its twin {trial.judged} that was fitted on what came before |

## What changed

{changed}

## The trust ladder

{_ladder(playbook.ladder)}

## Messages

{playbook.value.lift.words()}

## Verdict

```
{judgement.words(currency)}
```

## Measured in training

{measured(playbook.report, currency)}

## Known limits

* Estimates are of this policy followed by the logging policy; windows of a customer's decisions overlap.
* Slates of a recipe are judged as the recipe: a changed ranker shows in the item figures, not in the estimate above.
* Returns younger than their window are predicted.
"""


def changes_of(workspace: Workspace, playbook: Playbook, role: str) -> tuple[str, ...]:
    """Return what is different from the champion that is live (for the champion: from the one before), in words."""
    live = workspace.live()
    version = "" if live is None else live.version if role == CHALLENGER else live.previous
    if not version:
        return ("It is the first: there was none before.",)
    before = workspace.registry.playbook(version)
    kept = [workspace.registry.artifact(name, "specs.json") for name in (version, playbook.version)]
    specs = [json.loads(text) if text is not None else {} for text in kept]
    first, *others = changes(before, playbook, *specs)
    return (f"{first}, against {version}", *others)


def changes(
    before: Playbook, after: Playbook, specs_before: Mapping[str, Any], specs_after: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what is different between two playbooks, in words.

    Parameters
    ----------
    specs_before, specs_after
        The tables they were trained by, by spec.
    """
    more = after.decisions - before.decisions
    yield f"it learned from {abs(more):,} answered decisions {'more' if more >= 0 else 'fewer'}"
    yield from _spec_changes(specs_before, specs_after)
    for rung, old, new in (
        ("notice", before.ladder.notice, after.ladder.notice),
        ("automatic", before.ladder.automatic, after.ladder.automatic),
    ):
        gained, lost = sorted({*new} - {*old}), sorted({*old} - {*new})
        if gained:
            yield f"orders may now be placed ({rung}) in {', '.join(gained)}"
        if lost:
            yield f"orders may no longer be placed ({rung}) in {', '.join(lost)}"
    if before.policy.gamma != after.policy.gamma:
        way = "more" if after.policy.gamma > before.policy.gamma else "less"
        yield f"it follows what it believes {way} closely (gamma {before.policy.gamma:.0f} to {after.policy.gamma:.0f})"
    yield from _learned(before, after)


def _spec_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = flat(before), flat(after)
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)] if old and new else []
    for name in changed:
        spec, _, key = name.partition(".")
        said = f"{old.get(name, 'nothing')} became {new.get(name, 'nothing')}"
        yield f"models/{spec}.toml: {key}, {said}"
    if old and new and not changed:
        yield "its specs are the same: a refresh"


def _learned(before: Playbook, after: Playbook) -> Iterator[str]:
    """Yield the signals that came to count otherwise for an order, the clearest first."""
    old, new = before.value.heads["order"], after.value.heads["order"]
    if old.theta.shape != new.theta.shape:
        return
    own, width = new.theta.size - len(SIGNALS) * (len(ACTING) + 1), len(SIGNALS)
    moved: list[tuple[float, str]] = []
    for code, mode in enumerate(ACTING, start=1):
        for k, signal in enumerate(SIGNALS):
            at = [own + k, own + width * code + k]
            first, second = float(old.theta[at].sum()), float(new.theta[at].sum())
            sd = float(np.sqrt(max(float(new.covariance[np.ix_(at, at)].sum()), 1e-12)))
            way = "counts more" if second > first else "counts less"
            said = f"{mode.value}: “{SAID.get(signal, signal)}” {way} for an order ({first:+.2f} to {second:+.2f})"
            moved.append((abs(second - first) / sd, said))
    clear = sorted((row for row in moved if row[0] >= MOVED), reverse=True)[:MOST]
    yield from (said for _, said in clear)
    if not clear:
        yield "what it believes of each mode moved by less than it is unsure of"


def _ladder(ladder: Ladder) -> str:
    """Return how far each category has come, what speaks for it, and what the next rung takes."""
    bar = ladder.bar
    head = (
        f"At most {bar.max_wrong_share:.0%} of the orders that are placed may be wrong, with {bar.confidence:.0%} "
        "confidence for the whole shop. By history: orders that would have been placed, wrong where the customer did "
        "not make them unprompted."
    )
    if not ladder.standings:
        return f"{head} There is no order yet that might have been placed."
    told = list(ladder.standings.items())[:CATEGORIES]
    rows = "\n".join(
        f"| {name} | {_rung(ladder, name)} | {_evidence(one)} | {_next(ladder, name)} |" for name, one in told
    )
    rest = len(ladder.standings) - len(told)
    more = f"\n\n{rest} categories with less evidence are not listed." if rest else ""
    table = "| category | rung | wrong by history | wrong when placed | next rung |\n|---|---|---|---|---|"
    return f"{head}\n\n{table}\n{rows}{more}"


def _rung(ladder: Ladder, name: str) -> str:
    for rung, thresholds in ((Rung.AUTOMATIC, ladder.automatic), (Rung.NOTICE, ladder.notice)):
        if name in thresholds:
            return f"{rung.value}, from certainty {thresholds[name]:.2f} on"
    return Rung.SHADOW.value


def _evidence(one: Standing) -> str:
    def of(wrong: int, orders: int) -> str:
        return f"{wrong:,} of {orders:,} ({wrong / orders:.0%})" if orders else "none yet"

    return f"{of(one.history_wrong, one.history)} | {of(one.placed_wrong, one.placed)}"


def _next(ladder: Ladder, name: str) -> str:
    one = ladder.standings[name]
    if one.against:
        return "closed: too many of those placed went wrong"
    if name in ladder.automatic:
        return "reached"
    if one.more < 0:
        return "out of reach while as many go wrong"
    # Enough of them, and yet shut: the surest went wrong, or the right ones earn less than the wrong ones cost.
    return f"about {one.more:,} orders more" if one.more else "not carried by the surest, or by the money"
