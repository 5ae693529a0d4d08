"""What is counted and timed, for Prometheus; one registry an application, so that several may live in a process."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Info, generate_latest

from cxreco.edge.tallies import Backlog, Histograms, Summaries, entropies, increase
from cxreco.edge.tracing import Marks
from cxreco.journey import MODES, Refusal

_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5)
_STAGE = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
# What a decision goes through, in order: `state` to read the customer, those of the decision itself, `record`, and
# `log` until it is on disk.
STAGES = ("state", "recall", "rank", "need", "offer", "admit", "value", "draw", "record", "log")

# The probability and the mode code of each candidate.
Explored = tuple[Sequence[float], NDArray[np.int16]]
_Decision = tuple[str, str, Marks, Sequence[Refusal], Explored | None]
_Answer = tuple[str, str, int, float]


class Metrics:
    """The meters; see each one's text."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._answers: Backlog[_Answer] = Backlog(self._count_answers, registry)
        self._decisions: Backlog[_Decision] = Backlog(self._count_decisions, registry)
        self.requests = Counter("cxreco_requests", "HTTP requests", ["method", "route", "status"], registry=registry)
        self.latency = Histograms("cxreco_request_seconds", "Time to answer", "route", bounds=_FAST, registry=registry)
        self.decisions = Counter("cxreco_decisions", "Decisions made", ["mode", "arm"], registry=registry)
        self.refusals = Counter("cxreco_refusals", "Candidates refused", ["guardrail"], registry=registry)
        self.fallbacks = Counter(
            "cxreco_fallbacks", "Safe answers, by the part that failed", ["part"], registry=registry
        )
        self.events = Counter("cxreco_events", "Event rows", ["result"], registry=registry)
        self.items = Counter("cxreco_items", "Item rows", ["result"], registry=registry)
        self.pending = Gauge("cxreco_log_pending_rows", "Rows waiting for the disk", registry=registry)
        self.publications = Counter(
            "cxreco_publications", "Population statistics published", ["result"], registry=registry
        )
        self.refused_champions = Counter(
            "cxreco_refused_playbooks", "Promotions that could not be read", ["role"], registry=registry
        )
        self.shared_states = Counter(
            "cxreco_shared_states",
            "States looked for where other processes and starts keep them",
            ["result"],
            registry=registry,
        )
        self.stages = Histograms(
            "cxreco_decision_stage_seconds",
            "Time of a decision by stage",
            "stage",
            bounds=_STAGE,
            known=STAGES,
            registry=registry,
        )
        self.entropy = Summaries(
            "cxreco_exploration_entropy_nats",
            "Entropy of what the champion might have done: over modes (`all`), and over the actions within a mode",
            "mode",
            known=("all", *MODES),
            registry=registry,
        )
        self.unanswered = Counter(
            "cxreco_unanswered_decisions",
            "Decisions that reached the log after their caller had been given a safe answer instead",
            registry=registry,
        )
        self.lag = Gauge(
            "cxreco_log_lag_seconds", "How long the write that has waited longest has waited", registry=registry
        )
        self.lag.set_function(self._longest_wait)
        self._waiting: dict[_Write, float] = {}
        self.champion = Info("cxreco_champion", "The live playbook", registry=registry)
        # Compiled or loaded now, so that no customer waits for it.
        _entropies([((1.0,), np.zeros(1, np.int16))])

    def page(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Take note of a request that was answered, and how long that took."""
        self._answers.add((method, route, status, seconds))

    def decided(
        self, mode: str, arm: str, marks: Marks, refusals: Sequence[Refusal] = (), explored: Explored | None = None
    ) -> None:
        """Take note of a decision; counting it waits until some are together, or somebody looks.

        Parameters
        ----------
        marks
            When each stage was through; not written to any more.
        explored
            What the champion might have done, not written to any more either; None where it did not decide.
        """
        self._decisions.add((mode, arm, marks, refusals, explored))

    def writing(self) -> AbstractContextManager[None]:
        """Count what goes on inside as a write that waits for the log."""
        return _Write(self._waiting)

    def _longest_wait(self) -> float:
        now = time.monotonic()
        # A copy is made at once; writes begin and end in other threads.
        return now - min(self._waiting.copy().values(), default=now)

    def _count_answers(self, rows: Sequence[_Answer]) -> None:
        methods, routes, statuses, seconds = zip(*rows, strict=True)
        increase(self.requests, zip(methods, routes, statuses, strict=True))
        self.latency.observe(routes, seconds)

    def _count_decisions(self, rows: Sequence[_Decision]) -> None:
        modes, arms, marks, refusals, explored = zip(*rows, strict=True)
        increase(self.decisions, zip(modes, arms, strict=True))
        increase(self.refusals, ((refusal.guardrail,) for refusal in chain.from_iterable(refusals)))
        timed = list(chain.from_iterable(each.durations() for each in marks))
        self.stages.observe([stage for stage, _ in timed], [seconds for _, seconds in timed])
        if known := [each for each in explored if each is not None]:
            self.entropy.observe(_entropies(known))


class _Write:
    """A write that waits for the log; a class, because a generator as a context manager costs several times more."""

    __slots__ = ("_waiting",)

    def __init__(self, waiting: "dict[_Write, float]") -> None:
        self._waiting = waiting

    def __enter__(self) -> None:
        self._waiting[self] = time.monotonic()

    def __exit__(self, *raised: object) -> None:
        del self._waiting[self]


def _entropies(explored: Sequence[Explored]) -> NDArray[np.float64]:
    """Return (k, 1 + modes), see `tallies.entropies`, of k decisions, at least one."""
    joint = np.fromiter(chain.from_iterable(joint for joint, _ in explored), np.float64)
    mode = np.concatenate([mode for _, mode in explored])
    return entropies(joint, mode, np.cumsum([mode.size for _, mode in explored]), len(MODES))
