"""Everything that brings data in: other people's shapes to the contract, with a report of what was left out and why.

report = Report(source="shop.jsonl")
for batch in read("events", Path("shop.jsonl"), report=report):
    ...                                  # batch.items, batch.events: rows of the contract, items to be stored first
report.lines()                           # what was read, made, rejected and ignored
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from cxreco.edge.importers.batches import Batch, Report
from cxreco.edge.importers.csv_mapping import read_csv
from cxreco.edge.importers.events_file import iter_events, read_events
from cxreco.edge.importers.ga4 import read_ga4
from cxreco.edge.importers.items import read_items
from cxreco.edge.importers.mapping import load_mapping
from cxreco.edge.importers.online_retail import read_online_retail
from cxreco.edge.importers.segment import read_segment
from cxreco.errors import BadInput

__all__ = ["KINDS", "Batch", "Report", "iter_events", "read"]

_READERS: dict[str, Callable[[Path, Report], Iterator[Batch]]] = {
    "items": read_items,
    "events": read_events,
    "online-retail": read_online_retail,
    "segment": read_segment,
    "ga4": read_ga4,
}
KINDS = (*_READERS, "csv")


def read(kind: str, path: Path, mapping: Path | None = None, *, report: Report) -> Iterator[Batch]:
    """Read a file of a kind into batches that keep to the contract.

    Parameters
    ----------
    kind
        One of `KINDS`.
    path
        The file.
    mapping
        The TOML file that says what the columns mean; for `csv`, and only for it.
    report
        Filled while the batches are taken.

    Raises
    ------
    BadInput
        If the kind is unknown, a mapping is missing or unexpected, or the file cannot be read. Broken rows do not
        raise: they are counted in `report`.
    """
    if kind == "csv":
        if mapping is None:
            raise BadInput("needs to be told what the columns mean; give a mapping file", where="csv")
        return read_csv(path, load_mapping(mapping), report)
    if kind not in _READERS:
        raise BadInput(f"is not a kind of import; use one of {', '.join(KINDS)}", where=kind)
    if mapping is not None:
        raise BadInput("takes no mapping file; leave it out, or import as csv", where=kind)
    return _READERS[kind](path, report)
