"""Replenishment: when an item bought before is bought again, beside gaps and BG/NBD, and beside the world's truth.

A shop's last 28 days are foretold from all that came before: a real one's (UCI Online Retail), and those of simulated
shops that live by themselves. There the truth is known: from the instant of the forecast on, the shop lives those weeks
again and again with other luck, each customer with the stocks, tastes and moods of that instant, which no model is
told. How often an item is then bought is its true chance, and the middle of the days on which it is, the best word on
when: what is left to err, for who knows it, is luck. Medians are of purchases that came, of items bought twice before;
intervals are percentile bootstraps (Efron 1979) over purchases and, of chances, over customers, of differences paired.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from baskets.measures import interval
from baskets.shops import found
from contest.shops import sources
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from under_load.report import hardware, keep

from cxreco.edge.settings import Settings
from cxreco.errors import CxRecoError
from cxreco.journey import DAY
from cxreco.pipelines import shop_figures as figures
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.ingest import imported
from cxreco.pipelines.shop_figures import HORIZONS, Needs
from cxreco.pipelines.simulate import START, lived, shop_of
from cxreco.pipelines.workspace import Workspace, opened
from cxreco.recognise.contract import read_time
from cxreco.repeat.log import Log, market_at, published
from cxreco.repeat.training import TrainingSpec
from cxreco.request.cupboard_fitting import fit_cupboard
from cxreco.request.need import NeedModel
from cxreco.request.training_rows import need_rows
from cxreco.world import World

F64 = NDArray[np.float64]
Found = dict[str, Any]
Step = Callable[[str], None]
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LATER = int(HORIZONS[-1])
REAL = "online_retail"
WORLDS = ("staples", "seasonal", "sparse", "fashion")
TRUTH = "the world's truth"


def foretold(workspace: Workspace, log: Log, cut: int, step: Step, customers: int) -> Needs:
    """Fit the need model on what came before an instant, and foretell what came after it."""
    past = figures.cut_log(log, cut)
    spec = TrainingSpec.from_spec(workspace.specs["training"])
    training = published(past, since=cut - int(spec.window_days * DAY), every_days=spec.publish_every_days)
    step("learning when a need returns")
    cupboard = fit_cupboard(past.ticks, until=cut, seed=spec.seed).tables
    training = replace(training, cupboard=cupboard)
    rows = need_rows(training, until=cut, most=spec.need_rows, seed=spec.seed)
    model = NeedModel.from_spec(workspace.specs["need"]).fit(rows)
    return figures.needs(model, log, market_at(past, cut), cut, customers=customers, items=8, cupboard=cupboard)


def truly(world: World, log: Log, asked: Needs, lives: int, step: Step) -> F64:
    """Return (lives, n) days to the next purchase, infinite where none comes: the same weeks lived with other luck."""
    ids = (log.customers, log.codes.item_ids)
    pairs = zip(asked.customer.tolist(), asked.item.tolist(), strict=True)
    place = {(ids[0][customer], ids[1][item]): k for k, (customer, item) in enumerate(pairs)}
    days, begun = np.full((lives, len(place)), np.inf), world.now
    for life in range(lives):
        if life % 20 == 0:
            step(f"the same weeks with other luck, {life} of {lives}")
        for events in world.copy(seed=10_000 + life).live_alone(LATER):
            for event in events:
                if event["type"] == "order_completed":
                    at = (read_time(event["occurred_at"], "occurred_at") - begun) / DAY
                    for line in event["items"]:
                        k = place.get((event["customer_id"], line["item_id"]))
                        if k is not None:
                            days[life, k] = min(days[life, k], at)
    return days


def measured(asked: Needs, lives: F64 | None) -> Found:
    """Return how far off each forecast is: in days, in calibration and, where it is known, from the true chance."""
    came = np.isfinite(asked.days) & np.isfinite(asked.mean_gap)
    missed = figures.timing(asked)
    apart = figures.timing_apart(asked)
    chances = {"cxreco": asked.chance, "BG/NBD": asked.bg_nbd_chance}
    happened = asked.days[:, None] <= np.array(HORIZONS)
    out: Found = {"items": int(asked.days.size), "customers": int(np.unique(asked.customer).size),
                  "purchases": int(came.sum()), "days_off": missed, "less_bg_nbd": [apart.value, apart.low, apart.high],
                  "calibration": {name: [_calibration(chance[:, h], happened[:, h]) for h in range(len(HORIZONS))]
                                  for name, chance in chances.items()}}  # fmt: skip
    if lives is None:
        return out
    known = np.flatnonzero(came & np.isfinite(lives).any(axis=0))
    middle = np.nanmedian(np.where(np.isfinite(lives[:, known]), lives[:, known], np.nan), axis=0)
    missed[TRUTH] = float(np.median(np.abs(middle - asked.days[known])))
    true = np.column_stack([(lives <= days).mean(axis=0) for days in HORIZONS])
    usual = np.broadcast_to(happened.mean(axis=0), true.shape)
    off = {name: np.abs(chance - true) for name, chance in {**chances, "the usual share": usual}.items()}
    out["chance_off"] = {name: [float(column.mean()) for column in each.T] for name, each in off.items()}
    out["chance_off_less_bg_nbd"] = [
        interval(own - other, asked.customer) for own, other in zip(off["cxreco"].T, off["BG/NBD"].T, strict=True)
    ]
    out["agreement"] = {
        name: [float(np.corrcoef(chance[:, h], true[:, h])[0, 1]) for h in range(len(HORIZONS))]
        for name, chance in chances.items()
    }
    return out


def _calibration(chance: F64, happened: NDArray[np.bool_]) -> float:
    return figures.calibration_error(figures.reliability(chance, happened))


def real(data: Path, home: Path, step: Step, console: Console) -> Found:
    """Measure on the real log."""
    with opened(_settings(home)) as workspace:
        imported(workspace, "online-retail", found(data, REAL), None, console)
        log = gathered(workspace, step)
        return measured(foretold(workspace, log, log.now - LATER * DAY, step, customers=1_000), None)


def simulated(name: str, seed: int, asked: argparse.Namespace, home: Path, step: Step) -> Found:
    """Measure on a simulated shop, beside its truth."""
    spec = shop_of(name, customers=asked.customers, weeks=asked.weeks)
    world = lived(spec, seed, home / "shop", lambda _: None)
    before = World(spec, seed, START)
    for _ in before.live_alone(spec.history_days - LATER):
        pass
    with opened(_settings(home / "workspace"), clock=lambda: world.now) as workspace:
        for kind in ("items", "events"):
            imported(workspace, kind, home / "shop" / f"{kind}.jsonl", None, Console(quiet=True))
        log = gathered(workspace, step)
        needs = foretold(workspace, log, before.now, step, customers=asked.customers)
        return measured(needs, truly(before, log, needs, asked.lives, step))


def _settings(home: Path) -> Settings:
    return Settings(home=home).embedded().model_copy(update={"durability": "relaxed"})


def tables(shops: Mapping[str, Found]) -> Sequence[Table]:
    """Return the figures for people."""
    names = ("cxreco", "mean gap", "last gap", "BG/NBD", "always 14", TRUTH)
    title = "days off, median, of purchases within 28 days, told that they come"
    when = Table("shop", "purchases", *names, "cxreco less BG/NBD", title=title)
    title = "the chance to be bought within 7 and within 28 days: distances, and correlation with the true one"
    chance = Table(
        "shop", "items", "calibration", "of BG/NBD", "off the true chance", "BG/NBD", "the usual share",
        "cxreco less BG/NBD", "agreement", "of BG/NBD", title=title,
    )  # fmt: skip
    for shop, of in shops.items():
        off = (f"{of['days_off'][name]:.1f}" if name in of["days_off"] else "" for name in names)
        when.add_row(shop, str(of["purchases"]), *off, _apart(of["less_bg_nbd"], 2))
        row = [_pair(of["calibration"]["cxreco"]), _pair(of["calibration"]["BG/NBD"])]
        if "chance_off" in of:
            row += [_pair(of["chance_off"][name]) for name in ("cxreco", "BG/NBD", "the usual share")]
            row += [", ".join(_apart(each, 3) for each in of["chance_off_less_bg_nbd"])]
            row += [_pair(of["agreement"][name], 2) for name in ("cxreco", "BG/NBD")]
        chance.add_row(shop, str(of["items"]), *row)
    return when, chance


def _pair(values: Sequence[float], digits: int = 3) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


def _apart(figure: Sequence[float], digits: int) -> str:
    mean, low, high = figure
    return f"{mean:+.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main() -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(
        prog="cxreco bench replenishment --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds the data sets")
    parser.add_argument("--shops", nargs="+", choices=(REAL, *WORLDS), default=[REAL, *WORLDS], metavar="SHOP",
                        help=f"of {', '.join((REAL, *WORLDS))}")  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], help="of each simulated shop")
    parser.add_argument("--customers", type=int, default=400)
    parser.add_argument("--weeks", type=int, default=26, help="of history, the last four of which are foretold")
    parser.add_argument("--lives", type=int, default=60, help="how often those weeks are lived to know the truth")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "replenishment.json")
    given = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=200)

    def step(what: str) -> None:
        console.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/] {what}", highlight=False)

    shops: dict[str, Found] = {}
    try:
        for name in given.shops:
            for seed in [0] if name == REAL else given.seeds:
                label = name if name == REAL else f"{name}, {seed}"
                step(label)
                with tempfile.TemporaryDirectory(prefix="cxreco-bench-") as folder:
                    home = Path(folder)
                    if name == REAL:
                        shops[label] = real(given.data, home, step, console)
                    else:
                        shops[label] = simulated(name, seed, given, home, step)
    except CxRecoError as failed:
        console.print(f"{failed}", style="red", highlight=False)
        return 1
    for table in tables(shops):
        console.print(table)
    ran = {"where": hardware(), "engine": sources(), "customers": given.customers, "weeks": given.weeks}
    keep({**ran, "lives": given.lives, "shops": shops}, given.out, console)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
