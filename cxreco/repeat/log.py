"""The log as learning reads it: every tick, every decision, and what everybody could know of the shop at each time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.journey import DAY
from cxreco.recognise.catalogue import Catalogue
from cxreco.recognise.codes import Codes
from cxreco.recognise.market import Market, market_of
from cxreco.recognise.population import population_of
from cxreco.request.training_rows import TrainingLog
from cxreco.tables import DecisionLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Everything that training reads.

    Attributes
    ----------
    ticks
        (n,) of TICK by (customer, at, seq).
    customers
        Customer id at each code that ticks carry.
    queries
        Arrival -> what was searched for: ticks carry no text.
    order
        (n,) hash of the order id that each tick names, 0 where it names none: what a return is traced by. None: no ids.
    decisions
        Every decision that was logged.
    position
        The log's last arrival.
    now
        End of what is known, microseconds.
    dated
        False: the times are those that `recognise.undated` gave the places of a sequence.
    """

    ticks: NDArray[np.void]
    customers: Sequence[str]
    catalogue: Catalogue
    codes: Codes
    decisions: DecisionLog
    position: int
    now: int
    queries: Mapping[int, str] = field(default_factory=dict)
    order: NDArray[np.uint64] | None = None
    dated: bool = True

    def __post_init__(self) -> None:
        if self.order is not None and self.order.shape != self.ticks.shape:
            raise BadInput(f"{self.order.size} order ids for {self.ticks.size} ticks", where="log.order")

    @property
    def start(self) -> int:
        """Time of the first event; `now` for an empty log."""
        return int(self.ticks["at"].min()) if self.ticks.size else self.now

    def code_of(self, customer_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the codes of customers that the log knows.

        Raises
        ------
        BadInput
            If one is unknown.
        """
        table = {name: code for code, name in enumerate(self.customers)}
        try:
            return np.array([table[name] for name in customer_ids], dtype=np.int64)
        except KeyError as unknown:
            raise BadInput(f"customer {unknown} is not in the log", where="customer_id") from unknown


def published(log: Log, *, since: int, every_days: int) -> TrainingLog:
    """Return the log with the markets that publishing every so many days from `since` on would have made.

    Only what happened before its date enters a population, so that no moment learns from its own future.
    """
    if every_days < 1:
        raise BadInput(f"must be at least 1, got {every_days}", where="every_days")
    # The first days of a log say nothing of everybody: publishing begins when there is something to publish.
    begin = max(since, log.start + min(every_days * DAY, (log.now - log.start) // 2))
    step = every_days * DAY
    dates = list(range(begin, log.now, step)) or [log.now]
    if not log.dated:
        # Counted back from the end, which is just before each place.
        dates = list(range(log.now - step, begin - 1, -step))[::-1] or [min(begin, log.now)]
    markets = [(date, market_at(log, date)) for date in dates]
    return TrainingLog(ticks=log.ticks, markets=markets, queries=log.queries)


def market_at(log: Log, as_of: int) -> Market:
    """Return the market as of a date."""
    shelf = log.catalogue.shelf(as_of)
    return market_of(shelf, population_of(log.ticks, shelf, as_of, dated=log.dated), log.codes)
