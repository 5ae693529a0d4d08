"""How one field of the contract is read from JSON and written back: checked once, then trusted.

A reader takes (value, field name) and returns the converted value or raises `BadEvent`; it never raises anything else,
whatever JSON it is handed. Text that cannot be encoded, numbers that are not finite, times without an offset stop here.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias

from cxreco.errors import BadEvent
from cxreco.journey import DAY, MICROS, Line

MAX_ID = 256
MAX_QUERY = 1_000
MAX_TEXT = 20_000
MAX_NUMBER = 1e12
MAX_DEPTH = 64
MAX_LINES = 10_000
WORST_SCORE, BEST_SCORE = 0.0, 10.0
INSTRUMENTS = ("nps", "csat", "ces")
LIMITS = ("max_order_value", "max_orders_per_month")
LINE_EXTRAS = "line_extras"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A state keeps times in unsigned 32-bit seconds, which end in 2106.
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_LATEST_MICROS = (LATEST - _EPOCH) // timedelta(microseconds=1)
MAX_SEQUENCE = _LATEST_MICROS // DAY - 1
_WIDEST_INT = 2**63
_UNSAID = float("nan")  # one object, so that equal events compare equal

Reader: TypeAlias = Callable[[Any, str], Any]
Writer: TypeAlias = Callable[[Any], Any]


def fail(name: str, wrong: str, remedy: str) -> NoReturn:
    """Refuse a field: what was wrong, and what to do."""
    raise BadEvent(f"{wrong}; {remedy}", where=name)


def shown(value: object) -> str:
    """Return a short picture of a value for a message."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, int | float) or value is None:
        return "a number beyond 64 bits" if isinstance(value, int) and abs(value) >= _WIDEST_INT else repr(value)
    return f"a value of type {type(value).__name__}"


def _encodable(text: str) -> bool:
    # A lone surrogate and a NUL are legal in JSON, and neither survives storage.
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def read_id(value: object, name: str) -> str:
    """Read an id: text of 1 to 256 characters, or an integer, which becomes its decimal text."""
    if type(value) is str:
        if value.isprintable() and 0 < len(value) <= MAX_ID and not value.isspace():
            return value
        return _odd_id(value, name)
    if type(value) is int and abs(value) < _WIDEST_INT:
        return str(value)
    if isinstance(value, str):
        return _odd_id(str(value), name)
    fail(name, f"an id must be text or an integer, got {shown(value)}", "quote it")


def _odd_id(value: str, name: str) -> str:
    if not value.strip():
        fail(name, "is empty", f"give 1 to {MAX_ID} characters")
    if len(value) > MAX_ID:
        fail(name, f"has {len(value)} characters", f"shorten it to {MAX_ID}")
    if any(letter < " " for letter in value) or not _encodable(value):
        fail(name, "holds a control character or a lone surrogate", "remove it")
    return value


def _text_reader(longest: int) -> Reader:
    def read(value: object, name: str) -> str:
        if not isinstance(value, str):
            fail(name, f"must be text, got {shown(value)}", "quote it")
        if not value.strip():
            fail(name, "is empty", "give its text, or leave the event out")
        if len(value) > longest:
            fail(name, f"has {len(value)} characters", f"shorten it to {longest}")
        if not value.isprintable() and not _encodable(value):
            fail(name, "holds a NUL or a lone surrogate", "remove it")
        return value

    return read


def read_label(value: object, name: str) -> str:
    """Read text that may be empty, such as a category nobody filled in."""
    return "" if value == "" else str(read_text(value, name))


def number_reader(low: float, high: float, *, above: bool = False) -> Reader:
    """Return a reader of finite numbers in [low, high], or (low, high] where `above`."""
    bounds = f"above {low:g} and at most {high:g}" if above else f"from {low:g} to {high:g}"

    def read(value: object, name: str) -> float:
        if type(value) is not float and type(value) is not int:
            fail(name, f"must be a number, got {shown(value)}", "write it without quotes")
        if not low <= value <= high or (above and value == low):  # NaN fails every comparison
            fail(name, f"must be a number {bounds}, got {shown(value)}", "correct it or leave the row out")
        return float(value)

    return read


def read_truth(value: object, name: str) -> bool:
    """Read true or false, and nothing that merely looks like it."""
    if value is True or value is False:
        return value
    fail(name, f"must be true or false, got {shown(value)}", "write it without quotes")


