"""Work in named stages, so that several pieces of it can go through each stage one after the other.

What they have in common then stays in the processor's caches: a decision's code does not fit into them.
"""

from collections.abc import Callable, Generator
from functools import wraps
from typing import ParamSpec, TypeAlias, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
# Yields the name of each stage that is through, and returns the result.
Stages: TypeAlias = Generator[str, None, T]


def whole(begin: Callable[P, Stages[T]]) -> Callable[P, T]:
    """Return the function that goes through all the stages at once and returns the result."""

    @wraps(begin)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        stages = begin(*args, **kwargs)
        try:
            while True:
                next(stages)
        except StopIteration as stop:
            result: T = stop.value
            return result

    return run
