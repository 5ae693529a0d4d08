"""Servers under test, each a process of its own on one core, on loopback, and stopped again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SERVER_CORE, CLIENT_CORE = 0, 1
HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port nobody listens on at the moment."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


def pinned(core: int) -> list[str]:
    """Return the words that put a command on one core; nothing where there is only one, or no such tool."""
    return ["taskset", "-c", str(core)] if (os.cpu_count() or 1) > 1 and Path("/usr/bin/taskset").exists() else []


@contextmanager
def serving(
    command: Sequence[str], port: int, *, ready: str, env: Mapping[str, str], log: Path, limit_s: float = 120.0
) -> Iterator[tuple[int, float]]:
    """Start a server on its core and yield its process id and the seconds until it was ready; stop it at the end.

    Raises
    ------
    RuntimeError
        If it ends, or is not ready in time; what it said is in `log`.
    """
    begun = time.perf_counter()
    with log.open("ab") as said:
        process = subprocess.Popen(
            [*pinned(SERVER_CORE), *command], env={**os.environ, **env}, stdout=said, stderr=said, cwd=log.parent,
            start_new_session=True,
        )  # fmt: skip
    try:
        while not answers(port, ready):
            if process.poll() is not None or time.perf_counter() - begun > limit_s:
                raise RuntimeError(f"{command[0]} did not become ready; see {log}:\n{log.read_text()[-2_000:]}")
            time.sleep(0.02)
        yield process.pid, time.perf_counter() - begun
    finally:
        _stopped(process)


def _stopped(process: "subprocess.Popen[bytes]") -> None:
    """Stop a server and whatever it started: MLflow has workers of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(port: int, path: str) -> bool:
    """Return whether a GET of the path is answered with 200."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=2.0) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def fetched(port: int, path: str) -> bytes:
    """Return what a GET of the path answers."""
    with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=5.0) as response:
        return bytes(response.read())


def posted(port: int, path: str, body: bytes) -> bytes:
    """Return what a POST of JSON answers."""
    request = urllib.request.Request(
        f"http://{HOST}:{port}{path}", body, {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30.0) as response:
        return bytes(response.read())


def own_mib(pid: int) -> float:
    """Return the memory of a process and its children that is their own, MiB.

    Pages of the log that SQLite maps are left out: they are the system's cache, and bounded by the mapping.
    """
    total = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        if int(status.parent.name) == pid or fields.get("PPid", "").strip() == str(pid):
            total += float(fields.get("RssAnon", "0 kB").split()[0]) / 1024.0
    return total


def cpu_s(pid: int) -> float:
    """Return the processor time a process and its children have used, seconds: what others do does not add to it."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(stat.parent.name) == pid or fields[1] == str(pid):
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def cxreco(home: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment of a cxreco server: one worker, durable, no arm but the champion."""
    command = [sys.executable, "-m", "cxreco.cli", "--home", str(home), "serve", "--port", str(port)]
    # Bytecode is kept from one start to the next, as on any machine where nobody has said otherwise.
    return command, {
        "CXRECO_ARMS": "champion=100", "CXRECO_LOG_LEVEL": "warning", "CXRECO_SALT": "benchmark",
        "PYTHONDONTWRITEBYTECODE": "",
    }  # fmt: skip


def bare(reply: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """Return the command of the floor: a FastAPI handler that checks the same body and returns the same bytes."""
    command = [sys.executable, str(Path(__file__).with_name("bare.py")), str(reply), str(port)]
    return command, {}


def mlflow(model: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """Return the command of what a user would pick otherwise, for scoring alone."""
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local",
        "-h", HOST, "-p", str(port), "-w", "1",
    ]  # fmt: skip
    # MLflow looks for uvicorn on the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return command, {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1", "PATH": path}
