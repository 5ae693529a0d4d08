"""A season: the simulated shop, lived through under one policy by the engine that serves, day by day."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.edge.champion import CHAMPION
from cxreco.edge.engine import Engine
from cxreco.edge.schemas import DecisionIn
from cxreco.edge.settings import Settings
from cxreco.edge.steps import wait
from cxreco.edge.stores import open_store
from cxreco.journey import DAY, MODES, Arm
from cxreco.request.candidates import Candidates
from cxreco.respond.playbook import Playbook
from cxreco.respond.policy import Policy
from cxreco.respond.value import ValueModel, Values
from cxreco.world import World

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Row = Mapping[str, Any]


class Offered(NamedTuple):
    """What there was to choose from: candidates, what each is truly worth over hold, and whether it is a contact."""

    candidates: Candidates
    truth: F64
    contact: Bool


@dataclass(slots=True)
class Open:
    """What is being decided: the moment that is open, and of each one that is past, the choice and the best there was.

    `chosen` and `best` are modes, `got` and `most` what they were truly worth over hold, `day` the day of the season.
    `now` and `first` are what the playbook that decided, and the first one of the season, expect to get of the truth
    there: the same moment, the same candidates, other probabilities.
    """

    moment: Row | None = None
    today: int = 0
    chosen: list[int] = field(default_factory=list)
    best: list[int] = field(default_factory=list)
    got: list[float] = field(default_factory=list)
    most: list[float] = field(default_factory=list)
    day: list[int] = field(default_factory=list)
    customer: list[str] = field(default_factory=list)
    now: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    offered: Offered | None = None

    def note(self, row: int, now: Playbook, first: Playbook) -> None:
        """Note which candidate was chosen, and which was the best by the truth."""
        if self.offered is None or self.moment is None:
            return
        candidates, truth, _ = self.offered
        self.chosen.append(int(candidates.mode[row]))
        self.best.append(int(candidates.mode[int(np.argmax(truth))]))
        self.got.append(float(truth[row]))
        self.most.append(float(truth.max()))
        self.day.append(self.today)
        self.customer.append(str(self.moment["customer_id"]))
        self.now.append(expected(now, self.offered))
        self.first.append(self.now[-1] if first is now else expected(first, self.offered))

    def weekly(self, weeks: int) -> F64:
        """Return (2, weeks) the true worth over hold of what was chosen, and of the best there was, by week."""
        week = np.array(self.day, dtype=np.int64) // 7
        return np.array([np.bincount(week, weights=worth, minlength=weeks)[:weeks] for worth in (self.got, self.most)])

    def gained(self, weeks: int) -> F64:
        """Return (customers, weeks) by how much the playbooks of the day did better than the first, in true worth."""
        week = np.array(self.day, dtype=np.int64) // 7
        names, who = np.unique(np.array(self.customer), return_inverse=True)
        table = np.zeros((names.size, weeks))
        np.add.at(table, (who, np.minimum(week, weeks - 1)), np.array(self.now) - np.array(self.first))
        return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching(ValueModel):
    """A value model that notes, beside its own answer, what the truth says: for tables, never for the choice."""

    world: World
    shop_ids: list[str]
    open: Open

    def values(self, candidates: Candidates, contact: Bool) -> Values:
        """Return the model's own values; the truth of each candidate is noted."""
        if self.open.moment is not None:
            self.open.offered = Offered(candidates, self.truths(candidates), contact)
        # Named in full: a dataclass with slots is made anew, so `super()` without arguments would miss it.
        return ValueModel.values(self, candidates, contact)

    def truths(self, candidates: Candidates) -> F64:
        """Return (n,) what each candidate is truly worth over hold."""
        assert self.open.moment is not None  # noqa: S101 (for the type checker; `values` asked)
        rows = [as_decision(candidates, row, self.shop_ids) for row in range(len(candidates))]
        return np.array([self.world.truth(self.open.moment, row) for row in rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowing(Watching):
    """The oracle: a value model that is the truth."""

    def values(self, candidates: Candidates, contact: Bool) -> Values:
        """Return what each candidate is truly worth."""
        if self.open.moment is None:
            return ValueModel.values(self, candidates, contact)
        truth = self.truths(candidates)
        self.open.offered = Offered(candidates, truth, contact)
        return Values(money=truth, over_hold=truth, parts={})


def expected(playbook: Playbook, offered: Offered) -> float:
    """Return what a playbook's probabilities get of the truth at a moment."""
    candidates, truth, contact = offered
    values = ValueModel.values(playbook.value, candidates, contact)
    return float(playbook.policy.distribution(values.over_hold, candidates.mode).joint @ truth)


def as_decision(candidates: Candidates, row: int, item_ids: list[str]) -> dict[str, Any]:
    """Return a candidate as the decision that it would become, for the world to judge."""
    ids = [item_ids[code] for code in candidates.slate[row].tolist() if code >= 0]
    mode = MODES[int(candidates.mode[row])]
    order = [{"item_id": ids[0], "quantity": float(candidates.quantity[row])}] if ids else []
    return {
        "decision_id": f"considered-{row}",
        "mode": mode.value,
        "action": {
            "action_id": candidates.actions[int(candidates.action[row])],
            "parameters": {"order": order, "rung": "notice", "notice_hours": 24} if mode == MODES[4] else {},
        },
        "items": [{"item_id": item_id, "position": place} for place, item_id in enumerate(ids)],
    }


class Season:
    """One shop under one policy: a world, an engine on a workspace of its own, and the days lived so far.

    Parameters
    ----------
    settings
        Of the season's own workspace; its arms say whose policy it lives under.
    """

    def __init__(self, name: str, world: World, settings: Settings) -> None:
        self.name = name
        self.world = world
        self.settings = settings
        self.store = open_store(settings)
        self.engine = Engine(self.store, settings, clock=lambda: self.world.now)
        self.open = Open()
        self.playbook: Playbook | None = None
        self.first: Playbook | None = None

    def adopt(self, playbook: Playbook, *, oracle: bool = False) -> None:
        """Live under a playbook from now on: watched, or, for the oracle, with the truth in place of its values."""
        self.playbook = playbook
        self.first = self.first or playbook
        model = Knowing if oracle else Watching
        own = {f.name: getattr(playbook.value, f.name) for f in fields(ValueModel) if f.init}
        value = model(**own, world=self.world, shop_ids=self.engine.shop.codes.item_ids, open=self.open)
        policy = Policy(gamma=1e9, gamma_most=1e9, floor=0.0) if oracle else playbook.policy
        self.open.moment = None
        self.engine.adopt(CHAMPION, replace(playbook, value=value, policy=policy))

    def days(self, count: int) -> Iterator[int]:
        """Live `count` days, yielding the number of decisions after each."""
        for _ in range(count):
            self.engine.publish(self.world.now)
            decisions = 0
            for moment in self.world.moments_today():
                decisions += 1
                self.engine.ingest(self.world.answer(moment, self._decided(moment)))
            events, items = self.world.close_day()
            self.engine.ingest(events)
            if items:
                self.engine.put_items(items)
            self.open.today += 1
            yield decisions

    def _decided(self, moment: Row) -> dict[str, Any]:
        self.open.moment, self.open.offered = moment, None
        record = wait(self.engine.deciding(DecisionIn.model_validate(moment).ask(self.world.now)))
        if self.playbook is not None and self.first is not None:
            self.open.note(int(record["chosen"]), self.playbook, self.first)
        return record

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()


def branch(base: Path, home: Path) -> Path:
    """Copy a workspace, so that a season may start where another shop's history ends."""
    if home.exists():
        shutil.rmtree(home)
    shutil.copytree(base, home)
    return home


def under(settings: Settings, home: Path, arm: Arm) -> Settings:
    """Return the settings of a season in which everybody lives under one arm, in a folder of its own."""
    return settings.embedded().model_copy(update={"home": home, "arms": {arm: 100.0}, "durability": "relaxed"})


def weekly(world: World, since: int, weeks: int) -> F64:
    """Return (customers, weeks) money of each customer in each week from `since` on."""
    table = world.takings.table(since, since + weeks * 7 * DAY)
    days = np.zeros((table.shape[0], weeks * 7))
    days[:, : table.shape[1]] = table[:, : weeks * 7]
    weekly_sums: F64 = days.reshape(table.shape[0], weeks, 7).sum(axis=2)
    return weekly_sums


def counted(world: World, since: int, until: int) -> dict[str, int]:
    """Return how many of each kind of entry were booked in [since, until), whichever mode they came of."""
    total: dict[str, int] = {}
    for by_kind in world.takings.counts(since, until).values():
        for kind, count in by_kind.items():
            total[kind] = total.get(kind, 0) + count
    return total
