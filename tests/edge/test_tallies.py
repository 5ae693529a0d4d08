"""What is counted in bulk shows as if it had been counted one by one, and each row once."""

import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, Summary, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cxreco.edge import metrics as meters
from cxreco.edge.metrics import STAGES, Metrics
from cxreco.edge.tallies import MOST, Backlog, Histograms, Summaries, increase
from cxreco.edge.tracing import Marks
from cxreco.journey import MODES, Arm, Refusal

BOUNDS = (0.00005, 0.001, 0.5, 1.0, 2.5)
SECONDS = st.one_of(st.sampled_from(BOUNDS), st.floats(0.0, 4.0))
DECISIONS = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(MODES),
        "arm": st.sampled_from(Arm),
        "ends": st.lists(SECONDS, max_size=len(STAGES)).map(sorted),
        "guardrails": st.lists(st.sampled_from(["stock", "consent", 'od"d\\']), max_size=3),
        "weights": st.lists(st.tuples(st.integers(0, len(MODES) - 1), st.sampled_from([0.0, 0.1, 1.0])), max_size=6),
        "looked": st.booleans(),
    }
)
ANSWERS = st.tuples(
    st.sampled_from(["GET", "POST"]), st.sampled_from(["/a", "/b"]), st.sampled_from([200, 429]), SECONDS
)


@given(st.lists(st.lists(st.tuples(st.sampled_from(["a", "b", 'c"\\']), SECONDS), max_size=9), max_size=5))
def test_a_histogram_in_bulk_is_the_plain_one_to_the_bit(batches: list[list[tuple[str, float]]]) -> None:
    ours, plain = CollectorRegistry(), CollectorRegistry()
    bulk = Histograms("took", "About", "route", registry=ours, bounds=BOUNDS, known=["a"])
    one = Histogram("took", "About", ["route"], registry=plain, buckets=BOUNDS)
    one.labels("a")
    for batch in batches:
        bulk.observe([route for route, _ in batch], [amount for _, amount in batch])
        for route, amount in batch:
            one.labels(route).observe(amount)
    assert shown(ours) == shown(plain)


@given(st.lists(st.lists(st.tuples(*[st.none() | st.floats(0.0, 2.0)] * 3), min_size=1, max_size=9), max_size=5))
def test_a_summary_in_bulk_is_the_plain_one_to_the_bit(batches: list[list[tuple[float | None, ...]]]) -> None:
    ours, plain = CollectorRegistry(), CollectorRegistry()
    bulk = Summaries("spread", "About", "mode", registry=ours, known="abc")
    one = Summary("spread", "About", ["mode"], registry=plain)
    children = [one.labels(mode) for mode in "abc"]
    for batch in batches:
        bulk.observe(np.array(batch, np.float64))
        for row in batch:
            for child, amount in zip(children, row, strict=True):
                if amount is not None:
                    child.observe(amount)
    assert shown(ours) == shown(plain)


@given(st.lists(st.tuples(st.sampled_from(MODES), st.sampled_from(["x", "y"]))))
def test_a_counter_is_increased_by_how_often_its_labels_occur(labels: list[tuple[str, str]]) -> None:
    ours, plain = CollectorRegistry(), CollectorRegistry()
    increase(Counter("made", "About", ["mode", "arm"], registry=ours), labels)
    one = Counter("made", "About", ["mode", "arm"], registry=plain)
    for each in labels:
        one.labels(*each).inc()
    assert shown(ours) == shown(plain)


@settings(max_examples=50)
@given(st.lists(DECISIONS, max_size=12), st.lists(ANSWERS, max_size=6))
def test_the_page_is_that_of_meters_that_are_told_one_by_one(
    decisions: list[dict[str, Any]], answers: list[tuple[str, str, int, float]]
) -> None:
    metrics, plain = Metrics(), Plain()
    for each in decisions:
        for told in (metrics, plain):
            told.decided(each["mode"], each["arm"], *parts_of(each))
        if each["looked"]:
            metrics.page()
    for answer in answers:
        metrics.answered(*answer)
        plain.answered(*answer)
    assert samples(metrics.page(), plain.names) == pytest.approx(samples(plain.page(), plain.names), nan_ok=True)


def test_what_several_threads_count_is_counted_once_whoever_looks(switching: None) -> None:
    metrics, each, threads = Metrics(), 40 * MOST + 7, 4
    marks = Marks()
    for stage in STAGES:
        marks(stage)
    refusals = (Refusal(action_id="", mode=MODES[1], item_id="", guardrail="stock", reason=""),)
    explored = ((0.5, 0.5), np.zeros(2, np.int16))

    def decide() -> None:
        for _ in range(each):
            metrics.decided("hold", "champion", marks, refusals, explored)
            metrics.answered("POST", "/a", 200, 0.001)

    with ThreadPoolExecutor(threads) as pool:
        work = [pool.submit(decide) for _ in range(threads)]
        seen = [counted(metrics)]
        while not all(done.done() for done in work):
            seen.append(counted(metrics))
        for done in work:
            done.result()
    assert all(before <= after for a, b in pairwise(seen) for before, after in zip(a, b, strict=True))
    assert set(counted(metrics)) == {threads * each}


def test_every_row_is_counted_once_by_one_thread_at_a_time(switching: None) -> None:
    rows: list[int] = []
    within: list[int] = []

    def counting(taken: Sequence[int]) -> None:
        assert not within
        within.append(1)
        if not len(rows) % 100:
            time.sleep(0.0002)
        rows.extend(taken)
        within.clear()

    backlog = Backlog(counting, CollectorRegistry(), most=3)

    def add(first: int) -> None:
        for row in range(first, first + 20_000):
            backlog.add(row)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(add, 20_000 * n) for n in range(4)]:
            done.result()
    backlog.count()
    assert sorted(rows) == list(range(80_000))


