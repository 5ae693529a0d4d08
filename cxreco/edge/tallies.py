"""Counting in bulk: what is told one by one waits in a list and is counted together, in arrays.

A meter of `prometheus_client` takes a lock and walks its buckets at every call, and a decision would make twenty. The
families here show what `Histogram` and `Summary` would, had they been told one by one.
"""

import collections
import itertools
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.core import HistogramMetricFamily, Sample, SummaryMetricFamily

from cxreco.compiled import compiled

F64 = NDArray[np.float64]
I16 = NDArray[np.int16]
I64 = NDArray[np.int64]
Row = TypeVar("Row")
# Enough to share what an array operation costs at any length, few enough that nobody waits long for them.
MOST = 256
# As `prometheus_client` reads it.
_CREATED = os.environ.get("PROMETHEUS_DISABLE_CREATED_SERIES", "").lower() not in ("true", "1", "t")


class Backlog(Generic[Row]):
    """Rows that wait to be counted together; each is counted once, whichever threads add and count.

    A collector without meters: registered before the meters it feeds, it is counted before they are read.

    Parameters
    ----------
    counting
        Counts rows; two threads never call it at once.
    most
        Rows that may wait: whoever adds the last of so many counts them.
    """

    def __init__(
        self, counting: Callable[[Sequence[Row]], None], registry: CollectorRegistry, most: int = MOST
    ) -> None:
        self._counting = counting
        self._most = most
        self._rows: list[Row] = []
        self._lock = threading.Lock()
        registry.register(self)

    def add(self, row: Row) -> None:
        """Have a row counted, now or later."""
        self._rows.append(row)
        if len(self._rows) >= self._most:
            self.count()

    def count(self) -> None:
        """Count every row that was added before."""
        with self._lock:
            # Others may add meanwhile, at the end; only who holds the lock takes away.
            rows = self._rows.copy()
            del self._rows[: len(rows)]
            if rows:
                self._counting(rows)

    def describe(self) -> Iterable[Metric]:
        """Return no meter."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Count; return no meter."""
        self.count()
        return ()


def increase(counter: Counter, labels: Iterable[tuple[Hashable, ...]]) -> None:
    """Increase a counter by one for each of many label sets."""
    for values, times in collections.Counter(labels).items():
        counter.labels(*values).inc(times)


class Histograms:
    """A histogram for each value of one label.

    Parameters
    ----------
    bounds
        Upper bounds of the buckets, ascending, infinity left out; a bound belongs to its bucket.
    known
        Values of the label that are shown before anything is observed.
    """

    def __init__(
        self,
        name: str,
        about: str,
        label: str,
        *,
        registry: CollectorRegistry,
        bounds: Sequence[float],
        known: Sequence[str] = (),
    ) -> None:
        self._name, self._about, self._label = name, about, label
        self._bounds = np.array(bounds)
        self._ends = [*map(repr, map(float, bounds)), "+Inf"]
        self._codes: dict[str, int] = collections.defaultdict(itertools.count().__next__)
        self._counts = np.zeros((0, len(self._ends)), np.int64)
        self._sums = np.zeros(0)
        self._created: list[float] = []
        self._lock = threading.Lock()
        self._coded(known)
        registry.register(self)

    def observe(self, values: Sequence[str], amounts: Sequence[float]) -> None:
        """Observe (n,) amounts, each for a value of the label."""
        observed = np.array(amounts, np.float64)
        with self._lock:
            codes = self._coded(values)
            cells = codes * len(self._ends) + np.searchsorted(self._bounds, observed)
            self._counts += np.bincount(cells, minlength=self._counts.size).reshape(self._counts.shape)
            np.add.at(self._sums, codes, observed)

    def describe(self) -> Iterable[Metric]:
        """Return the family without its numbers."""
        return [HistogramMetricFamily(self._name, self._about, labels=[self._label])]

    def collect(self) -> Iterable[Metric]:
        """Return the family."""
        family = HistogramMetricFamily(self._name, self._about, labels=[self._label])
        with self._lock:
            counts = self._counts.cumsum(axis=1).tolist()
            for value, below, total in zip(self._codes, counts, self._sums.tolist(), strict=True):
                family.add_metric([value], list(zip(self._ends, below, strict=True)), total)
            family.samples += _created(self._name, self._label, zip(self._codes, self._created, strict=True))
        return [family]

    def _coded(self, values: Sequence[str]) -> I64:
        """Return (n,) rows of the arrays; what was never seen gets a new one."""
        codes = np.array([self._codes[value] for value in values], np.int64)
        new = len(self._codes) - self._sums.size
        if new:
            self._counts = np.pad(self._counts, ((0, new), (0, 0)))
            self._sums = np.pad(self._sums, (0, new))
            self._created += [time.time()] * new
        return codes


class Summaries:
    """A count and a sum for each of some values of one label, all of them shown from the start."""

    def __init__(self, name: str, about: str, label: str, *, registry: CollectorRegistry, known: Sequence[str]) -> None:
        self._name, self._about, self._label = name, about, label
        self._known = tuple(map(str, known))
        self._counts = np.zeros(len(known), np.int64)
        self._sums = np.zeros(len(known))
        self._created = time.time()
        self._lock = threading.Lock()
        registry.register(self)

    def observe(self, amounts: F64) -> None:
        """Observe (n, values) amounts, in the order of the label's values; NaN: nothing to observe."""
        rows, codes = np.nonzero(~np.isnan(amounts))
        with self._lock:
            self._counts += np.bincount(codes, minlength=self._counts.size)
            np.add.at(self._sums, codes, amounts[rows, codes])

    def describe(self) -> Iterable[Metric]:
        """Return the family without its numbers."""
        return [SummaryMetricFamily(self._name, self._about, labels=[self._label])]

    def collect(self) -> Iterable[Metric]:
        """Return the family."""
        family = SummaryMetricFamily(self._name, self._about, labels=[self._label])
        with self._lock:
            for value, count, total in zip(self._known, self._counts.tolist(), self._sums.tolist(), strict=True):
                family.add_metric([value], count, total)
        family.samples += _created(self._name, self._label, ((value, self._created) for value in self._known))
        return [family]


def _created(name: str, label: str, times: Iterable[tuple[str, float]]) -> list[Sample]:
    return [Sample(f"{name}_created", {label: value}, at) for value, at in times] if _CREATED else []


@compiled
def entropies(joint: F64, mode: I16, ends: I64, modes: int) -> F64:
    """Return how open each of k decisions was, in nats.

    Parameters
    ----------
    joint, mode
        (n,) probability and mode code of each candidate, the decisions one after another.
    ends
        (k,) where each decision ends.
    modes
        Number of modes.

    Returns
    -------
    (k, 1 + modes) entropy over modes, then within each mode; NaN where a mode has no probability.
    """
    out = np.empty((ends.size, 1 + modes))
    mass = np.empty(modes)
    start = 0
    for k in range(ends.size):
        for m in range(modes):
            mass[m] = 0.0
        for i in range(start, ends[k]):
            mass[mode[i]] += joint[i]
        out[k, 0] = 0.0
        for m in range(modes):
            out[k, 0] -= mass[m] * np.log(mass[m]) if mass[m] > 0.0 else 0.0
            out[k, 1 + m] = 0.0 if mass[m] > 0.0 else np.nan
        for i in range(start, ends[k]):
            share = joint[i] / mass[mode[i]] if joint[i] > 0.0 else 0.0
            out[k, 1 + mode[i]] -= share * np.log(share) if share > 0.0 else 0.0
        start = ends[k]
    return out
