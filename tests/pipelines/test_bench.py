"""The comparisons are found, listed and run, and a wrong name says which there are."""

import sys

import pytest
from rich.console import Console

from cxreco.errors import NotFound
from cxreco.pipelines import bench


def test_the_list_says_what_each_measures() -> None:
    console = Console(record=True, width=200)
    assert bench.run(None, [], console) == 0
    told = console.export_text()
    for name, line in bench.comparisons(bench._folder()).items():
        assert line, f"benchmarks/{name}.py does not say what it measures"
        assert name in told


def test_a_comparison_gets_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("subprocess.call", lambda command: commands.append(command) or 3)
    assert bench.run("start", ["--repeat", "3"], Console()) == 3
    assert commands[0][0] == sys.executable
    assert commands[0][1].endswith("benchmarks/start.py")
    assert commands[0][2:] == ["--repeat", "3"]


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(NotFound, match="start"):
        bench.run("stat", [], Console())
