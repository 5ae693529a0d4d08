"""A workspace to serve from: the simulated shop up to today, with models of the size that a grown shop has."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from rich.console import Console

from cxreco.edge.champion import CHAMPION, Pointer, keep, write_pointer
from cxreco.edge.clock import now
from cxreco.edge.engine import Engine
from cxreco.edge.settings import Settings
from cxreco.edge.specs import set_number, write_default_specs
from cxreco.journey import DAY
from cxreco.pipelines.gather import gather
from cxreco.pipelines.ingest import imported
from cxreco.pipelines.workspace import opened
from cxreco.recognise.contract import write_time
from cxreco.repeat.training import fit_playbook, learn
from cxreco.request.candidates import VALUE_FEATURES
from cxreco.request.forest import verified
from cxreco.request.growing import grow
from cxreco.request.ranker import Ranker
from cxreco.request.recalls import SIZES, Recall
from cxreco.respond.ladder import Ladder
from cxreco.respond.playbook import Playbook, sealed
from cxreco.world import WORLDS, World

CANDIDATES = (10, 50, 200, 1_000)
TREES, LEAVES = 300, 31
HEAD_TREES, HEAD_LEAVES = 50, 8
SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large the shop is; the candidates asked for need a catalogue that has as many."""

    customers: int = 400
    weeks: int = 16
    items_per_category: int = 60


QUICK = Scale(customers=120, weeks=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The workspace, what is asked of it, and the ranker that all competitors score with.

    Attributes
    ----------
    playbooks
        Version by number of candidate items; `go_live` makes one the champion.
    moments
        Bodies of `POST /v1/decisions`, of one day, without their time: the moment is now.
    events
        Bodies of event rows of the day after the log's end.
    """

    home: Path
    playbooks: dict[int, tuple[str, str]]
    moments: list[bytes]
    events: list[dict[str, Any]]
    ranker: str
    about: dict[str, float]


def build(folder: Path, scale: Scale, step: Callable[[str], None]) -> Built:
    """Let a shop live up to today, import it, train on it, and keep a playbook for each number of candidates."""
    home = folder / "workspace"
    settings = Settings(home=home, salt="benchmark")
    write_default_specs(home)
    set_number(home, "ranker", "min_data_in_leaf", 20)
    set_number(home, "ranker", "num_leaves", LEAVES)
    step(f"a shop of {scale.customers} customers lives {scale.weeks} weeks up to today")
    world = _lived(scale, folder)
    with opened(settings) as workspace:
        quiet = Console(quiet=True)
        imported(workspace, "items", folder / "items.jsonl", None, quiet)
        imported(workspace, "events", folder / "events.jsonl", None, quiet)
        step("training on its log")
        log = gather(workspace.store, workspace.shop)
        playbook = fit_playbook(learn(log, workspace.specs.tables), salt="benchmark")
        engine = Engine(workspace.store, settings, clock=now)
        engine.publish(now() // DAY * DAY)
        grown = _grown(playbook, engine.shop.codes.category_names)
        versions = {}
        for n in CANDIDATES:
            sized = sealed(replace(grown, request=replace(grown.request, recall=recall_of(n))))
            versions[n] = sized.version, keep(home, sized.version, sized.to_files())
        about: dict[str, float] = {
            "customers": scale.customers, "items": len(engine.shop.codes.item_ids), "events": log.position,
            "trees": TREES, "leaves": LEAVES, "head_trees": HEAD_TREES,
        }  # fmt: skip
    go_live(home, *versions[200])
    moments, events = _tomorrow(world)
    return Built(
        home=home, playbooks=versions, moments=moments, events=events, ranker=_ranker(playbook).forest.text, about=about
    )


def recall_of(n: int) -> Recall:
    """Return recalls that name at least `n` items together, of which `n` are kept, as far as the shop has them."""
    return Recall(most=n, sizes={**SIZES, "popular": max(n, SIZES["popular"])})


def go_live(home: Path, version: str, sha256: str) -> None:
    """Make a playbook that is kept in the workspace the champion."""
    pointer = Pointer(version=version, sha256=sha256, promoted_at=write_time(now()))
    write_pointer(home, pointer, CHAMPION)


def _lived(scale: Scale, folder: Path) -> World:
    days = 7 * scale.weeks
    spec = replace(
        WORLDS["staples"], customers=scale.customers, items_per_category=scale.items_per_category, history_days=days
    )
    world = World(spec, SEED, now() // DAY * DAY - days * DAY)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events.jsonl").open("wb") as file:
        for events in world.live_alone(days):
            file.writelines(orjson.dumps(row) + b"\n" for row in events)
    with (folder / "items.jsonl").open("wb") as file:
        file.writelines(orjson.dumps(row) + b"\n" for row in world.items())
    return world


def _tomorrow(world: World) -> tuple[list[bytes], list[dict[str, Any]]]:
    moments, events = [], []
    for moment in world.moments_today():
        events += world.answer(moment, None)
        asked = {name: value for name, value in moment.items() if name not in ("request_id", "occurred_at")}
        moments.append(orjson.dumps(asked))
    return moments, events


def _ranker(playbook: Playbook) -> Ranker:
    ranker = playbook.request.ranker
    if (
        not isinstance(ranker, Ranker)
        or ranker.forest.trees != TREES
        or f"\nnum_leaves={LEAVES}\n" not in ranker.forest.text
    ):
        raise ValueError(f"the shop is too small for a ranker of {TREES} trees of {LEAVES} leaves: give it more weeks")
    return ranker


def _grown(playbook: Playbook, categories: list[str]) -> Playbook:
    """Return the playbook as it is when decisions have taught it: trees in every head, automatic orders allowed.

    The trees are grown on chance, so they say nothing and cost what real ones do.
    """
    trees = verified(_chance(), np.empty((0, len(VALUE_FEATURES))))
    heads = {name: replace(head, trees=trees) for name, head in playbook.value.heads.items()}
    ladder = Ladder(bar=playbook.ladder.bar, notice=dict.fromkeys(categories, 0.05))
    return replace(playbook, value=replace(playbook.value, heads=heads), ladder=ladder)


def _chance() -> str:
    rng = np.random.default_rng(SEED)
    x = rng.exponential(3.0, (4_000, len(VALUE_FEATURES)))
    x[rng.random(x.shape) < 0.3] = np.nan
    y = (rng.random(4_000) < 0.3).astype(np.float64)
    params = {"rounds": HEAD_TREES, "num_leaves": HEAD_LEAVES, "learning_rate": 0.001, "min_data_in_leaf": 40}
    return grow(x, y, objective="binary", params=params, names=VALUE_FEATURES)