def test_rows_do_not_wait_beyond_the_last_that_may() -> None:
    counted: list[list[int]] = []
    registry = CollectorRegistry()
    backlog = Backlog(lambda rows: counted.append(list(rows)), registry, most=3)
    for row in range(4):
        backlog.add(row)
    assert counted == [[0, 1, 2]]
    list(registry.collect())
    assert counted == [[0, 1, 2], [3]]


def test_when_series_began_is_left_out_where_the_environment_says_so() -> None:
    code = "from cxreco.edge.metrics import Metrics; print(Metrics().page().decode())"
    env = os.environ | {"PROMETHEUS_DISABLE_CREATED_SERIES": "True"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert 'stage_seconds_count{stage="log"}' in run.stdout and "_created" not in run.stdout
    assert b'stage_seconds_created{stage="log"}' in Metrics().page()


class Plain:
    """The same meters by `prometheus_client` alone, told one by one."""

    names = (
        "cxreco_requests", "cxreco_request_seconds", "cxreco_decisions", "cxreco_refusals",
        "cxreco_decision_stage_seconds", "cxreco_exploration_entropy_nats",
    )  # fmt: skip

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter("cxreco_requests", "-", ["method", "route", "status"], registry=registry)
        self.latency = Histogram("cxreco_request_seconds", "-", ["route"], buckets=meters._FAST, registry=registry)
        self.decisions = Counter("cxreco_decisions", "-", ["mode", "arm"], registry=registry)
        self.refusals = Counter("cxreco_refusals", "-", ["guardrail"], registry=registry)
        self.stages = Histogram(
            "cxreco_decision_stage_seconds", "-", ["stage"], buckets=meters._STAGE, registry=registry
        )
        self.entropy = Summary("cxreco_exploration_entropy_nats", "-", ["mode"], registry=registry)
        for stage in STAGES:
            self.stages.labels(stage)
        for mode in ("all", *MODES):
            self.entropy.labels(mode)

    def page(self) -> bytes:
        return generate_latest(self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        self.requests.labels(method, route, status).inc()
        self.latency.labels(route).observe(seconds)

    def decided(self, mode: str, arm: str, marks: Marks, refusals: Any, explored: Any) -> None:
        self.decisions.labels(mode, arm).inc()
        for stage, seconds in marks.durations():
            self.stages.labels(stage).observe(seconds)
        for refusal in refusals:
            self.refusals.labels(refusal.guardrail).inc()
        if explored is None:
            return
        masses = [sum(p for p, at in zip(*explored, strict=True) if at == code) for code in range(len(MODES))]
        self.entropy.labels("all").observe(entropy(masses))
        for code, (name, mass) in enumerate(zip(MODES, masses, strict=True)):
            if mass > 0.0:
                within = [p / mass for p, at in zip(*explored, strict=True) if at == code]
                self.entropy.labels(name).observe(entropy(within))


def entropy(shares: list[float]) -> float:
    return -sum(share * math.log(share) for share in shares if share > 0.0)


def parts_of(decision: dict[str, Any]) -> tuple[Marks, tuple[Refusal, ...], Any]:
    """Return marks, refusals and what was explored, as `Metrics.decided` takes them."""
    marks = Marks()
    marks.marks = list(zip(STAGES, [0.0, *decision["ends"]], decision["ends"], strict=False))
    refusals = tuple(
        Refusal(action_id="", mode=MODES[1], item_id="", guardrail=name, reason="") for name in decision["guardrails"]
    )
    weights = np.array([weight for _, weight in decision["weights"]])
    if not weights.sum() > 0.0:
        return marks, refusals, None
    codes = np.array([code for code, _ in decision["weights"]], np.int16)
    return marks, refusals, (tuple((weights / weights.sum()).tolist()), codes)


def shown(registry: CollectorRegistry) -> list[str]:
    """Return the lines of the page, without when each series began."""
    page = generate_latest(registry).decode()
    return [re.sub(r"(_created\S*) .*", r"\1", line) for line in page.splitlines()]


def samples(page: bytes, names: tuple[str, ...]) -> dict[Any, float]:
    """Return every sample of some families by its name and labels; 0 for when it began."""
    return {
        (sample.name, *sorted(sample.labels.items())): 0.0 if sample.name.endswith("_created") else sample.value
        for family in text_string_to_metric_families(page.decode())
        if family.name.removesuffix("_created") in names
        for sample in family.samples
    }


def counted(metrics: Metrics) -> list[float]:
    """Return how many decisions and answers each meter has seen."""
    found = samples(metrics.page(), Plain.names)
    wanted = {
        ("cxreco_decisions_total", ("arm", "champion"), ("mode", "hold")),
        ("cxreco_refusals_total", ("guardrail", "stock")),
        ("cxreco_exploration_entropy_nats_count", ("mode", "all")),
        ("cxreco_requests_total", ("method", "POST"), ("route", "/a"), ("status", "200")),
        ("cxreco_request_seconds_count", ("route", "/a")),
        *(("cxreco_decision_stage_seconds_count", ("stage", stage)) for stage in STAGES),
    }
    return [found.get(key, 0.0) for key in sorted(wanted)]


@pytest.fixture
def switching() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
