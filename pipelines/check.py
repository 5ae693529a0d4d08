"""Check: what the log is, what is wrong in it, and which of the four modes it can support."""

from collections.abc import Iterator

import orjson
from rich.console import Console
from rich.markup import escape

from cxreco.edge.check import Findings
from cxreco.edge.check import check as examined
from cxreco.edge.log_reading import event_of
from cxreco.edge.settings import Settings
from cxreco.edge.store import DECISION
from cxreco.journey import Event, Item
from cxreco.pipelines.workspace import Workspace, opened, there
from cxreco.recognise.events import parse_item


def run(settings: Settings, console: Console) -> int:
    """Print the findings; 1 for an empty log."""
    with opened(there(settings)) as workspace:
        if workspace.store.position() == 0:
            console.print("the log is empty: `cxreco import` something first, or `cxreco simulate` a shop")
            return 1
        findings = findings_of(workspace)
    console.print(escape("\n".join(findings.lines())), highlight=False, soft_wrap=True)
    return 0


def findings_of(workspace: Workspace) -> Findings:
    """Examine the whole log of a workspace."""
    return examined(
        _events(workspace), _items(workspace), clock=workspace.clock(), currency=workspace.settings.currency
    )


def _events(workspace: Workspace) -> Iterator[Event]:
    for rows in workspace.store.scan():
        yield from (event_of(row) for row in rows if row.kind != DECISION)


def _items(workspace: Workspace) -> Iterator[Item]:
    yield from (parse_item(orjson.loads(row.body)) for row in workspace.store.items())
