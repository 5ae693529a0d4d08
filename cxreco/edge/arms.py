"""The standing experiments: which arm a customer lives under, the same for a whole epoch."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from cxreco.chance import uniform
from cxreco.edge.settings import Settings
from cxreco.edge.store import Store
from cxreco.journey import Arm

REMEMBERED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """How customers are dealt out.

    Attributes
    ----------
    shares
        Percent by arm, in the order they are laid end to end.
    epoch
        A new one deals anew.
    salt
        Secret: who lacks it cannot tell an arm beforehand.
    dealt
        Return the arm of a customer (canonical id).
    """

    shares: Mapping[Arm, float]
    epoch: str
    salt: str
    dealt: Callable[[str], Arm] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dealt", lru_cache(REMEMBERED)(self._dealt))

    @classmethod
    def of(cls, settings: Settings, store: Store) -> Self:
        """Return the arms of a workspace; its salt is made once and kept in the store, unless the settings have one."""
        return cls(shares=settings.arms, epoch=settings.experiment_epoch, salt=salt_of(settings, store))

    def _dealt(self, customer_id: str) -> Arm:
        u = 100.0 * uniform(self.salt, "arm", f"{customer_id}:{self.epoch}")
        for arm, share in self.shares.items():
            if u < share:
                return arm
            u -= share
        return list(self.shares)[-1]


def salt_of(settings: Settings, store: Store) -> str:
    """Return the workspace's secret."""
    return settings.salt or store.meta("salt", secrets.token_hex(16))
