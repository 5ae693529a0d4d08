"""Serving: decisions and events over HTTP beside a bare FastAPI handler and `mlflow models serve`; and a soak.

Everything runs on loopback, bounded in count and time, on a shop that is simulated for the purpose: the server on one
core, the load on another. Ratios are of one run on one machine.
"""

import argparse
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from under_load import parts, report, servers
from under_load.load import FRESH, Load, Target, bodies_file, load
from under_load.shop import CANDIDATES, QUICK, Built, Scale, build, go_live
from under_load.turns import in_turn, quartiles, rates

from cxreco.edge.clock import now
from cxreco.recognise.contract import write_time

CONNECTIONS = (1, 8, 32)
BATCHES = (1, 100, 1_000)
MLFLOW_ROWS = 200
SECTIONS = ("parts", "start", "bare", "decide", "ingest", "mlflow", "turns", "soak")
ROUNDS = 12


class Bench:
    """One run: the workspace, how long each point is measured, and what was found so far."""

    def __init__(self, folder: Path, built: Built, seconds: float, step: Callable[[str], None]) -> None:
        self.folder = folder
        self.built = built
        self.seconds = seconds
        self.step = step
        self.moments = bodies_file(folder / "moments.jsonl", built.moments)
        self.runs = itertools.count()
        self.safe_answers = 0.0

    @contextmanager
    def serving(self, home: Path | None = None) -> Iterator[tuple[int, int, float]]:
        """Start cxreco on the workspace, or on another; yields (port, process id, seconds to ready)."""
        port = servers.free_port()
        command, env = servers.cxreco(home or self.built.home, port)
        with servers.serving(command, port, ready="/readyz", env=env, log=self.folder / "cxreco.log") as (pid, seconds):
            yield port, pid, seconds

    def points(self, what: str, target: Target) -> dict[str, Any]:
        """Measure at every number of connections, after a run that is not counted."""
        load(target, connections=8, seconds=min(self.seconds, 2.0))
        found = {}
        for connections in CONNECTIONS:
            self.step(f"{what}, {connections} connections")
            found[str(connections)] = load(target, connections=connections, seconds=self.seconds).plain()
        return found

    def decide(self) -> dict[str, Any]:
        """Measure decisions at every number of candidate items."""
        found = {}
        with self.serving() as (port, pid, _):
            for n in CANDIDATES:
                version, sha256 = self.built.playbooks[n]
                go_live(self.built.home, version, sha256)
                _until(partial(_live, port, version))
                target = Target(port=port, path="/v1/decisions", bodies=self.moments, pid=pid)
                found[str(n)] = self.points(f"decide, {n} items", target)
            self.safe_answers = _meter(port, "cxreco_fallbacks_total")
        go_live(self.built.home, *self.built.playbooks[200])
        return found

    def bare(self) -> dict[str, Any]:
        """Measure the floor with a reply of the usual length."""
        with self.bare_handler() as target:
            return self.points("bare handler", target)

    @contextmanager
    def bare_handler(self) -> Iterator[Target]:
        """Start the bare handler with a reply of the usual length; yields what to send it."""
        with self.serving() as (port, _, _):
            replies = [servers.posted(port, "/v1/decisions", body) for body in self.built.moments[:101]]
        reply = self.folder / "reply.json"
        reply.write_bytes(sorted(replies, key=len)[len(replies) // 2])
        port = servers.free_port()
        command, env = servers.bare(reply, port)
        with servers.serving(command, port, ready="/healthz", env=env, log=self.folder / "bare.log") as (pid, _):
            yield Target(port=port, path="/v1/decisions", bodies=self.moments, pid=pid)

    def mlflow(self) -> dict[str, Any]:
        """Measure what scores the same rows with the same ranker, and does nothing else."""
        with self.mlflow_serving() as target:
            return self.points("mlflow models serve", target)

    @contextmanager
    def mlflow_serving(self) -> Iterator[Target]:
        """Start mlflow on the ranker; yields what to send it."""
        model, rows = self.folder / "model", self.folder / "rows.jsonl"
        if not model.exists():
            (self.folder / "ranker.txt").write_text(self.built.ranker)
            self.step("saving the ranker for mlflow")
            script = Path(__file__).with_name("under_load") / "for_mlflow.py"
            subprocess.run(
                [sys.executable, str(script), str(self.folder / "ranker.txt"), str(model), str(rows), str(MLFLOW_ROWS)],
                check=True, capture_output=True,
            )  # fmt: skip
        port = servers.free_port()
        command, env = servers.mlflow(model, port)
        with servers.serving(command, port, ready="/ping", env=env, log=self.folder / "mlflow.log") as (pid, _):
            yield Target(port=port, path="/invocations", bodies=rows, pid=pid)

    def turns(self, rounds: int, seconds: float) -> dict[str, Any]:
        """Measure decisions of 200 items, the bare handler and mlflow in turn: the ratios that targets are held to."""
        with self.bare_handler() as bare, self.mlflow_serving() as mlflow, self.serving() as (port, pid, _):
            ours = Target(port=port, path="/v1/decisions", bodies=self.moments, pid=pid)
            loads = in_turn(
                {"cxreco": ours, "bare": bare, "mlflow": mlflow},
                rounds=rounds, seconds=seconds, connections=8, step=self.step,
            )  # fmt: skip
        own = rates(loads["cxreco"])
        return {
            "per_second": {name: statistics.median(rates(found)) for name, found in loads.items()},
            "cpu_ms": {name: statistics.median(one.cpu_ms for one in found) for name, found in loads.items()},
            "over_bare": quartiles(own, rates(loads["bare"])), "over_mlflow": quartiles(own, rates(loads["mlflow"])),
        }  # fmt: skip

    def ingest(self) -> dict[str, Any]:
        """Measure events at every size of batch."""
        found = {}
        with self.serving() as (port, pid, _):
            for size in BATCHES:
                self.step(f"events, batches of {size}")
                done = self._sent(port, pid, size, self.seconds)
                found[str(size)] = {**done.plain(), "events_per_second": done.per_second * size}
        return found

    def soak(self, seconds: float) -> dict[str, Any]:
        """Decide and ingest in turn for a long time, watching memory and errors; then beside the log of before."""
        slice_s = max(min(seconds / 40, 10.0), 1.0)
        before_it = self.folder / "before-the-soak"
        shutil.copytree(self.built.home, before_it)
        memory: list[float] = []
        loads: list[Load] = []
        with self.serving() as (port, pid, _):
            target = Target(port=port, path="/v1/decisions", bodies=self.moments, pid=pid)
            begun = time.perf_counter()
            while (gone := time.perf_counter() - begun) < seconds:
                self.step(f"soak, {gone:.0f} of {seconds:.0f} s, {memory[-1] if memory else 0:.0f} MiB")
                loads += [load(target, connections=8, seconds=slice_s), self._sent(port, pid, 100, slice_s / 4)]
                memory.append(servers.own_mib(pid))
        grown = self._grown(before_it, rounds=ROUNDS if seconds > 60.0 else 4)
        quarter = max(len(memory) // 4, 1)
        # The caches fill in the first quarter.
        before, after = statistics.median(memory[quarter : 2 * quarter] or memory), statistics.median(memory[-quarter:])
        return {
            "seconds": seconds, "requests": sum(one.requests for one in loads),
            "errors": sum(one.errors for one in loads), "memory_mib": memory, "grown_mib": after - before,
            "allowed_mib": 0.05 * before, "decide_p99_ms": [one.latency_ms["p99"] for one in loads[::2]],
            "decide_per_second": [one.per_second for one in loads[::2]], **grown,
        }  # fmt: skip

    def _grown(self, before_it: Path, rounds: int) -> dict[str, Any]:
        """Measure the grown log beside a copy from before the soak, in turn: hours of load tell of the machine too."""
        with self.serving(before_it) as (fresh_port, fresh_pid, _), self.serving() as (port, pid, _):
            fresh = Target(port=fresh_port, path="/v1/decisions", bodies=self.moments, pid=fresh_pid)
            grown = Target(port=port, path="/v1/decisions", bodies=self.moments, pid=pid)
            loads = in_turn(
                {"grown": grown, "fresh": fresh}, rounds=rounds, seconds=2.0, connections=8, step=self.step
            )  # fmt: skip
        shutil.rmtree(before_it)
        cpu = {name: [one.cpu_ms for one in found] for name, found in loads.items()}
        return {
            "grown_over_fresh_throughput": quartiles(rates(loads["grown"]), rates(loads["fresh"])),
            "grown_over_fresh_cpu": quartiles(cpu["grown"], cpu["fresh"]),
        }

    def start(self, repeat: int) -> float:
        """Return the median seconds from the start of a server to its readiness."""
        took = []
        for _ in range(repeat):
            with self.serving() as (_, _, seconds):
                took.append(seconds)
        return statistics.median(took)

    def _sent(self, port: int, pid: int, size: int, seconds: float) -> Load:
        # They happen as they are sent: resent with their old times, each would be late behind the one before.
        at = write_time(now())
        rows = itertools.cycle({**row, "event_id": FRESH, "occurred_at": at} for row in self.built.events)
        count = max(len(self.built.events) // size, 4)
        bodies = [orjson.dumps({"events": list(itertools.islice(rows, size))}) for _ in range(count)]
        path = bodies_file(self.folder / f"events-{size}.jsonl", bodies)
        target = Target(port=port, path="/v1/events", bodies=path, pid=pid)
        return load(target, connections=8, seconds=seconds, prefix=f"run{next(self.runs)}-")


def _meter(port: int, name: str) -> float:
    """Return a meter of the server, over all its labels."""
    lines = servers.fetched(port, "/metrics").decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def _live(port: int, version: str) -> bool:
    return version.encode() in servers.fetched(port, "/readyz")


def _until(true: Callable[[], bool], limit_s: float = 30.0) -> None:
    begun = time.perf_counter()
    while not true():
        if time.perf_counter() - begun > limit_s:
            raise TimeoutError("the new champion did not go live")
        time.sleep(0.1)


def measured(asked: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Build the workspace, run the sections asked for, and return what was found; others stay as they were kept."""
    found: dict[str, Any] = json.loads(asked.out.read_text()) if asked.only and asked.out.exists() else {}
    now_and_here = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "hardware": report.hardware()}

    def step(what: str) -> None:
        console.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/] {what}", highlight=False)

    with tempfile.TemporaryDirectory(prefix="cxreco-bench-") as made:
        folder = asked.keep or Path(made)
        built = build(folder, QUICK if asked.quick else Scale(), step)
        bench = Bench(folder, built, asked.seconds or (2.0 if asked.quick else 8.0), step)
        found["workspace"] = built.about
        sections: dict[str, Callable[[], dict[str, Any]]] = {
            "parts": lambda: _parts(built.home, asked.quick, step),
            "start": lambda: {"start_s": bench.start(2 if asked.quick else 5)},
            "bare": lambda: {"bare": bench.bare()},
            "decide": lambda: {"decide": bench.decide(), "safe_answers": bench.safe_answers},
            "ingest": lambda: {"ingest": bench.ingest()},
            "mlflow": lambda: {"mlflow": bench.mlflow()},
            "turns": lambda: {"turns": bench.turns(4 if asked.quick else ROUNDS, 2.0)},
            "soak": lambda: {"soak": bench.soak(asked.soak)} if asked.soak else {},
        }
        for name in asked.only or SECTIONS:
            found |= sections[name]()
            found["ran"] = found.get("ran", {}) | {name: now_and_here}
            # After each, so that a section that fails takes nothing with it.
            asked.out.write_text(json.dumps(found, indent=1) + "\n")
    return found


def _parts(home: Path, quick: bool, step: Callable[[str], None]) -> dict[str, Any]:
    step("scoring, state, replay, imports")
    return {
        "scoring": parts.scoring(200),
        "state_bytes": parts.state_bytes(home),
        "replay": parts.replaying(home, 200_000 if quick else 2_000_000),
        "import_s": parts.import_s(5 if quick else 11),
    }


def main() -> int:
    """Measure, print, and write the figures with what they were measured on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small shop and short points: to see that it works")
    parser.add_argument("--seconds", type=float, help="for each point (default 8, quick 2)")
    parser.add_argument("--soak", type=float, default=None, help="seconds (default 600, quick 20; 0: none)")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="some of the sections, the others stay as kept")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "serving.json")
    parser.add_argument("--keep", type=Path, help="a new folder for the workspace, kept for a look at it")
    asked = parser.parse_args()
    asked.soak = (20.0 if asked.quick else 600.0) if asked.soak is None else min(asked.soak, 3_600.0)
    console = Console() if Console().is_terminal else Console(width=180)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    found = measured(asked, console)
    report.show(found, console)
    console.print(f"written to {asked.out}", highlight=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
