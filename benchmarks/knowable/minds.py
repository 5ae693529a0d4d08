"""What is hidden behind a moment: the customer's needs, taste, wish and mood, as columns beside each candidate.

For a diagnosis only. Nothing here reaches an engine.
"""

from collections.abc import Mapping
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.request.candidates import Candidates
from cxreco.world import World
from cxreco.world.ground import ATTENTION
from cxreco.world.moments import Facing
from cxreco.world.responses import readiness

F64 = NDArray[np.float64]
# By what it is about, the columns of `hidden`, in their order.
HIDDEN: Mapping[str, tuple[str, ...]] = {
    "need": ("need_of_first", "days_left_of_first", "need_of_slate", "needs_on_slate"),
    "taste": ("fit_of_first", "fit_of_slate", "fit_of_best"),
    "wish": ("wish_is_named", "first_is_wished", "place_of_wished", "slate_of_wish", "first_of_wish"),
    "mood": ("calm", "opens", "trust", "satisfaction", "unsubscribed"),
}


def columns_of(*about: str) -> NDArray[np.intp]:
    """Return where the columns about these stand."""
    names = [(group, name) for group, inner in HIDDEN.items() for name in inner]
    return np.array([place for place, (group, _) in enumerate(names) if group in about], dtype=np.intp)


def hidden(world: World, moment: Mapping[str, Any], candidates: Candidates, item_ids: list[str]) -> F64:
    """Return (n, columns of HIDDEN) what is true of each candidate at the open moment; NaN where it offers nothing."""
    facing = world.facing(moment)
    number = {name: k for k, name in enumerate(world.ground.shop.ids)}
    out = np.full((len(candidates), sum(map(len, HIDDEN.values()))), np.nan)
    mood = _mood(world, facing)
    for row in range(len(candidates)):
        slate = [number[item_ids[code]] for code in candidates.slate[row].tolist() if code >= 0]
        if slate:
            out[row] = [
                *_need(world, facing, slate),
                *_taste(world, facing, slate),
                *_wish(world, facing, slate),
                *mood,
            ]
    return out


def _need(world: World, facing: Facing, slate: list[int]) -> list[float]:
    ground, i = world.ground, facing.customer
    shelf = [int(ground.shop.category[item]) for item in slate]
    ready = [readiness(ground, i, category) for category in shelf]
    left = float(ground.mind.stock[i, shelf[0]] - ground.people.lead[i, shelf[0]])
    looked = [float(ATTENTION[place]) * one for place, one in enumerate(ready)]
    return [ready[0], min(left, 99.0), max(ready), sum(looked)]


def _taste(world: World, facing: Facing, slate: list[int]) -> list[float]:
    appeal = world.ground.today().appeal[facing.customer, slate]
    looked = ATTENTION[: len(slate)] * appeal
    return [float(appeal[0]), float(looked.sum()), float(appeal.max())]


def _wish(world: World, facing: Facing, slate: list[int]) -> list[float]:
    of_wish = [float(world.ground.shop.category[item] == facing.category) for item in slate]
    place = float(slate.index(facing.target)) if facing.target in slate else np.nan
    return [float(facing.known), float(slate[0] == facing.target), place, float(np.mean(of_wish)), of_wish[0]]


def _mood(world: World, facing: Facing) -> list[float]:
    mind, people, i = world.ground.mind, world.ground.people, facing.customer
    calm = exp(-float(mind.fatigue[i] / people.tolerance[i]))
    written = facing.channel >= 0
    opens = float(people.opens[i, facing.channel]) if written else np.nan
    gone = float(mind.unsubscribed[i, facing.channel]) if written else 0.0
    return [calm, opens, float(mind.trust[i]), float(mind.satisfaction[i]), gone]
