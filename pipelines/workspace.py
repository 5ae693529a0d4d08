"""A workspace, opened: the settings, the store, the shop, the specs and the registry that pipelines work on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from cxreco.edge.arms import salt_of
from cxreco.edge.clock import now
from cxreco.edge.registry import Registry
from cxreco.edge.settings import Settings
from cxreco.edge.shop import Shop
from cxreco.edge.specs import Specs, load_specs, write_default_specs
from cxreco.edge.sqlite_store import SqliteStore
from cxreco.edge.store import Store

Step = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """One shop's workspace, as the pipelines see it."""

    settings: Settings
    store: Store
    shop: Shop
    specs: Specs
    clock: Callable[[], int] = now

    @cached_property
    def registry(self) -> Registry:
        """The model registry; opened on first use, for it takes a while."""
        return Registry(self.settings.home, self.clock)

    @property
    def salt(self) -> str:
        """The workspace's secret, made once."""
        return salt_of(self.settings, self.store)


@contextmanager
def opened(settings: Settings, clock: Callable[[], int] = now) -> Iterator[Workspace]:
    """Open the workspace, making its folder where there is none, and close it again."""
    write_default_specs(settings.home)
    store = SqliteStore(settings.home / "log.db", relaxed=settings.durability == "relaxed")
    try:
        yield Workspace(
            settings=settings,
            store=store,
            shop=Shop.opened(store, settings.margin_share),
            specs=load_specs(settings.home),
            clock=clock,
        )
    finally:
        store.close()


@contextmanager
def steps(console: Console) -> Iterator[Step]:
    """Show one line a step, with its time, while long work goes on."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        running: list[TaskID] = []

        def finish() -> None:
            while running:
                progress.update(running.pop(), completed=1)

        def step(what: str) -> None:
            finish()
            running.append(progress.add_task(what, total=1))

        yield step
        finish()
