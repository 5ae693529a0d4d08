"""Decide: a file of moments in, a file of answers out, by the engine that serves and with what it would have loaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from cxreco.edge import schemas
from cxreco.edge.background import Background
from cxreco.edge.champion import Watcher
from cxreco.edge.desk import answer_of
from cxreco.edge.engine import Engine
from cxreco.edge.settings import Settings
from cxreco.edge.steps import wait
from cxreco.errors import BadInput, Conflict
from cxreco.journey import DAY
from cxreco.pipelines.workspace import opened, steps, there

SHOWN = 10
EVERY = 500


def run(settings: Settings, moments: Path, out: Path, console: Console) -> int:
    """Decide for each line of `moments`; 1 if a line could not be read as a decision request.

    A line of `out` answers each line of `moments` that is not blank: the reply of the API, or `{"line", "error"}`.
    """
    if out.exists() and out.samefile(moments):
        raise BadInput("is the file of moments itself; name another", where="--out")
    bad: list[dict[str, Any]] = []
    decided = 0
    with opened(there(settings)) as workspace, steps(console) as step:
        step("loading the champion")
        engine = serving(Engine(workspace.store, settings, clock=workspace.clock))
        for reason in engine.unready:
            console.print(escape(f"every answer will be a safe one: {reason}"), highlight=False)
        with out.open("wb") as file:
            for answer in _answers(engine, moments):
                file.write(orjson.dumps(answer) + b"\n")
                if "error" in answer:
                    bad.append(answer)
                    continue
                decided += 1
                if decided % EVERY == 1:
                    step(f"deciding, from number {decided:,} on")
    console.print(f"{decided:,} decisions in {escape(str(out))}", highlight=False)
    for row in bad[:SHOWN]:
        console.print(escape(f"line {row['line']}: {row['error']}"), highlight=False)
    if bad:
        console.print(f"not decided: {len(bad):,}; each is in the file with its line and reason", highlight=False)
    return 1 if bad else 0


def serving(engine: Engine) -> Engine:
    """Load what is live into an engine and publish what is due, as a server does when it starts."""
    Watcher(engine.settings.home, engine.adopt, engine.refused).look()
    Background(engine).publish_if_due()
    return engine


def _answers(engine: Engine, moments: Path) -> Iterator[dict[str, Any]]:
    background, day = Background(engine), -1
    with moments.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                body = read_request(line)
                yield answered(engine, body)
            except (BadInput, Conflict) as wrong:
                yield {"line": number, "error": str(wrong)}
                continue
            # A server looks every second; a file has no seconds, but its days begin all the same.
            if (body.occurred_at or -1) // DAY > day:
                day = (body.occurred_at or -1) // DAY
                background.publish_if_due()


def answered(engine: Engine, body: schemas.DecisionIn) -> dict[str, Any]:
    """Return what the API replies to a request.

    Raises
    ------
    Conflict
        If its request id was used before with another body.
    """
    return answer_of(engine, wait(engine.deciding(body.ask(engine.clock()))), explain=body.explain)


def read_request(line: bytes) -> schemas.DecisionIn:
    """Read a decision request from a line of JSON.

    Raises
    ------
    BadInput
        Naming the field and what is wrong with it.
    """
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError as broken:
        raise BadInput(f"is not JSON: {broken}") from broken
    if not isinstance(body, dict):
        raise BadInput("is JSON, but not an object")
    try:
        return schemas.DecisionIn.model_validate(body)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(str(first["msg"]).removeprefix("Value error, "), where=where) from invalid
