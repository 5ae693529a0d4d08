"""The one place that reads the time; everybody else is told it."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """Return the time, microseconds since 1970-01-01 UTC."""
    return (datetime.now(UTC) - EPOCH) // timedelta(microseconds=1)
