"""A file of moments is answered line by line, as the API would; a bad line says why and stops no other."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from cxreco.edge.engine import Engine
from cxreco.edge.records import REPLY
from cxreco.edge.settings import Settings, load_settings
from cxreco.edge.sqlite_store import SqliteStore
from cxreco.errors import BadInput
from cxreco.pipelines import decide, ingest
from cxreco.pipelines.gather import gathered as gathered_log
from cxreco.pipelines.simulate import lived, shop_of
from cxreco.pipelines.train import trained
from cxreco.pipelines.workspace import opened


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the settings of a small shop with a champion."""
    home = tmp_path_factory.mktemp("shop")
    world = lived(shop_of("staples", customers=40, weeks=8), 3, home / "log", lambda _: None)
    settings = load_settings(home=home, durability="relaxed")
    with opened(settings, clock=lambda: world.now) as workspace:
        for kind in ("items", "events"):
            ingest.imported(workspace, kind, home / "log" / f"{kind}.jsonl", None, Console(quiet=True))
        trial, _ = trained(workspace, gathered_log(workspace, lambda _: None), lambda _: None)
        workspace.registry.promote(trial.version)
    return settings


def answered(settings: Settings, lines: list[bytes], folder: Path) -> tuple[int, list[dict[str, Any]]]:
    (folder / "moments.jsonl").write_bytes(b"\n".join(lines))
    code = decide.run(settings, folder / "moments.jsonl", folder / "answers.jsonl", Console(quiet=True))
    return code, [orjson.loads(line) for line in (folder / "answers.jsonl").read_bytes().splitlines()]


def test_every_good_line_is_answered_and_every_bad_one_says_why(shop: Settings, tmp_path: Path) -> None:
    lines = [
        b'{"customer_id": "nobody", "surface": "home", "explain": true}',
        b"not json",
        b"",
        b'{"customer_id": "nobody", "surface": "moon"}',
        b"[1, 2]",
        b'{"customer_id": "nobody", "request_id": "r", "query": "a"}',
        b'{"customer_id": "nobody", "request_id": "r", "query": "another"}',
        b'{"customer_id": "nobody", "surface": "outbound"}',
    ]
    code, answers = answered(shop, lines, tmp_path)
    assert code == 1
    bad = {answer["line"]: answer["error"] for answer in answers if "error" in answer}
    assert list(bad) == [2, 4, 5, 7]
    assert bad[4].startswith("surface: ")
    assert "used before" in bad[7]
    good = [answer for answer in answers if "error" not in answer]
    assert len(good) == 3
    assert all(set(REPLY) <= set(answer) for answer in good)
    assert "explain" in good[0]
    assert "explain" not in good[1]
    assert all(0.0 < answer["propensity"]["joint"] <= 1.0 for answer in good)


def test_the_champion_answers_and_what_it_answered_is_in_the_log(shop: Settings, tmp_path: Path) -> None:
    code, answers = answered(shop, [b'{"customer_id": "somebody", "request_id": "once"}'] * 2, tmp_path)
    assert code == 0
    assert answers[0] == answers[1]
    store = SqliteStore(shop.home / "log.db")
    record, _ = Engine(store, shop, clock=lambda: 0).decision(answers[0]["decision_id"])
    store.close()
    assert not record["fallback"]
    assert record["propensity"] == answers[0]["propensity"]
    assert sum(record["candidates"]["joint"]) == pytest.approx(1.0, abs=1e-9)


def test_the_moments_are_never_overwritten(shop: Settings, tmp_path: Path) -> None:
    path = tmp_path / "moments.jsonl"
    path.write_bytes(b'{"customer_id": "nobody"}\n')
    with pytest.raises(BadInput, match="file of moments itself"):
        decide.run(shop, path, path, Console(quiet=True))
    assert path.read_bytes() == b'{"customer_id": "nobody"}\n'
