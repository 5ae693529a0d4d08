"""What a day is played on: the shop, its people, their minds and the dice, with the tables that hold for the day."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cxreco.world.categories import Kind
from cxreco.world.dice import F64, Dice
from cxreco.world.ledger import Ledger
from cxreco.world.people import Mind, People, Taste
from cxreco.world.scribe import Scribe
from cxreco.world.shop import Shop
from cxreco.world.spec import WorldSpec

# Where a visit that knows its item begins, and how easily it ends there on the shop's own page.
SURFACES = ("home", "search", "product")
SURFACE_SHARE = (0.15, 0.60, 0.25)
EASE = (0.62, 0.74, 0.84)
CERTAIN = 0.97
CART_SHARE = 0.25
PAGE = 5
# Attention falls with the position; the shop's own page is ordered for everybody, and looked at with less care.
ATTENTION = 0.9 / (1.0 + 0.35 * np.arange(100))
DEFAULT_CARE = 0.6
KEPT, SENT_BACK = 0.03, -0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What holds for a whole day; arrays of (customers, items) unless said otherwise.

    Attributes
    ----------
    appeal
        Chance that an item looked at is right, at its price of the day; 0 where out of stock.
    price_pull
        Multiplier of a purchase of an item that is known, from its price.
    returned
        Chance that it comes back.
    page
        (categories, PAGE) items of the shop's own page, the most liked first; -1 where the shelf is empty.
    known_buy, known_gain
        (customers, categories, 2) chance of buying the first and second choice at a visit left alone, and its gain.
    open_buy, open_gain
        (customers, categories) the same where the item is not known.
    alone_buy, alone_gain
        (customers, categories) the mixture of both.
    """

    number: int
    taste: Taste
    price: F64
    margin: F64
    available: NDArray[np.bool_]
    season: F64
    appeal: F64
    price_pull: F64
    returned: F64
    page: NDArray[np.int64]
    known_buy: F64
    known_gain: F64
    open_buy: F64
    open_gain: F64
    alone_buy: F64
    alone_gain: F64


def cascade(chances: F64) -> F64:
    """Return where a look down a list ends: item by item, the first that is right (Craswell et al., WSDM 2008).

    Parameters
    ----------
    chances
        (…, k) chance that each is right once looked at.
    """
    before = np.cumprod(1.0 - chances, axis=-1)
    still = np.concatenate([np.ones_like(before[..., :1]), before[..., :-1]], axis=-1)
    return np.asarray(still * chances, dtype=np.float64)


