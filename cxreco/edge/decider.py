"""From an ask to an answer on disk: arm, state, market, playbook, record; and what is said when a part fails."""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from cxreco.edge import records
from cxreco.edge.arms import Arms
from cxreco.edge.champion import CHALLENGER, CHAMPION
from cxreco.edge.log_reading import record_of
from cxreco.edge.records import FALLBACK, Around, Json
from cxreco.edge.states import Known
from cxreco.edge.steps import Steps, TooLate
from cxreco.edge.store import Placed, Placing, StoreUnavailable
from cxreco.edge.tracing import Marks
from cxreco.errors import Conflict, StalePlaybook
from cxreco.frozen import quick
from cxreco.journey import DAY, Arm, Mode, Moment, Surface
from cxreco.recognise.market import Market
from cxreco.recognise.state import State
from cxreco.respond.decide import Decided, decide, deciding
from cxreco.respond.playbook import Playbook

if TYPE_CHECKING:
    from cxreco.edge.engine import Engine

log = logging.getLogger("cxreco.decider")
TRIES = 8
# A new price or item that another process took in is seen after this long at the latest.
LOOK_EVERY_S = 0.05
# Whom a new champion decides for before it is live: so many of those in the last rows of the log.
WARM_ROWS, WARM_CUSTOMERS = 100, 3
# Bytes of an id that are chance; what the others can count.
_CHANCE = 10
_MILLISECONDS = 1 << 48
PAGES = frozenset({Surface.HOME, Surface.SEARCH, Surface.PRODUCT, Surface.CART, Surface.POST_PURCHASE})


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a caller wants decided.

    Attributes
    ----------
    request_id
        The caller's name for this ask: the same name and body get the same answer. Empty: none.
    digest
        Of the body as the caller wrote it; empty: of the moment.
    """

    moment: Moment
    request_id: str = ""
    digest: str = ""
    explain: bool = False


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A decision that is not on disk yet."""

    record: Json
    placing: Placing
    known: Known | None = None
    decided: Decided | None = None


