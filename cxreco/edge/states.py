"""What is known of each customer, kept between requests and brought up to date from the log before every use."""

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from cxreco.edge.log_reading import Ticker, Ticks
from cxreco.edge.shop import Shop
from cxreco.edge.store import Group, Store
from cxreco.recognise.replay import sort_ticks
from cxreco.recognise.state import State


@dataclass(slots=True, kw_only=True)
class Known:
    """A customer's state and how far into their log it reaches.

    Attributes
    ----------
    group
        The customer under all names; `group.position` is the arrival cut.
    state
        Everything that had arrived, folded.
    origins
        Which decision each order came from.
    """

    group: Group
    state: State
    origins: dict[str, str] = field(default_factory=dict)


class States:
    """States by customer: a cache that is checked against the log on every use, so that processes agree.

    Parameters
    ----------
    bound
        Customers kept; the one not asked for the longest goes first.
    """

    def __init__(self, store: Store, shop: Shop, bound: int) -> None:
        self._store = store
        self._shop = shop
        self._ticker = Ticker(store, shop)
        self._bound = bound
        self._kept: OrderedDict[str, Known] = OrderedDict()
        self._generation = shop.generation

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, customer_id: str) -> Known:
        """Return the customer's state as of everything the log holds of them."""
        if self._generation != self._shop.generation:
            self._kept.clear()
            self._generation = self._shop.generation
        group = self._store.group(customer_id)
        known = self._kept.get(group.customer_id)
        if known is None or not self._bring_up(known, group):
            known = self.rebuilt(group)
        self._kept[group.customer_id] = known
        self._kept.move_to_end(group.customer_id)
        if len(self._kept) > self._bound:
            self._kept.popitem(last=False)
        return known

    def rebuilt(self, group: Group, at: int | None = None) -> Known:
        """Fold the customer's log up to `group.position`, only what happened by `at` where that is given."""
        known = Known(group=group, state=State.empty())
        ticks = sort_ticks(self._read(known, after_seq=0))
        known.state.fold(ticks if at is None else ticks[ticks["at"] <= at])
        return known

    def forget(self, customer_id: str) -> None:
        """Drop a customer from the cache."""
        self._kept.pop(customer_id, None)

    def _read(self, known: Known, after_seq: int) -> Ticks:
        rows = self._store.customer_log(known.group, after_seq, known.group.position)
        return self._ticker.ticks(rows, 0, known.origins)

    def _bring_up(self, known: Known, group: Group) -> bool:
        """Fold what arrived since; False where that cannot be done in order."""
        before = known.group
        if group == before:
            return True
        if group.joined != before.joined or group.position < before.position:
            return False
        known.group = group
        ticks = self._read(known, before.position)
        if ticks.size and int(np.min(ticks["at"])) < int(known.state.head[0]["last_at"]):
            return False
        known.state.fold(sort_ticks(ticks))
        return True
