"""The catalogue: rows of the contract's own columns, one per item version."""

from collections.abc import Iterator
from pathlib import Path

from cxreco.edge.importers.batches import Batch, Report, item_batches
from cxreco.edge.importers.rows import JSON_ENDINGS, ending_of, read_rows, typed


def read_items(path: Path, report: Report) -> Iterator[Batch]:
    """Read item versions from .jsonl, .csv or .parquet.

    Raises
    ------
    BadInput
        If the file cannot be read at all; a broken row is counted in `report` instead.
    """
    rows = read_rows(path, report)
    return item_batches(rows if ending_of(path) in JSON_ENDINGS else typed(rows), report)
