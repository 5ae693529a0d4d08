"""Simulate: write the history of a simulated shop whose truth is known, ready to import."""

import shlex
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape

from cxreco.journey import MICROS
from cxreco.pipelines.workspace import Step, steps
from cxreco.world import WORLDS, World, WorldSpec

START = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * MICROS


def run(
    out: Path,
    *,
    customers: int,
    weeks: int,
    seed: int,
    console: Console,
    home: Path | None = None,
    name: str = "staples",
) -> int:
    """Write items.jsonl and events.jsonl of a shop that has lived so many weeks without an engine.

    Parameters
    ----------
    home
        The workspace that was named, for the commands to come.
    """
    with steps(console) as step:
        world = lived(shop_of(name, customers=customers, weeks=weeks), seed, out, step)
    items, events = (shlex.quote(str(out / f"{kind}.jsonl")) for kind in ("items", "events"))
    command = "cxreco" if home is None else f"cxreco --home {shlex.quote(str(home))}"
    lines = (
        f"{items} and {events} hold {weeks} weeks up to day {world.ground.day}",
        f"next: {command} import items {items} && {command} import events {events}",
        f"then: {command} check && {command} retrain && {command} serve",
    )
    for line in lines:
        console.print(escape(line), highlight=False, soft_wrap=True)
    return 0


def shop_of(name: str, *, customers: int, weeks: int) -> WorldSpec:
    """Return one of the worlds with so many customers and weeks of history."""
    from dataclasses import replace

    return replace(WORLDS[name], customers=customers, history_days=7 * weeks)


def lived(spec: WorldSpec, seed: int, out: Path, step: Step) -> World:
    """Let a shop live its history alone, writing what its systems log; returns the world as it is then."""
    out.mkdir(parents=True, exist_ok=True)
    step(f"{spec.customers} customers live {spec.history_days // 7} weeks by themselves")
    world = World(spec, seed, START)
    with (out / "events.jsonl").open("wb") as file:
        for day, events in enumerate(world.live_alone(spec.history_days)):
            file.writelines(_lines(events))
            if day % 7 == 6:
                step(f"week {day // 7 + 1} of {spec.history_days // 7}")
    with (out / "items.jsonl").open("wb") as file:
        file.writelines(_lines(world.items()))
    return world


def _lines(rows: Iterable[Mapping[str, Any]]) -> Iterable[bytes]:
    return (orjson.dumps(row) + b"\n" for row in rows)