@dataclass(slots=True, kw_only=True)
class Ground:
    """Everything a response depends on, and what it changes. `seed` belongs to the responses alone."""

    spec: WorldSpec
    shop: Shop
    people: People
    mind: Mind
    dice: Dice
    scribe: Scribe
    ledger: Ledger
    start: int
    day: int = 0
    staple: NDArray[np.bool_] = field(init=False)
    _days: dict[int, Day] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.staple = np.array([c.kind is Kind.STAPLE for c in self.spec.categories])

    def u(self, use: str, customer: int, category: int) -> float:
        """Return the customer's luck of today for one purpose."""
        return self.dice.u(self.day, use, customer, category)

    def today(self) -> Day:
        """Return the tables of today."""
        return self.tables(self.day)

    def tables(self, day: int) -> Day:
        """Return the tables of a day, at most a few days ahead."""
        found = self._days.get(day)
        if found is None:
            for old in [d for d in self._days if d < self.day]:
                del self._days[old]
            found = self._days[day] = self._lay_out(day)
        return found

    def gain(self, items: NDArray[np.int64], day: Day) -> F64:
        """Return what a purchase of the usual quantity earns each customer's shop, (customers, len(items)).

        Expected over keeping and returning, goodwill included.
        """
        costs = self.spec.costs
        quantity = self.people.quantity[:, self.shop.category[items]]
        back = day.returned[:, items]
        kept = quantity * day.margin[items] + costs.satisfaction * KEPT
        lost = costs.returned + costs.resale * quantity * day.price[items] - costs.satisfaction * SENT_BACK
        return np.asarray((1.0 - back) * kept - back * lost, dtype=np.float64)

    def _lay_out(self, number: int) -> Day:
        shop, people = self.shop, self.people
        row = shop.clip(number)
        taste = people.taste(number)
        price, available = shop.price[row], shop.available[row]
        pull = np.clip((price / shop.list_price)[None, :] ** -people.elastic[:, None], 0.4, 1.15)
        rate = np.array([c.returns for c in shop.categories])[shop.category]
        day = Day(
            number=number, taste=taste, price=price, margin=shop.margin[row], available=available,
            season=shop.season[row], appeal=np.minimum(taste.fit * pull, CERTAIN) * available, price_pull=pull,
            returned=np.clip(rate * people.returns[:, None] * (1.6 - taste.fit), 0.0, 0.8),
            page=self._page(taste, available), **_BLANK,
        )  # fmt: skip
        return self._left_alone(day)

    def _page(self, taste: Taste, available: NDArray[np.bool_]) -> NDArray[np.int64]:
        liked = np.where(available, taste.liked, -1.0)
        page = np.full((len(self.shop.categories), PAGE), -1, dtype=np.int64)
        for category in range(len(page)):
            items = self.shop.of_category(category)
            best = items[np.argsort(-liked[items], kind="stable")][:PAGE]
            best = best[liked[best] >= 0.0]
            page[category, : best.size] = best
        return page

    def _left_alone(self, day: Day) -> Day:
        """Fill in what a visit brings that the engine leaves to the shop's own page; exact, the cart included."""
        people, shape = self.people, self.people.uses.shape
        through = 1.0 - CART_SHARE * (1.0 - people.checks_out)
        known_buy, known_gain = np.zeros((*shape, 2)), np.zeros((*shape, 2))
        open_buy, open_gain = np.zeros(shape), np.zeros(shape)
        rows = np.arange(shape[0])
        wanted = (day.taste.first, day.taste.second)
        for c in range(shape[1]):
            items = day.page[c][day.page[c] >= 0]
            if items.size:
                chances = DEFAULT_CARE * ATTENTION[: items.size] * day.appeal[:, items]
                ends = people.eager[:, None] * cascade(chances) * through[:, None]
                open_buy[:, c], open_gain[:, c] = ends.sum(1), (ends * self.gain(items, day)).sum(1)
            shelf = self.shop.of_category(c)
            gain = self.gain(shelf, day)
            for choice in (0, 1):
                target = wanted[choice][:, c]
                pull = people.patience * day.price_pull[rows, target]
                buys = sum(
                    share * np.minimum(ease * pull, CERTAIN) for share, ease in zip(SURFACE_SHARE, EASE, strict=True)
                )
                there = day.available[target]
                known_buy[:, c, choice] = np.where(there, buys * through, open_buy[:, c])
                earned = buys * through * gain[rows, target - shelf[0]]
                known_gain[:, c, choice] = np.where(there, earned, open_gain[:, c])
        mixed = [self._mixed(known, unknown) for known, unknown in ((known_buy, open_buy), (known_gain, open_gain))]
        laid = {name: getattr(day, name) for name in Day.__slots__}
        laid |= {"known_buy": known_buy, "known_gain": known_gain, "open_buy": open_buy, "open_gain": open_gain}
        return Day(**(laid | {"alone_buy": mixed[0], "alone_gain": mixed[1]}))

    def _mixed(self, known: F64, unknown: F64) -> F64:
        loyal, knows = self.people.loyal[:, None], self.people.known
        return np.asarray(
            knows * (loyal * known[..., 0] + (1.0 - loyal) * known[..., 1]) + (1.0 - knows) * unknown, dtype=np.float64
        )


_NOTHING = np.zeros(0)
_BLANK = dict.fromkeys(("known_buy", "known_gain", "open_buy", "open_gain", "alone_buy", "alone_gain"), _NOTHING)
