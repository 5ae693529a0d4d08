"""The one place that reads the time; everybody else is told it."""

import time


def now() -> int:
    """Return the time, microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000
