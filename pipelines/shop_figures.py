"""Figures of a real shop's log: models that saw nothing after a cut, held against what customers then did.

Next order: personal and global frequency are the baselines that most published recommenders fail to beat (P-TopFreq,
GP-TopFreq, G-TopFreq: Hu et al., SIGIR 2020; Li et al., ACM TOIS 2023). Intervals are percentile bootstraps over
customers (Efron 1979), differences are paired.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.journey import DAY
from cxreco.pipelines.rank import ranked
from cxreco.recognise.layout import Kind
from cxreco.recognise.market import Market
from cxreco.recognise.replay import moments_of, replay
from cxreco.recognise.state import State
from cxreco.repeat.attribution import bought_after
from cxreco.repeat.intervals import Clusters, clustered, needed, spent, standard_error
from cxreco.repeat.lifetime import Purchases, fit_activity
from cxreco.repeat.log import Log
from cxreco.repeat.origins import Judged
from cxreco.repeat.promotion import PromotionRules
from cxreco.request.cupboard_tables import Tables
from cxreco.request.need import NeedModel
from cxreco.request.need_features import item_need_features
from cxreco.request.propose import RequestModels
from cxreco.respond.worth import Worth
from cxreco.tables import DecisionLog

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
TOP = 10
ENGINE, PERSONAL, BOTH, GLOBAL = "cxreco", "P-TopFreq", "GP-TopFreq", "G-TopFreq"
RANKERS = (ENGINE, PERSONAL, BOTH, GLOBAL)
HORIZONS = (7.0, 28.0)
BINS = 10
RESAMPLED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NextOrders:
    """How well each ranker foretold the order of each customer: ranker -> (customers,) recall and NDCG."""

    recall: Mapping[str, F64]
    ndcg: Mapping[str, F64]

    def __len__(self) -> int:
        return int(self.recall[ENGINE].size)

    def best(self, scores: Mapping[str, F64]) -> str:
        """Return the baseline with the highest mean."""
        return max(RANKERS[1:], key=lambda name: float(scores[name].mean()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What was foretold at one instant of items bought before, (n,), and what then happened.

    Attributes
    ----------
    customer, item
        Codes: whose next purchase of what.
    chance
        (n, len(HORIZONS)) foretold probabilities of the next purchase within each.
    days
        Days to the next purchase; infinite where none came within the longest horizon.
    foretold, mean_gap, last_gap, bg_nbd
        Days to it, given that it comes within the longest horizon: the model's median, what the customer's own mean and
        last gap say (NaN for what was bought once), and the median of a BG/NBD of customers and items.
    bg_nbd_chance
        As `chance`, by the BG/NBD.
    """

    customer: I64
    item: I32
    chance: F64
    days: F64
    foretold: F64
    mean_gap: F64
    last_gap: F64
    bg_nbd: F64
    bg_nbd_chance: F64


def cut_log(log: Log, at: int) -> Log:
    """Return the log as it stood at an instant; the catalogue knows its own dates."""
    none = np.zeros(len(log.decisions.decisions), dtype=np.bool_)
    before: DecisionLog = log.decisions.take(none)
    kept = log.ticks["at"] < at
    order = None if log.order is None else log.order[kept]
    return replace(log, ticks=log.ticks[kept], order=order, decisions=before, now=at)


def mean_of(values: F64, seed: int = 7) -> Figure:
    """Return the mean of (n,) values, one a customer, with its bootstrap interval."""
    rows = np.random.default_rng(seed).integers(0, values.size, (RESAMPLED, values.size))
    low, high = np.quantile(values[rows].mean(axis=1), (0.025, 0.975))
    return Figure(value=float(values.mean()), low=float(low), high=float(high))


def recall_at(found: I32, bought: I32, k: int = TOP) -> float:
    """Return the share of what was bought that is among the first `k` found."""
    return float(np.isin(found[:k], bought).sum() / bought.size)


def ndcg_at(found: I32, bought: I32, k: int = TOP) -> float:
    """Return the binary NDCG of the first `k`; the ideal list holds min(k, number bought) hits."""
    gain = 1.0 / np.log2(np.arange(2, k + 2))
    hits = np.isin(found[:k], bought)
    return float(gain[: hits.size][hits].sum() / gain[: min(k, bought.size)].sum())


def baselines(lines: NDArray[np.void], n_items: int) -> Callable[[int], dict[str, I32]]:
    """Return what gives a customer's first `TOP` items by each frequency, counted in orders; ties by global frequency.

    Parameters
    ----------
    lines
        TICK of order lines, all before the moment that is foretold.
    """
    orders = np.unique(np.stack([lines["customer"], lines["at"], lines["item"]], axis=1), axis=0)
    sold = np.bincount(orders[:, 2], minlength=n_items)
    everybody = np.lexsort((np.arange(n_items), -sold)).astype(np.int32)

    def of(customer: int) -> dict[str, I32]:
        low, high = np.searchsorted(orders[:, 0], [customer, customer + 1])
        items, often = np.unique(orders[low:high, 2], return_counts=True)
        own = items[np.lexsort((items, -sold[items], -often))].astype(np.int32)
        filled = np.concatenate([own, everybody[: TOP + own.size][~np.isin(everybody[: TOP + own.size], own)]])
        return {PERSONAL: own[:TOP], BOTH: filled[:TOP], GLOBAL: everybody[:TOP]}

    return of


