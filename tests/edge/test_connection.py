"""Asks that come by a connection of their own are answered as the application answers them, byte for byte."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
import uvicorn

from cxreco.edge.api import create_app
from cxreco.edge.connection import SHORT, Connection
from cxreco.edge.engine import Engine

ASK = {"customer_id": "ann", "surface": "home"}


class Line:
    """A connection to a server, and what came back by it that was not read yet."""

    def __init__(self, port: int, room: int = 1 << 16) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self._socket.settimeout(30.0)
        self._socket.connect(("127.0.0.1", port))
        self._there = b""

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], Any]:
        """Return the status, the headers and the JSON of the next answer."""
        while b"\r\n\r\n" not in self._there:
            self._more()
        head, _, self._there = self._there.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(self._there) < int(headers["content-length"]):
            self._more()
        body, self._there = self._there[: int(headers["content-length"])], self._there[int(headers["content-length"]) :]
        return int(first.split()[1]), headers, orjson.loads(body)

    def ended(self) -> bool:
        return not self._there and self._socket.recv(1) == b""

    def close(self) -> None:
        self._socket.close()

    def _more(self) -> None:
        got = self._socket.recv(1 << 16)
        assert got, "the server hung up"
        self._there += got


def request(body: object, *headers: str, path: str = "/v1/decisions", version: str = "1.1") -> bytes:
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    lines = [f"POST {path} HTTP/{version}", "host: shop", f"content-length: {len(sent)}", *headers]
    if not any(line.startswith("content-type") for line in headers):
        lines.append("content-type: application/json")
    return "\r\n".join([*lines, "", ""]).encode() + sent


@contextmanager
def serving(engine: Engine, http: Any) -> Iterator[int]:
    """Serve an engine on a port of its own, by connections of a kind."""
    app = create_app(engine, background=False)
    # The engine is the test's.
    engine.store.close, kept = lambda: None, engine.store.close  # type: ignore[method-assign]
    server = uvicorn.Server(uvicorn.Config(app, http=http, port=0, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30.0)
        engine.store.close = kept  # type: ignore[method-assign]
    assert not thread.is_alive()


@pytest.fixture
def port(shop: Engine) -> Iterator[int]:
    with serving(shop, Connection) as port:
        yield port


@pytest.fixture
def line(port: int) -> Iterator[Line]:
    line = Line(port)
    yield line
    line.close()


def test_answers_are_those_of_the_application(shop: Engine) -> None:
    sent = [
        request({**ASK, "request_id": "one", "explain": True}),
        request({**ASK, "request_id": "one", "query": "tea"}),
        request({**ASK, "max_items": 0}),
        request(b"{"),
        request(ASK, "content-type: text/plain"),
        request({**ASK, "request_id": "two", "attributes": {"x": "y" * 200, **{f"{n}": "z" * 250 for n in range(99)}}}),
        request({**ASK, "request_id": "two"}, "content-type: application/json; charset=utf-8"),
        request({}, path="/v1/decisions/none"),
    ]
    answers = []
    for http in (Connection, "httptools"):
        with serving(shop, http) as port:
            line = Line(port)
            told = []
            for one in sent:
                line.send(one)
                status, headers, body = line.answer()
                told.append((status, {name: headers[name] for name in headers if name != "date"}, body))
            answers.append(told)
            line.close()
    assert answers[0] == answers[1]
    assert [status for status, _, _ in answers[0]] == [200, 409, 422, 422, 415, 200, 409, 405]
    assert {"server", "content-type", "content-length"} == set(answers[0][0][1])


def test_an_ask_goes_past_the_application(shop: Engine, port: int, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn has no promise of the seam that this hangs on: where it is gone, all goes the long way, unnoticed."""
    started: list[object] = []
    start = Connection.start

    def noted(self: Connection, cycle: Any, app: Any) -> None:
        started.append(cycle.scope["path"])
        start(self, cycle, app)

    monkeypatch.setattr(Connection, "start", noted)
    for sent in (request(ASK), request(ASK, "content-type: application/json; charset=utf-8"), request(ASK)):
        line.send(sent)
        assert line.answer()[0] == 200
    assert started == ["/v1/decisions"]
    value = shop.metrics.registry.get_sample_value
    shop.metrics.page()
    counted = {"method": "POST", "route": "/v1/decisions", "status": "200"}
    assert value("cxreco_requests_total", counted) == 3.0


