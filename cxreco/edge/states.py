"""What is known of each customer, kept between requests and brought up to date from the log before every use."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import orjson

from cxreco.edge.log_reading import Record, Ticker, Ticks
from cxreco.edge.shop import Shop
from cxreco.edge.store import NEVER, Group, Mark, Store, StoreUnavailable
from cxreco.errors import BadInput, StalePlaybook
from cxreco.recognise.replay import empty_ticks, sort_ticks
from cxreco.recognise.state import State

# Rows of a log that are cheaper to fold again than to look up elsewhere.
WORTH_KEEPING = 16
# Ticks kept a customer, on average: what arrives late is put in its place without reading the log.
TICKS_EACH = 15


class StateCache(Protocol):
    """Bytes by customer, for all processes and for later; it may forget. Raises `StoreUnavailable` where it is gone."""

    def get(self, customer_id: str) -> bytes | None:
        """Return what is kept."""

    def put(self, customer_id: str, state: bytes) -> None:
        """Keep a state."""

    def forget(self, customer_id: str) -> None:
        """Remove what is kept."""

    def close(self) -> None:
        """Let go of what it is kept in."""


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
    items
        Codes of all items that were folded; kept where states are shared.
    unshared
        Rows that were folded since other processes were last told.
    ticks
        What was folded, in parts, in order of arrival; None where it is not at hand.
    size
        Number of ticks at hand.
    mark
        Where the log was when it was last looked up.
    """

    group: Group
    state: State
    mark: Mark
    origins: dict[str, str] = field(default_factory=dict)
    items: set[int] = field(default_factory=set)
    unshared: int = 0
    ticks: list[Ticks] | None = None
    size: int = 0

    def add(self, ticks: Ticks) -> None:
        """Keep what is being folded, where ticks are kept."""
        if self.ticks is not None:
            self.ticks.append(ticks)
            self.size += ticks.size

    def drop(self) -> None:
        """Let go of the ticks: the log has them."""
        self.ticks, self.size = None, 0

    def folded(self, at: int | None = None) -> State | None:
        """Return a new state of what happened, by `at` where that is given; None where the ticks are not at hand."""
        if self.ticks is None:
            return None
        self.ticks = [sort_ticks(np.concatenate([empty_ticks(), *self.ticks]))]
        state, ticks = State.empty(), self.ticks[0]
        state.fold(ticks if at is None else ticks[: np.searchsorted(ticks["at"], at, side="right")])
        return state


