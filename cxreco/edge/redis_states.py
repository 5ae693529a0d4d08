"""States kept in Redis: a cache that all processes share, beside the log that alone is the truth.

A state is only worth keeping where reading it is cheaper than folding the log again, so short logs never come here.
Nothing is believed that cannot be checked: an entry names the log it was folded from and how far into it (see
`cxreco.edge.states`). Where Redis is gone, the log is read instead; it is asked again after a moment.
"""

import logging
import secrets
import time
from collections.abc import Callable
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cxreco.edge.store import Store, StoreUnavailable

KEEP_S = 7 * 24 * 3600
QUIET_S = 1.0
log = logging.getLogger("cxreco.redis")


class RedisStates:
    """Bytes by customer.

    Parameters
    ----------
    url
        Such as `redis://host:6379/0`.
    shop
        Names the log that the states are of: shops that share a Redis do not meet.
    patience_s
        How long to wait for an answer.
    """

    def __init__(self, url: str, shop: str, *, patience_s: float = 0.05) -> None:
        # Not tried again: reading the log is what to do instead.
        once = Retry(NoBackoff(), 0)
        wait = {"socket_timeout": patience_s, "socket_connect_timeout": patience_s}
        self._redis = redis.Redis.from_url(url, retry=once, **wait)
        self._prefix = f"cxreco:{shop}:"
        self._quiet_until = 0.0
        self._lost = False

    @classmethod
    def of(cls, url: str, store: Store, *, patience_s: float = 0.05) -> Self:
        """Return the states of a store's customers; the store keeps the name they go by."""
        return cls(url, store.meta("id", secrets.token_hex(8)), patience_s=patience_s)

    def get(self, customer_id: str) -> bytes | None:
        """Return what is kept; None where nothing is.

        Raises
        ------
        StoreUnavailable
            If Redis does not answer, or did not a moment ago.
        """
        found = self._asked(lambda: self._redis.get(self._prefix + customer_id))
        return found if isinstance(found, bytes) else None

    def put(self, customer_id: str, state: bytes) -> None:
        """Keep a state for a week.

        Raises
        ------
        StoreUnavailable
            If Redis does not answer, or did not a moment ago.
        """
        self._asked(lambda: self._redis.set(self._prefix + customer_id, state, ex=KEEP_S))

    def forget(self, customer_id: str) -> None:
        """Remove what is kept.

        Raises
        ------
        StoreUnavailable
            If Redis does not answer: what it keeps cannot be said to be erased.
        """
        self._quiet_until = 0.0
        self._asked(lambda: self._redis.delete(self._prefix + customer_id))

    def close(self) -> None:
        """Let go of the connections."""
        self._redis.close()

    def _asked(self, command: Callable[[], object]) -> object:
        if time.monotonic() < self._quiet_until:
            raise StoreUnavailable("Redis did not answer a moment ago")
        try:
            answer = command()
        except redis.RedisError as error:
            self._quiet_until = time.monotonic() + QUIET_S
            if not self._lost:
                log.warning("Redis does not answer, states are folded from the log meanwhile: %s", error)
            self._lost = True
            raise StoreUnavailable(f"Redis does not answer: {error}") from error
        if self._lost:
            log.warning("Redis is back")
        self._lost = False
        return answer
