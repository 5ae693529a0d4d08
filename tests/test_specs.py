"""The default specs: each parses, and each is found through the package as after installation."""

import tomllib
from importlib import resources
from pathlib import Path

import pytest

from cxreco.edge.specs import load_specs, write_default_specs

FOLDER = Path(__file__).resolve().parents[1] / "models"
SPECS = sorted(FOLDER.rglob("*.toml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_a_spec_is_toml_that_explains_itself(path: Path) -> None:
    text = path.read_text()
    assert tomllib.loads(text)
    assert text.startswith("#"), "a spec opens with a comment that says what it decides"


def test_the_package_carries_every_default() -> None:
    assert SPECS
    packaged = resources.files("cxreco") / "models"
    assert {entry.name for entry in packaged.iterdir() if entry.name.endswith(".toml")} == {p.name for p in SPECS}
    assert set(load_specs().tables) == {path.stem for path in SPECS}


def test_a_workspace_copy_changes_nothing_until_it_is_edited(tmp_path: Path) -> None:
    written = write_default_specs(tmp_path)
    assert {path.name for path in written} == {path.name for path in SPECS}
    assert load_specs(tmp_path).sha256 == load_specs().sha256
    written[0].write_text(written[0].read_text() + "\n# edited\n")
    assert load_specs(tmp_path).sha256 != load_specs().sha256
    assert write_default_specs(tmp_path) == []
