"""Events in the contract's own columns, one per row."""

from collections.abc import Iterator
from pathlib import Path

from cxreco.edge.importers.batches import Batch, Report, event_batches
from cxreco.edge.importers.rows import JSON_ENDINGS, ending_of, read_rows, typed
from cxreco.journey import Event


def read_events(path: Path, report: Report) -> Iterator[Batch]:
    """Read events from .jsonl, .csv or .parquet.

    Raises
    ------
    BadInput
        If the file cannot be read at all; a broken row is counted in `report` instead.
    """
    rows = read_rows(path, report)
    return event_batches(rows if ending_of(path) in JSON_ENDINGS else typed(rows), report)


def iter_events(path: Path, report: Report) -> Iterator[Event]:
    """Read the events of a file one by one, as `read_events` does."""
    for batch in read_events(path, report):
        yield from batch.parsed_events
