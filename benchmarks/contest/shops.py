"""The shops of the contest: a world, its history lived and imported, the apprentice trained; kept for every policy."""

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import cxreco
from cxreco.edge.settings import Settings, load_settings
from cxreco.errors import BadInput, CxRecoError
from cxreco.pipelines.demo_world import own_specs
from cxreco.pipelines.ingest import imported
from cxreco.pipelines.retrain import turned
from cxreco.pipelines.simulate import START, lived
from cxreco.pipelines.workspace import opened
from cxreco.world import WORLDS, Entry, World, WorldSpec

# A shop without history is asked from the first day on which there is anything to learn a ranking from.
SHORTEST_DAYS = (1, 2, 3, 5, 7, 14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One shop: which world and seed, how many customers, weeks of history, and weeks to be lived."""

    world: str
    seed: int
    customers: int
    history: int
    weeks: int

    @property
    def key(self) -> dict[str, Any]:
        """Return what tells this shop from others."""
        return asdict(self)

    @property
    def name(self) -> str:
        """Return a name for folders and progress lines."""
        return f"{self.world}-{self.seed}-{self.customers}x{self.history}+{self.weeks}"

    def spec(self, days: int) -> WorldSpec:
        """Return the world with so many days of history; one that drifts does so half-way through what is lived."""
        spec = WORLDS[self.world]
        span = days + 7 * self.weeks
        drift = None if spec.drift_day is None else days + 7 * self.weeks // 2
        return replace(
            spec, customers=self.customers, history_days=days, drift_day=drift, days=max(spec.days, span + 7)
        )

    @property
    def histories(self) -> tuple[int, ...]:
        """Return the lengths of history to try, in days: one, but for the shop that is to have none."""
        return SHORTEST_DAYS if WORLDS[self.world].history_days == 0 else (7 * self.history,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Founded:
    """A shop that is ready: where it lies, what it is made of, and how many orders each customer has in its log."""

    plot: Plot
    home: Path
    history_days: int
    orders_before: list[int]
    cpu_s: float

    @property
    def base(self) -> Path:
        """Return the workspace that every season starts from."""
        return self.home / "base"

    def world(self) -> World:
        """Return the world as it is at the end of its history, lived anew."""
        world = World(self.plot.spec(self.history_days), self.plot.seed, START)
        for _ in world.live_alone(self.history_days):
            pass
        return world

    def settings(self, home: Path) -> Settings:
        """Return the settings of a workspace of this shop."""
        settings = load_settings(salt=f"contest-{self.plot.seed}").embedded()
        return settings.model_copy(update={"home": home, "durability": "relaxed"})


def sources() -> str:
    """Return eight hex digits of the hash of the engine's code: figures of two engines are not to be mixed unsaid."""
    root = Path(cxreco.__file__).parent
    files = sorted(path for ending in ("*.py", "*.toml") for path in root.rglob(ending))
    # These are links in the package, which a search does not follow.
    linked = sorted(path for name in ("pipelines", "models") for path in (root / name).iterdir() if path.is_file())
    total = hashlib.sha256()
    for path in (*files, *linked):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:8]


def founded(plot: Plot, home: Path) -> Founded:
    """Found a shop, or return the one that was founded here before by the same code.

    Raises
    ------
    BadInput
        If its history teaches nothing.
    """
    marker = home / "founded.json"
    if marker.exists():
        said = json.loads(marker.read_text())
        if said.pop("sources") == sources():
            return Founded(plot=plot, home=home, **said)
    failed: CxRecoError | None = None
    for days in plot.histories:
        shutil.rmtree(home, ignore_errors=True)
        try:
            made = _founded(plot, home, days)
        except CxRecoError as error:
            failed = error
            continue
        told = {"history_days": days, "orders_before": made.orders_before, "cpu_s": made.cpu_s, "sources": sources()}
        marker.write_text(json.dumps(told))
        return made
    raise BadInput(f"no history of {plot.histories} days teaches anything: {failed}", where=plot.name)


def _founded(plot: Plot, home: Path, days: int) -> Founded:
    begun = time.process_time()
    quiet = Console(quiet=True)
    world = lived(plot.spec(days), plot.seed, home / "shop", lambda _: None)
    made = Founded(plot=plot, home=home, history_days=days, orders_before=_orders(world), cpu_s=0.0)
    own_specs(made.base)
    with opened(made.settings(made.base), clock=lambda: world.now) as workspace:
        for kind in ("items", "events"):
            imported(workspace, kind, home / "shop" / f"{kind}.jsonl", None, quiet)
        turned(workspace, lambda _: None)
        if workspace.live() is None:
            raise BadInput("its history makes no champion", where=plot.name)
    return replace(made, cpu_s=round(time.process_time() - begun, 1))


def _orders(world: World) -> list[int]:
    orders = np.zeros(len(world.ground.people.ids), dtype=np.int64)
    for posting in world.takings.postings:
        orders[posting.customer] += posting.kind is Entry.ORDER and posting.at < world.now
    return [int(count) for count in orders]
