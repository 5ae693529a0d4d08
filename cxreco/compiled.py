"""The one door to numba: a typed decorator, compiled once and cached on disk."""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile `function` to machine code on first use, without the GIL, cached between processes.

    Strict IEEE arithmetic (no fast-math), so that replay and serving agree to the bit.
    """
    return cast(F, njit(cache=True, nogil=True, fastmath=False, error_model="numpy")(function))
