"""The comparator that knows the truth: the best of the candidates it is given, and the best there could be."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cxreco.journey import MODES, Mode
from cxreco.world.moments import OUTBOUND_STAGE, Facing
from cxreco.world.responses import readiness
from cxreco.world.simulation import World

Row = dict[str, Any]


def oracle(world: World, moment: Mapping[str, Any], candidates: Sequence[Mapping[str, Any] | None]) -> int:
    """Return the index of the candidate that is worth most at the open moment; the first of equals.

    Myopic: it does not look past three days but for the priced harm, so that a patient policy may pass it.
    """
    return int(np.argmax([world.truth(moment, candidate) for candidate in candidates]))


def best_of_modes(
    world: World, moment: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]]
) -> dict[Mode, float]:
    """Return the worth of each mode at its best among the candidates; `hold` is worth nothing over itself."""
    best = {Mode.HOLD: 0.0}
    for candidate in candidates:
        mode = Mode(candidate["mode"])
        if mode is not Mode.HOLD:
            best[mode] = max(best.get(mode, -np.inf), world.truth(moment, candidate))
    return best


def informed(world: World, moment: Mapping[str, Any]) -> list[Row]:
    """Return what somebody would propose who knows the customer's mind, a few candidates per mode, `hold` first.

    Not what an engine can reach: what the modes are worth at their best.
    """
    facing = world.facing(moment)
    ground, i = world.ground, facing.customer
    appeal = ground.today().appeal[i]
    taste = ground.today().taste
    ready = np.array([readiness(ground, i, c) for c in range(len(ground.staple))])
    if facing.category >= 0:
        ready[facing.category] = 1.0
    liked = np.argsort(-appeal * (0.02 + ready[ground.shop.category]), kind="stable").tolist()
    due = [c for c in np.argsort(-ready, kind="stable").tolist() if ready[c] > 0.0][:4]
    firsts = [int(taste.first[i, c]) for c in due]
    exact = [facing.target] if facing.target >= 0 else []
    rows = [_decision(world, Mode.HOLD, [])]
    for item in dict.fromkeys(exact + firsts):
        rows.append(_decision(world, Mode.RESPOND, list(dict.fromkeys([item, *firsts]))))
    rows += [_decision(world, Mode.CURATE, slate) for slate in _slates(world, facing, liked)]
    rows += [_decision(world, Mode.COACH, [item]) for item in dict.fromkeys(firsts + liked[:2])]
    staples = [item for item, c in zip(firsts, due, strict=True) if ground.staple[c]]
    return rows + [_decision(world, Mode.AUTOMATE, [item]) for item in staples[:2]]


def _slates(world: World, facing: Facing, liked: list[int]) -> list[list[int]]:
    """Return two slates of ten: one shelf, and the best of every shelf."""
    shelf = world.ground.shop.category
    varied = [item for k, item in enumerate(liked[:60]) if shelf[item] not in shelf[liked[:k]]][:10]
    if facing.stage == OUTBOUND_STAGE:
        return [varied]
    return [[item for item in liked if shelf[item] == facing.category][:10], varied]


def _decision(world: World, mode: Mode, items: list[int]) -> Row:
    ids = [world.ground.shop.ids[item] for item in items]
    parameters: Row = {}
    if mode is Mode.AUTOMATE:
        price = world.ground.today().price
        order = [{"item_id": ids[0], "quantity": 1, "price": float(price[items[0]])}]
        parameters = {"order": order, "rung": "notice", "notice_hours": 24}
    return {
        "decision_id": f"informed-{MODES.index(mode)}-{'-'.join(ids[:1])}",
        "mode": str(mode),
        "action": {"action_id": str(mode), "parameters": parameters},
        "items": [{"item_id": name, "position": k} for k, name in enumerate(ids)],
    }
