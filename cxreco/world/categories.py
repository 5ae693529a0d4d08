"""The shelves of the simulated shops: what they sell, at what price, and how it runs down."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a want comes back: with use, with the mood, or hardly ever."""

    STAPLE = "staple"
    OCCASIONAL = "occasional"
    DURABLE = "durable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One shelf.

    Attributes
    ----------
    price, spread
        Median price and standard deviation of its logarithm.
    days
        Median days that a unit lasts (staples), or after a purchase until the next one is thinkable (others).
    returns
        Share of the items bought that come back, for a middling fit.
    """

    name: str
    kind: Kind
    noun: str
    variants: tuple[str, ...]
    brands: tuple[str, ...]
    price: float
    spread: float
    days: float
    returns: float
    margin: tuple[float, float] = (0.2, 0.4)


def _shelf(kind: Kind, name: str, noun: str, variants: str, brands: str, numbers: tuple[float, ...]) -> Category:
    price, spread, days, returns, low, high = numbers
    return Category(
        name=name, kind=kind, noun=noun, variants=tuple(variants.split(",")), brands=tuple(brands.split(",")),
        price=price, spread=spread, days=days, returns=returns, margin=(low, high),
    )  # fmt: skip


_S, _O, _D = Kind.STAPLE, Kind.OCCASIONAL, Kind.DURABLE

COFFEE = _shelf(
    _S, "coffee", "Coffee Beans", "Espresso 1 kg,Crema 1 kg,Decaf 500 g,House Blend 500 g,Ethiopia 500 g",
    "Nero,Alba,Montara", (14.0, 0.3, 18.0, 0.010, 0.25, 0.45),
)  # fmt: skip
TEA = _shelf(
    _S, "tea", "Tea", "Earl Grey,Assam,Green Sencha,Peppermint,Rooibos",
    "Leaf & Co,Samovar,Kyoto", (8.0, 0.35, 25.0, 0.010, 0.30, 0.50),
)  # fmt: skip
DETERGENT = _shelf(
    _S, "detergent", "Laundry Detergent", "Color,White,Sensitive,Wool,Sport",
    "Klar,Brisa,Blanka", (11.0, 0.3, 32.0, 0.008, 0.15, 0.30),
)  # fmt: skip
CAT_FOOD = _shelf(
    _S, "cat food", "Cat Food", "Salmon,Chicken,Beef,Senior,Kitten",
    "Felix Gold,Mirra,Pawly", (16.0, 0.3, 14.0, 0.012, 0.20, 0.35),
)  # fmt: skip
SHAMPOO = _shelf(
    _S, "shampoo", "Shampoo", "Repair,Volume,Mild,Anti Dandruff,Kids",
    "Sanara,Lumi,Dune", (7.0, 0.4, 35.0, 0.012, 0.30, 0.50),
)  # fmt: skip
DIAPERS = _shelf(
    _S, "diapers", "Diapers", "Size 2,Size 3,Size 4,Size 5,Night",
    "Tiny,Bambu,Nido", (22.0, 0.2, 12.0, 0.020, 0.15, 0.25),
)  # fmt: skip
OIL = _shelf(
    _S, "olive oil", "Olive Oil", "Extra Virgin 1 l,Organic 750 ml,Mild 1 l,Lemon 250 ml,Unfiltered 500 ml",
    "Oliveto,Soleya,Kalamon", (12.0, 0.35, 38.0, 0.008, 0.20, 0.40),
)  # fmt: skip
VITAMINS = _shelf(
    _S, "vitamins", "Vitamins", "D3,B12,Multi,Magnesium,Omega 3",
    "Vitala,Orthon,Pura", (15.0, 0.4, 30.0, 0.010, 0.35, 0.50),
)  # fmt: skip
LENSES = _shelf(
    _S, "contact lenses", "Contact Lenses", "Daily 30,Daily 90,Monthly 6,Toric,Multifocal",
    "Clera,Optima,Vistal", (24.0, 0.3, 30.0, 0.010, 0.25, 0.40),
)  # fmt: skip
WINE = _shelf(
    _O, "wine", "Wine", "Riesling Dry,Pinot Noir,Rioja Reserva,Sauvignon Blanc,Primitivo",
    "Castell,Vinarte,Hofgut", (11.0, 0.5, 14.0, 0.010, 0.20, 0.40),
)  # fmt: skip
CHOCOLATE = _shelf(
    _O, "chocolate", "Chocolate", "Dark 85,Milk Hazelnut,Sea Salt,Praline Box,Orange",
    "Cacaona,Belmond,Suisse", (9.0, 0.4, 12.0, 0.010, 0.25, 0.45),
)  # fmt: skip
BOOKS = _shelf(
    _O, "books", "Book", "Crime,Travel,History,Cooking,Poetry",
    "Halden,Pergola,Northgate", (16.0, 0.35, 15.0, 0.030, 0.20, 0.35),
)  # fmt: skip
CANDLES = _shelf(
    _O, "candles", "Scented Candle", "Vanilla,Cedar,Fig,Linen,Amber",
    "Lumen,Waxwork,Aura", (18.0, 0.4, 25.0, 0.030, 0.35, 0.50),
)  # fmt: skip
TOYS = _shelf(
    _O, "toys", "Toy", "Train,Puzzle,Blocks,Plush Bear,Kite",
    "Playa,Bruno,Hoppel", (24.0, 0.5, 25.0, 0.060, 0.25, 0.45),
)  # fmt: skip
GARDEN = _shelf(
    _O, "garden", "Garden Plant", "Lavender,Olive Tree,Rosemary,Hydrangea,Fern",
    "Florea,Grunwald,Terra", (20.0, 0.5, 20.0, 0.030, 0.25, 0.45),
)  # fmt: skip
SCARVES = _shelf(
    _O, "scarves", "Scarf", "Wool Grey,Silk Blue,Cashmere Red,Cotton Green,Check",
    "Loom,Vesta,Marlow", (32.0, 0.4, 30.0, 0.150, 0.35, 0.50),
)  # fmt: skip
SHIRTS = _shelf(
    _O, "shirts", "Shirt", "Oxford White,Linen Sand,Denim,Flannel,Stripe",
    "Marlow,Norden,Atelier", (38.0, 0.4, 25.0, 0.220, 0.30, 0.50),
)  # fmt: skip
KETTLES = _shelf(
    _D, "kettles", "Kettle", "Steel 1.7 l,Glass 1.5 l,Gooseneck,Travel,Matte Black",
    "Boilt,Kessel,Homi", (45.0, 0.4, 400.0, 0.070, 0.15, 0.30),
)  # fmt: skip
HEADPHONES = _shelf(
    _D, "headphones", "Headphones", "Over Ear,In Ear,Wireless,Studio,Kids",
    "Sonar,Audia,Beatrix", (80.0, 0.5, 400.0, 0.100, 0.15, 0.25),
)  # fmt: skip
LAMPS = _shelf(
    _D, "lamps", "Lamp", "Desk Brass,Floor Arc,Reading,Paper Globe,Night Light",
    "Lumen,Homi,Nordlys", (60.0, 0.5, 400.0, 0.080, 0.25, 0.45),
)  # fmt: skip
DRESSES = _shelf(
    _O, "dresses", "Dress", "Midi Floral,Wrap Black,Summer Linen,Knit,Evening",
    "Vesta,Atelier,Marlow", (65.0, 0.4, 30.0, 0.350, 0.35, 0.50),
)  # fmt: skip
JEANS = _shelf(
    _O, "jeans", "Jeans", "Slim Indigo,Straight Black,Wide Light,Tapered,Bootcut",
    "Norden,Denimo,Atelier", (70.0, 0.3, 40.0, 0.300, 0.30, 0.50),
)  # fmt: skip
SHOES = _shelf(
    _O, "shoes", "Shoes", "Sneaker White,Loafer,Ankle Boot,Sandal,Runner",
    "Pedra,Norden,Strada", (85.0, 0.4, 40.0, 0.320, 0.30, 0.45),
)  # fmt: skip
BAGS = _shelf(
    _O, "bags", "Bag", "Tote,Crossbody,Backpack,Clutch,Weekender",
    "Vesta,Strada,Loom", (75.0, 0.5, 60.0, 0.180, 0.35, 0.50),
)  # fmt: skip
SOCKS = _shelf(
    _S, "socks", "Socks", "Wool 3 Pack,Cotton 5 Pack,Sport 3 Pack,Invisible,Kids",
    "Loom,Norden,Hoppel", (12.0, 0.3, 45.0, 0.030, 0.35, 0.50),
)  # fmt: skip

HOUSEHOLD: tuple[Category, ...] = (
    COFFEE, TEA, DETERGENT, CAT_FOOD, SHAMPOO, DIAPERS, OIL, VITAMINS, LENSES,
    WINE, CHOCOLATE, BOOKS, CANDLES, TOYS, GARDEN, SCARVES, SHIRTS, KETTLES, HEADPHONES, LAMPS,
)  # fmt: skip
FASHION: tuple[Category, ...] = (
    SOCKS, SHAMPOO, DETERGENT, VITAMINS, SCARVES, SHIRTS, DRESSES, JEANS, SHOES, BAGS, CANDLES, BOOKS, HEADPHONES,
)  # fmt: skip
