"""A bounded load client for where wrk is not installed: raw sockets on asyncio, with little work a request."""

import asyncio
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any, cast

FRESH = b"@@"


class _Connection(asyncio.Protocol):
    """Sends the next request once the last is answered; knows answers with a content-length only."""

    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # Not `isinstance`: uvloop's transports are none of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Count a whole answer."""
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.split(b"\r\n")
        lengths = [int(line[15:]) for line in lines if line[:15].lower() == b"content-length:"]
        if len(rest) < (lengths[0] if lengths else 0):
            return
        self._buffer = b""
        self._run.answered(time.perf_counter() - self._sent_at, ok=lines[0][9:10] == b"2")
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """Count a connection that the server closed in the middle as an error."""
        self._run.lost(early=time.perf_counter() < self._run.until)

    def _next(self) -> None:
        assert self._transport is not None  # noqa: S101 (for the type checker)
        if time.perf_counter() >= self._run.until:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(self._run.request())


class _Run:
    """One load: what is sent, and what came of it."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked
        self._head = (
            f"{asked['method']} {asked['path']} HTTP/1.1\r\nhost: 127.0.0.1:{asked['port']}\r\n"
            "content-type: application/json\r\ncontent-length: "
        ).encode()
        lines = Path(asked["bodies"]).read_bytes().splitlines()
        self._bodies = itertools.cycle(lines)
        self._fresh = FRESH in lines[0]
        self._ids = itertools.count()
        self._open = 0
        self.until = 0.0
        self.took: list[float] = []
        self.errors = 0
        self.finished = asyncio.Event()

    def request(self) -> bytes:
        """Return the next request."""
        body = next(self._bodies)
        if self._fresh:
            parts = body.split(FRESH)
            ids = (f"{self._asked['prefix']}{n}".encode() for n in self._ids)
            body = b"".join(part + end for part, end in zip(parts, [*itertools.islice(ids, len(parts) - 1), b""]))  # noqa: B905
        return self._head + str(len(body)).encode() + b"\r\n\r\n" + body

    def answered(self, seconds: float, *, ok: bool) -> None:
        """Take note of an answer."""
        if ok:
            self.took.append(seconds)
        else:
            self.errors += 1

    def lost(self, *, early: bool) -> None:
        """Take note of a connection that ended."""
        self.errors += early
        self._open -= 1
        if self._open == 0:
            self.finished.set()

    async def go(self) -> dict[str, Any]:
        """Run it."""
        loop = asyncio.get_running_loop()
        begun = time.perf_counter()
        self.until = begun + self._asked["seconds"]
        self._open = self._asked["connections"]
        for _ in range(self._open):
            await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._asked["port"])
        await asyncio.wait_for(self.finished.wait(), self._asked["seconds"] + 30.0)
        took = sorted(self.took) or [float("nan")]
        latency = {f"p{p:g}": 1e3 * took[int(len(took) * p / 100)] for p in self._asked["percentiles"]}
        latency |= {"mean": 1e3 * sum(took) / len(took), "most": 1e3 * took[-1]}
        seconds = time.perf_counter() - begun
        return {"requests": len(self.took), "seconds": seconds, "errors": self.errors, "latency_ms": latency}


async def main() -> None:
    """Run what the only argument, JSON, asks for."""
    print("RESULT", json.dumps(await _Run(json.loads(sys.argv[1])).go()))


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main())
    except ImportError:
        asyncio.run(main())
