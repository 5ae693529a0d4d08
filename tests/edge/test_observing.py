"""What whoever runs it can see: meters, traces and logs."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from cxreco.edge.engine import Engine
from cxreco.edge.logs import JsonFormatter
from cxreco.edge.metrics import STAGES, Metrics
from cxreco.edge.tracing import Marks, Spans, Tracing, tracing_of
from cxreco.errors import BadSpec

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_meters_tell_of_stages_arms_refusals_and_exploration(shop: Engine, speak: Callable[..., Any]) -> None:
    async def script(client: httpx.AsyncClient) -> str:
        for surface in ("home", "outbound"):
            await client.post("/v1/decisions", json={"customer_id": "ann", "surface": surface})
        return (await client.get("/metrics")).text

    page = speak(shop, script)
    value = shop.metrics.registry.get_sample_value
    for stage in STAGES:
        assert value("cxreco_decision_stage_seconds_count", {"stage": stage}) == 2.0
    assert value("cxreco_exploration_entropy_nats_count", {"mode": "all"}) == 2.0
    assert value("cxreco_requests_total", {"method": "POST", "route": "/v1/decisions", "status": "200"}) == 2.0
    assert value("cxreco_request_seconds_count", {"route": "/v1/decisions"}) == 2.0
    assert "cxreco_refusals_total" in page and 'arm="champion"' in page
    assert f'cxreco_champion_info{{version="{shop.playbooks["champion"].version}"}} 1.0' in page


def test_entropy_is_that_of_modes_and_within_them() -> None:
    metrics = Metrics()
    metrics.decided("hold", "champion", Marks(), explored=((0.5, 0.25, 0.25), np.array([0, 2, 2], np.int16)))
    value = metrics.registry.get_sample_value
    assert value("cxreco_exploration_entropy_nats_sum", {"mode": "all"}) == pytest.approx(np.log(2))
    assert value("cxreco_exploration_entropy_nats_sum", {"mode": "curated_offering"}) == pytest.approx(np.log(2))
    assert value("cxreco_exploration_entropy_nats_sum", {"mode": "hold"}) == 0.0
    assert value("cxreco_exploration_entropy_nats_count", {"mode": "coach_behavior"}) == 0.0


def test_stages_follow_each_other() -> None:
    marks = Marks()
    for stage in ("a", "b", "c"):
        marks(stage)
        if stage == "b":
            time.sleep(0.05)
            marks.again()
    (_, _, a), (_, since_a, b), (_, since_b, c) = marks.marks
    told = dict(marks.durations())
    assert list(told) == ["a", "b", "c"] and all(seconds >= 0.0 for seconds in told.values())
    # One begins where the other ends, but for the pause, which is nobody's.
    assert since_a == a and since_b >= b + 0.05
    assert told["b"] + told["c"] == pytest.approx(c - a - (since_b - b))


def test_traces_hang_a_decision_and_its_stages_below_the_callers_span(shop: Engine, speak: Callable[..., Any]) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    shop.tracing = Spans(provider.get_tracer("test"))

    async def script(client: httpx.AsyncClient) -> dict[str, Any]:
        got = await client.post("/v1/decisions", json={"customer_id": "ann"}, headers={"traceparent": PARENT})
        return dict(got.json())

    answer = speak(shop, script)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"POST", "decide", *STAGES}
    assert f"{spans['POST'].parent.span_id:016x}" == PARENT.split("-")[2]
    assert spans["decide"].parent.span_id == spans["POST"].context.span_id
    assert spans["decide"].attributes["cxreco.decision_id"] == answer["decision_id"]
    for stage in STAGES:
        assert spans[stage].parent.span_id == spans["decide"].context.span_id
        assert spans["decide"].start_time <= spans[stage].start_time <= spans[stage].end_time
    assert f"{spans['value'].context.trace_id:032x}" == PARENT.split("-")[1]


def test_traces_are_on_where_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not tracing_of({}).on
    assert not tracing_of({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}).on
    assert type(tracing_of({})) is Tracing
    assert tracing_of({"OTEL_TRACES_EXPORTER": "console"}).on
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(BadSpec, match=r"cxreco\[tracing\]"):
        tracing_of({"OTEL_TRACES_EXPORTER": "console"})


def test_nothing_of_tracing_is_loaded_where_it_is_off() -> None:
    # FastAPI looks for OpenTelemetry by itself; what sends traces must not come with it.
    code = "import sys, cxreco.serve; assert not [m for m in sys.modules if m.startswith('opentelemetry.exporter')]"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_logs_are_json_with_the_decision(shop: Engine, caplog: pytest.LogCaptureFixture) -> None:
    from cxreco.journey import Moment

    with caplog.at_level(logging.DEBUG, logger="cxreco.decider"):
        record = shop.decide(Moment(customer_id="ann", at=shop.clock()))
    line = orjson.loads(JsonFormatter().format(caplog.records[-1]))
    assert line["decision_id"] == record["decision_id"] and line["mode"] == record["mode"]
    assert line["level"] == "debug" and line["logger"] == "cxreco.decider" and line["at"].endswith("+00:00")
    try:
        raise ValueError("odd")
    except ValueError:
        broken = logging.LogRecord("x", logging.ERROR, "", 0, "%s failed", ("it",), sys.exc_info())
    line = orjson.loads(JsonFormatter().format(broken))
    assert line["message"] == "it failed" and "ValueError: odd" in line["error"]
