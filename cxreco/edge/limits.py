"""What is checked of a request before anybody reads it: how many wait, how long its body is, whether it is JSON."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxreco.edge.metrics import Metrics
from cxreco.edge.problems import RETRY_AFTER_S, problem
from cxreco.edge.tracing import Tracing

MAX_BODY = 1 << 20
# Counted where a caller left before the body was whole: nobody was answered, and nothing of ours failed.
HUNG_UP = 499


class Room:
    """How many calls with a body are being answered; what comes beyond is sent away, so that none waits for long."""

    def __init__(self, most: int) -> None:
        self.taken = 0
        self._most = most

    @property
    def full(self) -> bool:
        """Whether there is room for no more."""
        return self.taken >= self._most


class Limits:
    """In front of an ASGI application: 429 where too many wait, 413 above 1 MiB, 415 for what is not JSON; and a clock.

    The body is read whole before the application runs, so that a chunked one cannot exceed the limit either.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, tracing: Tracing, room: Room) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not self._tracing.on:
            await self._served(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with self._tracing.request(headers, str(scope["method"])):
            await self._served(scope, receive, send)

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 500
        try:
            asked = self._admitted if scope["method"] in ("POST", "PUT") else self._passed_on
            status = await asked(scope, receive, send)
        finally:
            # The route is the template, not the path: an id must not become a label.
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.answered(scope["method"], route, status, time.perf_counter() - started)

    async def _passed_on(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Have the application answer; return with what status."""
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self._app(scope, receive, sending)
        return status

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer a request with a body; return with what status."""
        if self._room.full:
            after = {"retry-after": str(RETRY_AFTER_S)}
            answer = problem(429, "too many calls are waiting; send it again in a moment", headers=after)
            await answer(scope, receive, send)
            return answer.status_code
        self._room.taken += 1
        try:
            return await self._checked(scope, receive, send)
        finally:
            self._room.taken -= 1

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> int:
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        body = b"" if not declared.isdigit() or int(declared) <= MAX_BODY else None
        chunks: list[bytes] = []
        size, more = 0, body is not None
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return HUNG_UP
            chunks.append(message.get("body", b""))
            size, more = size + len(chunks[-1]), message.get("more_body", False)
            if size > MAX_BODY:
                body, more = None, False
        if body is None:
            answer = problem(413, f"a body may have {MAX_BODY} bytes; send the rows in several calls")
            await answer(scope, receive, send)
            return answer.status_code
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if size and kind != b"application/json":
            answer = problem(415, "send JSON, with content-type: application/json")
            await answer(scope, receive, send)
            return answer.status_code
        return await self._passed_on(scope, _replayed(b"".join(chunks), receive), send)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body again, then what else comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
