"""The engine: takes in items and events, decides, answers for what it decided. All that HTTP does, without HTTP.

Everything here is synchronous but for waiting: methods that write return `Steps`, to be run with `wait` or `awaited`.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxreco.edge.champion import CHAMPION, Pointer
from cxreco.edge.decider import Ask, Decider
from cxreco.edge.log_reading import LogReader, entry_of, record_of
from cxreco.edge.markets import Markets
from cxreco.edge.metrics import Metrics
from cxreco.edge.populations import Populations, version_of
from cxreco.edge.publishing import day_to_serve, published
from cxreco.edge.records import F32, Json, blob_of, seen_of
from cxreco.edge.replaying import Replayed, replayed
from cxreco.edge.settings import Settings
from cxreco.edge.shop import Name, Shop, item_row, names_in, names_of
from cxreco.edge.states import StateCache, States
from cxreco.edge.steps import Steps, wait
from cxreco.edge.store import Appended, Row, Store
from cxreco.edge.tracing import Tracing
from cxreco.errors import NotFound
from cxreco.journey import DAY, Arm, Event, Moment
from cxreco.recognise.contract import write_time
from cxreco.recognise.events import Rejection, parse_event, parse_events, parse_items
from cxreco.recognise.layout import TICK, Kind
from cxreco.recognise.state import State
from cxreco.request.forest import Scorer
from cxreco.request.ranker import Ranker
from cxreco.respond.playbook import Playbook

log = logging.getLogger("cxreco.engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of rows that were handed in; what was accepted is on disk."""

    accepted: int
    duplicates: int
    rejected: Sequence[Rejection]