def read_time(value: object, name: str) -> int:
    """Read an ISO 8601 time with its offset; return microseconds since 1970-01-01 UTC."""
    if type(value) is str:
        try:
            stamp = datetime.fromisoformat(value)
        except ValueError:
            fail(name, f"is not an ISO 8601 time: {shown(value)}", "write 2026-03-01T12:00:00+00:00")
    elif isinstance(value, datetime):
        stamp = value
    else:
        fail(name, f"must be an ISO 8601 time, got {shown(value)}", "write 2026-03-01T12:00:00+00:00")
    if stamp.tzinfo is None or stamp.utcoffset() is None:
        fail(name, f"has no offset from UTC: {shown(str(stamp))}", "append Z or an offset such as +01:00")
    since = stamp - _EPOCH
    at = (since.days * 86_400 + since.seconds) * MICROS + since.microseconds
    if not 0 <= at < _LATEST_MICROS:
        fail(name, f"lies outside 1970 to {LATEST.year - 1}: {shown(str(stamp))}", "correct the date")
    return at


def write_time(at: int) -> str:
    """Return the ISO 8601 text, in UTC, of microseconds since 1970: `datetime.isoformat`, in half its time."""
    minute, micros = divmod(at, 60 * MICROS)
    second, micros = divmod(micros, MICROS)
    fraction = f".{micros:06d}" if micros else ""
    return f"{_up_to_minute(minute)}{second:02d}{fraction}+00:00"


@lru_cache(maxsize=256)
def _up_to_minute(minute: int) -> str:
    return (_EPOCH + timedelta(minutes=minute)).isoformat()[:-8]


def read_sequence(value: object, name: str) -> int:
    """Read the place of an event in the order of its customer; return it in nominal days, as microseconds.

    The first place, 0, stands at one second: in a state the time 0 means *never*.
    """
    if type(value) is not int:
        fail(name, f"must be an integer, got {shown(value)}", "number each customer's events 0, 1, 2, …")
    if not 0 <= value <= MAX_SEQUENCE:
        fail(name, f"must be from 0 to {MAX_SEQUENCE}, got {shown(value)}", "number each customer's events 0, 1, 2, …")
    return value * DAY or MICROS


def write_sequence(at: int) -> int:
    """Return the sequence number that `read_sequence` turned into `at`."""
    return at // DAY


def read_instrument(value: object, name: str) -> str:
    """Read the name of a survey: nps, csat or ces."""
    if isinstance(value, str) and value in INSTRUMENTS:
        return value
    fail(name, f"is not a survey we know: {shown(value)}", f"use one of {', '.join(INSTRUMENTS)}")


def check_json(value: object, name: str) -> None:
    """Refuse what JSON could not carry back: NaN, lone surrogates, wide integers, foreign types, bottomless nesting."""
    waiting: list[tuple[object, int]] = [(value, 0)]
    while waiting:
        part, depth = waiting.pop()
        if depth > MAX_DEPTH:
            fail(name, f"is nested deeper than {MAX_DEPTH} levels", "flatten it")
        if isinstance(part, Mapping):
            waiting.extend((key if isinstance(key, str) else _UNSAID, depth) for key in part)
            waiting.extend((inner, depth + 1) for inner in part.values())
        elif isinstance(part, list | tuple):
            waiting.extend((inner, depth + 1) for inner in part)
        else:
            _check_leaf(part, name)


def _check_leaf(leaf: object, name: str) -> None:
    if leaf is None or isinstance(leaf, bool):
        return
    if isinstance(leaf, str):
        if leaf.isprintable() or _encodable(leaf):
            return
        fail(name, "holds a NUL or a lone surrogate", "remove it")
    if isinstance(leaf, int):
        if abs(leaf) < _WIDEST_INT:
            return
        fail(name, "holds an integer beyond 64 bits", "write it as text")
    if isinstance(leaf, float) and math.isfinite(leaf):
        return
    fail(
        name,
        f"holds something that is not JSON: {shown(leaf)}",
        "use text, finite numbers, true, false, null, lists and objects",
    )


def read_object(value: object, name: str) -> Mapping[str, Any]:
    """Read a JSON object of the sender's own making."""
    if not isinstance(value, Mapping):
        fail(name, f"must be an object, got {shown(value)}", 'write {"name": value}')
    check_json(value, name)
    return value


def read_limits(value: object, name: str) -> Mapping[str, float]:
    """Read the spending limits of a consent.

    An unknown limit is refused: ignoring it could spend more than the customer allowed.
    """
    if not isinstance(value, Mapping):
        fail(name, f"must be an object, got {shown(value)}", f"give {' and '.join(LIMITS)}")
    for key in value:
        if key not in LIMITS:
            fail(name, f"has no limit called {shown(key)}", f"use {' and '.join(LIMITS)}")
    return {key: _read_limit(limit, f"{name}.{key}") for key, limit in value.items() if limit is not None}


