"""What all tests share: a clean environment and the real data sets."""

import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import hypothesis
import pytest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cxreco.respond.playbook import Playbook

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
CATEGORIES = ("drinks", "dairy", "bakery", "cereal")
IN_CI = os.environ.get("CI", "").lower() == "true"
POSTGRES_URL = os.environ.get("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


# Before LightGBM, matplotlib and MLflow are imported: they read these once.
for name in [name for name in os.environ if name.startswith("CXRECO_")]:
    del os.environ[name]
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers share the cores already; more threads in each only wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("cxreco", deadline=None, derandomize=IN_CI, print_blob=True)
hypothesis.settings.load_profile("cxreco")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that read real data, so that `-m "not data"` leaves them out."""
    for item in items:
        if "data_file" in getattr(item, "fixturenames", ()):
            item.add_marker("data")


@pytest.fixture(scope="session")
def sold() -> Callable[[Sequence[tuple[int, int, float]]], "NDArray[np.void]"]:
    """Make order lines of one unit from rows of customer, item and day."""
    import numpy as np

    from cxreco.journey import DAY
    from cxreco.recognise.layout import TICK, Kind
    from cxreco.recognise.replay import sort_ticks

    def ticks(rows: Sequence[tuple[int, int, float]]) -> "NDArray[np.void]":
        made = np.zeros(len(rows), TICK)
        made["kind"], made["quantity"] = Kind.ORDER_LINE, 1.0
        for number, (customer, item, day) in enumerate(rows):
            made[number]["customer"], made[number]["item"] = customer, item
            made[number]["at"], made[number]["seq"] = round(day * DAY), number
        return sort_ticks(made)

    return ticks


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    """Find a real data set by its name under `../shared/data`; where it is absent, skip, but never in CI."""

    def find(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.exists():
            reason = f"real data not found beside the checkout: {path}"
            if IN_CI:
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find


def absent(what: str, error: Exception) -> None:
    """Skip where a real part is not there, but never in CI."""
    reason = f"{what} is not there: {error}"
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def make_postgres_url() -> Iterator[Callable[[], str]]:
    """Return a maker of PostgreSQL URLs, each of an empty schema of its own that goes when the test ends."""
    import psycopg

    made: list[str] = []

    def make() -> str:
        schema = f"cxreco_test_{uuid.uuid4().hex}"
        try:
            with psycopg.connect(POSTGRES_URL, autocommit=True, connect_timeout=2) as connection:
                connection.execute(f"CREATE SCHEMA {schema}")
        except psycopg.Error as error:
            absent("PostgreSQL", error)
        made.append(schema)
        return f"{POSTGRES_URL}?options=-csearch_path%3D{schema}"

    yield make
    if made:
        with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
            connection.execute("SET client_min_messages = warning")
            for schema in made:
                connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def postgres_url(make_postgres_url: Callable[[], str]) -> str:
    """Return the URL of an empty PostgreSQL schema that goes when the test ends."""
    return make_postgres_url()


@pytest.fixture
def redis_url() -> str:
    """Return the URL of a Redis; what a test puts there has a name of its own and is short."""
    import redis

    try:
        with redis.Redis.from_url(REDIS_URL, socket_timeout=2) as client:
            client.ping()
    except redis.RedisError as error:
        absent("Redis", error)
    return REDIS_URL


class Line:
    """A line to a server on this machine that can be cut, held and mended: what a restart looks like from outside."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._flowing = threading.Event()
        self._flowing.set()
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = self._listener.getsockname()[1]
        self._accept()
        user = f"{self._target.username}@" if self._target.username else ""
        self.url = self._target._replace(netloc=f"{user}127.0.0.1:{self._port}").geturl()

    def cut(self) -> None:
        """Break all connections and refuse new ones."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Accept connections again."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._accept()

    def hold(self) -> None:
        """Let nothing through: connections stay, and nobody answers."""
        self._flowing.clear()

    def let_go(self) -> None:
        """Let through what was held."""
        self._flowing.set()

    def close(self) -> None:
        """Break everything for good."""
        self._flowing.set()
        with contextlib.suppress(OSError):
            self.cut()

    def _accept(self) -> None:
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection((self._target.hostname, self._target.port))
            self._ends += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self._flowing.wait()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def make_line() -> Iterator[Callable[[str], Line]]:
    """Return a maker of lines to the server that a URL names; `line.url` leads there through the line."""
    lines: list[Line] = []

    def make(url: str) -> Line:
        lines.append(Line(url))
        return lines[-1]

    yield make
    for line in lines:
        line.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a fresh workspace folder, which `CXRECO_HOME` names and which is the working directory's neighbour."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "workspace"
    monkeypatch.setenv("CXRECO_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def playbook() -> "Playbook":
    """Return a playbook that nobody has trained: beliefs decide, and every category of CATEGORIES stands at notice."""
    from cxreco.edge.specs import load_specs
    from cxreco.repeat.value_training import ANSWERED, Answers, Undisturbed, ValueSpec, fit_value
    from cxreco.request.actions import Actions
    from cxreco.request.need import NeedModel
    from cxreco.request.propose import RequestModels
    from cxreco.request.ranker import Blend
    from cxreco.respond.guardrails import Guardrails
    from cxreco.respond.ladder import Ladder
    from cxreco.respond.playbook import Playbook, sealed
    from cxreco.respond.policy import Policy
    from cxreco.respond.worth import Worth

    specs = load_specs()
    guardrails = Guardrails.from_spec(specs["guardrails"])
    worth = Worth.from_spec(specs["reward"])
    nobody = Undisturbed.none()
    nobody_acted = nobody.at.astype(bool)
    nothing = Answers(
        x=nobody.x, hold_x=nobody.x, mode=nobody.at.astype("i2"), contact=nobody_acted,
        outcomes=dict.fromkeys(ANSWERED, nobody.soon), ripe=dict.fromkeys(ANSWERED, nobody_acted), stopped=nobody.soon,
        ordered=nobody.soon, window_over=nobody_acted, margin=nobody.margin, margin_soon=nobody.margin, at=nobody.at,
    )  # fmt: skip
    value = fit_value(
        ValueSpec.from_spec(specs["value"]), worth, nobody, nothing, returns={"returned": worth.return_rate}
    )
    need = NeedModel.from_spec(specs["need"])
    return sealed(
        Playbook(
            name="connected",
            salt="salt of the tests",
            trained_to=0,
            position=0,
            decisions=0,
            spec=specs.sha256,
            request=RequestModels(ranker=Blend(), need=need, actions=Actions.from_spec(specs["actions"])),
            value=value,
            policy=Policy.from_spec(specs["policy"]),
            guardrails=guardrails,
            ladder=Ladder(bar=guardrails.bar, notice=dict.fromkeys(CATEGORIES, 0.01)),
        )
    )
