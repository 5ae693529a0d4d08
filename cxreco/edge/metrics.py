"""What is counted and timed, for Prometheus; one registry an application, so that several may live in a process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Summary, generate_latest

from cxreco.compiled import compiled
from cxreco.journey import MODES

_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5)
_STAGE = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
# What a decision goes through, in order: `state` to read the customer, four of the decision itself, `record`, and
# `log` until it is on disk.
STAGES = ("state", "propose", "admit", "value", "draw", "record", "log")


class Metrics:
    """The meters; see each one's text."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter("cxreco_requests", "HTTP requests", ["method", "route", "status"], registry=registry)
        self.latency = Histogram(
            "cxreco_request_seconds", "Time to answer", ["route"], buckets=_FAST, registry=registry
        )
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
            "cxreco_shared_states", "States looked for in the cache that processes share", ["result"], registry=registry
        )
        self.stages = Histogram(
            "cxreco_decision_stage_seconds", "Time of a decision by stage", ["stage"], buckets=_STAGE, registry=registry
        )
        self.entropy = Summary(
            "cxreco_exploration_entropy_nats",
            "Entropy of what the champion might have done: over modes (`all`), and over the actions within a mode",
            ["mode"],
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
        self._waiting: dict[int, float] = {}
        self._numbers = iter(range(2**63))
        self._lock = threading.Lock()
        # Finding a labelled child costs more than counting.
        self.stage = {stage: self.stages.labels(stage) for stage in STAGES}
        self._entropies = [self.entropy.labels(name) for name in ("all", *MODES)]
        self.decided = lru_cache(64)(self.decisions.labels)
        self.refused = lru_cache(64)(self.refusals.labels)
        self.answered = lru_cache(512)(self.requests.labels)
        self.took = lru_cache(64)(self.latency.labels)
        self.champion = Info("cxreco_champion", "The live playbook", registry=registry)

    def page(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self.registry)

    def explored(self, joint: NDArray[np.float64], mode: NDArray[np.int16]) -> None:
        """Take note of how open a decision was.

        Parameters
        ----------
        joint, mode
            (n,) probability and mode code of each candidate.
        """
        over = _entropies(joint, mode, len(MODES))
        for meter, value in zip(self._entropies, over.tolist(), strict=True):
            if value == value:
                meter.observe(value)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Count what goes on inside as a write that waits for the log."""
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._waiting[number]

    def _longest_wait(self) -> float:
        with self._lock:
            first = next(iter(self._waiting.values()), None)
        return 0.0 if first is None else time.monotonic() - first


@compiled
def _entropies(joint: NDArray[np.float64], mode: NDArray[np.int16], modes: int) -> NDArray[np.float64]:
    """Return the entropy over modes, then within each mode; NaN where a mode has no candidate."""
    mass = np.zeros(modes)
    for i in range(joint.size):
        mass[mode[i]] += joint[i]
    out = np.full(modes + 1, np.nan)
    out[0] = 0.0
    for m in range(modes):
        if mass[m] > 0.0:
            out[0] -= mass[m] * np.log(mass[m])
            out[1 + m] = 0.0
    for i in range(joint.size):
        share = joint[i] / mass[mode[i]] if mass[mode[i]] > 0.0 else 0.0
        if share > 0.0:
            out[1 + mode[i]] -= share * np.log(share)
    return out
