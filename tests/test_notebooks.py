"""The notebooks are arguments: each runs from its first cell to its last, in an empty folder, within its time."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9]*.ipynb"))
MOST_SECONDS = 300
MOST_LINES = 5


def code_of(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def pictures(notebook: nbformat.NotebookNode) -> int:
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in data for data in shown)


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_its_claim_and_defines_nothing_long(path: Path) -> None:
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert "claim" in first.source.lower()
    for source in code_of(path):
        blocks = source.split("\ndef ")[1:] + ([source] if source.startswith("def ") else [])
        assert all(len(block.split("\n\n")[0].splitlines()) <= MOST_LINES for block in blocks)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_shows_names_no_machine(path: Path) -> None:
    text = path.read_text()
    assert "/home/" not in text
    assert "/tmp/" not in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_as_kept_shows_its_pictures(path: Path) -> None:
    assert pictures(nbformat.read(path, as_version=4)) == path.read_text().count("plt.show()")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The kernel chooses where pictures go, as for whoever opens the notebook.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=MOST_SECONDS, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    assert not list(tmp_path.iterdir()), "a notebook leaves nothing behind in its folder"
    last = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs][-1]
    printed = "".join(output.get("text", "") for output in last.outputs)
    assert "per customer-week" in printed if path.stem == "01_the_loop" else "the claim holds here" in printed
    assert pictures(notebook) == path.read_text().count("plt.show()"), "every picture that is asked for is there"