def test_a_body_may_come_in_pieces(line: Line) -> None:
    sent = request({**ASK, "customer_id": "bob"})
    for at in range(0, len(sent), 40):
        line.send(sent[at : at + 40])
        time.sleep(0.002)
    assert line.answer()[2]["customer_id"] == "bob"


def test_requests_may_be_sent_before_answers_have_come(line: Line) -> None:
    names = ["ann", "bob", "eve", "nobody"]
    line.send(b"".join(request({**ASK, "customer_id": name}) for name in names) + b"GET /healthz HTTP/1.1\r\n\r\n")
    assert [line.answer()[2]["customer_id"] for _ in names] == names
    assert line.answer()[2] == {"status": "ok"}


def test_whoever_reads_late_is_waited_for_and_misses_nothing(shop: Engine, port: int) -> None:
    line, many, begun = Line(port, room=4_096), 60, shop.store.position()
    # Each explained at length, so that what is not read piles up.
    sent = b"".join(request({**ASK, "request_id": f"{n}", "explain": True}) for n in range(many))
    writing = threading.Thread(target=line.send, args=(sent,))
    writing.start()
    time.sleep(0.5)
    answers = [line.answer() for _ in range(many)]
    writing.join()
    line.close()
    assert [status for status, _, _ in answers] == [200] * many
    assert len({body["decision_id"] for _, _, body in answers}) == many
    assert shop.store.position() == begun + many


def test_many_at_once_are_each_answered_by_their_own_connection(port: int) -> None:
    lines = [Line(port) for _ in range(30)]
    for turn in range(3):
        for n, line in enumerate(lines):
            line.send(request({**ASK, "customer_id": f"{turn}-{n}"}))
        assert [line.answer()[2]["customer_id"] for line in lines] == [f"{turn}-{n}" for n in range(30)]
    for line in lines:
        line.close()


def test_whoever_wants_no_more_is_let_go(port: int) -> None:
    for sent in (request(ASK, "connection: close"), request(ASK, version="1.0")):
        line = Line(port)
        line.send(sent)
        status, headers, _ = line.answer()
        assert status == 200 and headers["connection"] == "close" and line.ended()
        line.close()


def test_a_caller_who_hangs_up_harms_nobody(shop: Engine, port: int, line: Line) -> None:
    before = shop.store.position()
    gone = Line(port)
    gone.send(request({**ASK, "customer_id": "gone"}))
    gone.close()
    half = Line(port)
    half.send(request(ASK)[:-5])
    half.close()
    line.send(request(ASK))
    assert line.answer()[0] == 200
    assert shop.store.position() <= before + 2


def test_what_is_long_or_asks_leave_goes_to_the_application(line: Line) -> None:
    line.send(request({**ASK, "query": "x" * (SHORT + 1)}))
    assert line.answer()[0] == 422
    body = orjson.dumps(ASK)
    head = request(b"", "expect: 100-continue").replace(b"content-length: 0", f"content-length: {len(body)}".encode())
    line.send(head)
    line.send(body)
    assert b"100 Continue" in line._socket.recv(25)
    assert line.answer()[0] == 200


def test_there_is_room_for_so_many_and_no_more(shop: Engine) -> None:
    shop.settings = shop.settings.model_copy(update={"max_in_flight": 3})
    with serving(shop, Connection) as port:
        lines = [Line(port) for _ in range(8)]
        with shop.lock:
            for line in lines:
                line.send(request(ASK))
            time.sleep(0.2)
        statuses = [line.answer()[0] for line in lines]
        for line in lines:
            line.close()
    assert set(statuses) <= {200, 429} and statuses.count(200) >= 3
