"""State in, decision out: propose, admit, value, distribution, draw. Pure; nothing is stored here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxreco.chance import uniform
from cxreco.frozen import quick
from cxreco.journey import MODES, Arm, Choice, Moment, Rung
from cxreco.recognise.market import Market
from cxreco.recognise.state import State
from cxreco.request.candidates import VALUE_COLUMN, Candidates
from cxreco.request.propose import proposing
from cxreco.respond.guardrails import admit, order_limit
from cxreco.respond.playbook import Playbook
from cxreco.respond.policy import Distribution, certain, pick
from cxreco.respond.policy import uniform as at_random
from cxreco.respond.rules import by_rules
from cxreco.stages import Stages, whole

F64 = NDArray[np.float64]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A choice and the admitted candidates it was made from, row for row.

    Attributes
    ----------
    contact
        Whether what was chosen is a contact.
    rung
        How far the order the shop places is trusted; None unless the mode is automatic execution.
    expires_at
        Microseconds, in moment time.
    parts
        For each value part its (n,) numbers: what the money was made of.
    """

    choice: Choice
    candidates: Candidates
    contact: bool
    rung: Rung | None
    expires_at: int
    notice_hours: int
    max_order_value: float
    parts: Mapping[str, F64]


def deciding(
    playbook: Playbook,
    *,
    moment: Moment,
    state: State,
    latest: State,
    market: Market,
    decision_id: str,
    arm: Arm,
) -> Stages[Decided]:
    """Choose the mode and the action for one customer at one moment, in stages.

    They are those of `proposing`, then `admit`, `value` and `draw`; `decide` goes through all of them at once.

    Parameters
    ----------
    state
        What was known of the customer at the moment.
    latest
        Everything accepted since, for the guardrails; the same object when the moment is now.
    decision_id
        Seeds the draws of mode and action: the same id gives the same decision.
    arm
        Whose policy: champion and challenger draw from values, `random` uniformly, `rules` by hand; `holdout` holds.
    """
    proposed = yield from proposing(playbook.request, state, moment, market)
    states = (state,) if latest is state else (state, latest)
    admission = admit(
        playbook.guardrails,
        playbook.ladder,
        proposed,
        moment=moment,
        states=states,
        market=market,
        unready=playbook.request.actions.refusals(state, moment),
    )
    yield "admit"
    rungs = [admission.rungs[row] for row in admission.rows]
    candidates = with_rungs(only(proposed, admission.rows), rungs)
    contact = admission.contact[admission.rows]
    values = playbook.value.values(candidates, contact)
    yield "value"
    distribution = _distribution(playbook, arm, candidates, values.over_hold)
    chosen = _drawn(distribution, candidates, playbook.salt, decision_id)
    yield "draw"
    mode = int(candidates.mode[chosen])
    choice = Choice(
        keys=keys(candidates, market.codes.item_ids),
        modes=tuple([MODES[code] for code in candidates.mode.tolist()]),
        joint=tuple(distribution.joint.tolist()),
        values=tuple(values.over_hold.tolist()),
        chosen=chosen,
        propensity_mode=float(distribution.mode[mode]),
        propensity_action=float(distribution.action[chosen]),
        refusals=admission.refusals,
    )
    return Decided(
        choice=choice,
        candidates=candidates,
        contact=bool(contact[chosen]),
        rung=rungs[chosen],
        expires_at=playbook.request.actions.expires_at(int(candidates.action[chosen]), moment.at),
        notice_hours=playbook.guardrails.bar.notice_hours,
        max_order_value=order_limit(playbook.guardrails, latest),
        parts=values.parts,
    )


decide = whole(deciding)


def only(candidates: Candidates, rows: NDArray[np.intp]) -> Candidates:
    """Return some of the candidates, in their order."""
    if rows.size == len(candidates):
        return candidates
    c = candidates
    return Candidates(
        mode=c.mode[rows], action=c.action[rows], item=c.item[rows], quantity=c.quantity[rows], slate=c.slate[rows],
        score=c.score[rows], reason=c.reason[rows], x=c.x[rows], actions=c.actions, reasons=c.reasons,
    )  # fmt: skip


def with_rungs(candidates: Candidates, rungs: Sequence[Rung | None]) -> Candidates:
    """Return the candidates, the orders among them with whether they are announced first."""
    if not any(rungs):
        return candidates
    x = candidates.x.copy()
    x[:, VALUE_COLUMN["announced"]] = [np.nan if rung is None else rung is Rung.NOTICE for rung in rungs]
    return replace(candidates, x=x)


def keys(candidates: Candidates, item_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the stable names of candidates: the recipe and item 0."""
    return tuple(
        f"{candidates.actions[action]}:{item_ids[item]}" if item >= 0 else candidates.actions[action]
        for action, item in zip(candidates.action.tolist(), candidates.item.tolist(), strict=True)
    )


def _distribution(playbook: Playbook, arm: Arm, candidates: Candidates, over_hold: F64) -> Distribution:
    if arm is Arm.RANDOM:
        return at_random(candidates.mode)
    if arm is Arm.RULES:
        return certain(by_rules(candidates), candidates.mode)
    if arm is Arm.HOLDOUT:
        return certain(0, candidates.mode)
    return playbook.policy.distribution(over_hold, candidates.mode)


def _drawn(distribution: Distribution, candidates: Candidates, salt: str, decision_id: str) -> int:
    at = uniform(salt, "mode", decision_id), uniform(salt, "action", decision_id)
    chosen = pick(distribution.mode, distribution.action, candidates.mode, *at)
    if chosen < 0:
        raise ValueError("cannot draw: no probability is above zero")
    return chosen