def lines_reader(*, strict: bool) -> Reader:
    """Return a reader of item lines.

    Parameters
    ----------
    strict
        True for an order: at least one line, and every line says its quantity and its price (null: not known). Else a
        line may be a bare item id, and its quantity defaults to 1.
    """

    def read(value: object, name: str) -> tuple[Line, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            fail(name, f"must be a list, got {shown(value)}", 'write [{"item_id": "A1", "quantity": 1, "price": 9.5}]')
        if strict and not value:
            fail(name, "is empty", "an order has at least one line")
        if len(value) > MAX_LINES:
            fail(name, f"has {len(value)} lines", f"split it: at most {MAX_LINES} lines")
        return tuple(_read_line(entry, f"{name}[{place}]", strict=strict) for place, entry in enumerate(value))

    return read


def _read_line(entry: object, name: str, *, strict: bool) -> Line:
    if not strict and isinstance(entry, str | int):
        return Line(item_id=read_id(entry, name), price=_UNSAID, margin=_UNSAID)
    if not isinstance(entry, Mapping):
        fail(name, f"must be an object, got {shown(entry)}", 'write {"item_id": "A1", "quantity": 1, "price": 9.5}')
    for needed in ("item_id", "quantity", "price") if strict else ("item_id",):
        if needed not in entry:
            fail(
                f"{name}.{needed}",
                "is missing",
                "give it" if needed != "price" else "give it, or null if it is not known",
            )
    quantity, price, margin = entry.get("quantity"), entry.get("price"), entry.get("margin")
    return Line(
        item_id=read_id(entry["item_id"], f"{name}.item_id"),
        quantity=1.0 if quantity is None and not strict else read_quantity(quantity, f"{name}.quantity"),
        price=_UNSAID if price is None else read_money(price, f"{name}.price"),
        margin=_UNSAID if margin is None else read_signed(margin, f"{name}.margin"),
    )


def line_extras(value: Any) -> list[dict[str, Any]] | None:  # noqa: ANN401 (a JSON value that `lines_reader` has accepted)
    """Return, per line, the fields the contract does not name; None where there are none."""
    known = ("item_id", "quantity", "price", "margin")
    extras = [
        {key: inner for key, inner in entry.items() if key not in known} if isinstance(entry, Mapping) else {}
        for entry in value
    ]
    return extras if any(extras) else None


def write_lines(lines: tuple[Line, ...]) -> list[dict[str, Any]]:
    """Return the JSON of item lines; a price that is not known is null."""
    return [
        {"item_id": line.item_id, "quantity": line.quantity, "price": None if math.isnan(line.price) else line.price}
        | ({} if math.isnan(line.margin) else {"margin": line.margin})
        for line in lines
    ]


def lines_back(written: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    """Return the lines that `write_lines` wrote, without checking them again."""
    return tuple(
        Line(
            item_id=entry["item_id"],
            quantity=entry["quantity"],
            price=_UNSAID if entry["price"] is None else entry["price"],
            margin=entry.get("margin", _UNSAID),
        )
        for entry in written
    )


def as_is(value: Any) -> Any:  # noqa: ANN401 (a JSON value passes through)
    """Write a field that JSON can hold as it is."""
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """How one field travels: read from JSON, written back, and what kind a text file should take it for."""

    read: Reader
    kind: str
    write: Writer = as_is


read_text = _text_reader(MAX_TEXT)
read_query = _text_reader(MAX_QUERY)
read_quantity = number_reader(0.0, MAX_NUMBER, above=True)
read_money = number_reader(0.0, MAX_NUMBER)
read_signed = number_reader(-MAX_NUMBER, MAX_NUMBER)
read_score = number_reader(WORST_SCORE, BEST_SCORE)
_read_limit = number_reader(0.0, MAX_NUMBER)

ID = Field(read=read_id, kind="id")
TEXT = Field(read=read_text, kind="text")
LABEL = Field(read=read_label, kind="text")
QUERY = Field(read=read_query, kind="text")
QUANTITY = Field(read=read_quantity, kind="number")
MONEY = Field(read=read_money, kind="number")
SIGNED = Field(read=read_signed, kind="number")
SCORE = Field(read=read_score, kind="number")
TRUTH = Field(read=read_truth, kind="truth")
TIME = Field(read=read_time, write=write_time, kind="text")
SEQUENCE = Field(read=read_sequence, write=write_sequence, kind="whole")
INSTRUMENT = Field(read=read_instrument, kind="text")
OBJECT = Field(read=read_object, kind="json")
LIMITS_OBJECT = Field(read=read_limits, kind="json")
ORDER_LINES = Field(read=lines_reader(strict=True), write=write_lines, kind="json")
SOME_LINES = Field(read=lines_reader(strict=False), write=write_lines, kind="json")
