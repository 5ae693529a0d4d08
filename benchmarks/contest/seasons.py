"""A season of the contest: the weeks of one shop under one policy, and what they came to."""

import resource
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contest.apprentices import champion_of
from contest.peers import Desk
from contest.plugs import Asked, Masked, Seated, Usual, greedy, plain
from contest.ripening import Ripening
from contest.shops import Plot, founded, sources
from contest.ways import Way
from cxreco.edge.champion import CHAMPION
from cxreco.edge.settings import Settings
from cxreco.errors import CxRecoError
from cxreco.journey import DAY, MODES, Arm
from cxreco.pipelines.retrain import turned
from cxreco.pipelines.season import Season, Watching, branch, counted, under, weekly
from cxreco.pipelines.workspace import opened
from cxreco.respond.playbook import Playbook
from cxreco.respond.policy import Policy
from cxreco.respond.value import ValueModel
from cxreco.respond.worth import Worth
from cxreco.world import World

F64 = NDArray[np.float64]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A season to be lived: which shop, where it may be kept, under which policy."""

    plot: Plot
    home: Path
    way: Way


class Contested(Season):
    """A season under a policy of the contest.

    Parameters
    ----------
    worth
        What the shop's reward window is judged by, for comparators.
    """

    def __init__(self, way: Way, world: World, settings: Settings, worth: Worth, seed: int) -> None:
        super().__init__(way.name, world, settings)
        self._way, self._worth, self._seed = way, worth, seed
        self._usual = Usual()
        self._desk: Desk | None = None
        self._ripening = Ripening(self.store, self.engine.shop, worth)

    def adopt(self, playbook: Playbook, *, oracle: bool = False) -> None:
        """Live under a playbook from now on, its values or its policy replaced as the contest's policy asks."""
        if oracle or not (self._way.greedy or self._way.masked or self._way.family):
            super().adopt(playbook, oracle=oracle)
            return
        self.playbook = playbook
        self.first = self.first or playbook
        self.open.moment = None
        self.engine.adopt(CHAMPION, replace(playbook, value=self._value(playbook), policy=self._policy(playbook)))

    def learnt(self) -> None:
        """Tell a comparator what has become ripe; others learn at the end of the week."""
        if self._desk is not None:
            self._desk.tell(self._ripening.ripe(self.world.now))

    def close(self) -> None:
        """Let go of the store and of the comparator."""
        if self._desk is not None:
            self._desk.close()
        super().close()

    def _value(self, playbook: Playbook) -> ValueModel:
        common: dict[str, Any] = plain(playbook.value, ValueModel)
        common |= {"world": self.world, "shop_ids": self.engine.shop.codes.item_ids, "open": self.open}
        if self._way.family:
            self._desk = self._desk or Desk(self._way, seed=self._seed, scale=playbook.value.basket.usual)
            return Seated(**common, desk=self._desk)
        return Masked(**common, usual=self._usual) if self._way.masked else Watching(**common)

    def _policy(self, playbook: Playbook) -> Policy:
        if self._desk is not None:
            return Asked(**plain(playbook.policy, Policy), desk=self._desk)
        return greedy(playbook.policy) if self._way.greedy else playbook.policy

    def _decided(self, moment: Mapping[str, Any]) -> dict[str, Any]:
        record = super()._decided(moment)
        if record["fallback"]:
            raise CxRecoError(f"{self._way.name}: the engine gave a safe answer: {record['reasons']}")
        if self._desk is not None:
            self._desk.took(record["decision_id"], int(record["chosen"]), float(record["propensity"]["joint"]))
        return record


