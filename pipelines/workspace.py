"""A workspace, opened: the settings, the store, the shop, the specs and the registry that pipelines work on."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from cxreco.edge.arms import salt_of
from cxreco.edge.champion import CHAMPION, Pointer, read_pointer
from cxreco.edge.clock import now
from cxreco.edge.registry import Registry
from cxreco.edge.settings import Settings
from cxreco.edge.shop import Shop
from cxreco.edge.specs import Specs, load_specs, write_default_specs
from cxreco.edge.store import Store
from cxreco.edge.stores import is_there, open_store
from cxreco.errors import NotFound

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

    def live(self, role: str = CHAMPION) -> Pointer | None:
        """Return what is live in a role, by the pointer that serving reads; the registry need not be opened for it."""
        return read_pointer(self.settings.home, role)

    @property
    def salt(self) -> str:
        """The workspace's secret, made once."""
        return salt_of(self.settings, self.store)


@contextmanager
def opened(settings: Settings, clock: Callable[[], int] = now) -> Iterator[Workspace]:
    """Open the workspace, making its folder where there is none, and close it again."""
    write_default_specs(settings.home)
    store = open_store(settings)
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
    """Show one line a step while long work goes on: with its time on a terminal, plain and at once elsewhere."""
    if not console.is_terminal:
        yield Plainly(console).say
        return
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


class Plainly:
    """Says each step on a line of its own, for logs and pipes; of steps that differ in numbers alone, ever fewer."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shape = ""
        self._alike = 0

    def say(self, what: str) -> None:
        """Say what is being done."""
        shape = re.sub(r"[\d,.]+", "#", what)
        self._alike = self._alike + 1 if shape == self._shape else 1
        self._shape = shape
        # The first, second, fourth, eighth of a kind: a log of millions of rows stays a page.
        if self._alike & (self._alike - 1) == 0:
            self._console.print(f"… {escape(what)}", highlight=False, soft_wrap=True)


def there(settings: Settings) -> Settings:
    """Return the settings of a workspace that exists: looking at one must not make one.

    Raises
    ------
    NotFound
        If there is none, with what to do.
    """
    if is_there(settings):
        return settings
    where = "in the database of CXRECO_DATABASE_URL" if settings.database_url else f"at {settings.home}"
    raise NotFound(
        f"there is no workspace {where}: `cxreco import` makes one (`cxreco simulate` gives data to try), "
        "or name another by --home"
    )
