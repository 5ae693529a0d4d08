"""Explanations: what drives items and modes, as tables and pictures that a training run keeps."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from cxreco.pipelines.measured import HEADS
from cxreco.pipelines.pictures import attribution_picture, coefficient_picture, driver_picture, strongest_picture
from cxreco.repeat.explanations import (
    head_coefficients,
    mode_drivers,
    need_attributions,
    ranker_attributions,
    thinned,
    tree_attributions_of,
)
from cxreco.repeat.training import Lessons
from cxreco.repeat.value_training import ValueSpec
from cxreco.request.candidates import VALUE_FEATURES
from cxreco.request.training_rows import need_rows, ranker_rows
from cxreco.respond.design import signals
from cxreco.respond.head import Prior
from cxreco.respond.playbook import Playbook
from cxreco.tables import DecisionLog

FOLDER = "explanations"
# Enough to tell what drives a model; explaining is not to take longer than training.
MOMENTS, ITEMS, ROWS, DECISIONS = 150, 12, 1_000, 1_500
# A shop that has sold nothing yet has no usual margin; signals are measured by it.
LEAST_MARGIN = 1e-6


def explained(lessons: Lessons, playbook: Playbook, currency: str) -> dict[str, bytes]:
    """Return the artifacts: a CSV and a picture a model, and what drives each mode in money."""
    files = _of_items(lessons, playbook)
    decisions = _sampled(lessons.log.decisions, int(lessons.specs["training"].get("seed", 7)))
    x = decisions.x[decisions.chosen_rows].astype(np.float64)
    usual = max(playbook.value.basket.usual, LEAST_MARGIN)
    phi, mode = signals(x, usual), decisions.decisions["mode"].to_numpy(np.int16)
    priors = priors_of(lessons.specs)
    for name, head in playbook.value.heads.items():
        table = head_coefficients(head, priors.get(name), phi, mode)
        title = f"{name}: {HEADS[name]}, learned from {head.rows:,} rows"
        drawn = coefficient_picture if name == "order" else strongest_picture
        files |= _kept(name, table, drawn(_said(table), title) if head.rows or name == "order" else None)
    moment = decisions.x[decisions.starts].astype(np.float64)
    for name, table in tree_attributions_of(playbook.value.heads, VALUE_FEATURES, moment).items():
        title = f"{name}: what its boosted part goes by"
        files |= _kept(f"{name}_trees", table, attribution_picture(table, title))
    files[f"{FOLDER}/messages.txt"] = playbook.value.lift.words().encode()
    drivers = mode_drivers(playbook.value, decisions)
    if len(drivers):
        files |= _kept("modes", drivers, driver_picture(_said(drivers), currency))
    return files


# What the signals of `respond/design.py` say, for people.
SAID: Mapping[str, str] = {
    "one": "the mode itself",
    "sought": "it is what was asked for",
    "not_sought": "it is not what was asked for",
    "need": "the item is needed this week",
    "need_open": "the need is open now",
    "buy": "the best item is likely bought",
    "slate": "more good items on the slate",
    "knows": "buys what they know",
    "fatigue": "contacts of the last week",
    "answers": "their own answers to this mode",
    "refused_lately": "dismissed this mode lately",
    "outbound": "the shop opens the conversation",
    "cart": "something is in the cart",
    "trust": "orders the shop placed rightly",
    "asked": "something was asked for",
    "named": "what was asked for is one item",
    "sought_named": "it is the one item that was asked for",
    "usual": "they usually buy one of what was asked for",
    "sought_usual": "it is the one they usually buy",
    "topic": "the slate is about what was asked for",
    "topic_open": "the slate is about the shelf that was asked for",
    "open": "a whole shelf was asked for",
    "variety": "categories on the slate",
    "slate_margin": "margin of the slate",
    "search": "they search",
    "item_page": "they look at an item",
    "match": "something matches what was asked for",
    "orders_30": "orders of the last month",
    "needs_due": "needs falling due",
    "need_top": "something is needed this week",
    "order_due": "an order is due",
}


def _of_items(lessons: Lessons, playbook: Playbook) -> dict[str, bytes]:
    """Explain the ranker and the replenishment model on the latest moments that they did not learn from."""
    log, seed = lessons.log, int(lessons.specs["training"].get("seed", 7))
    files: dict[str, bytes] = {}
    training = replace(lessons.training, cupboard=playbook.request.cupboard.tables)
    rows = thinned(ranker_rows(training, until=log.now, most=MOMENTS, seed=seed), most=ITEMS, seed=seed)
    if len(rows):
        table = ranker_attributions(playbook.request.ranker, rows)
        files |= _kept("ranker", table, attribution_picture(table, "ranker: what sets an item apart from the others"))
    needs = need_rows(training, until=log.now, most=ROWS // len(playbook.request.need.spec.horizons), seed=seed)
    found = need_attributions(playbook.request.need, needs) if len(needs) else None
    if found is not None:
        title = "need: what moves it beyond the cupboard and the customer's rhythm"
        files |= _kept("need", found, attribution_picture(found, title))
    return files | _of_cupboard(lessons, playbook)


def _of_cupboard(lessons: Lessons, playbook: Playbook) -> dict[str, bytes]:
    """Say how long what is bought in each category lasts, in days, for the customer in the middle."""
    cupboard = playbook.request.cupboard
    if cupboard.habits is None:
        return {}
    names = lessons.log.codes.category_names
    lasts = {names[code]: days for code, days in enumerate(cupboard.cycle[:-1].tolist()) if 0 < code < len(names)}
    table = pd.DataFrame({"category": list(lasts), "median_days": list(lasts.values())})
    return _kept("cupboard", table.sort_values("median_days", ignore_index=True), None)


def _said(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of signals as people would name them."""
    return table.assign(signal=table["signal"].map(lambda name: SAID.get(name, name)))


def priors_of(specs: Mapping[str, Mapping[str, Any]]) -> dict[str, Prior]:
    """Return what `models/value.toml` believes of the coefficients by mode, of each head that it says that of."""
    spec = ValueSpec.from_spec(specs["value"])
    return {name: beliefs.prior() for name, beliefs in spec.beliefs.items()}


def _sampled(log: DecisionLog, seed: int) -> DecisionLog:
    if len(log) <= DECISIONS:
        return log
    return log.take(np.sort(np.random.default_rng(seed).choice(len(log), DECISIONS, replace=False)))


def _kept(name: str, table: pd.DataFrame, picture: bytes | None) -> dict[str, bytes]:
    files = {f"{FOLDER}/{name}.csv": table.to_csv(index=False).encode()}
    return files if picture is None else files | {f"{FOLDER}/{name}.png": picture}
