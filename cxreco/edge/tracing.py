"""When each stage of a decision was through; and the same as OpenTelemetry spans, where that is configured.

Tracing is on where the environment says where traces go (`OTEL_EXPORTER_OTLP_ENDPOINT`, or `OTEL_TRACES_EXPORTER` other
than `none`); it needs the extra `cxreco[tracing]`. Off, nothing of it is imported.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cxreco.errors import BadSpec

SERVICE = "cxreco"


class Marks:
    """A stopwatch of named stages, in order; called with the name of the stage that is through.

    Attributes
    ----------
    marks
        Each stage, when it began and when it was through.
    """

    __slots__ = ("_since", "marks")

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self.marks: list[tuple[str, float, float]] = []

    def __call__(self, stage: str) -> None:
        """Note that a stage is through; the next begins."""
        now = time.perf_counter()
        self.marks.append((stage, self._since, now))
        self._since = now

    def again(self) -> None:
        """Have the next stage begin now: there was a pause."""
        self._since = time.perf_counter()

    def durations(self) -> Iterator[tuple[str, float]]:
        """Yield each stage and its seconds."""
        for stage, begun, through in self.marks:
            yield stage, through - begun


class Tracing:
    """Tells nobody: what serves where tracing is not configured."""

    @contextmanager
    def request(self, headers: Mapping[str, str], name: str) -> Iterator[None]:
        """Surround a request."""
        yield

    def decided(self, record: Mapping[str, Any], marks: Marks) -> None:
        """Tell of a decision and its stages."""

    @property
    def on(self) -> bool:
        """Whether anybody is told."""
        return False


class Spans(Tracing):
    """Tells OpenTelemetry: a span a request, in the caller's trace where they sent one; in it one a decision and stage.

    Parameters
    ----------
    tracer
        An `opentelemetry.trace.Tracer`.
    """

    def __init__(self, tracer: Any) -> None:  # noqa: ANN401 (no types of an optional part)
        from opentelemetry import propagate, trace

        self._tracer = tracer
        self._extract = propagate.extract
        self._in_span = trace.set_span_in_context

    @contextmanager
    def request(self, headers: Mapping[str, str], name: str) -> Iterator[None]:
        """Surround a request with a span."""
        with self._tracer.start_as_current_span(name, context=self._extract(headers)):
            yield

    def decided(self, record: Mapping[str, Any], marks: Marks) -> None:
        """Add a span of the decision to the current one, with one for each stage."""
        # Stages are timed by the monotonic clock; spans want the time of day.
        shift = time.time() - time.perf_counter()
        begun, end = marks.marks[0][1], marks.marks[-1][2]
        about = {
            "cxreco.decision_id": record["decision_id"],
            "cxreco.mode": str(record["mode"]),
            "cxreco.arm": str(record["policy"]["arm"]),
            "cxreco.policy_version": record["policy"]["version"],
            "cxreco.fallback": record["fallback"],
        }
        whole = self._tracer.start_span("decide", attributes=about, start_time=_nanos(begun + shift))
        for stage, since, through in marks.marks:
            span = self._tracer.start_span(stage, context=self._in_span(whole), start_time=_nanos(since + shift))
            span.end(_nanos(through + shift))
        whole.end(_nanos(end + shift))

    @property
    def on(self) -> bool:
        """Whether anybody is told."""
        return True


def tracing_of(environment: Mapping[str, str] = os.environ) -> Tracing:
    """Return what the environment configures.

    Raises
    ------
    BadSpec
        If traces are asked for and the packages for it are not installed.
    """
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    endpoint = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if exporter == "none" or not (exporter or endpoint):
        return Tracing()
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
    except ImportError as missing:
        raise BadSpec(
            "traces are asked for, but not installed: pip install 'cxreco[tracing]'", where="OTEL_*"
        ) from missing
    exported: SpanExporter
    if exporter == "console":
        exported = ConsoleSpanExporter()
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exported = OTLPSpanExporter()
    name = environment.get("OTEL_SERVICE_NAME", SERVICE)
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(exported))
    return Spans(provider.get_tracer(SERVICE))


def _nanos(seconds: float) -> int:
    return int(seconds * 1e9)
