"""The shop as this process knows it: codes and catalogue, kept in step with the store that all processes share."""

from collections.abc import Iterable, Iterator
from typing import Self

import orjson

from cxreco.edge.store import ItemRow, Store
from cxreco.errors import StalePlaybook
from cxreco.journey import Event, Item
from cxreco.recognise.catalogue import Catalogue
from cxreco.recognise.codes import BRAND, CATEGORY, ITEM, Codes
from cxreco.recognise.events import parse_item, to_item_row

Name = tuple[str, str]


class Shop:
    """Codes and catalogue, brought up to date by `refresh`.

    Codes are given by the store alone: a process that finds a name without one asks for it, so that all agree.

    Attributes
    ----------
    codes, catalogue
        What the core reads.
    generation
        Grows when ticks that were made before would now read differently: what was folded from them is void.
    items_at
        The last version of an item that was taken in.
    changed
        By item, the last version that made ticks of it read differently, whoever made them: the same in all processes.
    """

    def __init__(self, store: Store, margin_share: float) -> None:
        self._store = store
        self.codes = Codes()
        self.catalogue = Catalogue(self.codes, margin_share)
        self.generation = 0
        self.items_at = 0
        self.changed: dict[int, int] = {}
        self._ticked: set[int] = set()

    @classmethod
    def opened(cls, store: Store, margin_share: float) -> Self:
        """Return the shop as the store has it now."""
        first = [(CATEGORY, ""), (BRAND, "")]
        # Who only reads waits for nobody, and nobody for them.
        if not {(kind, name) for kind, name, code in store.codes() if code == 0}.issuperset(first):
            store.assign_codes(first).result()
        shop = cls(store, margin_share)
        shop.refresh()
        return shop

    @classmethod
    def as_of(cls, store: Store, margin_share: float, version: str) -> Self:
        """Return the shop as it was at a `version`, for replay."""
        items_at, *sizes = (int(part) for part in version.split("."))
        size = dict(zip((ITEM, CATEGORY, BRAND), sizes, strict=True))
        shop = cls(store, margin_share)
        shop._take_codes(row for row in store.codes() if row[2] < size[row[0]])
        shop._take_items(store.items(upto_seq=items_at))
        return shop

    @property
    def version(self) -> str:
        """What `as_of` needs to rebuild this shop: versions of items taken in, and how many codes of each kind."""
        codes = self.codes
        return f"{self.items_at}.{len(codes.item_ids)}.{len(codes.category_names)}.{len(codes.brand_names)}"

    def refresh(self) -> None:
        """Take in what other processes, or this one, have put into the store since."""
        if self._store.items_position() != self.items_at:
            self.adopt_codes()
            self._take_items(self._store.items(self.items_at))

    def adopt_codes(self) -> None:
        """Take in the codes that were given since."""
        self._take_codes(self._store.codes(self._sizes()))

    def codes_all(self, event: Event) -> bool:
        """Return whether every item that an event names has a code here."""
        code, item_id = self.codes.item_code, event.fields.get("item_id")
        if item_id is not None and code(item_id) < 0:
            return False
        return not event.lines or all(code(line.item_id) >= 0 for line in event.lines)

    def unknown(self, names: Iterable[Name]) -> list[Name]:
        """Return those (kind, name) that have no code here yet, each once."""
        codes = self.codes
        return [
            (kind, name)
            for kind, name in dict.fromkeys(names)
            if (kind == ITEM and codes.item_code(name) < 0)
            or (kind == CATEGORY and codes.category_code(name) < 0)
            or (kind == BRAND and name not in codes.brand_names)
        ]

    def ticked(self, items: Iterable[int]) -> None:
        """Remember that ticks of these items were made with what the catalogue says now."""
        self._ticked.update(items)

    def _sizes(self) -> dict[str, int]:
        codes = self.codes
        return {ITEM: len(codes.item_ids), CATEGORY: len(codes.category_names), BRAND: len(codes.brand_names)}

    def _take_codes(self, rows: Iterable[tuple[str, str, int]]) -> None:
        assign = {ITEM: self.codes.item, CATEGORY: self.codes.category, BRAND: self.codes.brand}
        for kind, name, code in rows:
            if assign[kind](name) != code:
                raise StalePlaybook(f"this process and the store disagree on the code of {kind} {name!r}: restart it")
        self.codes.fresh()

    def _take_items(self, rows: Iterable[ItemRow]) -> None:
        for row in rows:
            item = parse_item(orjson.loads(row.body))
            changed = self.catalogue.put(item, row.arrived_at)
            self.items_at = row.seq
            if changed:
                code = self.codes.item_code(item.item_id)
                self.changed[code] = row.seq
                self.generation += code in self._ticked


def names_in(event: Event) -> Iterator[Name]:
    """Yield the names in an event that need a code."""
    for line in event.lines:
        yield ITEM, line.item_id
    if item_id := event.fields.get("item_id"):
        yield ITEM, str(item_id)


def names_of(item: Item) -> Iterator[Name]:
    """Yield the names in a version of an item that need a code."""
    yield ITEM, item.item_id
    yield CATEGORY, item.category
    yield BRAND, item.brand


def item_row(item: Item, arrived_at: int) -> ItemRow:
    """Return a version of an item as the store keeps it."""
    return ItemRow(0, item.item_id, arrived_at, orjson.dumps(to_item_row(item)))
