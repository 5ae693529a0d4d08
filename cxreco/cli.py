"""The command line: one verb a command, each a thin call of the pipeline that does the work.

Exit codes: 0 done, 1 failed with one line on stderr, 2 wrong use. Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cxreco.errors import CxRecoError

if TYPE_CHECKING:
    from rich.console import Console

    from cxreco.edge.settings import Settings

DATA, LEARN, SERVE, ASK, TRY = "Data in", "Learn and prove", "Serve and score", "Ask and erase", "Try and compare"
MAPPING_SHOWN = "an example: python -m pydoc cxreco.edge.importers.mapping"

app = typer.Typer(
    name="cxreco",
    help="Choose the customer experience and the next-best action, prove what it earned, and do better next time.",
    epilog="Settings come from CXRECO_* or cxreco.toml. COMMAND --help shows an example.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

InFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, show_default=False)]


def _written_to(endings: tuple[str, ...]) -> typer.models.OptionInfo:
    """Return the option of where to write; a place that cannot be written to is said before the work, not after it."""

    def checked(path: Path) -> Path:
        if path.suffix not in endings:
            raise typer.BadParameter(f"expected a name that ends in {' or '.join(endings)}")
        _in_a_folder(path)
        return path

    said = f"Where to write: {', '.join(endings[:-1])}{' or ' if endings[1:] else ''}{endings[-1]}."
    option: typer.models.OptionInfo = typer.Option("--out", dir_okay=False, help=said, callback=checked)
    return option


def _in_a_folder(path: Path | None) -> Path | None:
    if path is not None and not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}; make it first")
    return path


DecisionId = Annotated[str, typer.Argument(metavar="ID", help="A decision id, as the API gave it.")]
CustomerId = Annotated[str, typer.Argument(metavar="CUSTOMER", help="A customer id.")]


class Kind(StrEnum):
    """What `import` reads."""

    ITEMS = "items"
    EVENTS = "events"
    ONLINE_RETAIL = "online-retail"
    SEGMENT = "segment"
    GA4 = "ga4"
    CSV = "csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """What stands before the command."""

    home: Path | None = None


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code.

    Parameters
    ----------
    arguments
        What follows `cxreco`; None: the process's own.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=given, prog_name="cxreco")
    except CxRecoError as error:
        _fail(error, str(error), debug="--debug" in given)
    except OSError as error:
        line = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        _fail(error, line, debug="--debug" in given)
    except Exception as error:
        line = f"{type(error).__name__}: {error} (cxreco --debug COMMAND shows where)"
        _fail(error, line, debug="--debug" in given)
    sys.exit(0)


def _fail(error: Exception, line: str, *, debug: bool) -> NoReturn:
    if debug:
        raise error
    typer.echo(f"cxreco: {' '.join(line.split())}", err=True)
    sys.exit(1)


def _settings(context: typer.Context, **options: object) -> Settings:
    from cxreco.edge.settings import load_settings

    root = context.find_object(Root) or Root()
    return load_settings(home=root.home, **options)


def _console() -> Console:
    from rich.console import Console

    return Console()


def _leave(code: int | None) -> None:
    if code:
        raise typer.Exit(code)


def _show_version(asked: bool) -> None:
    if asked:
        import cxreco

        typer.echo(f"cxreco {cxreco.__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="The workspace folder, before CXRECO_HOME.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where a failure happened.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version and leave.")
    ] = False,
) -> None:
    """Keep what stands before the command."""
    context.obj = Root(home=home)


@app.command(
    "import",
    rich_help_panel=DATA,
    epilog="Example: cxreco import events events.jsonl, or cxreco import csv orders.csv --mapping orders.toml",
)
def import_(
    context: typer.Context,
    kind: Annotated[Kind, typer.Argument(help="What the file holds.", show_default=False)],
    file: InFile,
    mapping: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="For csv: which column is what, in TOML; " + MAPPING_SHOWN),
    ] = None,
) -> None:
    """Read a file into the workspace's log and say what was taken, what was not, and why."""
    if (kind is Kind.CSV) != (mapping is not None):
        raise typer.BadParameter(
            f"csv needs --mapping M.toml, and nothing else takes one; {MAPPING_SHOWN}", param_hint="--mapping"
        )
    from cxreco.pipelines import ingest as pipeline

    _leave(pipeline.run(_settings(context), kind.value, file, mapping, _console()))