def lived(plan: Plan, say: Say) -> dict[str, Any]:
    """Live a season and return its row of the results; the shop is founded first where it is not yet."""
    begun, before = time.perf_counter(), _cpu()
    shop = founded(plan.plot, plan.home / plan.plot.name)
    world = shop.world()
    setup = _cpu() - before
    since = world.now
    place = branch(shop.base, shop.home / plan.way.name)
    own = under(shop.settings(place), place, plan.way.arm)
    promotions: list[str] = []
    try:
        with closing(_season(plan, world, own)) as season:
            for week in range(plan.plot.weeks):
                for _ in range(7):
                    for _ in season.days(1):
                        pass
                    season.learnt()
                say(f"week {week + 1} of {plan.plot.weeks}")
                if plan.way.learns and week < plan.plot.weeks - 1:
                    promotions.append(_retrained(season, plan.way))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return {
        **plan.plot.key,
        "policy": plan.way.name,
        "setting": dict(plan.way.setting or {}),
        "sources": sources(),
        "history_days": shop.history_days,
        "orders_before": shop.orders_before,
        "cpu_s": round(_cpu() - before - setup, 1),
        "wall_s": round(time.perf_counter() - begun, 1),
        "founding_cpu_s": shop.cpu_s,
        "promotions": promotions,
        **_figures(season, world, since, plan.plot),
    }


def _season(plan: Plan, world: World, own: Settings) -> Contested:
    with opened(own, clock=lambda: world.now) as workspace:
        playbook = champion_of(workspace)
        worth = Worth.from_spec(workspace.specs["reward"])
    season = Contested(plan.way, world, own, worth, plan.plot.seed)
    season.adopt(playbook, oracle=plan.way.knows)
    return season


def _retrained(season: Contested, way: Way) -> str:
    """Turn the repeat loop as `cxreco retrain` does, and live under what it promotes.

    Where somebody else decides, the new models propose candidates whatever the gate says: it judges the engine's own
    choices, which are not made there.
    """
    others = way.knows or way.family or way.arm is not Arm.CHAMPION
    with opened(season.settings, clock=lambda: season.world.now) as workspace:
        turn = turned(workspace, lambda _: None)
        champion = workspace.live()
        if others:
            season.adopt(turn.playbook, oracle=way.knows)
        elif champion is not None and (turn.promoted or turn.rolled_back):
            season.adopt(workspace.registry.playbook(champion.version))
    return ("rolled back, " if turn.rolled_back else "") + ("promoted" if turn.promoted else "held back")


def _figures(season: Contested, world: World, since: int, plot: Plot) -> dict[str, Any]:
    """Return money by customer (all weeks, last third) and by week; worth and regret by week, mode and customer."""
    money = weekly(world, since, plot.weeks)
    noted = season.open
    best, chosen = np.array(noted.best, dtype=int), np.array(noted.chosen, dtype=int)
    got, most = np.array(noted.got), np.array(noted.most)
    confusion = np.zeros((len(MODES), len(MODES)))
    np.add.at(confusion, (best, chosen), 1.0)
    code = {name: k for k, name in enumerate(world.ground.people.ids)}
    who = np.array([code[name] for name in noted.customer], dtype=int)
    return {
        "money": _rounded(money.sum(axis=1)),
        "late": _rounded(money[:, -third(plot.weeks) :].sum(axis=1)),
        "weekly": _rounded(money.mean(axis=0), 4),
        "got_best": _rounded(noted.weekly(plot.weeks) / plot.customers, 4),
        "regret": _rounded(_sums(who, most - got, plot.customers)),
        "regret_by_best_mode": _rounded(_sums(best, most - got, len(MODES))),
        "worth_by_mode": _rounded(_sums(chosen, got, len(MODES))),
        "confusion": confusion.astype(int).tolist(),
        "counts": counted(world, since, since + plot.weeks * 7 * DAY),
        "money_by_mode": _by_mode(world, since, since + plot.weeks * 7 * DAY),
    }


def third(weeks: int) -> int:
    """Return how many weeks the last third of a season has."""
    return max(1, round(weeks / 3))


def _by_mode(world: World, since: int, until: int) -> dict[str, float]:
    """Return the money booked by the mode of the decision at its origin; `alone` where none was asked for."""
    total: dict[str, float] = {}
    for posting in world.takings.postings:
        if since <= posting.at < until:
            total[posting.mode] = total.get(posting.mode, 0.0) + posting.money
    return {mode: round(money, 2) for mode, money in total.items()}


def _sums(of: NDArray[np.int64], values: F64, count: int) -> F64:
    return np.bincount(of, weights=values, minlength=count).astype(np.float64)


def _rounded(values: F64, digits: int = 2) -> Any:  # noqa: ANN401 (nested lists)
    return np.round(values, digits).tolist()


def _cpu() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
