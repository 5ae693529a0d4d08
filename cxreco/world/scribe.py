"""Writes what happens as event rows of the contract, and hands each out when its time has come."""

import heapq
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at: int) -> str:
    """Return microseconds since 1970 as ISO 8601 with offset."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat()


class Scribe:
    """Numbers the events of each customer, and keeps those of later until `release`.

    Parameters
    ----------
    key
        What tells the ids of this world from those of another.
    names
        Customer ids, in order of their number.
    mute
        Write nothing: where only the books are wanted.
    """

    def __init__(self, key: str, names: tuple[str, ...], *, mute: bool = False) -> None:
        self.key = key
        self.mute = mute
        self.names = names
        self._count = [0] * len(names)
        self._orders = [0] * len(names)
        self._waiting: list[tuple[int, int, int, dict[str, Any]]] = []

    def write(self, kind: str, customer: int, at: int, fields: Mapping[str, Any] | None = None) -> None:
        """Note an event that happens at `at`."""
        if self.mute:
            return
        count = self._count[customer]
        self._count[customer] = count + 1
        name = self.names[customer]
        row: dict[str, Any] = {
            "event_id": f"{self.key}.{name}.{count}",
            "type": kind,
            "customer_id": name,
            "occurred_at": iso(at),
        }
        if fields:
            row.update((key, value) for key, value in fields.items() if value is not None)
        heapq.heappush(self._waiting, (at, customer, count, row))

    def order_id(self, customer: int) -> str:
        """Return the id of the customer's next order."""
        self._orders[customer] += 1
        return f"{self.key}.{self.names[customer]}.o{self._orders[customer]}"

    def release(self, until: int) -> list[dict[str, Any]]:
        """Return what has happened before `until` and was not handed out, in order of time."""
        out = []
        while self._waiting and self._waiting[0][0] < until:
            out.append(heapq.heappop(self._waiting)[3])
        return out

    def copy(self) -> "Scribe":
        """Return an independent copy; rows already written are shared, they do not change."""
        other = Scribe(self.key, self.names, mute=self.mute)
        other._count, other._orders = self._count.copy(), self._orders.copy()
        other._waiting = self._waiting.copy()
        return other
