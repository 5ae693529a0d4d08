"""What customers did when nobody acted, and what an order placed for them would have been worth: taught by history.

Two kinds of past moments are revisited: a visit, at its first event, and a day on which the shop could have written to
the customer. Each is proposed for by the very code that serves, from the state just before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import AUTOMATE, DAY, MICROS, Moment, Surface
from cxreco.recognise.layout import Kind
from cxreco.recognise.replay import moments_of, replay
from cxreco.repeat.attribution import bought_after
from cxreco.repeat.log import Log
from cxreco.repeat.origins import Judged
from cxreco.repeat.soon import Soon
from cxreco.repeat.value_training import Undisturbed
from cxreco.request.automation import usual_gap
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES, Candidates
from cxreco.request.propose import RequestModels, propose
from cxreco.request.training_rows import TrainingLog
from cxreco.respond.ladder import Evidence
from cxreco.respond.worth import Worth

I64 = NDArray[np.int64]
VISIT_GAP = 1_800 * MICROS
_OF_ORDERS = ("certainty", "item_days_since", "due_ratio")
BROWSING = (Kind.SEARCH, Kind.VIEW, Kind.ADD)
SURFACE_OF = {int(Kind.SEARCH): Surface.SEARCH, int(Kind.VIEW): Surface.PRODUCT, int(Kind.ADD): Surface.CART}


class Would(NamedTuple):
    """An order that would have been placed: at which moment, of what, how surely, and the days it is right within."""

    moment: int
    item: int
    certainty: float
    within: float
    quantity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Past moments to revisit: `tick` is the row of the visit's first tick, -1 for a day of the shop's choosing."""

    customer: I64
    at: I64
    tick: I64


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """What counts as what at a revisited moment.

    Attributes
    ----------
    worth
        The window, and what orders are worth.
    soon
        How soon an order is an answer.
    shadow_days
        Within how many days at most a would-have-been order must be made unprompted to count as right: one usual gap
        of the item, where that is shorter.
    """

    worth: Worth
    soon: Soon
    shadow_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisited:
    """What the revisited moments teach."""

    undisturbed: Undisturbed
    shadow: Evidence


def revisit(
    log: Log,
    training: TrainingLog,
    models: RequestModels,
    yardstick: Yardstick,
    *,
    since: int,
    most: int,
    seed: int,
) -> Revisited:
    """Revisit moments from `since` on whose window is over, at most `most` of them.

    Parameters
    ----------
    models
        Trained on events before `since`, so that what they foretell is judged on later data.
    yardstick
        What counts as what.
    """
    worth, soon = yardstick.worth, yardstick.soon
    past = _sampled(_past(log, since, log.now - worth.order_window, seed), most, seed)
    past = _untouched(log, past, worth.order_window)
    x = np.full((past.at.size, len(VALUE_FEATURES)), np.nan)
    would: list[Would] = []
    for row, state in replay(log.ticks, moments_of(past.customer, past.at - 1)):
        moment = _moment(log, past, row)
        market = training.market_at(int(past.at[row]) - 1)
        if market is None:
            continue
        candidates = propose(models, state, moment, market)
        x[row] = candidates.x[0]
        if moment.surface is Surface.OUTBOUND:
            would += _placed(row, candidates, yardstick.shadow_days)
    # A moment before the first publication taught nothing: its row stayed unknown.
    taught = np.flatnonzero(np.isfinite(x[:, VALUE_COLUMN["has_query"]]))
    order = taught[np.argsort(past.at[taught], kind="stable")]
    judged = Judged(
        customer=past.customer, at=past.at, cut=np.zeros_like(past.at), ref=np.zeros(past.at.size, dtype=np.uint64)
    )
    bought = bought_after(log.ticks, judged, window=worth.order_window, margin_share=worth.margin_share)
    came_soon, margin_soon = soon.bought(log.ticks, judged, past.tick < 0, worth.margin_share)
    undisturbed = Undisturbed(
        x=x[order],
        ordered=(bought.orders[order] > 0).astype(np.float64),
        soon=came_soon[order],
        margin=bought.margin[order],
        margin_soon=margin_soon[order],
        at=past.at[order],
    )
    return Revisited(undisturbed=undisturbed, shadow=_evidence(log, past, would, worth))


def _past(log: Log, since: int, until: int, seed: int) -> Past:
    ticks = log.ticks
    browsing = np.flatnonzero(np.isin(ticks["kind"], BROWSING) & (ticks["at"] >= since) & (ticks["at"] < until))
    customer, at = ticks["customer"][browsing], ticks["at"][browsing]
    fresh = np.ones(browsing.size, dtype=bool)
    fresh[1:] = (customer[1:] != customer[:-1]) | (at[1:] - at[:-1] > VISIT_GAP)
    visits = browsing[fresh]
    chosen_customer, chosen_at = _days_of_the_shop(log, since, until, seed)
    return Past(
        customer=np.concatenate([ticks["customer"][visits], chosen_customer]),
        at=np.concatenate([ticks["at"][visits], chosen_at]),
        tick=np.concatenate([visits, np.full(chosen_at.size, -1)]),
    )


