"""Online Retail: the slates that customers would have been shown just before their next order, against that order."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from baskets import product
from baskets.shops import online_retail
from numpy.typing import NDArray

from cxreco.edge.settings import load_settings
from cxreco.journey import Moment, Surface
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.trials import Trials
from cxreco.pipelines.workspace import opened
from cxreco.recognise.replay import moments_of, replay
from cxreco.repeat.log import market_at
from cxreco.request.propose import context_of
from slating.ways import WAYS, asked

F64 = NDArray[np.float64]
MEASURES = ("recall@10", "phr@10", "needs@10", "categories", "margin of hits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What each way's slate made of each customer's next order.

    `figures` (n, ways, MEASURES): share of the basket's items that were hit, whether any was, share of its categories
    that were hit, how many categories were shown, and the margin per unit of what was hit.
    """

    figures: F64


def found(source: Path, home: Path, say: Callable[[str], None]) -> Found:
    """Import and train as a shop would on what was known before the last eight weeks, and judge every way's slates."""
    shop = online_retail(source)
    task = shop.folds[0].test
    home.mkdir(parents=True, exist_ok=True)
    place = home / "workspace"
    if not (place / "trained").exists():
        for kind, path in product.written(shop, home):
            say(f"{shop.name}: cxreco import {kind} {path.name}")
            product.run(place, "import", kind, str(path))
        say(f"{shop.name}: cxreco train")
        product.run(place, "train")
        (place / "trained").touch()
    with opened(load_settings(home=place, durability="relaxed")) as workspace:
        log = gathered(workspace, say)
        models = workspace.registry.playbook(Trials(place).latest().version).request
    market = market_at(log, log.now)
    category = {name: int(market.shelf.category[code]) for code, name in enumerate(market.codes.item_ids)}
    codes = log.code_of([shop.customer_ids[customer] for customer in task.customers.tolist()])
    figures = np.zeros((codes.size, len(WAYS), len(MEASURES)))
    say(f"{shop.name}: slates of {codes.size:,} customers")
    for row, state in replay(log.ticks, moments_of(codes, np.full(codes.size, log.now))):
        moment = Moment(customer_id=log.customers[codes[row]], at=log.now, surface=Surface.HOME)
        context = context_of(models, state, moment, market)
        given = {rests: asked(context, "curate.personal", {}, rests=rests) for rests in (False, True)}
        bought = {shop.item_ids[item] for item in task.truth[row].tolist()}
        for column, way in enumerate(WAYS):
            slate = context.sight.codes[way.chosen(given[way.rests])]
            names = [market.codes.item_ids[code] for code in slate]
            figures[row, column] = _judged(names, bought, category, market.columns.margin[slate])
    return Found(figures=figures)


def _judged(slate: list[str], bought: set[str], category: dict[str, int], margin: F64) -> tuple[float, ...]:
    hit = np.array([name in bought for name in slate])
    needs = {category[name] for name in bought if name in category}
    met = {category[name] for name in slate if name in bought}
    return (
        hit.sum() / len(bought), float(hit.any()), len(met) / max(len(needs), 1),
        len({category[name] for name in slate}), float(np.nan_to_num(margin)[hit].sum()),
    )  # fmt: skip
