"""What drives the models: attributions of the boosted parts, and coefficients with what they come to in euros.

A boosted model's attributions are LightGBM's own TreeSHAP (Lundberg et al. 2020): a row's contributions and the base
sum to its raw score, to rounding. A linear part explains itself: a coefficient times its signal. What a signal is
worth in euros is found by leaving it out of the value model and asking for the money again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxreco.journey import MODE_CODE, MODES
from cxreco.request.features import RANKER_FEATURES
from cxreco.request.need import ORDERS, NeedModel, NeedRows
from cxreco.request.need_features import EXPANDED_FEATURES, expand
from cxreco.request.ranker import ItemRanker, Ranker, RankerRows
from cxreco.respond.design import ACTING, SIGNALS, WIDTH
from cxreco.respond.head import Head, Prior
from cxreco.respond.value import BASE_SIGNALS, ValueModel
from cxreco.tables import DecisionLog, contacts

F64 = NDArray[np.float64]
I16 = NDArray[np.int16]
POOLED = WIDTH * len(MODES)
ATTRIBUTED = ("feature", "importance", "mean", "direction", "share")


def tree_contributions(text: str, x: F64) -> F64:
    """Return (n, F + 1) contributions to the raw score of a LightGBM model in its text form; the last is the base."""
    booster = lightgbm.Booster(model_str=text)
    found: F64 = np.asarray(booster.predict(np.ascontiguousarray(x), pred_contrib=True), dtype=np.float64)
    return found


def attributed(contributions: F64, x: F64, names: Sequence[str]) -> pd.DataFrame:
    """Sum contributions up by feature, the strongest first.

    Parameters
    ----------
    contributions, x
        (n, F) of the same rows.

    Returns
    -------
    `feature, importance` (mean absolute contribution), `mean`, `direction` (correlation of value and contribution:
    above 0, more of it raises the score), `share` (of all importance).
    """
    importance = np.abs(contributions).mean(axis=0) if len(x) else np.zeros(len(names))
    frame = pd.DataFrame(
        {
            "feature": list(names),
            "importance": importance,
            "mean": contributions.mean(axis=0) if len(x) else importance,
            "direction": [_correlation(x[:, column], contributions[:, column]) for column in range(len(names))],
            "share": importance / max(float(importance.sum()), 1e-12),
        }
    )
    return frame.sort_values("importance", ascending=False, ignore_index=True, kind="stable")


def ranker_attributions(ranker: ItemRanker, rows: RankerRows) -> pd.DataFrame:
    """Return what sets one item apart from the others of the same moment (see `attributed`).

    Of the learned ranker by TreeSHAP; of the blend by leaving one sign out at a time. What all items of a moment share
    moves none past another and is taken away.
    """
    if isinstance(ranker, Ranker):
        found = tree_contributions(ranker.forest.text, rows.x)[:, :-1]
    else:
        found = _left_out(ranker, rows.x)
    owner = np.repeat(np.arange(len(rows)), rows.group)
    for column in range(found.shape[1]):
        total = np.bincount(owner, weights=found[:, column], minlength=len(rows))
        found[:, column] -= (total / np.maximum(rows.group, 1))[owner]
    return attributed(found, rows.x, RANKER_FEATURES)


def thinned(rows: RankerRows, *, most: int, seed: int) -> RankerRows:
    """Return the same moments with at most so many items each, drawn evenly: attributions are dear, and alike."""
    owner = np.repeat(np.arange(len(rows)), rows.group)
    order = np.lexsort((np.random.default_rng(seed).random(owner.size), owner))
    place = np.arange(order.size) - np.repeat(np.cumsum(rows.group) - rows.group, rows.group)
    kept = np.sort(order[place < most])
    group = np.bincount(owner[kept], minlength=len(rows))
    return replace(rows, x=rows.x[kept], y=rows.y[kept], code=rows.code[kept], group=group)


def need_attributions(model: NeedModel, rows: NeedRows) -> pd.DataFrame | None:
    """Return what moves the replenishment model beyond the closed form (see `attributed`); None where nothing does."""
    if model.forest is None:
        return None
    x, _ = expand(rows.x[rows.x[:, ORDERS] >= 1.0], np.asarray(model.spec.horizons), model.by_cupboard)
    return attributed(tree_contributions(model.forest.text, x)[:, :-1], x, EXPANDED_FEATURES)


def head_coefficients(head: Head, prior: Prior | None, phi: F64, mode: I16) -> pd.DataFrame:
    """Return the coefficients of a head by mode, with what was believed and what they come to on some decisions.

    Parameters
    ----------
    prior
        What was believed before of the coefficients by mode (the last ones of the head); None: not told.
    phi, mode
        (n, WIDTH), (n,) signals and modes of the decisions that were made (see `respond.design.signals`).

    Returns
    -------
    A row a mode and signal: `mode, signal, believed, coefficient, sd, moved` (by how many prior standard deviations),
    `contribution` (mean log-odds on the decisions of that mode; NaN where there are none), `decisions`. Rows of the
    mode `every moment` are of the moment itself, whatever is done.
    """
    own = head.theta.size - POOLED
    names = BASE_SIGNALS[: head.theta.size if own < 0 else own]
    rows = [_coefficient(head, prior, ("every moment", name), [k]) for k, name in enumerate(names)]
    if own < 0:
        return pd.DataFrame(rows)
    for acting in ACTING:
        code = MODE_CODE[acting]
        here = mode == code
        for k, name in enumerate(SIGNALS):
            row = _coefficient(head, prior, (acting.value, name), [own + k, own + WIDTH * code + k])
            mean = float(phi[here, k].mean()) if here.any() else float("nan")
            rows.append(row | {"contribution": float(row["coefficient"]) * mean, "decisions": int(here.sum())})
    return pd.DataFrame(rows)


def _coefficient(
    head: Head, prior: Prior | None, place: tuple[str, str], at: list[int]
) -> dict[str, float | int | str]:
    """Return one coefficient, the sum of its shared part and its mode's."""
    sd = float(np.sqrt(max(float(head.covariance[np.ix_(at, at)].sum()), 0.0)))
    learned, believed = float(head.theta[at].sum()), float("nan")
    firm = float("nan")
    before = [] if prior is None else [k - (head.theta.size - prior.mean.size) for k in at]
    if prior is not None and min(before) >= 0:
        believed, firm = float(prior.mean[before].sum()), float(np.sqrt((prior.sd[before] ** 2).sum()))
    return {
        "mode": place[0], "signal": place[1], "believed": believed, "coefficient": learned, "sd": sd,
        "moved": (learned - believed) / firm, "contribution": float("nan"), "decisions": 0,
    }  # fmt: skip


