"""Reading a file row by row, whatever its format.

Formats, by ending: `.jsonl` (or `.ndjson`, or `.json` holding one list), `.csv`, `.parquet`; text also as `.gz`.
In the two tabular formats an empty cell, a null and a NaN are absent, numbers and true/false are read from text where
the contract expects them, and lists and objects are JSON text (Parquet may also nest them).
"""

import csv
import gzip
import math
import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow.parquet as pq

from cxreco.edge.importers.batches import BATCH, Raw, Report, Row
from cxreco.errors import BadInput
from cxreco.recognise.events import EVENTS, ITEM

JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
ENDINGS = (*JSON_ENDINGS, ".csv", ".parquet")
TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

KINDS = {name: each.kind for contract in EVENTS.values() for name, each in contract.fields.items()}
KINDS |= {name: each.kind for name, each in ITEM.items()}


def number_or_as_is(value: object) -> object:
    """Return the number that a text spells; anything else as it is, for the contract to judge."""
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) else value


def read_rows(path: Path, report: Report, delimiter: str = ",") -> Iterator[Raw]:
    """Read a file row by row; what cannot be read as a row at all is counted as rejected.

    Parameters
    ----------
    path, report
        What to read, and where to count.
    delimiter
        What separates the cells of a CSV file.

    Raises
    ------
    BadInput
        If the file is missing, of an unknown format, not UTF-8 or damaged.
    """
    ending = ending_of(path)
    try:
        if ending == ".parquet":
            yield from _read_parquet(path, report)
        elif ending == ".csv":
            yield from _read_csv(path, report, delimiter)
        else:
            yield from _read_json(path, report)
    except UnicodeDecodeError as broken:
        raise BadInput(
            f"is not UTF-8 ({broken.reason} at byte {broken.start}); save it as UTF-8", where=str(path)
        ) from None
    except (OSError, EOFError, zlib.error) as broken:
        raise BadInput(f"cannot be read: {broken}; check the file", where=str(path)) from None


def ending_of(path: Path) -> str:
    """Return the format's ending, without `.gz`.

    Raises
    ------
    BadInput
        If there is no such file, or its format is not one of ours.
    """
    if not path.is_file():
        raise BadInput("there is no such file; check the path", where=str(path))
    endings = [ending.lower() for ending in path.suffixes]
    ending = endings[-2] if endings[-1:] == [".gz"] and len(endings) > 1 else "".join(endings[-1:])
    if ending not in ENDINGS or (ending == ".parquet" and endings[-1] == ".gz"):
        raise BadInput(f"unknown format; expected {', '.join(ENDINGS)} (text also .gz)", where=str(path))
    return ending


