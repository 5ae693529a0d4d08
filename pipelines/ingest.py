"""Ingest: from a file into the workspace's log, with a report of everything that was taken and left out."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from cxreco.edge.engine import Engine
from cxreco.edge.importers import Batch, Report, read
from cxreco.edge.settings import Settings
from cxreco.pipelines.workspace import Workspace, opened, steps

LARGEST = 5_000


def run(settings: Settings, kind: str, path: Path, mapping: Path | None, console: Console) -> int:
    """Import a file; 1 if nothing in it could be used."""
    with opened(settings) as workspace:
        report = imported(workspace, kind, path, mapping, console)
    console.print(escape("\n".join(report.lines())), highlight=False)
    return 0 if report.n_events or report.items else 1


def imported(workspace: Workspace, kind: str, path: Path, mapping: Path | None, console: Console) -> Report:
    """Import a file into an open workspace and return the report."""
    report = Report(source=path.name)
    engine = Engine(workspace.store, workspace.settings, clock=workspace.clock)
    repeated = 0
    with steps(console) as step:
        step(f"reading {path.name}")
        for batch in _sized(read(kind, path, mapping, report=report)):
            if batch.items:
                engine.put_items(batch.items)
            if batch.events:
                repeated += engine.ingest(batch.events).duplicates
            step(f"{report.rows:,} rows, {report.n_events:,} events")
    if repeated:
        report.note("events that the log had already, not taken twice", repeated)
    workspace.shop.refresh()
    return report


def _sized(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Cut batches to what a store takes at once without keeping others waiting."""
    for batch in batches:
        for start in range(0, max(len(batch.items), len(batch.events)), LARGEST):
            yield Batch(items=batch.items[start : start + LARGEST], events=batch.events[start : start + LARGEST])