class States:
    """States by customer: a cache that is checked against the log on every use, so that processes agree.

    Parameters
    ----------
    bound
        Customers kept; the one not asked for the longest goes first.
    shared
        Where processes leave states for each other.
    counted
        Told what became of each look there: `hit`, `miss`, `stale` or `lost`.

    Attributes
    ----------
    most_ticks
        Kept of all customers together, 72 bytes each.
    """

    def __init__(
        self,
        store: Store,
        shop: Shop,
        bound: int,
        shared: StateCache | None = None,
        counted: Callable[[str], object] | None = None,
    ) -> None:
        self._store = store
        self._shop = shop
        self._ticker = Ticker(store, shop)
        self._bound = bound
        self._kept: OrderedDict[str, Known] = OrderedDict()
        self._with_ticks: OrderedDict[str, None] = OrderedDict()
        self._size = 0
        self.most_ticks = TICKS_EACH * bound
        self._generation = shop.generation
        self._shared = shared
        self._counted = counted or (lambda found: None)

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, customer_id: str) -> Known:
        """Return the customer's state as of everything the log holds of them."""
        if self._generation != self._shop.generation:
            self._kept.clear()
            self._with_ticks.clear()
            self._size = 0
            self._generation = self._shop.generation
        known = self._kept.get(customer_id)
        if known is not None and not self._store.moved(known.group, known.mark):
            self._kept.move_to_end(customer_id)
            return known
        mark = self._store.mark()
        group = self._store.group(customer_id)
        known = self._taken(group.customer_id) or self._found(group, mark)
        if known is None or not self._bring_up(known, group):
            known = self.rebuilt(group, mark)
        known.mark = mark
        self._share(known)
        self._keep(known)
        return known

    def rebuilt(self, group: Group, mark: Mark = NEVER) -> Known:
        """Fold the customer's log up to `group.position`."""
        known = Known(group=group, state=State.empty(), mark=mark, ticks=[])
        self._read(known, after_seq=0)
        known.state = known.folded() or known.state
        return known

    def as_of(self, known: Known, at: int) -> State:
        """Return the customer's state of what had happened by `at`, of all that has arrived."""
        state = known.folded(at) or self.rebuilt(known.group).folded(at)
        return State.empty() if state is None else state

    def note(self, record: Record, seq: int, known: Known | None) -> None:
        """Take in a decision that was just made here and placed at `seq`: nobody need read its row.

        Parameters
        ----------
        known
            The state that it was made upon; None: it was made upon none.
        """
        ref = self._ticker.note(record)
        if known is None or self._kept.get(known.group.customer_id) is not known:
            return
        late = record["moment"]["at"] < int(known.state.head[0]["last_at"])
        if late or not self._store.noted(known.group, known.mark, seq):
            return
        ticks = self._ticker.tick(ref, record["moment"]["at"], seq)
        known.state.fold(ticks)
        before = known.size
        known.add(ticks)
        self._size += known.size - before
        self._folded(known, 1, ticks)
        known.group = known.group._replace(position=seq, first=known.group.first or seq)
        known.mark = known.mark._replace(seq=seq)
        self._share(known)

    def forget(self, customer_id: str) -> None:
        """Drop a customer, here and where states are shared.

        Raises
        ------
        StoreUnavailable
            If the shared ones cannot be reached: then nothing may be said to be erased.
        """
        self._taken(customer_id)
        if self._shared is not None:
            self._shared.forget(customer_id)

    def close(self) -> None:
        """Let go of where states are shared."""
        if self._shared is not None:
            self._shared.close()

    def _taken(self, customer_id: str) -> Known | None:
        known = self._kept.pop(customer_id, None)
        self._with_ticks.pop(customer_id, None)
        self._size -= 0 if known is None else known.size
        return known

    def _keep(self, known: Known) -> None:
        name = known.group.customer_id
        self._kept[name] = known
        if known.ticks is not None:
            self._with_ticks[name] = None
            self._size += known.size
        if len(self._kept) > self._bound:
            self._taken(next(iter(self._kept)))
        # Of those not asked for the longest the ticks go first: the log has them.
        while self._size > self.most_ticks:
            other = self._kept[self._with_ticks.popitem(last=False)[0]]
            self._size -= other.size
            other.drop()

    def _read(self, known: Known, after_seq: int) -> Ticks:
        rows = self._store.customer_log(known.group, after_seq, known.group.position)
        ticks = self._ticker.ticks(rows, 0, known.origins)
        known.add(ticks)
        self._folded(known, len(rows), ticks)
        return ticks

    def _folded(self, known: Known, rows: int, ticks: Ticks) -> None:
        if self._shared is not None:
            known.unshared += rows
            known.items.update(ticks["item"].tolist())

    def _bring_up(self, known: Known, group: Group) -> bool:
        """Fold what arrived since; False where that cannot be done in order."""
        before = known.group
        if group == before:
            return True
        if group._replace(position=before.position) != before or group.position < before.position:
            return False
        known.group = group
        ticks = self._read(known, before.position)
        if ticks.size and int(ticks["at"].min()) < int(known.state.head[0]["last_at"]):
            state = known.folded()
            known.state = state or known.state
            return state is not None
        known.state.fold(sort_ticks(ticks))
        return True

    def _found(self, group: Group, mark: Mark) -> Known | None:
        """Return what another process, or an earlier one, has left; it is believed only of this very log."""
        if self._shared is None or group.position == 0:
            return None
        try:
            data = self._shared.get(group.customer_id)
        except StoreUnavailable:
            self._counted("lost")
            return None
        known = None if data is None else unpacked(data, self._shop, mark)
        believed = known is not None and known.group.position <= group.position
        self._counted("hit" if believed else "miss" if data is None else "stale")
        if known is None or not believed:
            return None
        self._shop.ticked(known.items)
        return known

    def _share(self, known: Known) -> None:
        if self._shared is None or known.unshared < WORTH_KEEPING:
            return
        known.unshared = 0
        try:
            self._shared.put(known.group.customer_id, packed(known, self._shop))
        except StoreUnavailable:
            self._counted("lost")


def packed(known: Known, shop: Shop) -> bytes:
    """Return a customer's state as bytes, with what it was folded from and what that was read by."""
    group = known.group
    items = sorted(code for code in known.items if code >= 0)
    folded = group.customer_id, dict(group.joined), group.position, group.first, known.origins, items
    about = orjson.dumps([shop.catalogue.margin_share, shop.items_at, *folded])
    return len(about).to_bytes(4, "little") + about + known.state.to_bytes()


def unpacked(data: bytes, shop: Shop, mark: Mark = NEVER) -> Known | None:
    """Return what `packed` wrote; None where it is damaged, of another fold, or this shop reads the log otherwise."""
    size = int.from_bytes(data[:4], "little")
    try:
        about: list[Any] = orjson.loads(data[4 : 4 + size])
        margin_share, items_at, customer_id, joined, position, first, origins, items = about
        state = State.from_bytes(data[4 + size :])
    except (ValueError, BadInput, StalePlaybook):
        return None
    if margin_share != shop.catalogue.margin_share or items_at > shop.items_at:
        return None
    if any(shop.changed.get(code, 0) > items_at for code in items):
        return None
    group = Group(customer_id, joined, position, first)
    return Known(group=group, state=state, mark=mark, origins=origins, items=set(items))
