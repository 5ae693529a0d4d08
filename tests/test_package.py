"""What is shipped: real files under `cxreco` only, and a command that works where no checkout is."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
EVERY_PIPELINE = """
import importlib, pkgutil, cxreco.pipelines
for found in pkgutil.iter_modules(cxreco.pipelines.__path__):
    print(importlib.import_module(f"cxreco.pipelines.{found.name}").__name__)
"""


def build(source: Path, target: str, out: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    return next(path for path in out.iterdir() if path.suffix == (".whl" if target == "wheel" else ".gz"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds the wheel as an installer would lay it out."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel: Path) -> None:
    held = names(wheel)
    assert {name.split("/")[0] for name in held} == {"cxreco", f"{wheel.name.split('-py3')[0]}.dist-info"}
    pipelines = {f"cxreco/pipelines/{path.name}" for path in (ROOT / "pipelines").glob("*.py")}
    specs = {f"cxreco/models/{path.name}" for path in (ROOT / "models").glob("*.toml")}
    assert held >= pipelines | specs | {"cxreco/py.typed", "cxreco/serve.py", "cxreco/cli.py"}
    assert [name for name in held if "__pycache__" in name or name.endswith((".nbi", ".nbc"))] == []
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("cxreco/serve.py") == (ROOT / "serve.py").read_bytes()
        assert b"cxreco = cxreco.cli:main" in archive.read(
            next(name for name in held if name.endswith("entry_points.txt"))
        )


def test_a_wheel_built_from_the_source_archive_is_the_same(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(build(ROOT, "sdist", tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    source = next((tmp_path / "source").iterdir())
    assert names(build(source, "wheel", tmp_path / "again")) == names(wheel)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from cxreco.cli import main; main(['--help'])", "import"),
        ("from cxreco.edge.specs import load_specs; print(sorted(load_specs().tables))", "guardrails"),
        ("import cxreco.serve as s; print(s.__file__)", "serve.py"),
        (EVERY_PIPELINE, "estimate"),
    ],
)
def test_it_works_where_no_checkout_is(installed: Path, tmp_path: Path, code: str, expected: str) -> None:
    told = f"import cxreco; assert cxreco.__file__.startswith({str(installed)!r}), cxreco.__file__\n{code}"
    kept = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    run = subprocess.run(
        [sys.executable, "-c", told],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(installed), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert expected in run.stdout
