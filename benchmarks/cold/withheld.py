"""A log from which some items are withheld, as if they had come onto the shelf just before the cut."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import DAY
from cxreco.pipelines.shop_figures import cut_log
from cxreco.recognise.catalogue import Catalogue, Shelf
from cxreco.recognise.layout import Kind
from cxreco.recognise.market import Market
from cxreco.repeat.log import Log, market_at, published
from cxreco.repeat.training import Specs, TrainingSpec, fit_request
from cxreco.request.propose import RequestModels

Bool = NDArray[np.bool_]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Step = Callable[[str], None]
# How long before the cut withheld items came onto the shelf.
ON_THE_SHELF = DAY


class LateCatalogue(Catalogue):
    """A catalogue in which some items were put on the shelf at an instant, and nobody knew of them before."""

    __slots__ = ("_born_at", "_inner", "_late")

    def __init__(self, inner: Catalogue, late: Bool, born_at: int) -> None:
        super().__init__(inner.codes, inner.margin_share)
        self._inner, self._late, self._born_at = inner, late, born_at

    def shelf(self, at: int) -> Shelf:
        """Return what the shop sold at an instant."""
        shelf = self._inner.shelf(at)
        if at < self._born_at:
            return replace(shelf, known=shelf.known & ~self._late, available=shelf.available & ~self._late)
        return replace(shelf, born_at=np.where(self._late, self._born_at, shelf.born_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What an engine may learn from, and the log that goes on after it.

    Attributes
    ----------
    log
        All of it, the withheld items' events before the cut left out.
    withheld
        (n,) codes of the withheld items.
    market, models
        Of what happened before the cut.
    """

    log: Log
    cut: int
    withheld: I32
    market: Market
    models: RequestModels


def split(log: Log, specs: Specs, cut: int, withheld: I32, step: Step) -> Split:
    """Withhold items from a log before a cut, and train on what is left before it."""
    rest = without(log, cut, withheld)
    past, spec = cut_log(rest, cut), TrainingSpec.from_spec(specs["training"])
    step("publishing populations")
    training = published(past, since=cut - int(spec.window_days * DAY), every_days=spec.publish_every_days)
    models = fit_request(training, specs, until=cut, step=step)
    return Split(log=rest, cut=cut, withheld=withheld, market=market_at(past, cut), models=models)


def without(log: Log, cut: int, withheld: I32) -> Log:
    """Return the log as if some items had been put on the shelf just before the cut."""
    if not withheld.size:
        return log
    late = np.zeros(len(log.codes.item_ids), np.bool_)
    late[withheld] = True
    item = log.ticks["item"]
    stays = (log.ticks["at"] >= cut) | (item < 0) | ~late[np.maximum(item, 0)]
    order = None if log.order is None else log.order[stays]
    return replace(
        log, ticks=log.ticks[stays], order=order, catalogue=LateCatalogue(log.catalogue, late, cut - ON_THE_SHELF)
    )


def drawn(log: Log, cut: int, end: int, share: float, seed: int) -> I32:
    """Return so large a random share of the items that were ever sold before `end`."""
    lines = order_lines(log)
    sold = np.unique(lines["item"][lines["at"] < end])
    rng = np.random.default_rng((seed, cut // DAY))
    return np.sort(rng.choice(sold, round(share * sold.size), replace=False)).astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The first order of each customer in a window: whose, when, and what was bought."""

    customer: I64
    at: I64
    bought: tuple[I32, ...]

    def take(self, rows: I64) -> "Asked":
        """Return some of them, in the order of `rows`."""
        return Asked(
            customer=self.customer[rows], at=self.at[rows], bought=tuple(self.bought[row] for row in rows.tolist())
        )


def asked(log: Log, cut: int, end: int, *, known: bool) -> Asked:
    """Return the first orders in [cut, end) of customers who had (`known`) or had not ordered before."""
    lines = order_lines(log)
    before, after = lines[lines["at"] < cut], lines[(lines["at"] >= cut) & (lines["at"] < end)]
    who, first = np.unique(after["customer"], return_index=True)
    chosen = np.flatnonzero(np.isin(who, before["customer"]) == known)
    who, at = who[chosen], after["at"][first[chosen]]
    bought = tuple(
        np.unique(after["item"][(after["customer"] == customer) & (after["at"] == then)])
        for customer, then in zip(who.tolist(), at.tolist(), strict=True)
    )
    return Asked(customer=who, at=at, bought=bought)


def order_lines(log: Log) -> NDArray[np.void]:
    """Return the order lines of items that are coded."""
    lines: NDArray[np.void] = log.ticks[(log.ticks["kind"] == Kind.ORDER_LINE) & (log.ticks["item"] >= 0)]
    return lines