class Decider:
    """Decides with what the engine holds."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self.arms = Arms.of(engine.settings, engine.store)
        self.newest_day = -1
        self._ids = _Ids(engine.clock)
        self._looked_at = -1.0

    def deciding(self, ask: Ask) -> Steps[Json]:
        """Decide and keep the decision; returns its record once it is on disk.

        A part that fails makes the answer a safe one, which says so; only a request id that was used for another body
        is an error.

        Raises
        ------
        Conflict
            If the request id was used before with another body.
        """
        digest = (ask.digest or digest_of(ask)) if ask.request_id else ""
        decision_id = decision_id_of(ask.request_id) if ask.request_id else self._new_id()
        for _ in range(TRIES):
            marks = Marks()
            try:
                if ask.request_id and (earlier := self._engine.store.request(ask.request_id)):
                    return self._again(ask, digest, earlier)
                with self._engine.lock:
                    draft = yield from self._drafting(ask, decision_id, digest, marks)
                writing = self._engine.store.place(draft.placing)
                with self._engine.metrics.writing():
                    placed: Placed = yield writing
            except TooLate as error:
                writing.add_done_callback(partial(self._landed, decision_id))
                return self._unlogged(ask, decision_id, error)
            except Conflict:
                raise
            except Exception as error:
                return self._unlogged(ask, decision_id, error)
            if placed.seq:
                marks("log")
                with self._engine.lock:
                    self._engine.states.note(draft.record, placed.seq, draft.known)
                yield None
                return self._counted(draft, marks)
            if placed.earlier:
                return self._again(ask, digest, placed.earlier)
            # The customer's log moved on between reading and writing: caps and consents must be read again.
        return self._unlogged(ask, decision_id, StoreUnavailable("the customer's log would not hold still"))

    def warm(self, playbook: Playbook) -> None:
        """Decide for nobody and for those heard of last, so that no customer waits for compilation or loading."""
        engine, at = self._engine, self._engine.clock()
        market, _ = engine.markets.at(at)
        # Only some reasons name a day, so that the moments below need not.
        playbook.request.need.median(np.full((1, playbook.request.need.days.size - 1), np.nan))
        known = [State.empty(), *(engine.states.of(name).state for name in self._heard_of_last())]
        item_id = market.codes.item_ids[int(market.top[0])] if market.top.size else ""
        asked: Mapping[Surface, Any] = {
            Surface.HOME: {}, Surface.SEARCH: {"query": "a"}, Surface.PRODUCT: {"item_id": item_id},
            Surface.CART: {"cart": (item_id,)}, Surface.OUTBOUND: {},
        }  # fmt: skip
        for state in known:
            for surface, how in asked.items():
                moment = Moment(customer_id="", at=max(at, int(state.head[0]["last_at"])), surface=surface, **how)
                decide(
                    playbook, moment=moment, state=state, latest=state, market=market, decision_id="warm",
                    arm=Arm.CHAMPION,
                )  # fmt: skip

    def _heard_of_last(self) -> list[str]:
        store = self._engine.store
        rows = next(iter(store.scan(max(store.position() - WARM_ROWS, 0), batch=WARM_ROWS)), [])
        return list(dict.fromkeys(row.customer_id for row in reversed(rows)))[:WARM_CUSTOMERS]

    def _new_id(self) -> str:
        with self._engine.lock:
            return self._ids.next()

    def _drafting(self, ask: Ask, decision_id: str, digest: str, marks: Marks) -> Steps[_Draft]:
        """Return a decision; it pauses after each stage, while the engine's lock is held: nothing is waited for."""
        engine, moment = self._engine, ask.moment
        self.newest_day = max(self.newest_day, moment.at // DAY * DAY)
        self._look()
        known = engine.states.of(moment.customer_id)
        arm, assigned = self._arm(known.group.customer_id)
        playbook = engine.playbooks.get(CHALLENGER if arm is Arm.CHALLENGER else CHAMPION)
        try:
            market, version = engine.markets.at(moment.at)
            marks("state")
            yield None
            marks.again()
            # Where another ask of this customer has read more of their log since, it is in the state and in the cut.
            around = self._around(ask, decision_id, known, (arm, assigned), playbook, version)
            if playbook is None:
                return self._fallback(ask, digest, around, market, "no champion is loaded")
            decided = yield from self._deciding(playbook, known, moment, market, around, marks)
            record = records.record_of_decided(decided, moment, around, market.shelf, engine.shop.codes.item_ids)
        except Exception as error:
            log.exception("a part failed, the answer is a safe one", extra={"decision_id": decision_id})
            engine.metrics.fallbacks.labels("decide").inc()
            around = self._around(ask, decision_id, known, (arm, assigned), playbook, "")
            return self._fallback(ask, digest, around, None, _said(error))
        binding = decided.contact or record["mode"] == Mode.AUTOMATE
        placing = Placing(
            entry=records.entry_of_record(record, decided.candidates.x.astype(np.float32)),
            customer_id=known.group.customer_id,
            request_id=ask.request_id,
            digest=digest,
            upon=known.group.position if binding else None,
        )
        marks("record")
        return _Draft(record=record, placing=placing, known=known, decided=decided)

    def _look(self) -> None:
        """Take in what other processes put on the shelf; this one's own is there already."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._engine.shop.refresh()
            self._looked_at = now

    def _deciding(
        self, playbook: Playbook, known: Known, moment: Moment, market: Market, around: Around, marks: Marks
    ) -> Steps[Decided]:
        latest = known.state
        past = moment.at < int(latest.head[0]["last_at"])
        stages = deciding(
            playbook,
            moment=moment,
            state=self._engine.states.as_of(known, moment.at) if past else latest,
            latest=latest,
            market=market,
            decision_id=around.decision_id,
            arm=around.arm,
        )
        while True:
            try:
                marks(next(stages))
            except StopIteration as stop:
                decided: Decided = stop.value
                return decided
            yield None
            marks.again()

    def _arm(self, customer_id: str) -> tuple[Arm, Arm]:
        """Return whose policy serves and which arm was dealt: without a challenger, its customers get the champion."""
        assigned = self.arms.dealt(customer_id)
        vacant = assigned is Arm.CHALLENGER and CHALLENGER not in self._engine.playbooks
        return (Arm.CHAMPION if vacant else assigned), assigned

    def _around(
        self,
        ask: Ask,
        decision_id: str,
        known: Known | None,
        arms: tuple[Arm, Arm],
        playbook: Playbook | None,
        market_version: str,
    ) -> Around:
        return Around(
            decision_id=decision_id,
            asked=ask.moment.customer_id,
            canonical=known.group.customer_id if known else ask.moment.customer_id,
            arm=arms[0],
            assigned=arms[1],
            policy=playbook.name if playbook else FALLBACK,
            policy_version=playbook.version if playbook else FALLBACK,
            arrival_cut=known.group.position if known else 0,
            market_version=market_version,
            explain=ask.explain,
        )

    def _fallback(self, ask: Ask, digest: str, around: Around, market: Market | None, why: str) -> _Draft:
        held = around.assigned is Arm.HOLDOUT
        slate = [] if market is None or held else popular(ask.moment, market)
        around = Around(
            **{name: getattr(around, name) for name in Around.__dataclass_fields__}
            | {"policy": FALLBACK, "policy_version": FALLBACK}
        )
        record = records.record_of_fallback(ask.moment, around, slate, why)
        placing = Placing(
            entry=records.entry_of_record(record, None),
            customer_id=around.canonical,
            request_id=ask.request_id,
            digest=digest,
        )
        return _Draft(record=record, placing=placing)

    def _landed(self, decision_id: str, writing: "Future[Placed]") -> None:
        """Note a decision that reached the log though its caller was told something else: it was never shown."""
        if writing.exception() is None and writing.result().seq:
            self._engine.metrics.unanswered.inc()
            log.warning("reached the log after its caller was given a safe answer", extra={"decision_id": decision_id})

    def _unlogged(self, ask: Ask, decision_id: str, error: Exception) -> Json:
        """Return `hold` that nobody will remember: the log itself cannot be read or written."""
        log.error("could not be logged: %s", error, extra={"decision_id": decision_id})
        self._engine.metrics.fallbacks.labels("store").inc()
        around = self._around(ask, decision_id, None, (Arm.CHAMPION, Arm.CHAMPION), None, "")
        return records.record_of_fallback(ask.moment, around, [], f"{_said(error)}; this answer was not logged")

    def _again(self, ask: Ask, digest: str, earlier: tuple[str, str]) -> Json:
        if earlier[0] != digest:
            raise Conflict(f"request_id {ask.request_id!r} was used before with another body; use a new one")
        row = self._engine.store.decision(earlier[1])
        if row is None:
            raise Conflict(f"the answer to request_id {ask.request_id!r} was erased; use a new one")
        return record_of(row)

    def _counted(self, draft: _Draft, marks: Marks) -> Json:
        metrics, record, decided = self._engine.metrics, draft.record, draft.decided
        arm = record["policy"]["arm"]
        if decided is None:
            metrics.decided(record["mode"], arm, marks)
        else:
            explored = (decided.choice.joint, decided.candidates.mode) if arm is Arm.CHAMPION else None
            metrics.decided(record["mode"], arm, marks, decided.choice.refusals, explored)
        if record["fallback"]:
            metrics.fallbacks.labels("champion").inc()
        self._engine.tracing.decided(record, marks)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("decided", extra={"decision_id": record["decision_id"], "mode": record["mode"]})
        return record


class _Ids:
    """Ids of 128 bits: 48 of the time in milliseconds, then chance, so that a log's index grows at its end.

    Chance is drawn from the system by the page: a call for each costs more than the id.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._drawn = b""

    def next(self) -> str:
        """Return a new one. Not for several threads at once."""
        if len(self._drawn) < _CHANCE:
            self._drawn = os.urandom(_CHANCE * 400)
        taken, self._drawn = self._drawn[:_CHANCE], self._drawn[_CHANCE:]
        return ((self._clock() // 1_000) % _MILLISECONDS).to_bytes(16 - _CHANCE, "big").hex() + taken.hex()


def decision_id_of(request_id: str) -> str:
    """Return the id of the decision that belongs to a request."""
    return hashlib.blake2b(request_id.encode(), digest_size=16, person=b"cxreco-request").hexdigest()


def digest_of(ask: Ask) -> str:
    """Return a digest of an ask whose body is not at hand."""
    moment = ask.moment
    said = {name: getattr(moment, name) for name in Moment.__dataclass_fields__}
    said |= {"attributes": dict(moment.attributes), "modes": sorted(moment.modes or ()), "explain": ask.explain}
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def popular(moment: Moment, market: Market) -> list[tuple[str, float]]:
    """Return what everybody buys and is there, for a page; nothing where a page is not what is asked for."""
    if moment.surface not in PAGES or (moment.modes is not None and Mode.CURATE not in moment.modes):
        return []
    shelf, sold = market.shelf, market.population.popularity
    there = [code for code in market.population.top.tolist() if code < len(shelf) and shelf.available[code]]
    top = there[: moment.max_items]
    total = float(sum(sold[code] for code in top))
    return [(market.codes.item_ids[code], float(sold[code]) / total) for code in top] if total > 0 else []


def _said(error: Exception) -> str:
    """Return what went wrong without the inside of the program."""
    return (
        str(error)
        if isinstance(error, StalePlaybook | StoreUnavailable)
        else f"a part is down ({type(error).__name__})"
    )
