"""What was measured, put beside what is to be reached, for people and as JSON."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

PACKAGES = (
    "cxreco", "fastapi", "uvicorn", "uvloop", "httptools", "pydantic", "orjson", "lightgbm", "mlflow", "numba", "numpy",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A target: what, the figure, and the bound it is held to; `above` says on which side it must lie."""

    what: str
    figure: float
    bound: float
    above: bool = True

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.figure >= self.bound if self.above else self.figure <= self.bound


def goals(found: Mapping[str, Any]) -> list[Goal]:
    """Return the targets that this run has figures for."""
    made: list[Goal] = []

    def add(what: str, figure: float | None, bound: float, *, above: bool = True) -> None:
        if figure is not None:
            made.append(Goal(what=what, figure=figure, bound=bound, above=above))

    decide = _at(found, "decide", "200", "8")
    if decide:
        add(
            "decide, 200 items: p99 over p50", decide["latency_ms"]["p99"] / decide["latency_ms"]["p50"], 5, above=False
        )
    add("decide over mlflow models serve, requests/s, in turn", _at(found, "turns", "over_mlflow", "median"), 20)
    add("decide over the bare FastAPI handler, requests/s, in turn", _at(found, "turns", "over_bare", "median"), 1 / 6)
    add("decisions answered with a safe `hold` for lack of time", _at(found, "safe_answers"), 0, above=False)
    ingest = _at(found, "ingest", "100")
    add("events/s over HTTP, durable, batches of 100", None if ingest is None else ingest["events_per_second"], 5_000)
    add("scoring 200 x 60 against Booster.predict", _at(found, "scoring", "times"), 10)
    add("bytes of state per customer, median", _at(found, "state_bytes", "median"), 1_024, above=False)
    add("replay, M events/s on one core (two: twice)", _millions(found), 0.5)
    add("seconds from start to ready", _at(found, "start_s"), 5, above=False)
    add("seconds to import the command line", _at(found, "import_s"), 0.5, above=False)
    soak = _at(found, "soak")
    if soak:
        add("soak: errors", soak["errors"], 0, above=False)
        slices = soak["decide_p99_ms"]
        add("soak: p99 of the slowest slice over the median one", max(slices) / median(slices), 5, above=False)
        grown = _at(soak, "grown_over_fresh_throughput", "median")
        add("soak: requests/s on its log over those on the log before it, in turn", grown, 0.9)
        add("soak: MiB grown from the second quarter to the last", soak["grown_mib"], soak["allowed_mib"], above=False)
    return made


def _millions(found: Mapping[str, Any]) -> float | None:
    rate = _at(found, "replay", "per_second_one_core")
    return None if rate is None else rate / 1e6


def _at(found: Mapping[str, Any], *path: str) -> Any:  # noqa: ANN401 (JSON)
    place: Any = found
    for name in path:
        if not isinstance(place, Mapping) or name not in place:
            return None
        place = place[name]
    return place


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print the tables."""
    http = Table(title="over HTTP, one server core", title_justify="left")
    for column in ("what", "connections", "requests/s", "p50 ms", "p90", "p99", "p99.9", "most", "errors", "CPU ms"):
        http.add_column(column, justify="left" if column == "what" else "right")
    for what, loads in _loads(found):
        for load in loads:
            ms = load["latency_ms"]
            spread = [f"{ms[name]:.2f}" for name in ("p50", "p90", "p99", "p99.9", "most")]
            http.add_row(
                what,
                str(load["connections"]),
                f"{load['per_second']:,.0f}",
                *spread,
                str(load["errors"]),
                f"{load['cpu_ms']:.2f}",
            )
    console.print(http)
    if _at(found, "bare", "8", "client") == "asyncio":
        console.print("[bold red]the client was the slow one: it gives out below the bare handler; install wrk[/]")
    table = Table("target", "measured", "bound", "", title="targets", title_justify="left")
    for goal in goals(found):
        bound = f"{'at least' if goal.above else 'at most'} {goal.bound:,.3g}"
        table.add_row(goal.what, f"{goal.figure:,.3g}", bound, "met" if goal.met else "[bold red]not met[/]")
    console.print(table)


def _loads(found: Mapping[str, Any]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    rows = [(f"decide, {n} items", list(by.values())) for n, by in found.get("decide", {}).items()]
    rows += [("bare FastAPI handler, same body and bytes", list(found.get("bare", {}).values()))]
    rows += [("mlflow models serve, 200 rows", list(found.get("mlflow", {}).values()))]
    return rows + [(f"events, batches of {n}", [load]) for n, load in found.get("ingest", {}).items()]


def hardware() -> dict[str, Any]:
    """Return what this ran on: figures of two machines are not to be compared, ratios may be."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: version(name) for name in PACKAGES},
        "load_before": os.getloadavg()[0],
    }


def keep(found: Mapping[str, Any], path: Path, console: Console) -> None:
    """Write the figures as JSON, making the folder where there is none, and say where they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    console.print(f"written to {path}", highlight=False)