def open_text(path: Path, encoding: str = "utf-8-sig") -> IO[str]:
    """Open a text file, gzipped or not, with its line ends untouched."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _read_json(path: Path, report: Report) -> Iterator[Raw]:
    if ending_of(path) == ".json":
        with open_text(path) as file:
            text = file.read()
        if text.lstrip().startswith("["):
            yield from _read_json_list(text, path, report)
            return
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                report.rows += 1
                yield from _json_row(line, number, report)


def _json_row(line: str, number: int, report: Report) -> Iterator[Raw]:
    try:
        values = orjson.loads(line)
    except ValueError as broken:  # orjson.JSONDecodeError, and text that holds a lone surrogate
        report.reject("not JSON", f"row {number}: {broken}")
        return
    yield from _object_row(values, number, report)


def _object_row(values: object, number: int, report: Report) -> Iterator[Raw]:
    if isinstance(values, dict):
        yield Raw(number, values)
    else:
        report.reject("not a JSON object", f"row {number}: a {type(values).__name__}")


def _read_json_list(text: str, path: Path, report: Report) -> Iterator[Raw]:
    try:
        entries = orjson.loads(text)
    except ValueError as broken:
        raise BadInput(f"is not JSON: {broken}; one list, or one object per line", where=str(path)) from None
    for number, values in enumerate(entries, start=1):
        report.rows += 1
        yield from _object_row(values, number, report)


def _read_csv(path: Path, report: Report, delimiter: str) -> Iterator[Raw]:
    with open_text(path) as file:
        lines = csv.reader(file, delimiter=delimiter)
        names = _header(next(lines, []), path)
        while True:
            number = lines.line_num + 1
            try:
                cells = next(lines, None)
            except csv.Error as broken:
                report.rows += 1
                report.reject("not a CSV row", f"row {number}: {broken}")
                continue
            if cells is None:
                return
            if cells:
                report.rows += 1
                yield from _csv_row(names, cells, number, report)


def _header(cells: list[str], path: Path) -> list[str]:
    names = [cell.strip() for cell in cells]
    if not any(names):
        raise BadInput("has no header line; name the columns in the first line", where=str(path))
    return names


def columns_of(path: Path, delimiter: str = ",") -> list[str] | None:
    """Return the names of a tabular file's columns; None for JSON, where each row names its own.

    Raises
    ------
    BadInput
        If the file cannot be read.
    """
    ending = ending_of(path)
    try:
        if ending == ".parquet":
            return [str(name) for name in pq.ParquetFile(path).schema_arrow.names]
        if ending == ".csv":
            with open_text(path) as file:
                return _header(next(csv.reader(file, delimiter=delimiter), []), path)
    except (OSError, EOFError, ValueError, zlib.error) as broken:
        raise BadInput(f"cannot be read: {broken}; check the file", where=str(path)) from None
    return None


def _csv_row(names: list[str], cells: list[str], number: int, report: Report) -> Iterator[Raw]:
    if len(cells) != len(names):
        report.reject(
            "another number of cells than the header", f"row {number}: {len(cells)} cells, {len(names)} columns"
        )
        return
    yield Raw(number, {name: cell.strip() for name, cell in zip(names, cells, strict=True) if cell.strip()})


def _read_parquet(path: Path, report: Report) -> Iterator[Raw]:
    try:
        file = pq.ParquetFile(path)
    except ValueError as broken:  # ArrowInvalid
        raise BadInput(f"is not Parquet: {broken}; check the file", where=str(path)) from None
    number = 0
    for part in file.iter_batches(batch_size=BATCH):
        for values in part.to_pylist():
            number += 1
            report.rows += 1
            yield Raw(number, {name: plain for name, cell in values.items() if (plain := _plain(cell)) is not None})


def _plain(cell: Any) -> Any:  # noqa: ANN401 (a Parquet cell becomes a JSON value)
    """Return the JSON value of a Parquet cell; None where it is absent."""
    if isinstance(cell, float):
        return None if math.isnan(cell) else cell
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, Decimal):
        return float(cell)
    if isinstance(cell, dict):
        return {name: _plain(inner) for name, inner in cell.items()}
    if isinstance(cell, list):
        return [_plain(inner) for inner in cell]
    return cell


def typed(rows: Iterable[Raw]) -> Iterator[Raw]:
    """Give tabular rows the types that the contract expects."""
    for raw in rows:
        yield Raw(raw.number, typed_row(raw.values))


def typed_row(values: Row) -> Row:
    """Give cells the types that the contract expects; what cannot be converted is left for it to judge."""
    return {name: _typed_cell(name, cell) for name, cell in values.items()}


def _typed_cell(name: str, cell: Any) -> Any:  # noqa: ANN401 (a cell becomes a JSON value)
    kind = KINDS.get(name, "text")
    if kind == "id" and isinstance(cell, float) and cell.is_integer():
        return int(cell)  # a column of numbers with gaps: 17850.0 is the customer 17850
    if kind == "whole" and isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if not isinstance(cell, str):
        return cell
    if kind == "number":
        return number_or_as_is(cell)
    if kind == "whole":
        return int(cell) if re.fullmatch(r"-?\d{1,18}", cell) else cell
    if kind == "truth":
        return TRUTHS.get(cell.lower(), cell)
    if kind == "json":
        return _json_cell(cell)
    return cell


def _json_cell(cell: str) -> object:
    try:
        return orjson.loads(cell)
    except ValueError:
        return cell
