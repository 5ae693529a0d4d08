"""The desk where decisions are asked for: what came in one turn of the event loop is decided in the next, together.

No task and no layers: those cost as much as a third of a decision. Asks that are decided together go through each stage
one after the other, so that its code is in the processor's caches for all but the first; each is decided as if alone.
What is not a good ask is for the application to answer.
"""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import orjson
from pydantic import TypeAdapter
from starlette.types import ASGIApp, Scope

from cxreco.edge import customers, schemas
from cxreco.edge.engine import Engine
from cxreco.edge.explain import explained
from cxreco.edge.limits import Room
from cxreco.edge.problems import answer_to
from cxreco.edge.records import Json
from cxreco.edge.steps import Steps, TooLate
from cxreco.edge.store import StoreUnavailable

# A turn decides at most so many, which share the caches, and lasts about so long: what was written before and the
# loop's others wait for its end, and where the machine is busy a decision takes several times as long.
TOGETHER = 8
TURN_S = 0.004
# A timer that goes off so much too late was held up, by a turn or by what else the machine does.
HELD_UP_S = 0.001
DECISIONS = "/v1/decisions"
# The name that it goes by in the state of an application.
DESK = "desk"
SLOW = "the log is slow to write"


class Caller(ABC):
    """Who asks, and how far their ask has come."""

    __slots__ = ("begun", "explain", "steps", "until", "writing")

    def __init__(self) -> None:
        self.begun = time.perf_counter()
        self.until = 0.0
        self.explain = False
        self.steps: Steps[Json] | None = None
        self.writing: Future[Any] | None = None

    @property
    @abstractmethod
    def scope(self) -> Scope:
        """Their request, as ASGI has it."""

    @property
    @abstractmethod
    def body(self) -> bytes:
        """What they sent."""

    @abstractmethod
    def answered(self, body: bytes) -> None:
        """Take the answer, JSON."""

    @abstractmethod
    def passed_on(self, app: ASGIApp | None = None) -> None:
        """Have the application answer, or another."""


# Whose turn it is, their steps, and the next one.
_Step = tuple[Caller, Steps[Json], Callable[[], Future[Any] | None]]


class Desk:
    """Decides for who asks, at most for as long as the engine's deadline; made inside the event loop that it is for.

    Parameters
    ----------
    room
        Who waits here counts there; beyond it they are passed on.
    """

    def __init__(self, engine: Engine, room: Room) -> None:
        self._engine = engine
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._read = TypeAdapter(schemas.DecisionIn).validator.validate_python
        self._asked: deque[Caller] = deque()
        self._open: deque[Caller] = deque()
        self._landed: deque[tuple[Caller, Future[Any]]] = deque()
        self._told = False
        self._timer: asyncio.TimerHandle | None = None
        # What a decision took of late.
        self._each_s = TURN_S / TOGETHER

    def ask(self, caller: Caller) -> None:
        """Have an ask decided in the next turn."""
        if self._room.full:
            caller.passed_on()
            return
        self._room.taken += 1
        self._asked.append(caller)
        if len(self._asked) == 1:
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        begun = time.perf_counter()
        many = min(len(self._asked), TOGETHER, max(int(TURN_S / self._each_s), 1))
        self._begin([self._asked.popleft() for _ in range(many)])
        self._each_s += 0.1 * ((time.perf_counter() - begun) / many - self._each_s)
        if self._asked:
            self._loop.call_soon(self._turn)
        self._watch()

    def _begin(self, callers: Sequence[Caller]) -> None:
        """Decide, up to where the log has to be waited for."""
        until = self._loop.time() + self._engine.settings.decide_deadline_ms / 1_000
        steps: list[_Step] = []
        for caller in callers:
            try:
                ask = self._read(orjson.loads(caller.body)).ask(self._engine.clock())
                begun = self._engine.deciding(ask)
            except ValueError:
                self._leave(caller)
                caller.passed_on()
            except Exception as error:
                self._failed(caller, error)
            else:
                caller.explain, caller.until, caller.steps = ask.explain, until, begun
                self._open.append(caller)
                steps.append((caller, begun, begun.__next__))
        self._go(steps)

    def _go(self, steps: Sequence[_Step]) -> None:
        """Take these steps, one of each caller, and those that follow, until all wait or are done."""
        done: list[tuple[Caller, Json]] = []
        while steps:
            following: list[_Step] = []
            for caller, going, step in steps:
                try:
                    writing = step()
                except StopIteration as stop:
                    done.append((caller, stop.value))
                except Exception as error:
                    self._failed(caller, error)
                else:
                    if writing is None:
                        following.append((caller, going, going.__next__))
                    else:
                        caller.writing = writing
                        writing.add_done_callback(partial(self._land, caller))
            steps = following
        for caller, record in done:
            self._answer(caller, record)

    def _answer(self, caller: Caller, record: Json) -> None:
        try:
            body = orjson.dumps(answer_of(self._engine, record, explain=caller.explain))
        except Exception as error:
            self._failed(caller, error)
            return
        self._leave(caller)
        caller.answered(body)
        self._engine.metrics.answered("POST", DECISIONS, 200, time.perf_counter() - caller.begun)

    def _failed(self, caller: Caller, error: Exception) -> None:
        self._leave(caller)
        said = answer_to(error, caller.scope)
        caller.passed_on(said)
        self._engine.metrics.answered("POST", DECISIONS, said.status_code, time.perf_counter() - caller.begun)

    def _leave(self, caller: Caller) -> None:
        self._room.taken -= 1
        caller.steps = caller.writing = None
        while self._open and self._open[0].steps is None:
            self._open.popleft()

    def _land(self, caller: Caller, writing: Future[Any]) -> None:
        """Take note of a write that is done; called by the writer's thread, which does a group in one go."""
        self._landed.append((caller, writing))
        if not self._told:
            self._told = True
            # A loop that has ended has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._take)

    def _take(self) -> None:
        self._told = False
        steps: list[_Step] = []
        for _ in range(len(self._landed)):
            caller, writing = self._landed.popleft()
            # Who was told that it is too late waits for it no more.
            if caller.steps is not None and caller.writing is writing:
                steps.append((caller, caller.steps, _told(caller.steps, writing)))
        self._go(steps)

    def _watch(self) -> None:
        if self._timer is None and self._open:
            self._timer = self._loop.call_at(self._open[0].until, self._due)

    def _due(self) -> None:
        if self._open and self._loop.time() - self._open[0].until > HELD_UP_S:
            # Whatever held us up held up the writer too, which may be done in a moment.
            self._timer = self._loop.call_later(TURN_S, self._look_for_late)
        else:
            self._look_for_late()

    def _look_for_late(self) -> None:
        self._timer = None
        now = self._loop.time()
        steps: list[_Step] = []
        for caller in self._open:
            if caller.until > now:
                break
            writing = caller.writing
            if caller.steps is not None and writing is not None and not writing.done():
                caller.writing = None
                error = StoreUnavailable(SLOW) if writing.cancel() else TooLate(SLOW)
                steps.append((caller, caller.steps, partial(caller.steps.throw, error)))
        self._go(steps)
        self._watch()


def answer_of(engine: Engine, record: Json, *, explain: bool) -> Json:
    """Return what the caller gets to see of a decision."""
    answer = customers.reply(record)
    if explain:
        answer["explain"] = explained(record, engine.seen(record["decision_id"]))
    return answer


def _told(steps: Steps[Json], writing: Future[Any]) -> Callable[[], Future[Any] | None]:
    """Return the step of telling what came of a write."""
    error = writing.exception()
    return partial(steps.send, writing.result()) if error is None else partial(steps.throw, error)
