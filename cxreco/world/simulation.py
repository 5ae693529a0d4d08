"""A simulated shop whose truth is known: it offers moments, takes decisions, and answers with events."""

import heapq
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cxreco.errors import Conflict, NotFound
from cxreco.journey import DAY
from cxreco.world.agenda import Visit, begin, close, meet
from cxreco.world.answers import answer
from cxreco.world.dice import Dice
from cxreco.world.ground import Ground
from cxreco.world.ledger import Ledger
from cxreco.world.moments import HOLD, PAGE_STAGE, Facing, asked, read_offer
from cxreco.world.people import settle_in
from cxreco.world.scribe import Scribe, iso
from cxreco.world.shop import furnish
from cxreco.world.spec import WorldSpec
from cxreco.world.truth import Outlook, outlook, worth

Row = dict[str, Any]


class World:
    """A shop and its customers, day by day.

    A day is `moments_today`, each moment followed by `answer`, then `close_day`; or `live_alone`, without an engine.
    The seed decides what the world is and what happens in it; `copy(seed=…)` keeps the first and changes the second.

    Parameters
    ----------
    spec
        What kind of shop it is.
    seed
        Of everything that is left to chance.
    start
        Midnight of the first day, microseconds since 1970 UTC; a later hour is cut off.
    """

    def __init__(self, spec: WorldSpec, seed: int, start: int) -> None:
        shop = furnish(spec, seed)
        people, mind = settle_in(spec, shop, seed)
        midnight = start - start % DAY
        self.ground = Ground(
            spec=spec, shop=shop, people=people, mind=mind,
            dice=Dice(seed, spec.customers, len(spec.categories)),
            scribe=Scribe(f"w{seed}", people.ids),
            ledger=Ledger(midnight, spec.customers, []), start=midnight,
        )  # fmt: skip
        self._begin_empty()

    def _begin_empty(self) -> None:
        self._numbers = {name: number for number, name in enumerate(self.ground.shop.ids)}
        self._agenda: list[Visit] | None = None
        self._facing: dict[str, Facing] = {}
        self._open: str | None = None
        self._outlooks: dict[str, Outlook] = {}

    @property
    def takings(self) -> Ledger:
        """Return the books."""
        return self.ground.ledger

    @property
    def now(self) -> int:
        """Return midnight of the current day, microseconds since 1970 UTC."""
        return self.ground.start + self.ground.day * DAY

    def items(self) -> list[Row]:
        """Return the catalogue's item rows up to now, each version with the day it holds from."""
        shop = self.ground.shop
        rows = [shop.row(item, 0) for item in range(len(shop.ids))]
        for day in range(1, self.ground.day + 1):
            rows.extend(self._versions(day))
        return rows

    def live_alone(self, days: int) -> Iterator[list[Row]]:
        """Yield the events of each of `days` days in which no engine is asked and nobody is written to."""
        for _ in range(days):
            events: list[Row] = []
            for _moment in self._moments(outbound=False, asking=False):
                pass
            events.extend(self.close_day()[0])
            yield events

    def moments_today(self) -> Iterator[Row]:
        """Yield the day's moments in order of time, as requests for a decision; `answer` each before the next.

        Raises
        ------
        Conflict
            If the next moment is asked for while one waits for its answer.
        """
        yield from self._moments(outbound=True, asking=True)

    def answer(self, moment: Mapping[str, Any], decision: Mapping[str, Any] | None) -> list[Row]:
        """Live through the open moment under a decision (None: `hold`), and return what happened up to the next one.

        Raises
        ------
        Conflict
            If this is not the moment that waits for an answer.
        """
        request = str(moment["request_id"])
        if request != self._open or self._agenda is None:
            raise Conflict(f"moment {request} does not wait for an answer; it is {self._open!r} that does")
        facing = self._facing[request]
        offer = read_offer(decision, self._numbers, self.ground)
        for visit in answer(self.ground, facing, offer):
            heapq.heappush(self._agenda, visit)
        self._open = None
        self._outlooks.clear()
        return self.ground.scribe.release(self._agenda[0].at if self._agenda else self.now + DAY)

    def close_day(self) -> tuple[list[Row], list[Row]]:
        """End the day; returns its remaining events and the item rows that hold from midnight on.

        Raises
        ------
        Conflict
            If moments of the day are still to come.
        """
        if self._open is not None or self._agenda:
            raise Conflict("the day has moments left: draw and answer them before it is closed")
        events = self.ground.scribe.release(self.now + DAY)
        close(self.ground)
        self._agenda = None
        self._facing.clear()
        return events, self._versions(self.ground.day)

    def truth(self, moment: Mapping[str, Any], decision: Mapping[str, Any] | None) -> float:
        """Return what a decision is worth at the open moment, over `hold`: expected money and priced goodwill.

        Raises
        ------
        NotFound
            If the moment is not the one that waits for an answer: the truth of another is past, or not yet made.
        """
        facing = self.facing(moment)
        request = str(moment["request_id"])
        if request not in self._outlooks:
            self._outlooks[request] = outlook(self.ground, facing)
        ahead = self._outlooks[request]
        offer = read_offer(decision, self._numbers, self.ground)
        return worth(self.ground, facing, offer, ahead) - worth(self.ground, facing, HOLD, ahead)

    def facing(self, moment: Mapping[str, Any]) -> Facing:
        """Return what lies behind the open moment: the hidden truth that no engine may see.

        Raises
        ------
        NotFound
            If the moment is not the one that waits for an answer.
        """
        request = str(moment["request_id"])
        if request != self._open:
            raise NotFound(f"moment {request} is not open; it is {self._open!r} that is")
        return self._facing[request]

    def copy(self, *, seed: int | None = None) -> "World":
        """Return an independent copy at the same point; with a seed, with other luck from here on."""
        return self._replica(np.arange(len(self.ground.people.ids)), self.ground.people.ids, seed)

    def twins(self, moment: Mapping[str, Any], count: int, *, seed: int) -> tuple["World", list[Row]]:
        """Return a world of `count` copies of one customer, each at the same moment with luck of their own.

        It keeps books and tells no events; `settle` the moments, then live on as usual.
        What the mean over twins is to a simulation, `truth` is in closed form.
        """
        facing = self.facing(moment)
        i = facing.customer
        ids = tuple(f"{self.ground.people.ids[i]}~{k}" for k in range(count))
        world = self._replica(np.full(count, i), ids, seed)
        own = [visit for visit in self._agenda or [] if visit.customer == i]
        world._agenda = sorted(visit._replace(customer=k) for k in range(count) for visit in own)
        moments = []
        for k in range(count):
            values = {name: getattr(facing, name) for name in Facing.__slots__} | {"customer": k}
            moments.append(asked(world.ground, Facing(**values)))
            world._facing[str(moments[-1]["request_id"])] = Facing(**values)
        return world, moments

    def settle(self, moment: Mapping[str, Any], decision: Mapping[str, Any] | None) -> None:
        """Answer a twin's moment, in any order."""
        self._open = str(moment["request_id"])
        self.answer(moment, decision)

    def _replica(self, rows: np.ndarray[Any, np.dtype[np.int64]], ids: tuple[str, ...], seed: int | None) -> "World":
        old = self.ground
        same = ids == old.people.ids
        other = World.__new__(World)
        other.ground = Ground(
            spec=old.spec, shop=old.shop,
            people=old.people if same else old.people.take(rows, ids), mind=old.mind.take(rows),
            dice=Dice(old.dice.seed if seed is None else seed, len(ids), len(old.spec.categories)),
            scribe=old.scribe.copy() if same else Scribe(old.scribe.key, ids, mute=True),
            ledger=old.ledger.copy() if same else Ledger(old.start, len(ids), []),
            start=old.start, day=old.day,
        )  # fmt: skip
        other._begin_empty()
        if same:
            other._agenda = None if self._agenda is None else self._agenda.copy()
            other._facing, other._open = self._facing.copy(), self._open
        return other

    def _versions(self, day: int) -> list[Row]:
        shop = self.ground.shop
        since = iso(self.ground.start + day * DAY)
        return [shop.row(int(item), day) | {"effective_at": since} for item in shop.changed(day)]

    def _moments(self, *, outbound: bool, asking: bool) -> Iterator[Row]:
        if self._agenda is None:
            self._agenda = begin(self.ground, outbound=outbound)
            heapq.heapify(self._agenda)
        while self._agenda:
            if self._open is not None:
                raise Conflict(f"moment {self._open} still waits for its answer")
            facing = meet(self.ground, heapq.heappop(self._agenda))
            if facing is None:
                continue
            row = asked(self.ground, facing)
            if facing.stage == PAGE_STAGE and facing.surface == "search":
                self.ground.scribe.write("products_searched", facing.customer, facing.at, {"query": row["query"]})
            if not (asking and facing.seen):
                for visit in answer(self.ground, _unasked(facing), HOLD):
                    heapq.heappush(self._agenda, visit)
                continue
            self._open = str(row["request_id"])
            self._facing[self._open] = facing
            yield row


def _unasked(facing: Facing) -> Facing:
    values = {name: getattr(facing, name) for name in Facing.__slots__}
    return Facing(**(values | {"seen": False}))
