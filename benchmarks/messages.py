"""Messages: is an uplift learner ever kept for the coach's value, and what would one do to what it believes.

Simulated shops live some weeks under the apprentice, with a part of the customers dealt at random; the value heads are
then taught as a retraining does, and judged on later weeks, at the same moments and among the same candidates, by the
world's truth, which no engine is told: how well what is believed of each message agrees with what it is truly worth
over hold, and what each way to believe gets of it. `as taught` keeps a learner only if the log carries it; `forced`
keeps the one that ranks best, whatever the evidence.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from contest.apprentices import champion_of
from contest.shops import Plot, founded, sources
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from under_load.report import hardware, keep

from cxreco.edge.settings import Settings
from cxreco.errors import BadInput
from cxreco.journey import COACH, Arm
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.season import Offered, Season, branch, expected
from cxreco.pipelines.workspace import opened
from cxreco.repeat.lift_training import LiftRules, lift_of
from cxreco.repeat.training import Lessons, answers_of, fit_playbook, learn
from cxreco.repeat.uplift_choice import Rules, choose
from cxreco.repeat.value_training import ValueSpec
from cxreco.respond.lift import Lift
from cxreco.respond.playbook import Playbook
from cxreco.respond.value import ValueModel
from cxreco.world import WORLDS, World

F64 = NDArray[np.float64]
Found = dict[str, Any]
Row = Mapping[str, Any]
RESAMPLED, SEED = 1_000, 11
WAYS = ("apprentice", "pooled", "as taught", "forced")


class Noting(Season):
    """A season that notes, when told to, every moment at which a message might have been sent."""

    def __init__(self, name: str, world: World, settings: Settings) -> None:
        super().__init__(name, world, settings)
        self.noting = False
        self.noted: list[tuple[str, Offered]] = []

    def _decided(self, moment: Row) -> dict[str, Any]:
        record = super()._decided(moment)
        offered = self.open.offered
        if self.noting and offered is not None and np.any(offered.candidates.mode == COACH):
            self.noted.append((str(moment["customer_id"]), offered))
        return record


def measured(plot: Plot, later: int, random: float, home: Path, console: Console) -> Found:
    """Live one shop, teach the heads, and return what they believe of later messages."""
    console.print(f"[dim]{plot.name}[/]", highlight=False)
    shop = founded(plot, home / plot.name)
    arms = {Arm.CHAMPION: 100.0 - random, Arm.RANDOM: random}
    own = shop.settings(branch(shop.base, shop.home / "messages")).model_copy(update={"arms": arms})
    world = shop.world()
    with opened(own, clock=lambda: world.now) as workspace:
        first = champion_of(workspace)
        season = Noting("messages", world, own)
        with closing(season):
            season.adopt(first)
            decisions = sum(season.days(7 * plot.weeks))
            workspace.shop.refresh()
            lessons = learn(gathered(workspace, lambda _: None), workspace.specs.tables)
            taught = fit_playbook(lessons, salt="messages")
            season.noting = True
            for _ in season.days(7 * later):
                pass
    pooled = replace(taught, value=replace(taught.value, lift=Lift()))
    learned, why = forced(lessons, pooled)
    books = dict(
        zip(WAYS, (first, pooled, taught, replace(taught, value=replace(taught.value, lift=learned))), strict=True)
    )
    lift = taught.value.lift
    found = {
        "decisions": decisions, "messages": lift.report, "kept": lift.learner, "said": lift.said,
        "forced": {"learner": learned.learner, "kept": learned.kept, "why": why},
    }  # fmt: skip
    return {**plot.key, **found, "later": judged(season.noted, books)}


def forced(lessons: Lessons, pooled: Playbook) -> tuple[Lift, str]:
    """Return the lift of the learner that ranks best, whatever the evidence; none where nothing can be learned."""
    spec = ValueSpec.from_spec(lessons.specs["value"])
    rules = LiftRules()
    answers, _ = answers_of(lessons.log, lessons.worth, spec.soon, as_of=lessons.log.now, lift=rules)
    messages = answers.messages
    if messages is None:
        return Lift(), "no messages were looked at"
    trial = messages.trial(pooled.value)
    try:
        chosen = choose(trial, rules=Rules(alpha=rules.alpha), seed=rules.seed)
    except BadInput as thin:
        return Lift(), str(thin)
    mean, error = float(chosen.mean[1]), float(chosen.error[1])
    t = f"t {chosen.learned_t:.1f} of {chosen.needed_t:.1f}; mean {mean:+.4f} (s.e. {error:.4f})"
    return lift_of(chosen, trial), t


def judged(noted: Sequence[tuple[str, Offered]], books: Mapping[str, Playbook]) -> Found:
    """Return how each way to believe agrees with the truth of messages, and what it gets of the moments."""
    who = np.unique(np.array([name for name, _ in noted]), return_inverse=True)[1]
    truth = np.concatenate([offered.truth[offered.candidates.mode == COACH] for _, offered in noted])
    at = np.repeat(who, [int(np.sum(offered.candidates.mode == COACH)) for _, offered in noted])
    believed = {
        name: np.concatenate([_messages(book, offered) for _, offered in noted]) for name, book in books.items()
    }
    got = {name: np.array([expected(book, offered) for _, offered in noted]) for name, book in books.items()}
    best = np.array([offered.truth.max() for _, offered in noted])
    out: Found = {"moments": len(noted), "messages": int(truth.size), "best": float(best.mean())}
    for name in books:
        apart = got[name] - got["pooled"]
        out[name] = {
            "correlation": _interval(at, np.column_stack([believed[name], truth]), _correlation),
            "got": float(got[name].mean()), "less_pooled": _interval(who, apart[:, None], _mean),
            "sent": float(np.mean([_sending(books[name], offered) for _, offered in noted])),
        }  # fmt: skip
    return out


def _messages(book: Playbook, offered: Offered) -> F64:
    values = ValueModel.values(book.value, offered.candidates, offered.contact)
    return np.asarray(values.over_hold[offered.candidates.mode == COACH], dtype=np.float64)


def _sending(book: Playbook, offered: Offered) -> float:
    values = ValueModel.values(book.value, offered.candidates, offered.contact)
    return float(book.policy.distribution(values.over_hold, offered.candidates.mode).mode[COACH])


def _mean(rows: F64) -> float:
    return float(rows.mean())


def _correlation(rows: F64) -> float:
    return float(np.corrcoef(rows[:, 0], rows[:, 1])[0, 1])


def _interval(who: NDArray[np.int64], rows: F64, of: Any) -> tuple[float, float, float]:  # noqa: ANN401
    """Return a statistic of rows with its 95 % interval, customers resampled."""
    rng = np.random.default_rng(SEED)
    names = np.unique(who)
    by = [np.flatnonzero(who == name) for name in names]
    drawn = [
        of(rows[np.concatenate([by[k] for k in rng.integers(0, names.size, names.size)])]) for _ in range(RESAMPLED)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return of(rows), float(low), float(high)


def show(shops: Sequence[Found], console: Console) -> None:
    """Print what was found, a row a shop and way."""
    table = Table(
        "shop", "way", "believed and true", "EUR a moment less pooled", "sent", title="messages of later weeks"
    )
    for shop in shops:
        for name in WAYS:
            row = shop["later"][name]
            cells = [
                "{:.3f} ({:.3f} to {:.3f})".format(*row["correlation"]),
                "{:+.4f} ({:+.4f} to {:+.4f})".format(*row["less_pooled"]),
            ]
            table.add_row(f"{shop['world']} {shop['seed']}", name, *cells, f"{row['sent']:.1%}")
        console.print(f"{shop['world']} {shop['seed']}: {shop['said']}; forced: {shop['forced']}", highlight=False)
    console.print(table)


def main() -> int:
    """Live the shops, teach, judge, print and keep."""
    parser = argparse.ArgumentParser(
        prog="cxreco bench messages --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), metavar="WORLD",
                        default=["staples", "fashion", "low_trust", "adversarial"])  # fmt: skip
    parser.add_argument("--seed", type=int, default=101, help="of the first shop; the next have the next ones")
    parser.add_argument("--customers", type=int, default=400)
    parser.add_argument("--history", type=int, default=12, help="weeks")
    parser.add_argument("--weeks", type=int, default=4, help="lived before the heads are taught")
    parser.add_argument("--later", type=int, default=2, help="weeks that judge")
    parser.add_argument("--random", type=float, default=50.0, help="percent of customers dealt at random")
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "cxreco-messages")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "messages.json")
    asked = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=180)
    found: Found = {"where": hardware(), "engine": sources(), "random": asked.random, "shops": []}
    for number, world in enumerate(asked.worlds):
        plot = Plot(world=world, seed=asked.seed + number, customers=asked.customers, history=asked.history,
                    weeks=asked.weeks)  # fmt: skip
        found["shops"].append(measured(plot, asked.later, asked.random, asked.home, console))
        console.print(json.dumps(found["shops"][-1]["said"]), highlight=False)
    show(found["shops"], console)
    keep(found, asked.out, console)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
