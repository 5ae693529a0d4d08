"""A category from a title, for the log that has titles and no categories.

The rule: take the title up to its first preposition, and in that the last word that names a kind of product (where
there is none, the last in what follows); the table says which words do, and which category each belongs to; where no
word does, `other`. The words were picked by hand among those that head the titles of the UCI log. The table is fixed,
so an item's category never changes because others were added.
"""

import re

OTHER = "other"
_UNTIL = re.compile(r"\b(?:WITH|FOR|IN|ON|FROM|W)\b")
_WORD = re.compile(r"[A-Z]+")

_NOUNS = {
    "bags": "bag handbag shopper backpack rucksack satchel tote",
    "purses and cases": "purse wallet case washbag passport",
    "boxes": "box boxe chest",
    "tins and jars": "tin jar canister",
    "baskets and bins": "basket bin bucket tidy trug",
    "candles": "candle candlestick taper tlight",
    "candle holders": "holder candleholder votive candelabra",
    "lights and lamps": "light lamp lampshade chandelier lantern torch",
    "incense and scent": "incense scent oil diffuser potpourri sachet soap perfume bath",
    "hanging decorations": "decoration bauble wreath hanging mobile chime windchime charm hanger",
    "garlands and bunting": "garland bunting streamer flag chain banner",
    "figures and ornaments": "ornament figurine angel bird rabbit bunny hen chick egg reindeer santa snowman cherub",
    "cards": "card greeting postcard invite envelope",
    "gift wrap": "wrap ribbon tissue tag tape",
    "notebooks and stationery": "notebook sketchbook book journal pencil pen eraser rubber ruler calculator folder "
    "diary memo stationery pad calendar organiser crayon chalk stamp sharpener",
    "stickers and magnets": "sticker magnet decal",
    "necklaces": "necklace pendant choker",
    "bracelets": "bracelet bangle",
    "earrings and rings": "earring ring brooch",
    "hair and accessories": "hairband hairclip clip scarf glove hat slipper bobble comb grip slide hairslide sock "
    "band bib poncho flannel keyring",
    "mugs and cups": "mug cup beaker tumbler flask saucer glass glasse goblet",
    "plates and bowls": "bowl plate dish ramekin platter tureen",
    "teapots and jugs": "teapot jug pot sugar creamer infuser cafetiere decanter bottle carafe vase planter",
    "trays and cake stands": "tray cakestand stand tier trivet",
    "cutlery": "cutlery spoon fork knife straw chopstick",
    "table linen": "napkin coaster placemat tablecloth doily doilie doiley runner serviette",
    "kitchen tools": "scale timer whisk mould pan cutter board colander grater recipe opener corkscrew spatula rack "
    "jelly tong sieve measure thermometer",
    "kitchen textiles": "apron cosy towel mitt glove teatowel",
    "cushions and textiles": "cushion cover throw blanket quilt curtain fabric bedspread rug",
    "doormats and doorstops": "doormat doorstop mat stopper excluder",
    "signs": "sign block plaque letter blackboard chalkboard",
    "clocks": "clock watch",
    "frames and mirrors": "frame mirror picture photo print image art canvas album drawing",
    "hooks and knobs": "hook knob handle peg drawer key tile bracket lock",
    "cabinets and furniture": "cabinet cupboard shelf stool table chair drawers bench dresser unit",
    "warmers and hot water": "warmer bottles",
    "toys and games": "toy game jigsaw puzzle doll dolly teddy ball skittle domino spinner gun snap dice marble yoyo "
    "tractor robot windmill kite car",
    "artificial plants and trees": "tree flower bouquet sprig branch bush foxglove",
    "containers and weights": "container paperweight bank",
    "craft kits": "kit craft feltcraft sewing button needle knitting bead wool",
    "party": "balloon candy party confetti popcorn pinata mask crown tiara wand cone invitation fan bubble badge",
    "garden": "parasol umbrella watering bulb garden seed bell feeder birdhouse trowel fence grow marker tool secateur",
}
CATEGORY_OF = {noun: category for category, nouns in _NOUNS.items() for noun in nouns.split()}


def category_of(title: str) -> str:
    """Return the category that a title's words point to, or `other`."""
    head, *rest = _UNTIL.split(title.upper().replace("T-LIGHT", "TLIGHT"), maxsplit=1)
    return _last_noun(head) or _last_noun(" ".join(rest)) or OTHER


def _last_noun(words: str) -> str:
    for word in reversed(_WORD.findall(words)):
        noun = word.lower()
        category = CATEGORY_OF.get(noun) or CATEGORY_OF.get(noun.removesuffix("s"))
        if category is not None:
            return category
    return ""
