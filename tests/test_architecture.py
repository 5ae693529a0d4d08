"""The house rules that no linter holds: sizes, names, what may be imported, and what importing costs."""

import ast
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import TypingError
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
LINKS = {"pipelines": "../pipelines", "models": "../models", "serve.py": "../serve.py"}
BANNED_NAMES = {"utils", "util", "helpers", "common", "base", "misc", "manager", "managers"}
BANNED_IMPORTS = {"pickle", "cPickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}


def sources() -> list[Path]:
    """Every module of the product, once, where it really lies."""
    found = [path for folder in ("cxreco", "pipelines", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    return sorted({path.resolve() for path in [*found, ROOT / "serve.py"] if path.exists()})


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def loaded_by(module: str) -> set[str]:
    """Names of all modules that a fresh process has loaded after importing one."""
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(run.stdout))


def test_files_stay_short() -> None:
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in sources()}
    assert {name: count for name, count in lines.items() if count > 400} == {}
    assert statistics.median(lines.values()) <= 200


def test_modules_are_named_for_what_they_do() -> None:
    parts = {path: {*path.relative_to(ROOT).with_suffix("").parts} for path in sources()}
    assert [path for path, names in parts.items() if names & BANNED_NAMES] == []


def test_nothing_that_runs_code_when_loaded_is_imported() -> None:
    offences = [
        (path.name, name) for path in sources() for name in imported(path) if name.split(".")[0] in BANNED_IMPORTS
    ]
    assert offences == []


@pytest.mark.parametrize("folder", ["cxreco", "pipelines", "benchmarks", "tests"])
def test_every_module_has_one_name(folder: str) -> None:
    """The checkout's own folders are imported as `cxreco.pipelines` and `cxreco.serve`, as after installation."""
    offences = [
        (path.relative_to(ROOT).as_posix(), name)
        for path in (ROOT / folder).rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] in {"pipelines", "models", "serve", "benchmarks", "tests"}
    ]
    assert offences == []


@pytest.mark.parametrize(("link", "target"), LINKS.items())
def test_the_package_links_to_its_neighbours(link: str, target: str) -> None:
    path = ROOT / "cxreco" / link
    assert path.is_symlink()
    assert path.readlink().as_posix() == target
    assert path.exists()


def test_the_command_line_starts_light() -> None:
    loaded = loaded_by("cxreco.cli")
    heavy = {"mlflow", "pandas", "numpy", "numba", "lightgbm", "sklearn", "scipy", "fastapi", "pydantic", "duckdb"}
    assert loaded & heavy == set()
    assert {name for name in loaded if name.startswith("cxreco")} == {"cxreco", "cxreco.cli", "cxreco.errors"}


def test_serving_loads_neither_mlflow_nor_training_nor_what_only_training_needs() -> None:
    loaded = loaded_by("cxreco.serve")
    heavy = {"mlflow", "matplotlib", "sklearn", "pandas", "lightgbm", "duckdb", "pyarrow", "scipy.stats"}
    own = {"cxreco.repeat", "cxreco.world", "cxreco.pipelines", "cxreco.tables", "cxreco.respond.head_fitting"}
    assert loaded & (heavy | own) == set()


def test_an_inner_function_makes_no_array_and_returns_none() -> None:
    from cxreco.compiled import compiled_inner

    def cut(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x[1:]

    with pytest.raises(TypeError, match="plain number"):
        compiled_inner(cut)

    def fresh(n: int) -> float:
        return float(np.empty(n).sum())

    with pytest.raises(TypingError):
        compiled_inner(fresh)(3)


def test_compiled_code_is_cached_under_a_name_of_all_that_it_is_made_of() -> None:
    from cxreco.compiled import sources_digest

    texts = {
        "cxreco.a": b"from cxreco.compiled import compiled\nfrom cxreco.b import X\n",
        "cxreco.b": b"from cxreco.c import Y\n",
        "cxreco.c": b"Y = 1\n",
        "cxreco.d": b"Z = 1\n",
    }
    digest = sources_digest(texts)
    assert sources_digest(texts | {"cxreco.d": b"Z = 2\n"}) == digest
    for name in ("cxreco.a", "cxreco.b", "cxreco.c"):
        assert sources_digest(texts | {name: texts[name] + b"# changed\n"}) != digest


@pytest.mark.parametrize("given", [True, False])
def test_whoever_names_a_cache_keeps_it_and_one_that_cannot_be_written_is_said(tmp_path: Path, given: bool) -> None:
    code = "import numba, cxreco.chance as c; print(numba.config.CACHE_DIR); print(c.drawn.stats.cache_path)"
    (tmp_path / "taken").write_text("")
    own = {"NUMBA_CACHE_DIR": str(tmp_path / "mine")} if given else {"XDG_CACHE_HOME": str(tmp_path / "taken")}
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=kept | own
    )
    folder, path = run.stdout.split()
    assert folder.startswith(str(tmp_path))
    assert path.startswith(folder) == given
    assert ("cannot be written" in run.stderr) == (not given)
