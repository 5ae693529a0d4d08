"""Load on a server from another process: wrk where it is installed, else a client of our own (`client.py`).

Both are closed loops: so many connections, each sending its next request once the last is answered, for so many
seconds. A latency is that of one request; at saturation it grows with the connections, and throughput does not.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from under_load.servers import CLIENT_CORE, HOST, cpu_s, pinned

# The same stand in `bodies.lua`.
PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9)
# Stands for an id in a body; each time it is sent, a new one is put there.
FRESH = "@@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of a load.

    Attributes
    ----------
    latency_ms
        By percentile, and the mean and the most.
    errors
        Answers that were not 2xx, and requests that got none.
    cpu_ms
        Processor time of the server a request; unlike the rest it does not depend on what else the machine does.
    """

    connections: int
    seconds: float
    requests: int
    per_second: float
    latency_ms: dict[str, float]
    errors: int
    client: str
    cpu_ms: float

    def plain(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is sent where, and to which process; `bodies` are sent in turn, `method` is POST or PUT."""

    port: int
    path: str
    bodies: Path
    pid: int
    method: str = "POST"


def bodies_file(path: Path, bodies: list[bytes]) -> Path:
    """Write bodies, one a line; JSON has no line breaks of its own."""
    path.write_bytes(b"\n".join(bodies) + b"\n")
    return path


def load(target: Target, *, connections: int, seconds: float, prefix: str = "") -> Load:
    """Put a load on a server and return what came of it; `prefix` makes the ids of this run its own."""
    wrk = shutil.which("wrk")
    command = _wrk(wrk, target, connections, seconds, prefix) if wrk else _own(target, connections, seconds, prefix)
    used = cpu_s(target.pid)
    done = subprocess.run(
        [*pinned(CLIENT_CORE), *command], capture_output=True, text=True, timeout=seconds + 60.0, check=True
    )
    told = json.loads(done.stdout.rpartition("RESULT ")[2])
    return Load(
        connections=connections, seconds=told["seconds"], requests=told["requests"],
        per_second=told["requests"] / told["seconds"], latency_ms=told["latency_ms"], errors=told["errors"],
        client="wrk" if wrk else "asyncio", cpu_ms=1e3 * (cpu_s(target.pid) - used) / max(told["requests"], 1),
    )  # fmt: skip


def _wrk(wrk: str, target: Target, connections: int, seconds: float, prefix: str) -> list[str]:
    script = str(Path(__file__).with_name("bodies.lua"))
    url = f"http://{HOST}:{target.port}{target.path}"
    asked = [str(target.bodies), target.method, prefix]
    timing = ["-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "--timeout", "30s"]
    return [wrk, *timing, "-s", script, url, "--", *asked]


def _own(target: Target, connections: int, seconds: float, prefix: str) -> list[str]:
    script = str(Path(__file__).with_name("client.py"))
    told = {"port": target.port, "path": target.path, "method": target.method, "bodies": str(target.bodies)}
    how = {"connections": connections, "seconds": seconds, "prefix": prefix, "percentiles": PERCENTILES}
    return [sys.executable, script, json.dumps({**told, **how})]
