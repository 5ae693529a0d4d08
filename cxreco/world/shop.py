"""The shop's shelves: what is sold, and how price and stock change over the days.

The whole timeline is laid out when the world is founded, from its own dice, so that it is the same under every policy
and an expectation over the next days is exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.world.categories import Category, Kind
from cxreco.world.dice import F64, stream
from cxreco.world.spec import WorldSpec

BACK_IN_STOCK = 0.2
ELASTIC_STEP = (-0.12, 0.15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """What is on the shelves.

    Attributes
    ----------
    ids, titles, brands
        Of the items, in order of their number.
    category
        (items,) number of the category of each.
    price, margin
        (days, items) per unit; the cost of goods stays, so that a lower price cuts the margin.
    available
        (days, items).
    list_price
        (items,) price on the first day.
    features
        (items, dims) what tastes are about, hidden from the shop.
    quality
        (items,) what everybody likes, hidden.
    season
        (days, categories) multiplier of the demand for pleasure.
    """

    categories: tuple[Category, ...]
    ids: tuple[str, ...]
    titles: tuple[str, ...]
    brands: tuple[str, ...]
    category: NDArray[np.int64]
    price: F64
    margin: F64
    available: NDArray[np.bool_]
    list_price: F64
    features: F64
    quality: F64
    season: F64

    def of_category(self, category: int) -> NDArray[np.int64]:
        """Return the numbers of the items of a category."""
        return np.flatnonzero(self.category == category)

    def clip(self, day: int) -> int:
        """Return the row of the timeline for a day; after its end the catalogue stands still."""
        return min(day, len(self.price) - 1)

    def changed(self, day: int) -> NDArray[np.int64]:
        """Return the items whose price or stock on `day` differs from the day before."""
        now, before = self.clip(day), self.clip(day - 1)
        differs = (self.price[now] != self.price[before]) | (self.available[now] != self.available[before])
        return np.flatnonzero(differs)

    def row(self, item: int, day: int) -> dict[str, object]:
        """Return an item of the catalogue contract as it is on a day."""
        at = self.clip(day)
        return {
            "item_id": self.ids[item],
            "title": self.titles[item],
            "category": self.categories[self.category[item]].name,
            "brand": self.brands[item],
            "price": float(self.price[at, item]),
            "margin": float(self.margin[at, item]),
            "available": bool(self.available[at, item]),
        }


def furnish(spec: WorldSpec, seed: int) -> Shop:
    """Stock the shelves of a world and lay out their changes."""
    rng = stream(seed, 0, "shelves")
    count, each = len(spec.categories), spec.items_per_category
    category = np.repeat(np.arange(count), each)
    names = [_name(spec.categories[c], k) for c in range(count) for k in range(each)]
    median = np.array([c.price for c in spec.categories])[category]
    spread = np.array([c.spread for c in spec.categories])[category]
    price = np.maximum(np.round(median * np.exp(spread * rng.standard_normal(category.size)), 2), 1.0)
    low, high = (np.array([c.margin[end] for c in spec.categories])[category] for end in (0, 1))
    cost = price * (1.0 - rng.uniform(low, high))
    prices, available = _timeline(spec, price, cost, rng)
    return Shop(
        categories=spec.categories,
        ids=tuple(f"i{k:03d}" for k in range(category.size)),
        titles=tuple(f"{brand} {noun} {variant}" for brand, noun, variant in names),
        brands=tuple(brand for brand, _, _ in names),
        category=category,
        price=prices,
        margin=np.round(prices - cost, 4),
        available=available,
        list_price=price,
        features=0.4 * rng.standard_normal((count, 6))[category] + rng.standard_normal((category.size, 6)),
        quality=rng.standard_normal(category.size),
        season=_season(spec, rng),
    )


def _name(category: Category, k: int) -> tuple[str, str, str]:
    # Brand and variant both change from item to item, so that each pair comes up once in 15 items.
    brands, variants = category.brands, category.variants
    brand, variant = brands[k % len(brands)], variants[k % len(variants)]
    again = k // (len(brands) * len(variants))
    return brand, category.noun, f"{variant} No {again + 1}" if again else variant


def _timeline(spec: WorldSpec, price: F64, cost: F64, rng: np.random.Generator) -> tuple[F64, NDArray[np.bool_]]:
    """Return (days, items) prices and stock: two Markov chains per item, from everything in stock at the list price."""
    days, items = spec.days, price.size
    prices, available = np.empty((days, items)), np.ones((days, items), dtype=bool)
    prices[0] = price
    for day in range(1, days):
        moves = rng.random(items) < spec.price_change
        step = price * (1.0 + rng.uniform(*ELASTIC_STEP, items))
        prices[day] = np.where(moves, np.maximum(np.round(step, 2), np.round(cost * 1.05, 2)), prices[day - 1])
        luck = rng.random(items)
        available[day] = np.where(available[day - 1], luck >= spec.out_of_stock, luck < BACK_IN_STOCK)
    return prices, available


def _season(spec: WorldSpec, rng: np.random.Generator) -> F64:
    phase = rng.random(len(spec.categories))
    wave = np.sin(2.0 * np.pi * (np.arange(spec.days)[:, None] / spec.season_days + phase))
    pleasure = np.array([c.kind is not Kind.STAPLE for c in spec.categories])
    return np.where(pleasure, 1.0 + spec.season * wave, 1.0)
