"""What is counted and timed, for Prometheus; one registry an application, so that several may live in a process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

_FAST = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5)


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
        self.champion = Info("cxreco_champion", "The live playbook", registry=registry)

    def page(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self.registry)
