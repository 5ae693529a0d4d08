"""From an ask to an answer on disk: arm, state, market, playbook, record; and what is said when a part fails."""

import hashlib
import logging
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import orjson

from cxreco.edge import records
from cxreco.edge.arms import Arms
from cxreco.edge.champion import CHALLENGER, CHAMPION
from cxreco.edge.log_reading import record_of
from cxreco.edge.records import FALLBACK, Around, Json
from cxreco.edge.states import Known
from cxreco.edge.steps import Steps
from cxreco.edge.store import Placed, Placing, StoreUnavailable
from cxreco.errors import Conflict, StalePlaybook
from cxreco.journey import DAY, Arm, Mode, Moment, Surface
from cxreco.recognise.market import Market
from cxreco.recognise.state import State
from cxreco.respond.decide import Decided, decide
from cxreco.respond.playbook import Playbook

if TYPE_CHECKING:
    from cxreco.edge.engine import Engine

log = logging.getLogger("cxreco.decider")
TRIES = 8
PAGES = frozenset({Surface.HOME, Surface.SEARCH, Surface.PRODUCT, Surface.CART, Surface.POST_PURCHASE})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A decision that is not on disk yet."""

    record: Json
    placing: Placing
    refusals: tuple[str, ...] = field(default=())


class Decider:
    """Decides with what the engine holds."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self.arms = Arms.of(engine.settings, engine.store)
        self.newest_day = -1

    def deciding(self, ask: Ask) -> Steps[Json]:
        """Decide and keep the decision; returns its record once it is on disk.

        A part that fails makes the answer a safe one, which says so; only a request id that was used for another body
        is an error.

        Raises
        ------
        Conflict
            If the request id was used before with another body.
        """
        digest = ask.digest or digest_of(ask)
        decision_id = decision_id_of(ask.request_id)
        for _ in range(TRIES):
            try:
                if ask.request_id and (earlier := self._engine.store.request(ask.request_id)):
                    return self._again(ask, digest, earlier)
                with self._engine.lock:
                    draft = self._draft(ask, decision_id, digest)
                placed: Placed = yield self._engine.store.place(draft.placing)
            except Conflict:
                raise
            except Exception as error:
                return self._unlogged(ask, decision_id, error)
            if placed.seq:
                return self._counted(draft)
            if placed.earlier:
                return self._again(ask, digest, placed.earlier)
            # The customer's log moved on between reading and writing: caps and consents must be read again.
        return self._unlogged(ask, decision_id, StoreUnavailable("the customer's log would not hold still"))

    def warm(self, playbook: Playbook) -> None:
        """Decide for nobody, so that no customer waits for compilation or loading."""
        moment = Moment(customer_id="", at=self._engine.clock(), query="a")
        market, _ = self._engine.markets.at(moment.at)
        state = State.empty()
        decide(playbook, moment=moment, state=state, latest=state, market=market, decision_id="warm", arm=Arm.CHAMPION)

    def _draft(self, ask: Ask, decision_id: str, digest: str) -> _Draft:
        engine, moment = self._engine, ask.moment
        self.newest_day = max(self.newest_day, moment.at // DAY * DAY)
        engine.shop.refresh()
        known = engine.states.of(moment.customer_id)
        arm, assigned = self._arm(known.group.customer_id)
        playbook = engine.playbooks.get(CHALLENGER if arm is Arm.CHALLENGER else CHAMPION)
        try:
            market, version = engine.markets.at(moment.at)
            around = self._around(ask, decision_id, known, (arm, assigned), playbook, version)
            if playbook is None:
                return self._fallback(ask, digest, around, market, "no champion is loaded")
            decided = self._decided(playbook, known, moment, market, decision_id, arm)
            record = records.record_of_decided(decided, moment, around, market.shelf, engine.shop.codes.item_ids)
        except Exception as error:
            log.exception("decision %s: a part failed, the answer is a safe one", decision_id)
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
        return _Draft(record=record, placing=placing, refusals=tuple(r.guardrail for r in decided.choice.refusals))

    def _decided(
        self, playbook: Playbook, known: Known, moment: Moment, market: Market, decision_id: str, arm: Arm
    ) -> Decided:
        latest = known.state
        past = moment.at < int(latest.head[0]["last_at"])
        return decide(
            playbook,
            moment=moment,
            state=self._engine.states.rebuilt(known.group, moment.at).state if past else latest,
            latest=latest,
            market=market,
            decision_id=decision_id,
            arm=arm,
        )

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

    def _unlogged(self, ask: Ask, decision_id: str, error: Exception) -> Json:
        """Return `hold` that nobody will remember: the log itself cannot be read or written."""
        log.error("decision %s could not be logged: %s", decision_id, error)
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

    def _counted(self, draft: _Draft) -> Json:
        metrics, record = self._engine.metrics, draft.record
        metrics.decisions.labels(record["mode"], record["policy"]["arm"]).inc()
        for guardrail in draft.refusals:
            metrics.refusals.labels(guardrail).inc()
        if record["fallback"]:
            metrics.fallbacks.labels("champion").inc()
        return record


def decision_id_of(request_id: str) -> str:
    """Return the id of a decision: new, or that which belongs to the request."""
    if not request_id:
        return uuid.uuid4().hex
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
