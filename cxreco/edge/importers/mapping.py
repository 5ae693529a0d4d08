"""A mapping file: what the columns of somebody else's table mean in the contract, read from TOML and checked.

The example is one line of an order per row, with European numbers and local times::

    type = "order_completed"         # or by a column: type = {column = "Soort", values = {kijk = "product_viewed"}}

    [columns]                        # field of the contract = column of the file
    customer_id = "Klant"
    order_id = "Bon"
    occurred_at = "Datum"            # a log without dates gives sequence = "Bonnummer" instead
    item_id = "Artikel"
    quantity = "Aantal"
    price = "Prijs"

    [constants]                      # fields with the same value in every row
    currency = "EUR"
    channel = "store"

    [time]
    format = "%d-%m-%Y %H:%M"        # as in Python's strptime; without it ISO 8601
    timezone = "Europe/Amsterdam"    # for times without an offset
    # appearance = true              # no time and no number: each customer's events count up in the order of the file

    [file]
    delimiter = ";"
    decimal = ","

    [orders]                         # for types with item lines
    group_by = ["Bon"]               # rows of a customer equal in these columns make one order; default: the column of
                                     # order_id, or where that is not mapped the time
    returns = true                   # rows with a negative quantity are returns, not errors

    [items]                          # a catalogue from the same rows: field of an item = column
    item_id = "Artikel"
    title = "Omschrijving"
    category = "Groep"
    price = "Prijs"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cxreco.errors import BadSpec
from cxreco.recognise.events import EVENTS, ITEM

LINE_FIELDS = ("item_id", "quantity", "price", "margin")
_KNOWN = {
    "type": None,
    "columns": None,
    "constants": None,
    "items": None,
    "time": ("format", "timezone", "appearance"),
    "file": ("delimiter", "decimal"),
    "orders": ("group_by", "returns"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What the columns of a table mean; see the example at the top of this module."""

    source: str
    types: Mapping[str, str]
    type_column: str = ""
    columns: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)
    items: Mapping[str, str] = field(default_factory=dict)
    time_format: str = ""
    timezone: ZoneInfo | None = None
    appearance: bool = False
    delimiter: str = ","
    decimal: str = "."
    group_by: tuple[str, ...] = ()
    returns: bool = False

    def check_columns(self, present: list[str] | None) -> None:
        """Raise `BadSpec` if the file lacks a column that the mapping names; None: the file does not say."""
        if present is None:
            return
        named = {*self.columns.values(), *self.items.values(), *self.group_by} | ({self.type_column} - {""})
        if missing := sorted(named - set(present)):
            raise BadSpec(
                f"names columns the file does not have: {', '.join(missing)}; it has {', '.join(present)}",
                where=self.source,
            )


def load_mapping(path: Path) -> Mapped:
    """Read and check a mapping file.

    Raises
    ------
    BadSpec
        If the file is missing, is not TOML, or holds a name that nobody reads.
    """
    try:
        spec = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as broken:
        raise BadSpec(f"cannot be read: {broken.strerror}; check the path", where=str(path)) from None
    except ValueError as broken:
        raise BadSpec(f"is not TOML: {broken}", where=str(path)) from None
    return mapping_of(spec, str(path))


def mapping_of(spec: Mapping[str, Any], source: str) -> Mapped:
    """Check a mapping that was read already; `source` is what messages call it.

    Raises
    ------
    BadSpec
        Names the entry, what was wrong and what to do.
    """
    _check_names(spec, source)
    columns = _texts(spec, "columns", source)
    type_column, types = _types(spec.get("type"), source)
    time, file, orders = (spec.get(name, {}) for name in ("time", "file", "orders"))
    known = {name for kind in types.values() for name in EVENTS[kind].fields} | set(LINE_FIELDS)
    _check_fields({**columns, **spec.get("constants", {})}, known, "columns and constants", source)
    items = _texts(spec, "items", source)
    _check_fields(items, set(ITEM), "items", source)
    appearance = time.get("appearance", False) is True
    if not appearance and not {"occurred_at", "sequence"} & set(columns):
        raise BadSpec("says no time; map occurred_at or sequence, or set [time] appearance = true", where=source)
    group_by = orders.get("group_by", [columns["order_id"]] if "order_id" in columns else [])
    return Mapped(
        source=source,
        types=types,
        type_column=type_column,
        columns=columns,
        constants=spec.get("constants", {}),
        items=items,
        time_format=str(time.get("format", "")),
        timezone=_timezone(time.get("timezone"), source),
        appearance=appearance,
        delimiter=_one_letter(file.get("delimiter", ","), "file.delimiter", source),
        decimal=_one_letter(file.get("decimal", "."), "file.decimal", source),
        group_by=tuple(str(name) for name in ([group_by] if isinstance(group_by, str) else group_by)),
        returns=orders.get("returns", False) is True,
    )


def _check_names(spec: Mapping[str, Any], source: str) -> None:
    for name, value in spec.items():
        if name not in _KNOWN:
            raise BadSpec(f"has an entry nobody reads: {name}; use {', '.join(_KNOWN)}", where=source)
        if name == "type":
            continue
        if not isinstance(value, Mapping):
            raise BadSpec(f"must be a table: write [{name}]", where=f"{source}: {name}")
        allowed = _KNOWN[name]
        if allowed is not None and (unknown := set(value) - set(allowed)):
            raise BadSpec(f"has entries nobody reads: {', '.join(sorted(unknown))}", where=f"{source}: {name}")


def _texts(spec: Mapping[str, Any], name: str, source: str) -> dict[str, str]:
    table = spec.get(name, {})
    for key, value in table.items():
        if not isinstance(value, str):
            raise BadSpec("must be the name of a column, in quotes", where=f"{source}: {name}.{key}")
    return dict(table)


def _types(value: object, source: str) -> tuple[str, dict[str, str]]:
    """Return the column that says the type ("": none) and what its values mean; a constant type is under ""."""
    if isinstance(value, str):
        column, types = "", {"": value}
    elif (
        isinstance(value, Mapping) and isinstance(value.get("column"), str) and isinstance(value.get("values"), Mapping)
    ):
        column, types = value["column"], {str(key): str(kind) for key, kind in value["values"].items()}
    else:
        raise BadSpec('write type = "order_completed", or {column = …, values = {…}}', where=f"{source}: type")
    if unknown := sorted(set(types.values()) - set(EVENTS)):
        raise BadSpec(
            f"is not a type of event: {', '.join(unknown)}; use one of {', '.join(EVENTS)}", where=f"{source}: type"
        )
    return column, types


def _check_fields(named: Mapping[str, object], known: set[str], where: str, source: str) -> None:
    if unknown := sorted(set(named) - known):
        raise BadSpec(
            f"names no field of the contract: {', '.join(unknown)}; use {', '.join(sorted(known))}",
            where=f"{source}: {where}",
        )


def _timezone(name: object, source: str) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadSpec(
            f"is not a time zone: {name!r}; write Europe/Amsterdam", where=f"{source}: time.timezone"
        ) from None


def _one_letter(value: object, name: str, source: str) -> str:
    if isinstance(value, str) and len(value) == 1:
        return value
    raise BadSpec(f"must be one character, got {value!r}", where=f"{source}: {name}")
