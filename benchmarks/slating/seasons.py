"""Seasons under the apprentice: at each moment every way's slate is judged by the world's truth, none is shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from contest.apprentices import under_apprentice
from contest.shops import Plot
from numpy.typing import NDArray

from cxreco.edge.schemas import DecisionIn
from cxreco.edge.settings import Settings
from cxreco.journey import MODE_CODE
from cxreco.pipelines.season import Season
from cxreco.recognise.state import State
from cxreco.request.propose import context_of
from cxreco.world import World
from cxreco.world.responses import readiness
from slating.ways import FADES, MODE, WAYS, asked

F64 = NDArray[np.float64]
MICROS, DAY_S = 1_000_000, 86_400.0
RECIPES = ("curate.personal", "curate.category", "curate.complement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What was judged in one shop: by recipe, (m,) whose moment and (m, ways) of each slate its figures.

    `worth` is what it is truly worth over hold, `categories` how many are on it, `satisfied` how many places go to a
    category that the customer has bought from and cannot want again yet.
    """

    customer: Mapping[str, list[str]]
    worth: Mapping[str, F64]
    categories: Mapping[str, F64]
    satisfied: Mapping[str, F64]


@dataclass(slots=True)
class _Pad:
    customer: dict[str, list[str]] = field(default_factory=lambda: {recipe: [] for recipe in RECIPES})
    figures: dict[str, list[list[tuple[float, int, int]]]] = field(
        default_factory=lambda: {recipe: [] for recipe in RECIPES}
    )

    def closed(self, shop: str) -> Noted:
        columns = {name: np.array(rows, dtype=np.float64).reshape(-1, len(WAYS), 3) for name, rows in
                   self.figures.items()}  # fmt: skip
        return Noted(
            customer={recipe: [f"{shop}/{name}" for name in names] for recipe, names in self.customer.items()},
            worth={name: table[:, :, 0] for name, table in columns.items()},
            categories={name: table[:, :, 1] for name, table in columns.items()},
            satisfied={name: table[:, :, 2] for name, table in columns.items()},
        )


class Unanswered:
    """Which items each customer was shown on a slate and neither looked at nor took since."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._shown: dict[str, dict[int, list[int]]] = {}

    def decided(self, customer: str, at: int, codes: tuple[int, ...]) -> None:
        """Note a slate that was decided on (seconds)."""
        self._open[customer] = at, codes

    def of(self, customer: str, state: State, at: int) -> dict[int, float]:
        """Return by item how often, with a half-life of `FADES` days; the latest slate counts if it was shown."""
        shown = self._shown.setdefault(customer, {})
        then, codes = self._open.pop(customer, (0, ()))
        if codes and int(state.head["last_shown_at"][0, MODE_CODE[MODE]]) >= then:
            for code in codes:
                shown.setdefault(code, []).append(then)
        slots = state.item_slots
        touched = dict(zip(slots["key"].tolist(), slots["touched_at"].tolist(), strict=True))
        return {
            code: sum(2.0 ** ((then - at) / (FADES * DAY_S)) for then in times if then > touched.get(code, 0))
            for code, times in shown.items()
        }


class Judged(Season):
    """A season in which each moment's slates are judged before it is decided on."""

    def __init__(self, name: str, world: World, settings: Settings) -> None:
        super().__init__(name, world, settings)
        self.pad = _Pad()
        self.unanswered = Unanswered()

    def _decided(self, moment: Mapping[str, Any]) -> dict[str, Any]:
        assert self.playbook is not None  # noqa: S101 (for the type checker; adopted before it is lived)
        ask = DecisionIn.model_validate(moment).ask(self.world.now).moment
        state = self.engine.states.of(ask.customer_id).state.copy()
        market, _ = self.engine.markets.at(ask.at)
        context = context_of(self.playbook.request, state, ask, market)
        codes = self.engine.shop.codes
        ids, who, at = codes.item_ids, str(moment["customer_id"]), ask.at // MICROS
        shown = self.unanswered.of(who, state, at)
        for recipe in RECIPES:
            given = {rests: asked(context, recipe, shown, rests=rests) for rests in (False, True)}
            if given[True].order.size >= 2:
                self.pad.customer[recipe].append(who)
                slates = (way.chosen(given[way.rests]) for way in WAYS)
                self.pad.figures[recipe].append(
                    [self._judged(moment, [ids[code] for code in context.sight.codes[slate]]) for slate in slates]
                )
        record = super()._decided(moment)
        if record["mode"] == MODE.value:
            self.unanswered.decided(who, at, tuple(codes.item(own["item_id"]) for own in record["items"]))
        return record

    def _judged(self, moment: Mapping[str, Any], slate: list[str]) -> tuple[float, int, int]:
        items = [{"item_id": name, "position": place} for place, name in enumerate(slate)]
        decision = {
            "decision_id": "judged",
            "mode": MODE.value,
            "action": {"action_id": "curate.personal"},
            "items": items,
        }
        ground, who = self.world.ground, self.world.facing(moment).customer
        number = {name: k for k, name in enumerate(ground.shop.ids)}
        shelves = [int(ground.shop.category[number[name]]) for name in slate]
        satisfied = sum(
            not ground.staple[shelf] and ground.people.uses[who, shelf] and readiness(ground, who, shelf) == 0.0
            for shelf in shelves
        )
        return self.world.truth(moment, decision), len(set(shelves)), int(satisfied)


def noted(plot: Plot, home: Path, say: Callable[[str], None]) -> Noted:
    """Found a shop, live its weeks under the apprentice, and return what every way's slates were worth."""
    return under_apprentice(plot, home, Judged, say).pad.closed(plot.name)