def mode_drivers(value: ValueModel, log: DecisionLog) -> pd.DataFrame:
    """Return, in money, what each signal adds to the worth of each mode over `hold`, on the decisions of a log.

    A signal's share is what the chosen candidate's worth over `hold` loses when the signal is left out of every head.

    Returns
    -------
    `mode, signal, money` (mean a decision of the mode), `decisions`; only modes that were chosen.
    """
    rows = log.chosen_rows
    acting = np.flatnonzero(log.decisions["mode"].to_numpy(np.int64) > 0)
    mode = log.candidates["mode"].to_numpy(np.int16)
    if acting.size == 0:
        return pd.DataFrame(columns=["mode", "signal", "money", "decisions"])
    pairs = np.column_stack([log.starts[acting], rows[acting]]).ravel()
    x, modes = log.x[pairs].astype(np.float64), mode[pairs]
    surface = np.repeat(log.decisions["surface"].to_numpy(object)[acting], 2)
    asked = (x, modes, contacts(modes, surface), np.repeat(np.arange(0, pairs.size, 2), 2))
    whole = value.values_of(*asked).over_hold[1::2]
    chosen = modes[1::2]
    out = []
    for k, signal in enumerate(SIGNALS):
        apart = whole - without(value, k).values_of(*asked).over_hold[1::2]
        for code in sorted(set(chosen.tolist())):
            here = chosen == code
            out.append({"mode": MODES[code].value, "signal": signal, "money": float(apart[here].mean()),
                        "decisions": int(here.sum())})  # fmt: skip
    return pd.DataFrame(out).sort_values(["mode", "money"], ascending=[True, False], ignore_index=True)


def without(value: ValueModel, signal: int) -> ValueModel:
    """Return the value model with one pooled signal left out of every head."""
    heads: dict[str, Head] = {}
    for name, head in value.heads.items():
        own = head.theta.size - POOLED
        theta = head.theta.copy()
        if own >= 0:
            theta[own + signal :: WIDTH] = 0.0
        heads[name] = replace(head, theta=theta)
    return replace(value, heads=heads)


def tree_attributions_of(heads: Mapping[str, Head], names: Sequence[str], moment: F64) -> dict[str, pd.DataFrame]:
    """Return the attributions of each head's boosted part, of those that have one.

    Parameters
    ----------
    moment
        (n, F) of `hold` at the moments of the decisions: trees see nothing else.
    """
    return {
        name: attributed(tree_contributions(head.trees.text, moment)[:, :-1], moment, names)
        for name, head in heads.items()
        if head.trees is not None and len(moment)
    }


def _left_out(ranker: ItemRanker, x: F64) -> F64:
    whole, out = ranker.scores(x), np.zeros(x.shape)
    for column in range(x.shape[1]):
        if np.isfinite(x[:, column]).any():
            part = x.copy()
            part[:, column] = np.nan
            out[:, column] = whole - ranker.scores(part)
    return out


def _correlation(value: F64, contribution: F64) -> float:
    known = np.isfinite(value)
    if known.sum() < 2 or np.ptp(value[known]) == 0.0 or np.ptp(contribution[known]) == 0.0:
        return 0.0
    return float(np.corrcoef(value[known], contribution[known])[0, 1])
