"""An environment of its own for `obp`: it pins versions of NumPy, scikit-learn and Python that cxreco has left."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cxreco.errors import BadInput

PEER, PYTHON = "obp==0.5.7", "3.10"
# The seaborn that obp asks for registers its colours in a way that later versions of matplotlib refuse.
HELD_BACK = "matplotlib<3.9"


def python_of_obp() -> Path:
    """Return an interpreter that has `obp`; uv makes it at first, in the cache folder (a large download)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cxreco" / PEER.replace("==", "-")
    python, ready = cache / "bin" / "python", cache / "ready"
    if not ready.exists():
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        if uv is None:
            raise BadInput("needs uv to make an environment for obp: run `make setup`", where="open_bandit")
        _run(uv, "venv", "--clear", "-q", "-p", _interpreter(), str(cache))
        _run(uv, "pip", "install", "-q", "-p", str(python), PEER, HELD_BACK)
        ready.touch()
    return python


def _interpreter() -> str:
    """Return pyenv's Python that obp supports; else its number, which uv looks for on the path or downloads."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return next((str(path) for path in sorted(pyenv.glob(f"{PYTHON}.*/bin/python"))), PYTHON)


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise BadInput(f"{' '.join(command[:3])}: {done.stderr.strip()[-500:]}", where="the environment of obp")


def run_in(python: Path, script: Path, given: bytes) -> str:
    """Run a script there on a .npz, and return the JSON it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        into, out = Path(folder) / "given.npz", Path(folder) / "found.json"
        into.write_bytes(given)
        _run(str(python), "-W", "ignore", str(script), str(into), str(out))
        return out.read_text()