def next_orders(
    models: RequestModels, log: Log, market: Market, cut: int, *, known: bool, most: int, seed: int = 7
) -> NextOrders:
    """Foretell the first order after `cut` of customers who had (`known`) or had not ordered before, at most `most`.

    Parameters
    ----------
    models, market
        Of what happened before `cut`.
    """
    lines = log.ticks[(log.ticks["kind"] == Kind.ORDER_LINE) & (log.ticks["item"] >= 0)]
    before, after = lines[lines["at"] < cut], lines[lines["at"] >= cut]
    who, first = np.unique(after["customer"], return_index=True)
    chosen = np.flatnonzero(np.isin(who, before["customer"]) == known)
    if chosen.size > most:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, most, replace=False))
    who, at = who[chosen], after["at"][first[chosen]]
    frequency = baselines(before, len(market))
    recall, ndcg = ({name: np.zeros(who.size) for name in RANKERS} for _ in range(2))
    for row, state in replay(log.ticks, moments_of(who, at - 1)):
        customer, then = int(who[row]), int(at[row])
        bought = np.unique(after["item"][(after["customer"] == customer) & (after["at"] == then)])
        lists = {ENGINE: ranked(models, state, then - 1, market, TOP).codes, **frequency(customer)}
        for name, found in lists.items():
            recall[name][row], ndcg[name][row] = recall_at(found, bought), ndcg_at(found, bought)
    return NextOrders(recall=recall, ndcg=ndcg)


def needs(
    model: NeedModel, log: Log, market: Market, cut: int, *, cupboard: Tables, customers: int, items: int, seed: int = 7
) -> Needs:  # fmt: skip
    """Foretell at `cut` when items bought before are bought again, for so many customers and items of each at most."""
    lines = log.ticks[(log.ticks["kind"] == Kind.ORDER_LINE) & (log.ticks["item"] >= 0)]
    who = np.unique(lines["customer"][lines["at"] < cut])
    rng = np.random.default_rng(seed)
    if who.size > customers:
        who = np.sort(rng.choice(who, customers, replace=False))
    parts: list[tuple[NDArray[Any], ...]] = []
    for row, state in replay(log.ticks, moments_of(who, np.full(who.size, cut - 1))):
        codes = _some(state, items, rng)
        if codes.size:
            low, high = np.searchsorted(lines["customer"], [who[row], who[row] + 1])
            grid = model.grid(item_need_features(state, market, codes, cut - 1, cupboard))
            gaps = np.array([_rhythm(lines[low:high], code, cut) for code in codes.tolist()])
            whose = np.full(codes.size, who[row], dtype=np.int64)
            parts.append((whose, codes, model.read(grid, HORIZONS), _median_within(model, grid), gaps))
    if not parts:
        raise BadInput("nobody ordered before the weeks that are foretold: the log is too short to measure on")
    customer, item, chance, foretold, gaps = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    bought = Purchases(repeats=gaps[:, 3], last=gaps[:, 4], age=gaps[:, 5])
    rival = fit_activity(bought)
    return Needs(
        customer=customer, item=item, chance=chance, days=gaps[:, 0], foretold=foretold, mean_gap=gaps[:, 1],
        last_gap=gaps[:, 2], bg_nbd=rival.median_within(bought, HORIZONS[-1]),
        bg_nbd_chance=np.column_stack([rival.within(bought, days) for days in HORIZONS]),
    )  # fmt: skip


def _some(state: State, most: int, rng: np.random.Generator) -> I32:
    slots = state.item_slots
    codes = np.sort(slots["key"][slots["orders"] > 0])
    return codes if codes.size <= most else np.sort(rng.choice(codes, most, replace=False))


def _rhythm(own: NDArray[np.void], item: int, cut: int) -> tuple[float, ...]:
    """Return days to the next purchase after `cut`, when the mean and the last gap put it, and repeats, last, age."""
    longest = HORIZONS[-1]
    times = np.unique(own["at"][own["item"] == item]) / DAY
    at = cut / DAY
    past, later = times[times < at], times[times >= at]
    days = float(later[0] - at) if later.size and later[0] - at <= longest else np.inf
    bought = float(past.size - 1), float(past[-1] - past[0]), float(at - past[0])
    if past.size < 2:
        return days, np.nan, np.nan, *bought
    gap, last = (past[-1] - past[0]) / (past.size - 1), past[-1] - past[-2]
    mean_gap, last_gap = np.clip([past[-1] + gap - at, past[-1] + last - at], 0.0, longest).tolist()
    return days, mean_gap, last_gap, *bought


