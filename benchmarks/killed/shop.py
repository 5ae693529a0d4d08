"""A simulated shop with a past and a champion that learned from it, and how its life goes on."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cxreco.edge.champion import CHAMPION, Pointer, keep, write_pointer
from cxreco.edge.clock import now
from cxreco.edge.engine import Engine
from cxreco.edge.settings import Settings
from cxreco.edge.store import Store
from cxreco.edge.stores import open_store
from cxreco.journey import DAY
from cxreco.pipelines.gather import gather
from cxreco.pipelines.workspace import opened
from cxreco.recognise.contract import write_time
from cxreco.repeat.training import fit_playbook, learn
from cxreco.respond.ladder import Ladder
from cxreco.respond.playbook import Playbook, sealed
from cxreco.world import WORLDS, World

CUSTOMERS, DAYS = 60, 56
# The past ends so long ago that the shop's life never gets to now.
AGO_DAYS = 300
BATCH = 1_000
# Moments that a connection asks about before it sends events again.
MOMENTS = 6
EVENTS, DECISIONS = "/v1/events", "/v1/decisions"
Call = tuple[str, dict[str, Any]]
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A simulated shop with a past, and the playbook that was learned from it."""

    world: World
    past: Rows
    playbook: Playbook


def grown(customers: int = CUSTOMERS, days: int = DAYS) -> Grown:
    """Let a shop live some weeks and learn from its log; all that servers will run is compiled by then."""
    spec = replace(WORLDS["staples"], customers=customers, history_days=days)
    world = World(spec, 1, now() // DAY * DAY - (days + AGO_DAYS) * DAY)
    past = [row for day in world.live_alone(days) for row in day]
    with TemporaryDirectory() as home:
        settings = Settings(home=Path(home), durability="relaxed")
        with opened(settings) as workspace:
            engine = _fed(workspace.store, settings, world, past)
            workspace.shop.refresh()
            learned = fit_playbook(learn(gather(workspace.store, workspace.shop), workspace.specs.tables), salt="kill")
            # Automatic orders are earned over months; here every category has earned the right to propose them.
            notice = dict.fromkeys(engine.shop.codes.category_names, 0.05)
            playbook = sealed(replace(learned, ladder=Ladder(bar=learned.ladder.bar, notice=notice)))
            engine.adopt(CHAMPION, playbook)
    return Grown(world=world, past=past, playbook=playbook)


def settle(shop: Grown, settings: Settings) -> None:
    """Put the shop's past into the log of a workspace, and make its playbook the champion."""
    sha256 = keep(settings.home, shop.playbook.version, shop.playbook.to_files())
    pointer = Pointer(version=shop.playbook.version, sha256=sha256, promoted_at=write_time(now()))
    write_pointer(settings.home, pointer, CHAMPION)
    store = open_store(settings.model_copy(update={"durability": "relaxed"}))
    try:
        _fed(store, settings, shop.world, shop.past)
    finally:
        store.close()


def _fed(store: Store, settings: Settings, world: World, past: Sequence[Mapping[str, Any]]) -> Engine:
    engine = Engine(store, settings, clock=now)
    engine.put_items(world.items())
    for start in range(0, len(past), BATCH):
        engine.ingest(past[start : start + BATCH])
    engine.publish(world.now)
    return engine


class Life:
    """What goes on in a shop from where its past ends, call by call, for several connections."""

    def __init__(self, world: World) -> None:
        self._world = world.copy()
        self._lock = threading.Lock()
        self._portions = self._lived()

    def next(self, shown: Rows) -> list[Call]:
        """Return the next calls: the events of some hours, those of the caller too, then the moments in them."""
        with self._lock:
            events, moments = next(self._portions)
        return [(EVENTS, {"events": events + shown}), *((DECISIONS, moment) for moment in moments)]

    def _lived(self) -> Iterator[tuple[Rows, Rows]]:
        events: Rows = []
        moments: Rows = []
        while True:
            for moment in self._world.moments_today():
                events += self._world.answer(moment, None)
                # Not every caller names its requests.
                named = len(moments) % 3 > 0
                moments.append(moment if named else {key: moment[key] for key in moment if key != "request_id"})
                if len(moments) >= MOMENTS and events:
                    yield events, moments
                    events, moments = [], []
            events += self._world.close_day()[0]
