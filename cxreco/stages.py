"""Work in named stages, so that several pieces of it can go through each stage one after the other.

What they have in common then stays in the processor's caches: a decision's code does not fit into them.
"""

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")
# Yields the name of each stage that is through, and returns the result.
Stages: TypeAlias = Generator[str, None, T]


def finished(stages: Stages[T]) -> T:
    """Go through all the stages and return the result."""
    try:
        while True:
            next(stages)
    except StopIteration as stop:
        result: T = stop.value
        return result
