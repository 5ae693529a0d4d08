"""What all tests share: a clean environment, compiled code that is never stale, and the real data sets."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
IN_CI = os.environ.get("CI", "").lower() == "true"


def _compiled_sources() -> str:
    """Digest of every file that compiled code is made of.

    numba notices a change in a function's own file, not in the files it calls into, so the cache's folder carries all.
    """
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted((ROOT / "cxreco").rglob("*.py")):
        text = path.read_bytes()
        if b"compiled" in text or path.name == "layout.py":
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + text)
    return digest.hexdigest()


# Before numba, LightGBM, matplotlib and MLflow are imported: they read these once.
for name in [name for name in os.environ if name.startswith("CXRECO_")]:
    del os.environ[name]
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".numba_cache" / _compiled_sources()))
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


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a fresh workspace folder, which `CXRECO_HOME` names and which is the working directory's neighbour."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "workspace"
    monkeypatch.setenv("CXRECO_HOME", str(folder))
    return folder
