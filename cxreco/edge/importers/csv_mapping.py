"""A table of one's own, read by a mapping file (see `mapping` for an example): events, or lines that make up orders.

Rows that say the same in every column are one event, since an event's id is a hash of what it says. The lines of orders
are held in memory until the file ends, for an order's lines need not stand together.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cxreco.edge.importers.batches import Batch, Raw, Report, Row, content_id, event_batches, item_batches
from cxreco.edge.importers.mapping import LINE_FIELDS, Mapped
from cxreco.edge.importers.rows import KINDS, columns_of, read_rows, typed_row
from cxreco.errors import BadEvent
from cxreco.recognise.contract import ORDER_LINES
from cxreco.recognise.events import EVENTS

TIMES = ("occurred_at", "promised_at", "effective_at")


def read_csv(path: Path, mapping: Mapped, report: Report) -> Iterator[Batch]:
    """Read a table (.csv, .parquet or .jsonl): its catalogue first, if the mapping has one, then its events.

    Raises
    ------
    BadInput
        If the file cannot be read.
    BadSpec
        If the mapping names columns that the file does not have.
    """
    mapping.check_columns(columns_of(path, mapping.delimiter))
    if mapping.items:
        again = read_rows(path, Report(source=report.source), mapping.delimiter)
        yield from item_batches(_item_rows(again, mapping), report)
    orders = _Orders(mapping=mapping, report=report)
    yield from event_batches(_event_rows(read_rows(path, report, mapping.delimiter), orders), report)


def _item_rows(rows: Iterable[Raw], mapping: Mapped) -> list[Raw]:
    """Return one row per item: the last that the file says in each of its columns."""
    latest: dict[object, Raw] = {}
    for raw in rows:
        values = _mapped(raw.values, mapping.items, mapping)
        item_id = values.get("item_id")
        if item_id is not None:
            before = latest[item_id].values if item_id in latest else {"category": ""}
            latest[item_id] = Raw(raw.number, before | values)
    return list(latest.values())


def _mapped(values: Row, columns: Mapping[str, str], mapping: Mapped) -> Row:
    """Return a row's values under the names, and in the types, of the contract."""
    return typed_row(
        {name: _cell(name, values[column], mapping) for name, column in columns.items() if column in values}
    )


def _cell(name: str, cell: object, mapping: Mapped) -> object:
    if not isinstance(cell, str):
        return cell
    if name in TIMES:
        return _moment(cell, mapping)
    if KINDS.get(name) == "number" and mapping.decimal != ".":
        return cell.replace(".", "").replace(mapping.decimal, ".")
    return cell


def _moment(text: str, mapping: Mapped) -> str:
    """Return the ISO text of a time; one that cannot be read stays as it is, for the contract to refuse."""
    try:
        stamp = datetime.strptime(text, mapping.time_format) if mapping.time_format else datetime.fromisoformat(text)  # noqa: DTZ007 (the zone follows)
    except ValueError:
        return text
    if stamp.tzinfo is None and mapping.timezone is not None:
        stamp = stamp.replace(tzinfo=mapping.timezone)
    return stamp.isoformat()


@dataclass(slots=True)
class _Order:
    """The lines of one order so far, under what its first line says of it."""

    number: int
    head: Row
    lines: list[Row] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Orders:
    """Orders being put together, and how far each customer has been counted."""

    mapping: Mapped
    report: Report
    open: dict[tuple[object, ...], _Order] = field(default_factory=dict)
    counted: dict[object, int] = field(default_factory=dict)

    def count_up(self, row: Row) -> Row:
        """Give the next number of its customer to a row of a log without times and numbers."""
        if not self.mapping.appearance:
            return row
        customer = row.get("customer_id")
        self.counted[customer] = place = self.counted.get(customer, -1) + 1
        return row | {"sequence": place}

    def add(self, raw: Raw, row: Row) -> None:
        """Put a line where it belongs; one that breaks the contract is rejected alone."""
        quantity = row.get("quantity", 1 if "quantity" not in self.mapping.columns else None)
        line = {name: row[name] for name in LINE_FIELDS if name in row} | {"quantity": quantity}
        line.setdefault("price", None)
        if self.mapping.returns and isinstance(quantity, int | float) and quantity < 0:
            row = row | {"type": "order_returned"}
            line["quantity"] = -quantity
        try:
            ORDER_LINES.read([line], "line")
        except BadEvent as broken:
            self.report.reject("a line that breaks the contract", f"row {raw.number}: {broken}")
            return
        key = (row["type"], row.get("customer_id"), *self._group(raw, row))
        if key not in self.open:
            head = {name: value for name, value in row.items() if name not in LINE_FIELDS}
            self.open[key] = _Order(raw.number, self.count_up(head))
        self.open[key].lines.append(line)

    def _group(self, raw: Raw, row: Row) -> tuple[object, ...]:
        by = self.mapping.group_by
        when = (row.get("occurred_at"), row.get("sequence"))
        return tuple(raw.values.get(column) for column in by) if by else when

    def rows(self) -> Iterator[Raw]:
        """Yield the finished orders in the order of their first lines."""
        placed = {order.head.get("order_id") for key, order in self.open.items() if key[0] == "order_completed"}
        for key, order in self.open.items():
            named = content_id("csv", *key)
            row = {"event_id": named} | order.head | {"items": order.lines}
            if row["type"] == "order_completed":
                row.setdefault("order_id", named)
            elif row["type"] == "order_returned" and row.get("order_id") not in placed:
                row.pop("order_id", None)
                self.report.note("returns that name no order of this file")
            yield Raw(order.number, row)


def _event_rows(rows: Iterable[Raw], orders: _Orders) -> Iterator[Raw]:
    mapping = orders.mapping
    for raw in rows:
        said = str(raw.values.get(mapping.type_column, ""))
        kind = mapping.types.get(said)
        if kind is None:
            orders.report.ignore(f"{mapping.type_column} = {said!r}", f"row {raw.number}")
            continue
        row = dict(mapping.constants) | _mapped(raw.values, mapping.columns, mapping) | {"type": kind}
        if "items" in EVENTS[kind].fields and "item_id" in row:
            orders.add(raw, row)
        else:
            counted = orders.count_up(row)
            yield Raw(raw.number, {"event_id": content_id("csv", counted)} | counted)
    yield from orders.rows()