@app.command(rich_help_panel=DATA, epilog="Example: cxreco check")
def check(context: typer.Context) -> None:
    """Say what the data is, what is wrong in it, and which of the four modes it can support."""
    from cxreco.pipelines import check as pipeline

    _leave(pipeline.run(_settings(context), _console()))


@app.command(rich_help_panel=LEARN, epilog="Example: cxreco train")
def train(context: typer.Context) -> None:
    """Train a challenger on the log and register it."""
    from cxreco.pipelines import train as pipeline

    _leave(pipeline.run(_settings(context), _console()))


@app.command(rich_help_panel=LEARN, epilog="Example: cxreco evaluate")
def evaluate(context: typer.Context) -> None:
    """Judge the challenger on data later than its training."""
    from cxreco.pipelines import evaluate as pipeline

    _leave(pipeline.run(_settings(context), _console()))


@app.command(rich_help_panel=LEARN, epilog="Example: cxreco promote")
def promote(
    context: typer.Context,
    version: Annotated[str | None, typer.Argument(help="A registered version; default: the challenger.")] = None,
) -> None:
    """Make the challenger champion if the gate lets it through, and say why if not."""
    from cxreco.pipelines import promote as pipeline

    _leave(pipeline.run(_settings(context), _console(), version=version))


@app.command(rich_help_panel=LEARN, epilog="Example: cxreco retrain")
def retrain(context: typer.Context) -> None:
    """Train, evaluate and promote in one; does nothing twice for the same log."""
    from cxreco.pipelines import retrain as pipeline

    _leave(pipeline.run(_settings(context), _console()))


@app.command(rich_help_panel=LEARN, epilog="Example: cxreco rollback")
def rollback(context: typer.Context) -> None:
    """Bring the previous champion back."""
    from cxreco.pipelines import promote as pipeline

    _leave(pipeline.rollback(_settings(context), _console()))


@app.command(rich_help_panel=LEARN, epilog="Example: cxreco results")
def results(context: typer.Context) -> None:
    """Say what each arm and each mode earned against control, and what learning is worth."""
    from cxreco.pipelines import results as pipeline

    _leave(pipeline.run(_settings(context), _console()))


@app.command(rich_help_panel=SERVE, epilog="Example: cxreco serve --port 8080")
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, show_default="8080")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, show_default="1")] = None,
) -> None:
    """Serve decisions over HTTP; the API is described at /docs."""
    settings = _settings(context, host=host, port=port, workers=workers)
    from cxreco.serve import run

    run(settings)


@app.command(rich_help_panel=SERVE, epilog="Example: cxreco ui --port 5000")
def ui(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
) -> None:
    """Open the workspace's MLflow: runs, metrics in plain words, registered policies."""
    from cxreco.pipelines import ui as pipeline

    pipeline.run(_settings(context), host, port, _console())


@app.command(rich_help_panel=SERVE, epilog="Example: cxreco rank --customers ids.txt --k 20 --out next.parquet")
def rank(
    context: typer.Context,
    customers: Annotated[
        Path,
        typer.Option(
            exists=True, dir_okay=False, help="Customer ids: one a line, or customer_id of a .csv or .parquet."
        ),
    ],
    out: Annotated[Path, _written_to((".parquet", ".jsonl"))],
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="Items a customer.")] = 20,
) -> None:
    """Write the next items of each customer, as of the end of the log; a score orders within its customer alone."""
    from cxreco.pipelines import rank as pipeline

    _leave(pipeline.run(_settings(context), customers, k, out, _console()))


@app.command(rich_help_panel=SERVE, epilog="Example: cxreco lifetime --out customers.parquet")
def lifetime(
    context: typer.Context,
    out: Annotated[Path, _written_to((".parquet", ".csv", ".jsonl"))],
) -> None:
    """Write what each customer is still worth over the next year, and the chance that they are still active."""
    from cxreco.pipelines import lifetime as pipeline

    _leave(pipeline.run(_settings(context), out, _console()))


