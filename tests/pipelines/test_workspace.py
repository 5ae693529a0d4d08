"""Progress where nobody sees a terminal: a plain line a step, as it happens."""

import io

from rich.console import Console

from cxreco.pipelines.workspace import steps


def test_each_step_is_a_line_at_once_and_what_differs_in_numbers_alone_ever_fewer() -> None:
    out = io.StringIO()
    with steps(Console(file=out, width=40)) as step:
        step("reading the log [of the shop]")
        assert out.getvalue() == "… reading the log [of the shop]\n"
        for rows in range(1, 1_001):
            step(f"{rows * 5_000:,} rows, {rows:,} events")
        step("a step whose words go on for longer than the console is wide")
    lines = out.getvalue().splitlines()
    assert lines[1:3] == ["… 5,000 rows, 1 events", "… 10,000 rows, 2 events"]
    assert len(lines) == 1 + 10 + 1
    assert lines[-1].endswith("the console is wide")


def test_a_terminal_gets_one_moving_line() -> None:
    out = io.StringIO()
    with steps(Console(file=out, force_terminal=True, width=60)) as step:
        step("reading")
    assert "…" not in out.getvalue() and "reading" in out.getvalue()
