"""The one door to numba: a typed decorator, compiled once and cached on disk.

numba notices a change in a compiled function's own file, not in the files it calls into or takes constants from, and
would run stale machine code. So the cache's folder is named by a hash of all of them; whoever sets `NUMBA_CACHE_DIR`
has their own reasons and keeps it. Where the folder cannot be written, numba's own choice holds and a line is logged.
"""

import hashlib
import logging
import re
from collections.abc import Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TypeVar, cast

import numba
from numba import njit
from numba.misc.appdirs import user_cache_dir

F = TypeVar("F", bound=Callable[..., object])

# What an inner function may return.
_PLAIN = (None, bool, int, float)
_LOG = logging.getLogger(__name__)
_CORE = ("recognise", "request", "respond", "repeat")
_IMPORTS = re.compile(rb"^from (cxreco[\w.]*) import", re.MULTILINE)


def compiled(function: F) -> F:
    """Compile `function` to machine code on first use, without the GIL, cached between processes.

    Strict IEEE arithmetic (no fast-math), so that replay and serving agree to the bit.
    """
    return _dispatcher(function)


def compiled_inner(function: F) -> F:
    """Compile a function that works on arrays of its caller: it makes none, and returns None or a plain number.

    Ordinarily every function counts a reference to each array that it is given or cuts out of another, by an atomic
    instruction each; done row by row for the tens of arrays of a market, that takes longer than the work. Here nothing
    is counted: the caller holds them all. numba refuses to make an array here, and this refuses to return one; one that
    another function made and returned here would never be freed, so call none that does.

    Raises
    ------
    TypeError
        If the function says that it returns anything but None, a number or a truth value.
    """
    returned = function.__annotations__.get("return", "what it does not say")
    if returned not in _PLAIN:
        raise TypeError(f"{function.__qualname__} must return None or a plain number, not {returned}")
    return _dispatcher(function, _nrt=False)


def _dispatcher(function: F, **options: bool) -> F:
    dispatcher = njit(cache=True, nogil=True, fastmath=False, error_model="numpy", **options)(function)
    _told.update(_elsewhere(str(dispatcher.stats.cache_path)))
    return cast(F, dispatcher)


def cache_folder() -> str:
    """Return where compiled code is kept between processes."""
    return str(numba.config.CACHE_DIR)


def sources_digest(texts: dict[str, bytes]) -> str:
    """Return a digest of every module that compiled code is made of: those that compile, and all they import.

    Parameters
    ----------
    texts
        Source text by module name, such as `cxreco.recognise.fold`.
    """
    wanted = [name for name, text in texts.items() if b"from cxreco.compiled import" in text]
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in texts and name not in found:
            found.add(name)
            wanted += [match.decode() for match in _IMPORTS.findall(texts[name])]
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for name in sorted(found):
        digest.update(name.encode() + b"\0" + texts[name])
    return digest.hexdigest()


def _texts() -> dict[str, bytes]:
    package = files("cxreco")
    folders: list[tuple[str, Traversable]] = [("cxreco", package)]
    folders += [(f"cxreco.{name}", package / name) for name in _CORE]
    return {
        f"{name}.{path.name[:-3]}": path.read_bytes()
        for name, folder in folders
        for path in folder.iterdir()
        if path.name.endswith(".py") and path.is_file()
    }


def _elsewhere(path: str) -> set[str]:
    """Say once that the cache is not where it was meant to be; returns what was said."""
    if path.startswith(str(numba.config.CACHE_DIR)) or _told:
        return set()
    _LOG.warning("%s cannot be written: compiled code is cached in %s instead", numba.config.CACHE_DIR, path)
    return {path}


_told: set[str] = set()
if not numba.config.CACHE_DIR:
    numba.config.CACHE_DIR = f"{user_cache_dir('cxreco')}/compiled-{sources_digest(_texts())}"
