"""The command line's contract: its commands, its exit codes, and one clear line where it fails."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import cxreco.pipelines
from cxreco.cli import app, main
from cxreco.errors import NotFound

DATA = ["import", "check"]
LEARN = ["train", "evaluate", "promote", "retrain", "rollback", "estimate", "results"]
SERVE = ["serve", "ui", "rank", "decide", "lifetime"]
ASK = ["replay", "why", "export", "forget"]
COMMANDS = [*DATA, *LEARN, *SERVE, *ASK, "simulate", "demo", "bench"]


def leave(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


def pipeline(monkeypatch: pytest.MonkeyPatch, name: str, run: object) -> None:
    """Put a function in the place of a pipeline's `run`."""
    module = SimpleNamespace(run=run)
    monkeypatch.setitem(sys.modules, f"cxreco.pipelines.{name}", module)
    monkeypatch.setattr(cxreco.pipelines, name, module, raising=False)


def test_the_commands_are_those_of_the_contract() -> None:
    assert sorted(str(command.name or command.callback.__name__) for command in app.registered_commands) == sorted(
        COMMANDS
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(command, "--help") == 0
    assert f"Example: cxreco {command}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("sell",),
        ("import", "events", "nowhere.jsonl"),
        ("import", "fax", __file__),
        ("import", "csv", __file__),
        ("import", "events", __file__, "--mapping", __file__),
        ("serve", "--port", "0"),
        ("rank", "--customers", __file__, "--k", "0", "--out", "x.jsonl"),
        ("rank", "--customers", __file__, "--out", "nowhere/x.jsonl"),
        ("rank", "--customers", __file__, "--out", "x.csv"),
        ("lifetime", "--out", "nowhere/x.csv"),
        ("decide", __file__, "--out", "x.parquet"),
        ("decide", __file__, "--out", "nowhere/x.jsonl"),
        ("export", "C-1", "--out", "nowhere/x.json"),
    ],
)
def test_wrong_use_leaves_with_two(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(*arguments) == 2
    assert "Usage: cxreco" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [NotFound("no decision D-1 in this workspace"), ValueError("two\nlines"), OSError("no disk")]
)
def test_failure_leaves_with_one_and_one_line(
    error: Exception, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise error

    pipeline(monkeypatch, "check", fail)
    assert leave("check") == 1
    told = capsys.readouterr().err
    assert told.startswith("cxreco: ")
    assert str(error).split("\n")[0] in told
    assert told.count("\n") == 1
    with pytest.raises(type(error)):
        main(["--debug", "check"])


def test_a_file_that_cannot_be_written_is_named_without_the_inside_of_the_program(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        (home / "nowhere" / "x").write_text("")
        return 0

    pipeline(monkeypatch, "check", fail)
    assert leave("check") == 1
    assert capsys.readouterr().err == f"cxreco: {home / 'nowhere' / 'x'}: No such file or directory\n"


def test_a_setting_nobody_knows_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXRECO_COLOUR", "red")
    assert leave("serve") == 1
    assert "CXRECO_COLOUR" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (1, 1)])
def test_a_pipeline_decides_its_exit_code(
    answer: int | None, code: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def run(settings: object, _console: object) -> int | None:
        seen.append(settings)
        return answer

    pipeline(monkeypatch, "check", run)
    assert leave("--home", str(home / "other"), "check") == code
    assert seen[0].home == home / "other"


def test_forgetting_asks_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    assert leave("forget", "C-1") != 0


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave("--version") == 0
    assert capsys.readouterr().out == f"cxreco {cxreco.__version__}\n"


READING = (f"rank --customers {__file__} --out next.jsonl", f"decide {__file__} --out answers.jsonl")
ASKING = ("why D-1", "replay D-1", "export C-1")


@pytest.mark.parametrize(
    "command",
    ["check", "train", "evaluate", "promote", "retrain", "rollback", "results", "ui", *READING, *ASKING],
    ids=lambda command: command.split()[0],
)
def test_looking_at_a_workspace_that_is_not_there_makes_none_and_says_what_to_do(
    command: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leave("--home", str(home / "nowhere"), *command.split()) == 1
    told = capsys.readouterr().err
    assert "no workspace at" in told and "import" in told and "--home" in told
    assert not (home / "nowhere").exists()


@pytest.mark.parametrize("named", [True, False])
def test_a_simulated_shop_says_what_comes_next_for_the_same_workspace(
    named: bool, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--home", "my shop") if named else ()
    assert leave(*place, "simulate", "made", "--customers", "3", "--weeks", "3") == 0
    told = capsys.readouterr().out
    command = "cxreco --home 'my shop'" if named else "cxreco"
    assert f"next: {command} import items made/items.jsonl && {command} import events made/events.jsonl" in told
    assert f"then: {command} check" in told
    # Not a terminal: what is being done is said as it happens, a line each.
    weeks = [line for line in told.splitlines() if line.startswith("… week")]
    assert weeks == ["… week 1 of 3", "… week 2 of 3"]
    assert told.index("… week 1") < told.index("next:")
