"""What is true for everybody at an instant, put together from the shop and the published statistics, and kept."""

from contextlib import AbstractContextManager

from cxreco.edge.populations import Populations
from cxreco.edge.shop import Shop
from cxreco.recognise.catalogue import Shelf
from cxreco.recognise.market import Market, market_of

KEPT = 8
SEPARATOR = "|"


class Markets:
    """Markets by instant; building one is dear, so they are shared until shelf or statistics change."""

    def __init__(self, shop: Shop, populations: Populations) -> None:
        self._shop = shop
        self._populations = populations
        self._kept: dict[tuple[int, str], Market] = {}

    def at(self, at: int) -> tuple[Market, str]:
        """Return the market of an instant and the version that rebuilds it (see `rebuilt`)."""
        population = self._populations.version_at(at)
        return self.of(at, population), f"{population}{SEPARATOR}{self._shop.version}"

    def of(self, at: int, population: str) -> Market:
        """Return the market of an instant with statistics of that version."""
        shelf = self._shop.catalogue.shelf(at)
        market = self._kept.get((id(shelf), population))
        return self._keep(self._built(shelf, population), population) if market is None else market

    def prepare(self, at: int, population: str, lock: AbstractContextManager[object]) -> None:
        """Build a market before anybody asks for it.

        Parameters
        ----------
        lock
            Whoever asks holds it; here it is held only to read the shop and to put the market in place.
        """
        with lock:
            shelf = self._shop.catalogue.shelf(at)
            if (id(shelf), population) in self._kept:
                return
        market = self._built(shelf, population)
        with lock:
            self._keep(market, population)

    def _built(self, shelf: Shelf, population: str) -> Market:
        before = next(reversed(list(self._kept.values())), None)
        return market_of(shelf, self._populations.named(population, shelf), self._shop.codes, before)

    def _keep(self, market: Market, population: str) -> Market:
        while len(self._kept) >= KEPT:
            del self._kept[next(iter(self._kept))]
        # The market holds its shelf, so the shelf's id is not given again while the market is kept.
        self._kept[id(market.shelf), population] = market
        return market
