"""What is true for everybody at an instant, put together from the shop and the published statistics, and kept."""

from cxreco.edge.populations import Populations
from cxreco.edge.shop import Shop
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
        # The market holds its shelf, so the shelf's id is not given again while the market is kept.
        key = (id(shelf), population)
        market = self._kept.get(key)
        if market is None:
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            statistics = self._populations.named(population, shelf)
            before = next((kept for (_, version), kept in self._kept.items() if version == population), None)
            market = self._kept[key] = market_of(shelf, statistics, self._shop.codes, before)
        return market
