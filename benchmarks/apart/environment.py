"""Environments of their own for the peers that a benchmark measures beside: made by uv in the user's cache."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cxreco.errors import NotFound


def python_with(packages: Sequence[str], name: str) -> Path:
    """Return a Python of this version that has the packages; it is made where it is missing, by one process at a time.

    Parameters
    ----------
    packages
        What uv installs, each with its version.
    name
        What the folder's name begins with.

    Raises
    ------
    NotFound
        If it cannot be made: without a network, or without wheels or a compiler for this Python.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cxreco"
    digest = hashlib.sha256(" ".join((*packages, sys.version)).encode()).hexdigest()[:8]
    folder = cache / f"{name}-{digest}"
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if ready.exists():
        return python
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another may have made it while this one waited.
        if not ready.exists():
            _make(folder, python, packages)
            ready.write_text("\n".join(packages) + "\n")
    return python


def _make(folder: Path, python: Path, packages: Sequence[str]) -> None:
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    try:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *packages], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotFound(f"the environment with {', '.join(packages)} could not be made: {error}") from error