def _median_within(model: NeedModel, grid: F64) -> F64:
    """Return the median days to the next purchase given that it comes within the longest horizon."""
    asked = np.arange(0.0, HORIZONS[-1] + 1.0)
    curve = np.column_stack([np.zeros(len(grid)), model.read(grid, asked[1:].tolist())])
    half = 0.5 * curve[:, -1]
    right = np.maximum((curve < half[:, None]).sum(axis=1), 1)
    rows = np.arange(len(grid))
    low, high = curve[rows, right - 1], curve[rows, right]
    return np.asarray(asked[right - 1] + (half - low) / np.maximum(high - low, 1e-12))


def reliability(chance: F64, happened: Bool, bins: int = BINS) -> F64:
    """Return (bins, 3): mean foretold chance, share that happened and number, in bins of equal size, ascending."""
    parts = np.array_split(np.argsort(chance, kind="stable"), min(bins, max(chance.size, 1)))
    return np.array([[chance[part].mean(), happened[part].mean(), part.size] for part in parts])


def calibration_error(table: F64) -> float:
    """Return the mean distance of foretold from happened over the bins of `reliability`, weighted by their numbers."""
    return float(np.average(np.abs(table[:, 0] - table[:, 1]), weights=table[:, 2]))


def timing(found: Needs) -> dict[str, float]:
    """Return the median absolute error in days of each forecast, where there was a gap and the purchase came.

    `always 14` says the middle of the longest horizon to everybody: what it takes to be of use.
    """
    missed = _missed(found)
    return {name: float(np.median(days)) if days.size else float("nan") for name, days in missed.items()}


def timing_apart(found: Needs, seed: int = 7) -> Figure:
    """Return by how many days the median error of the engine is above that of the BG/NBD, resampling purchases."""
    missed = _missed(found)
    pair = np.stack([missed["cxreco"], missed["BG/NBD"]])
    if not pair.size:
        return Figure(value=float("nan"), low=float("nan"), high=float("nan"))
    rows = np.random.default_rng(seed).integers(0, pair.shape[1], (RESAMPLED, pair.shape[1]))
    first, second = np.median(pair[:, rows], axis=2)
    low, high = np.quantile(first - second, (0.025, 0.975))
    apart = np.median(pair, axis=1)
    return Figure(value=float(apart[0] - apart[1]), low=float(low), high=float(high))


def _missed(found: Needs) -> dict[str, F64]:
    came = np.isfinite(found.days) & np.isfinite(found.mean_gap)
    said = {
        "cxreco": found.foretold, "mean gap": found.mean_gap, "last gap": found.last_gap, "BG/NBD": found.bg_nbd,
        "always 14": np.full(found.days.size, HORIZONS[-1] / 2.0),
    }  # fmt: skip
    return {name: np.abs(days - found.days)[came] for name, days in said.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What it takes to tell two policies apart.

    Attributes
    ----------
    moments, customers, mean, spread
        Of the log's own money: moments and customers, its mean and standard deviation a moment.
    effect
        Money a decision that is worth detecting.
    decisions
        Logged decisions for it; None where nothing was earned.
    """

    moments: int
    customers: int
    mean: float
    spread: float
    effect: float
    decisions: int | None


def evidence_needed(log: Log, worth: Worth, rules: PromotionRules, *, since: int, seed: int = 7) -> Evidence:
    """Return how many logged decisions the first off-policy comparison needs, by the log's own money.

    One random moment a week for every customer known by then; what the customer spends in the order window after it, in
    margin, is the money of a decision. Its customer-clustered standard error, the declared effect share, and the error
    that the first judgement of a change may spend, go into `intervals.needed`.
    """
    who, first = np.unique(log.ticks["customer"], return_index=True)
    weeks = np.arange(since, log.now - worth.order_window, 7 * DAY)
    at = weeks[None, :] + np.random.default_rng(seed).integers(0, 7 * DAY, (who.size, weeks.size))
    keep = (at > log.ticks["at"][first][:, None]) & (at < log.now - worth.order_window)
    customer, at = np.repeat(who, weeks.size).reshape(keep.shape)[keep], at[keep]
    judged = Judged(customer=customer, at=at, cut=np.zeros_like(at), ref=np.zeros(at.size, dtype=np.uint64))
    bought = bought_after(log.ticks, judged, window=worth.order_window, margin_share=worth.margin_share)
    money: Clusters = clustered(worth.margin * bought.margin, customer)
    effect = rules.effect_share * money.mean
    decisions = needed(
        standard_error(money), at.size, effect=effect, alpha=spent(rules.alpha, 1), power=rules.power
    )  # fmt: skip
    return Evidence(
        moments=int(at.size), customers=int(money.totals.size), mean=money.mean, spread=float(bought.margin.std()),
        effect=effect, decisions=decisions,
    )  # fmt: skip
