"""The registry and the champion pointer: what is live is what was registered, byte for byte, or it is not live."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from cxreco.edge.champion import CHALLENGER, CHAMPION, Watcher, load_playbook, read_pointer
from cxreco.edge.registry import MODEL, Registry
from cxreco.errors import NotFound, StalePlaybook
from cxreco.journey import DAY
from cxreco.respond.playbook import Playbook

pytestmark = pytest.mark.filterwarnings("ignore")
NOW = 20_500 * DAY


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    yield Registry(tmp_path, lambda: NOW)


def aliases(registry: Registry) -> dict[str, str]:
    model: Any = registry._client.get_registered_model(MODEL)
    numbers = {str(row.version): row.tags["cxreco.version"] for row in registry._client.search_model_versions("")}
    return {alias: numbers[str(number)] for alias, number in model.aliases.items()}


def test_a_playbook_goes_in_and_comes_out_and_goes_live_and_back(
    registry: Registry, tmp_path: Path, playbook: Playbook, other_playbook: Playbook
) -> None:
    first = registry.save(
        playbook.to_files(), metrics={"auc": 0.7}, params={"rounds": 300}, artifacts={"card.md": b"# A card"}
    )
    assert first == playbook.version
    assert registry.save(playbook.to_files()) == first
    second = registry.save(other_playbook.to_files(), tags={"kind": "refresh"})
    assert registry.versions() == [first, second]
    assert registry.load(second) == other_playbook.to_files()
    assert registry.playbook(first).version == first

    assert registry.live() is None
    with pytest.raises(NotFound, match="no previous champion"):
        registry.rollback()
    assert registry.promote(first).previous == ""
    assert registry.promote(first) == read_pointer(tmp_path)
    registry.challenge(second)
    assert aliases(registry) == {"champion": first, "challenger": second}
    assert registry.promote(second).previous == first
    assert aliases(registry) == {"champion": second, "previous": first}
    assert registry.rollback().version == first
    assert aliases(registry) == {"champion": first, "previous": second}
    live = registry.live()
    assert live is not None
    assert load_playbook(tmp_path, live.version, live.sha256).to_files() == playbook.to_files()

    _a_run_can_be_added_to_and_read(registry, first)
    _the_registry_follows_the_pointer_after_a_crash(registry, first, second)
    _a_changed_byte_is_refused(registry, tmp_path, second)


def _a_run_can_be_added_to_and_read(registry: Registry, version: str) -> None:
    assert registry.artifact(version, "card.md") == b"# A card"
    registry.note(version, tags={"seen": "yes"}, artifacts={"loop/more.txt": b"more"})
    assert registry.artifact(version, "loop/more.txt") == b"more"
    assert registry.artifact(version, "loop/none.txt") is None
    run = registry._client.get_run(registry._run(version))
    assert (run.data.tags["seen"], run.data.params["rounds"], run.data.metrics["auc"]) == ("yes", "300", 0.7)
    with pytest.raises(NotFound, match="no playbook"):
        registry.note("123", tags={"seen": "no"})


def test_many_parameters_and_long_ones_are_kept(registry: Registry, playbook: Playbook) -> None:
    params = {f"models.number_{n}": "x" * 10 * n for n in range(230)}
    version = registry.save(playbook.to_files(), params=params, metrics={f"m{n}": n for n in range(230)})
    run = registry._client.get_run(registry._run(version))
    assert set(run.data.params) == set(params) and len(run.data.metrics) == 230


def _the_registry_follows_the_pointer_after_a_crash(registry: Registry, first: str, second: str) -> None:
    registry._client.set_registered_model_alias(MODEL, "champion", registry._number(second))
    assert registry.reconcile() == {"champion": first, "previous": second}
    assert aliases(registry)["champion"] == first


def _a_changed_byte_is_refused(registry: Registry, tmp_path: Path, version: str) -> None:
    before = read_pointer(tmp_path)
    for path in (tmp_path / "mlflow-artifacts").rglob("policy.json"):
        path.write_bytes(path.read_bytes().replace(b'"gamma"', b'"gamme"'))
    with pytest.raises(StalePlaybook, match=r"policy\.json is not what was registered"):
        registry.promote(version)
    assert read_pointer(tmp_path) == before
    with pytest.raises(NotFound, match="no playbook 123"):
        registry.load("123")


@pytest.fixture
def promoted(tmp_path: Path) -> Callable[..., None]:
    from cxreco.edge.champion import Pointer, keep, write_pointer

    def promote(playbook: Playbook, role: str = CHAMPION) -> None:
        sha256 = keep(tmp_path, playbook.version, playbook.to_files())
        write_pointer(tmp_path, Pointer(version=playbook.version, sha256=sha256, promoted_at="now"), role)

    return promote


def test_a_watcher_hands_over_what_changed_and_nothing_else(
    tmp_path: Path, promoted: Callable[..., None], playbook: Playbook, other_playbook: Playbook
) -> None:
    seen: list[tuple[str, str]] = []
    refused: list[str] = []
    watcher = Watcher(
        tmp_path,
        lambda role, found, pointer: seen.append((role, found.version if found else "")),
        lambda role, error: refused.append(str(error)),
    )
    watcher.look()
    promoted(playbook)
    watcher.look()
    watcher.look()
    promoted(other_playbook)
    promoted(playbook, CHALLENGER)
    watcher.look()
    (tmp_path / "challenger.json").unlink()
    watcher.look()
    one, two = playbook.version, other_playbook.version
    assert seen == [(CHAMPION, one), (CHAMPION, two), (CHALLENGER, one), (CHALLENGER, "")]
    assert refused == []

    (tmp_path / "champion.json").write_bytes(b"{")
    watcher.look()
    promoted(playbook)
    (tmp_path / "playbooks" / one / "value.json").write_bytes(b"{}")
    watcher.look()
    assert len(seen) == 4
    assert "cannot be read" in refused[0]
    assert "value.json" in refused[1]
    promoted(playbook)
    watcher.look()
    assert seen[-1] == (CHAMPION, one)


@pytest.mark.parametrize("spoil", ["manifest", "missing", "extra"])
def test_a_playbook_that_is_not_whole_is_refused(
    tmp_path: Path, promoted: Callable[..., None], playbook: Playbook, spoil: str
) -> None:
    promoted(playbook)
    folder = tmp_path / "playbooks" / playbook.version
    pointer = read_pointer(tmp_path)
    assert pointer is not None
    if spoil == "manifest":
        manifest = orjson.loads((folder / "manifest.json").read_bytes())
        (folder / "manifest.json").write_bytes(orjson.dumps(manifest))
    elif spoil == "missing":
        (folder / "ladder.json").unlink()
    else:
        (folder / "more.json").write_bytes(b"{}")
    with pytest.raises(StalePlaybook):
        load_playbook(tmp_path, pointer.version, pointer.sha256)


def test_a_version_nobody_kept_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no playbook"):
        load_playbook(tmp_path, "123")
