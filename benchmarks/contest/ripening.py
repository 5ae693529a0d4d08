"""What decisions earned, told when it is ripe: the money of the engine's own reward window, from its own log."""

import numpy as np
import pandas as pd

from cxreco.edge.log_reading import LogReader
from cxreco.edge.shop import Shop
from cxreco.edge.store import DECISION, Row, Store
from cxreco.journey import DAY
from cxreco.pipelines.gather import NAMING, decisions_of, orders_of
from cxreco.recognise.replay import sort_ticks
from cxreco.repeat.reward import outcomes_of
from cxreco.respond.worth import Worth


class Ripening:
    """Decisions waiting for the end of their order window.

    Their money is that of `repeat.reward`: what was bought and kept in the window, less harm; returns that may still
    come are predicted at the shop's own rate. It is told once, and not taken back when a return comes later.
    """

    def __init__(self, store: Store, shop: Shop, worth: Worth) -> None:
        self._store, self._shop, self._worth = store, shop, worth
        self._reader = LogReader(store, shop)
        self._read = 0
        self._waiting: pd.DataFrame | None = None
        self._naming: list[Row] = []

    def ripe(self, now: int) -> list[tuple[str, float]]:
        """Return (decision id, money) of what has become ripe, in order of the decisions."""
        self._gather()
        waiting = self._waiting
        if waiting is None:
            return []
        due = (waiting["at"] + self._worth.order_window <= now).to_numpy()
        if not due.any():
            return []
        oldest = int(waiting["at"].min()) - int(self._worth.harm_window) - DAY
        log = self._reader.read()
        ticks = sort_ticks(log.ticks[log.ticks["at"] >= oldest])
        self._naming = [row for row in self._naming if row.at >= oldest]
        codes = {name: code for code, name in enumerate(log.customers)}
        judged = waiting[due].reset_index(drop=True)
        found = outcomes_of(
            judged,
            ticks,
            customer=np.array([codes[name] for name in judged["customer_id"]], dtype=np.int64),
            worth=self._worth,
            as_of=now,
            order=orders_of(ticks, self._naming),
        ).frame
        self._waiting = waiting[~due].reset_index(drop=True)
        return list(zip(found["decision_id"].tolist(), found["money"].tolist(), strict=True))

    def _gather(self) -> None:
        last = self._store.position()
        rows = [row for rows in self._store.scan(self._read, kinds=[DECISION], upto_seq=last) for row in rows]
        for named in self._store.scan(self._read, kinds=NAMING, upto_seq=last):
            self._naming += named
        self._read = last
        if rows:
            fresh = decisions_of(iter(rows)).decisions
            kept = [fresh] if self._waiting is None else [self._waiting, fresh]
            self._waiting = pd.concat(kept, ignore_index=True)