class Engine:
    """One workspace at work.

    Parameters
    ----------
    store
        The log; the engine does not close it.
    settings
        The installation's choices.
    clock
        Returns now, microseconds; time is never read otherwise.
    cache
        States that several processes share; None: each keeps its own.
    tracing
        Who is told of each decision's stages; None: nobody.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        clock: Callable[[], int],
        metrics: Metrics | None = None,
        cache: StateCache | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.store = store
        self.settings = settings
        self.clock = clock
        self.metrics = metrics or Metrics()
        self.tracing = tracing or Tracing()
        self.lock = threading.RLock()
        self.shop = Shop.opened(store, settings.margin_share)
        self.states = States(
            store, self.shop, settings.state_cache, cache, lambda found: self.metrics.shared_states.labels(found).inc()
        )
        self.populations = Populations(settings.home / "populations")
        self.markets = Markets(self.shop, self.populations)
        self.playbooks: dict[str, Playbook] = {}
        self.pointers: dict[str, Pointer] = {}
        self._decider = Decider(self)
        self._reader: LogReader | None = None
        self._told: dict[str, str] = {}

    def adopt(self, role: str, playbook: Playbook | None, pointer: Pointer | None = None) -> None:
        """Make a playbook live, or leave the role vacant; decisions under way finish with the one before."""
        with self.lock:
            if playbook is None:
                self.playbooks.pop(role, None)
                self.pointers.pop(role, None)
            else:
                self._decider.warm(playbook)
                self.playbooks[role] = playbook
                if pointer is not None:
                    self.pointers[role] = pointer
        self._told.pop(role, None)
        for part, reason in () if playbook is None else slow_parts(playbook):
            self.metrics.fallbacks.labels("scorer").inc()
            log.warning("%s of %s is scored by LightGBM itself, slower: %s", part, role, reason)
        if role == CHAMPION:
            self.metrics.champion.info({"version": playbook.version if playbook else "none"})
        log.info("%s is now %s", role, playbook.version if playbook else "vacant")

    def warm(self) -> None:
        """Have what every answer needs compiled or loaded before the first one; the rest a champion warms."""
        tick = np.zeros(1, TICK)
        tick["kind"] = Kind.VIEW
        State.empty().fold(tick)
        blob_of(np.zeros((1, 1), np.float32))

    def refused(self, role: str, error: Exception) -> None:
        """Note that a promotion could not be used; the playbook before goes on."""
        if self._told.get(role) != str(error):
            self._told[role] = str(error)
            self.metrics.refused_champions.labels(role).inc()
            log.error("the new %s cannot be used, the one before goes on: %s", role, error)

    @property
    def unready(self) -> list[str]:
        """What keeps the engine from deciding as it should; empty when it is ready."""
        reasons = [] if CHAMPION in self.playbooks else ["no champion is loaded: run `cxreco train`, then `promote`"]
        try:
            self.store.position()
        except Exception as error:
            reasons.append(str(error))
        return reasons

    def putting_items(self, rows: Sequence[Mapping[str, Any]]) -> Steps[Receipt]:
        """Take in versions of items; they hold from `effective_at`, or from now."""
        now = self.clock()
        items, rejected = parse_items(rows)
        yield from self._coded(name for item in items for name in names_of(item))
        appended: Appended = yield self.store.put_items([item_row(item, now) for item in items])
        with self.lock:
            self.shop.refresh()
        self._count(self.metrics.items, appended, rejected)
        return Receipt(accepted=appended.accepted, duplicates=appended.duplicates, rejected=rejected)

    def ingesting(self, rows: Sequence[Mapping[str, Any]]) -> Steps[Receipt]:
        """Take in events; a broken row is returned with its index and reason, the good ones beside it are kept."""
        events, rejected = parse_events(rows)
        appended: Appended = yield from self._keeping(events)
        self._count(self.metrics.events, appended, rejected)
        return Receipt(accepted=appended.accepted, duplicates=appended.duplicates, rejected=rejected)

    def consenting(self, customer_id: str, body: Mapping[str, Any]) -> Steps[Json]:
        """Record a consent given or withdrawn; `body` is `{purpose, granted, limits?, occurred_at?}`.

        Raises
        ------
        BadInput
            Naming the field.
        """
        row = {
            "occurred_at": write_time(self.clock()),
            **{name: value for name, value in body.items() if value is not None},
            "event_id": f"consent-{uuid.uuid4().hex}",
            "type": "consent_changed",
            "customer_id": customer_id,
        }
        event = parse_event(row)
        yield from self._keeping([event])
        return {name: row[name] for name in row if name not in ("type",)}

    def deciding(self, ask: Ask) -> Steps[Json]:
        """Decide for a moment; see `Decider.deciding`. Returns the record, of which the reply is a part."""
        return self._decider.deciding(ask)

    def dealt(self, customer_id: str) -> Arm:
        """Return the arm of the standing experiments that a customer (canonical id) is in for the whole epoch."""
        return self._decider.arms.dealt(customer_id)

    def forgetting(self, customer_id: str) -> Steps[int]:
        """Erase a customer under all names; returns the number of rows that were removed."""
        with self.lock:
            group = self.store.group(customer_id)
            self.states.forget(group.customer_id)
        removed: int = yield self.store.erase(customer_id)
        with self.lock:
            self.states.forget(group.customer_id)
            self._reader = None
        return removed

    def put_items(self, rows: Sequence[Mapping[str, Any]]) -> Receipt:
        """Blocking `putting_items`."""
        return wait(self.putting_items(rows))

    def ingest(self, rows: Sequence[Mapping[str, Any]]) -> Receipt:
        """Blocking `ingesting`."""
        return wait(self.ingesting(rows))

    def decide(self, moment: Moment, request_id: str = "", *, explain: bool = False) -> Json:
        """Blocking `deciding`, for a moment."""
        return wait(self.deciding(Ask(moment=moment, request_id=request_id, explain=explain)))

    def forget(self, customer_id: str) -> int:
        """Blocking `forgetting`."""
        return wait(self.forgetting(customer_id))

    def decision(self, decision_id: str) -> tuple[Json, F32]:
        """Return the record of a decision and what the value heads saw, (n admitted, features) float32.

        Raises
        ------
        NotFound
            If nobody decided that, or it was erased.
        """
        row = self._row(decision_id)
        record = record_of(row)
        return record, seen_of(row.blob, len(record["candidates"]["keys"]))

    def seen(self, decision_id: str) -> F32:
        """Return what the value heads saw of a decision; no rows where it was not logged."""
        row = self.store.decision(decision_id)
        if row is None:
            return seen_of(None, 0)
        return seen_of(row.blob, len(record_of(row)["candidates"]["keys"]))

    def replay(self, decision_id: str) -> Replayed:
        """Decide again from a decision's record and compare, bit for bit.

        Raises
        ------
        NotFound
            If the decision, its playbook or its population statistics are gone.
        """
        return replayed(self.store, self.settings, self._row(decision_id))

    def publish(self, as_of: int) -> str:
        """Publish population statistics of what happened before `as_of`; returns their version.

        Nothing is decided meanwhile: a server has a process of its own do it (`publishing`).
        """
        with self.lock:
            self._reader = self._reader or LogReader(self.store, self.shop)
            return published(self._reader, self.shop, self.populations, as_of, self.store.position())

    def take_over_statistics(self) -> None:
        """Serve what was published since, here or elsewhere: with its market built, so that no answer waits for it."""
        on_disk = self.populations.on_disk()
        if on_disk != self.populations.published:
            now = self.clock()
            with self.lock:
                # They may cover items whose codes were given elsewhere.
                self.shop.adopt_codes()
            for at in {now, max(now, self._decider.newest_day)}:
                self.markets.prepare(at, version_of(on_disk, at), self.lock)
            self.populations.published = on_disk

    def due_publication(self) -> int | None:
        """Return the instant for which statistics should be published now; None where they are current.

        A moment of a new day asks for that day's. Days before the newest that was published do not: replaying the
        past must not publish it anew. Where somebody asked of a day to come, today's fall due all the same.
        """
        day, today = self._decider.newest_day, self._today()
        if day < 0:
            day = day_to_serve(self.store, self.clock())
        due = (each for each in (day, min(day, today)) if each > self.populations.last_as_of(max(each, today)))
        return next(due, None)

    def _today(self) -> int:
        return self.clock() // DAY * DAY

    def _row(self, decision_id: str) -> Row:
        row = self.store.decision(decision_id)
        if row is None:
            raise NotFound(f"there is no decision {decision_id!r}")
        return row

    def _keeping(self, events: Sequence[Event]) -> Steps[Appended]:
        yield from self._coded(name for event in events for name in names_in(event))
        writing = self.store.append([entry_of(event) for event in events])
        with self.metrics.writing():
            appended: Appended = yield writing
        return appended

    def _coded(self, names: Iterator[Name]) -> Steps[None]:
        """Have the store give codes to names that have none, before rows that use them are written."""
        with self.lock:
            unknown = self.shop.unknown(names)
        if unknown:
            given: Future[None] = self.store.assign_codes(unknown)
            with self.metrics.writing():
                yield given
            with self.lock:
                self.shop.adopt_codes()

    @staticmethod
    def _count(counter: Any, appended: Appended, rejected: Sequence[Rejection]) -> None:  # noqa: ANN401 (untyped labels)
        for result, n in (
            ("accepted", appended.accepted),
            ("duplicate", appended.duplicates),
            ("rejected", len(rejected)),
        ):
            if n:
                counter.labels(result).inc(n)


def slow_parts(playbook: Playbook) -> list[tuple[str, str]]:
    """Return the models that the compiled scorer cannot stand in for, and why."""
    request = playbook.request
    scorers: dict[str, Scorer | None] = {
        "ranker": request.ranker.forest if isinstance(request.ranker, Ranker) else None,
        "need": request.need.forest,
        **{f"the head {name}": head.trees for name, head in playbook.value.heads.items()},
    }
    return [(name, scorer.reason) for name, scorer in scorers.items() if scorer is not None and scorer.reason]
