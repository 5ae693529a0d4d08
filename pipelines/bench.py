"""Bench: run one of the comparisons under `benchmarks/`, or list them."""

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cxreco.errors import BadInput, NotFound


def comparisons(folder: Path) -> dict[str, str]:
    """Return what can be run, by name, with the first line of what it says of itself."""
    docs = {
        path.stem: ast.get_docstring(ast.parse(path.read_text())) or "" for path in sorted(folder.glob("[a-z]*.py"))
    }
    return {name: doc.partition("\n")[0] for name, doc in docs.items()}


def run(name: str | None, options: Sequence[str], console: Console) -> int:
    """Run `benchmarks/NAME.py` with its options, or list what there is; return its exit code.

    Raises
    ------
    BadInput
        Outside the checkout: peers and data are not part of the package.
    NotFound
        If there is no such comparison.
    """
    folder = _folder()
    known = comparisons(folder)
    if name is None:
        table = Table("comparison", "what it measures", title="cxreco bench NAME")
        for row in known.items():
            table.add_row(*row)
        console.print(table)
        return 0
    if name not in known:
        raise NotFound(f"no comparison is called {name!r}; there are: {', '.join(known)}")
    return subprocess.call([sys.executable, str(folder / f"{name}.py"), *options])


def _folder() -> Path:
    folder = Path(__file__).resolve().parents[1] / "benchmarks"
    if not folder.is_dir() or not (folder.parent / "pyproject.toml").is_file():
        raise BadInput("the comparisons are part of the source checkout: run `make bench` there", where="benchmarks/")
    return folder
