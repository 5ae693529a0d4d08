"""The gate: whether it lets the better through and the worse not, as often as it says, where the truth is known.

Simulated promotions of a challenger that is truly worse or better; whether the number of decisions it asks for is what
it then takes; half years of weekly refreshes, also such as get truly worse every week; and two arms looked at every day
for half a year. Every share has its 95 % interval (Clopper-Pearson).
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from gating.arms import sequences, sizes
from gating.chains import refreshes
from gating.promotions import better, worse
from rich.console import Console
from rich.table import Table
from under_load.report import hardware, keep

WORSE, BETTER = -0.05, 0.10
Found = dict[str, Any]
# What is held to what: a place in the figures, the bound, and on which side of it the figure must be.
TARGETS = (
    ("a change 5 % worse passes", ("promotions", "change_worse", "share"), 0.05, False),
    ("a refresh 5 % worse passes", ("promotions", "refresh_worse", "share"), 0.05, False),
    ("a change 10 % better passes, N logged", ("better", "promoted", "share"), 0.80, True),
    ("  of those told to wait for N", ("better", "after_waiting", "share"), 0.80, True),
    ("N within a factor of two", ("better", "within_two", "share"), 0.50, True),
    ("refreshes that learn pass", ("refreshes", "learning", "through", "mean"), 0.90, True),
    ("refreshes as good pass", ("refreshes", "standing", "through", "mean"), 0.90, True),
    ("value after half a year of learning", ("refreshes", "learning", "gain", "low"), 0.0, True),
    ("value after half a year of as good", ("refreshes", "standing", "gain", "low"), -0.01, True),
    ("chain of as good is ever held", ("refreshes", "standing", "ever_held_by_the_chain", "share"), 0.05, False),
    ("equal arms ever told apart", ("arms", "equal", "ever_missed", "share"), 0.05, False),
    ("arms' true difference ever missed", ("arms", "unequal", "ever_missed", "share"), 0.05, False),
    ("true sizes ever called broken", ("arms", "sizes_true", "share"), 0.05, False),
)


def measured(sims: int, every: int, parts: list[str], console: Console) -> Found:
    """Measure the parts that were asked for."""
    found: Found = {}
    with console.status("simulating") as status:
        if "promotions" in parts:
            status.update("challengers that are worse")
            found["promotions"] = {f"{kind}_worse": worse(sims, kind, WORSE) for kind in ("change", "refresh")}
            found["promotions"] |= {f"{kind}_equal": worse(sims, kind, 0.0) for kind in ("change", "refresh")}
            status.update("challengers that are better")
            found["better"] = better(sims, BETTER)
        if "refreshes" in parts:
            status.update("half years of refreshes")
            found["refreshes"] = {
                "learning": refreshes(sims, "learning"),
                "standing": refreshes(sims, "standing"),
                "downhill": refreshes(sims, "downhill"),
                "downhill_unguarded": refreshes(sims, "downhill", guarded=False),
            }
        if "arms" in parts:
            status.update("arms, looked at every day")
            found["arms"] = {
                "equal": sequences(sims, 0.0, every),
                "unequal": sequences(sims, BETTER, every),
                "sizes_true": sizes(sims, 1.0),
                "sizes_broken": sizes(sims, 0.9),
            }
    return found


def at(found: Found, place: tuple[str, ...]) -> Found | float | None:
    """Return what is kept at a place, None where that part was not run."""
    here: Any = found
    for name in place:
        if name not in here:
            return None
        here = here[name]
    return here  # type: ignore[no-any-return]


def show(found: Found, console: Console) -> bool:
    """Print each target beside its figure; tell whether all are met."""
    table, all_met = Table("what", "measured (95 %)", "bound", "", title="the gate, held to what it says"), True
    for what, place, bound, above in TARGETS:
        row = at(found, place[:-1])
        if not isinstance(row, dict):
            continue
        figure = float(row[place[-1]])
        met = figure >= bound if above else figure <= bound
        all_met &= met
        side = "at least" if above else "at most"
        said = f"{row.get('share', row.get('mean')):.1%} ({row['low']:.1%} to {row['high']:.1%})"
        table.add_row(what, said, f"{side} {bound:.0%}", "met" if met else "[bold red]not met[/]")
    console.print(table)
    for line in told(found):
        console.print(line, highlight=False, soft_wrap=True)
    return all_met


def told(found: Found) -> list[str]:
    """Say what has no bound of its own."""
    lines = []
    if "better" in found:
        row = found["better"]
        lines.append(
            f"announced in the median {row['announced_median']:,.0f} decisions in all; {row['reached_at']:,.0f} "
            f"promote four in five, {row['half_reached_at']:,.0f} every other: {row['ratio_median']:.2f} and "
            f"{row['ratio_half_median']:.2f} times as many"
        )
        same = found["promotions"]
        lines.append(f"equally good: changes promoted {_share(same['change_equal'])}, refreshes "
                     f"{_share(same['refresh_equal'])}")  # fmt: skip
    for name, row in found.get("refreshes", {}).items():
        value, through = row["gain"], row["through"]
        lines.append(
            f"refreshes, {name}: {through['mean']:.1%} let through; true value at week 26 against week 0 "
            f"{value['mean']:+.1%} ({value['low']:+.1%} to {value['high']:+.1%}), one half year in twenty under "
            f"{value['worst_of_20']:+.1%}; all let through {row['offered']['mean']:+.1%}, one in twenty under "
            f"{row['offered']['worst_of_20']:+.1%}; ended lower than the margin: "
            f"{_share(row['ended_lower_than_margin'])}"
        )
    if "arms" in found:
        arms = found["arms"]
        lines.append(f"arms 10 % apart are told apart within half a year: {_share(arms['unequal']['told_apart'])}")
        lines.append(f"a tenth of an arm unrecorded is found: {_share(arms['sizes_broken'])}")
    return lines


def _share(row: Found) -> str:
    return f"{row['share']:.1%} ({row['low']:.1%} to {row['high']:.1%})"


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="cxreco bench gate --", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--sims", type=int, default=300, help="simulated promotions, half years, pairs of arms")
    parser.add_argument("--every", type=int, default=1, help="days between two looks at the arms")
    parts = ["promotions", "refreshes", "arms"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help="measured anew; others stay as kept")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "gate.json")
    asked = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=180)
    begun = time.perf_counter()
    found: Found = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    ran = {"where": hardware(), "sims": asked.sims, "every": asked.every}
    found |= measured(asked.sims, asked.every, asked.parts, console)
    ran["seconds"] = time.perf_counter() - begun
    found["ran"] = found.get("ran", {}) | dict.fromkeys(asked.parts, ran)
    met = show(found, console)
    keep(found, asked.out, console)
    return int(not met)


if __name__ == "__main__":
    raise SystemExit(main())