def _days_of_the_shop(log: Log, since: int, until: int, seed: int) -> tuple[I64, I64]:
    """Return a time in each week for each customer that the log knew by then: evenly spread, seeded."""
    if until <= since or log.ticks.size == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    known, first = np.unique(log.ticks["customer"], return_index=True)
    born = log.ticks["at"][first]
    weeks = np.arange(since, until, 7 * DAY)
    rng = np.random.default_rng(seed)
    at = weeks[None, :] + rng.integers(0, 7 * DAY, (known.size, weeks.size))
    keep = (at > born[:, None]) & (at < until)
    return np.repeat(known, weeks.size).reshape(keep.shape)[keep], at[keep]


def _sampled(past: Past, most: int, seed: int) -> Past:
    if past.at.size <= most:
        return past
    rows = np.sort(np.random.default_rng(seed).choice(past.at.size, most, replace=False))
    return Past(customer=past.customer[rows], at=past.at[rows], tick=past.tick[rows])


def _untouched(log: Log, past: Past, window: int) -> Past:
    """Leave out moments within the window after a decision that acted: what follows those is not the customer's own."""
    decided = log.ticks[(log.ticks["kind"] == Kind.DECIDED) & (log.ticks["mode"] > 0)]
    if decided.size == 0:
        return past
    key = np.lexsort((decided["at"], decided["customer"]))
    customer, at = decided["customer"][key], decided["at"][key]
    keep = np.ones(past.at.size, dtype=bool)
    starts, ends = np.searchsorted(customer, past.customer, "left"), np.searchsorted(customer, past.customer, "right")
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        low, high = np.searchsorted(at[start:end], [past.at[row] - window, past.at[row] + window])
        keep[row] = low == high
    return Past(customer=past.customer[keep], at=past.at[keep], tick=past.tick[keep])


def _moment(log: Log, past: Past, row: int) -> Moment:
    customer, at, tick = log.customers[int(past.customer[row])], int(past.at[row]), int(past.tick[row])
    if tick < 0:
        return Moment(customer_id=customer, at=at, surface=Surface.OUTBOUND, channel="email")
    kind, item = int(log.ticks["kind"][tick]), int(log.ticks["item"][tick])
    return Moment(
        customer_id=customer,
        at=at,
        surface=SURFACE_OF[kind],
        query=log.queries.get(int(log.ticks["seq"][tick]), "") if kind == Kind.SEARCH else "",
        item_id=log.codes.item_ids[item] if item >= 0 else "",
    )


def _placed(moment: int, candidates: Candidates, most: float) -> list[Would]:
    """Return the orders that would have been placed at a moment."""
    rows = np.flatnonzero(candidates.mode == AUTOMATE)
    certainty, since, due = (candidates.x[rows, VALUE_COLUMN[name]].tolist() for name in _OF_ORDERS)
    return [
        Would(
            moment, int(candidates.item[row]), certainty[k], usual_gap(since[k], due[k], most), candidates.quantity[row]
        )
        for k, row in enumerate(rows.tolist())
    ]


def _times_of(lines: NDArray[np.void]) -> dict[tuple[int, int], list[int]]:
    """Return when each customer bought each item."""
    times: dict[tuple[int, int], list[int]] = {}
    for customer, item, at in zip(*(lines[name].tolist() for name in ("customer", "item", "at")), strict=True):
        times.setdefault((customer, item), []).append(at)
    return times


def _evidence(
    log: Log,
    past: Past,
    would: Sequence[Would],
    worth: Worth,
) -> Evidence:
    """Compare orders that would have been placed with those then made unprompted; no two of one need."""
    lines = log.ticks[log.ticks["kind"] == Kind.ORDER_LINE]
    bought, ordered = (_times_of(lines[whose]) for whose in (lines["mode"] != AUTOMATE, lines["mode"] == AUTOMATE))
    seen: dict[tuple[int, int], list[int]] = {}
    rows: list[tuple[str, float, bool, float, float]] = []
    for k in np.random.default_rng(len(would)).permutation(len(would)).tolist():
        row, item, certainty, within, quantity = would[k]
        customer, at, horizon = int(past.customer[row]), int(past.at[row]), int(within * DAY)
        taken = seen.setdefault((customer, item), [])
        if at + horizon > log.now or any(abs(at - other) < horizon for other in taken):
            continue
        taken.append(at)
        # Once the shop had ordered it, the customer had no need to.
        first = min((then for then in ordered.get((customer, item), ()) if at < then <= at + horizon), default=None)
        if first is not None and not any(at < then <= first for then in bought.get((customer, item), ())):
            continue
        shelf = log.catalogue.shelf(at)
        right = any(at < then <= at + horizon for then in bought.get((customer, item), ()))
        units = quantity if np.isfinite(quantity) else 1.0
        gain = float(np.nan_to_num(shelf.margin[item])) * units
        loss = float(worth.return_cost(float(np.nan_to_num(shelf.price[item])) * units))
        rows.append((shelf.category_names[shelf.category[item]], certainty, not right, gain, loss))
    if not rows:
        return Evidence.none()
    category, certainties, wrong, gains, losses = zip(*rows, strict=True)
    return Evidence(category=category, certainty=np.array(certainties), wrong=np.array(wrong), gain=np.array(gains),
                    loss=np.array(losses))  # fmt: skip