@app.command(rich_help_panel=SERVE, epilog="Example: cxreco decide moments.jsonl --out decisions.jsonl")
def decide(context: typer.Context, moments: InFile, out: Annotated[Path, _written_to((".jsonl",))]) -> None:
    """Decide for a file of moments, one JSON object a line as the API takes it, with the API's own engine."""
    from cxreco.pipelines import decide as pipeline

    _leave(pipeline.run(_settings(context), moments, out, _console()))


@app.command(rich_help_panel=LEARN, epilog="Example: cxreco estimate log.parquet")
def estimate(log: InFile) -> None:
    """Estimate off-policy what a target policy would have earned, from a frame of logged decisions."""
    from cxreco.pipelines import estimate as pipeline

    pipeline.run(log, _console())


@app.command(rich_help_panel=ASK, epilog="Example: cxreco replay 2257ba4590e315910bf0a051f2f2d2b0")
def replay(context: typer.Context, decision_id: DecisionId) -> None:
    """Decide again from the record, and say whether every bit is the same."""
    from cxreco.pipelines import inspect as pipeline

    _leave(pipeline.replay(_settings(context), decision_id, _console()))


@app.command(rich_help_panel=ASK, epilog="Example: cxreco why 2257ba4590e315910bf0a051f2f2d2b0")
def why(context: typer.Context, decision_id: DecisionId) -> None:
    """Show what a decision chose from, with which probability, and why not the others."""
    from cxreco.pipelines import inspect as pipeline

    pipeline.why(_settings(context), decision_id, _console())


@app.command(rich_help_panel=ASK, epilog="Example: cxreco export C-1042 --out c-1042.json")
def export(
    context: typer.Context,
    customer_id: CustomerId,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Where to write; default: the screen.", callback=_in_a_folder),
    ] = None,
) -> None:
    """Write everything that is kept about a customer, as JSON."""
    from cxreco.pipelines import inspect as pipeline

    pipeline.export(_settings(context), customer_id, out, _console())


@app.command(rich_help_panel=ASK, epilog="Example: cxreco forget C-1042 --yes")
def forget(
    context: typer.Context,
    customer_id: CustomerId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
) -> None:
    """Erase a customer everywhere. This cannot be undone."""
    if not yes:
        typer.confirm(f"Erase everything about {customer_id}? This cannot be undone", abort=True)
    from cxreco.pipelines import inspect as pipeline

    pipeline.forget(_settings(context), customer_id, _console())


@app.command(rich_help_panel=TRY, epilog="Example: cxreco simulate shop/ --customers 500 --weeks 26")
def simulate(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(file_okay=False, help="Folder for items.jsonl and events.jsonl.")],
    customers: Annotated[int, typer.Option(min=1, help="How many customers the shop has.")] = 500,
    weeks: Annotated[int, typer.Option(min=1, help="How many weeks of history.")] = 26,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same shop.")] = 1,
) -> None:
    """Write the history of a simulated shop whose truth is known, ready to import."""
    from cxreco.pipelines import simulate as pipeline

    home = (context.find_object(Root) or Root()).home
    _leave(pipeline.run(out, home=home, customers=customers, weeks=weeks, seed=seed, console=_console()))


@app.command(rich_help_panel=TRY, epilog="Example: cxreco demo --data online_retail.csv.gz")
def demo(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A real log (UCI Online Retail); default: a simulated shop."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated shop.")] = 1,
) -> None:
    """Run the whole loop: import, train, serve, decide, learn, promote; and show what it earned."""
    from cxreco.pipelines import demo as pipeline

    _leave(pipeline.run(_settings(context), data=data, seed=seed, console=_console()))


@app.command(rich_help_panel=TRY, epilog="Example: cxreco bench start")
def bench(
    name: Annotated[str | None, typer.Argument(help="Which comparison; default: list them.")] = None,
    options: Annotated[list[str] | None, typer.Argument(help="Handed to the comparison.")] = None,
) -> None:
    """Measure against peers and floors, each ratio in one run on one machine."""
    from cxreco.pipelines import bench as pipeline

    _leave(pipeline.run(name, options or [], _console()))


if __name__ == "__main__":
    main()
