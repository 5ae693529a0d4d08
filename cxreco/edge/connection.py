"""A connection of uvicorn's (HTTP/1.1) that takes asks for decisions to the desk, and all else to the application."""

from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from cxreco.edge.desk import DECISIONS, DESK, Caller, Desk

# What fits into memory without the flow control of long bodies.
SHORT = 1 << 15
_JSON = b"application/json"
_Headers = Sequence[tuple[bytes, bytes]]


class Connection(HttpToolsProtocol):
    """See the module; a uvicorn that starts its tasks otherwise has all go to the application."""

    _asking: "_Request | None" = None
    _head: tuple[_Headers, bytes] = ((), b"")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 (a type of uvicorn's own)
        desk = self.app_state.get(DESK)
        # The application waits for callers who do not read; a log of accesses is uvicorn's own.
        slow = self.flow.write_paused or self.config.access_log or app is not self.app
        if desk is None or slow or not _is_ask(cycle):
            self.start(cycle, app)
            return
        self._asking = _Request(self, cycle, desk)
        self._ask_if_whole()

    def on_message_complete(self) -> None:
        """Take note that a body is whole."""
        super().on_message_complete()
        self._ask_if_whole()

    def start(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 (as above)
        """Have an application answer a request."""
        super()._start_asgi_task(cycle, app)

    def answer(self, cycle: RequestResponseCycle, body: bytes) -> None:
        """Answer a request, as `RequestResponseCycle.send` would two messages."""
        if cycle.disconnected:
            return
        cycle.response_started = cycle.response_complete = True
        end = b"\r\n\r\n" if cycle.keep_alive else b"\r\nconnection: close\r\n\r\n"
        self.transport.write(b"".join((self._headed(), str(len(body)).encode(), end, body)))
        if not cycle.keep_alive:
            self.transport.close()
        # As after a task: the two need not wait for the collector.
        told, cycle.on_response = cycle.on_response, _nothing
        told()

    def _ask_if_whole(self) -> None:
        request = self._asking
        if request is not None and not request.cycle.more_body:
            self._asking = None
            request.desk.ask(request)

    def _headed(self) -> bytes:
        """Return how an answer begins; uvicorn has new headers every second."""
        headers = self.server_state.default_headers
        if self._head[0] is not headers:
            lines = (b"%s: %s\r\n" % header for header in (*headers, (b"content-type", _JSON)))
            self._head = headers, b"".join((STATUS_LINE[200], *lines, b"content-length: "))
        return self._head[1]


class _Request(Caller):
    """An ask that came by a connection."""

    __slots__ = ("_connection", "cycle", "desk")

    def __init__(self, connection: Connection, cycle: RequestResponseCycle, desk: Desk) -> None:
        super().__init__()
        self._connection = connection
        self.cycle = cycle
        self.desk = desk

    @property
    def scope(self) -> Scope:
        """See `Caller.scope`."""
        return dict(self.cycle.scope)

    @property
    def body(self) -> bytes:
        """See `Caller.body`."""
        return bytes(self.cycle.body)

    def answered(self, body: bytes) -> None:
        """See `Caller.answered`."""
        self._connection.answer(self.cycle, body)

    def passed_on(self, app: ASGIApp | None = None) -> None:
        """See `Caller.passed_on`."""
        self._connection.start(self.cycle, app or self._connection.app)


def _nothing() -> None:
    pass


def _is_ask(cycle: RequestResponseCycle) -> bool:
    scope = cycle.scope
    if scope["path"] != DECISIONS or scope["method"] != "POST" or cycle.waiting_for_100_continue:
        return False
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    return length.isdigit() and int(length) <= SHORT and headers.get(b"content-type") == _JSON
