"""Averages of cxreco's learners, beside its choice of one of them.

Q-aggregation (Lan & Syrgkanis, Causal Q-Aggregation for CATE Model Selection, AISTATS 2024; Lecué & Rigollet, Annals of
Statistics 2014): weights on the simplex that make half the doubly robust loss of the average and half the average loss
of its parts least, on effects that each learner foretells of customers it has not seen, within the training half alone.
"""

import numpy as np

from cxreco.repeat.uplift import F64, I64, Trial
from cxreco.repeat.uplift_learners import Ridge, doubly_robust, learners

FOLDS, STEPS, SHARE = 5, 2_000, 0.5


def averages(known: Trial, x: F64, seed: int) -> dict[str, F64]:
    """Return by name (n,) what averages of the learners foretell of new customers, learned on a trial of two arms."""
    own = learners()
    fold = known.folds(FOLDS, seed)
    unseen = np.empty((len(own), len(known)))
    for k in range(FOLDS):
        rest = known.take(fold != k)
        for row, learner in enumerate(own):
            unseen[row, fold == k] = learner.fit(rest, seed).effects(known.x[fold == k])[:, 0]
    scores = doubly_robust(known, Ridge(), seed)
    told = np.stack([learner.fit(known, seed).effects(x)[:, 0] for learner in own])
    weights = aggregated(_within(unseen, fold), _within((scores[:, 1] - scores[:, 0])[None, :], fold)[0])
    return {"own average: Q-aggregated": weights @ told, "own average: all alike": told.mean(axis=0)}


def aggregated(told: F64, came: F64) -> F64:
    """Return (L,) the weights of (L, n) predictions of (n,) scores, by Frank and Wolfe's steps with exact searches."""
    gram, along = told @ told.T / came.size, told @ came / came.size
    alone = np.diag(gram) - 2.0 * along
    weights = np.full(len(told), 1.0 / len(told))
    for _ in range(STEPS):
        slope = (1.0 - SHARE) * 2.0 * (gram @ weights - along) + SHARE * alone
        towards = -weights
        towards[int(np.argmin(slope))] += 1.0
        down, bend = float(slope @ towards), (1.0 - SHARE) * float(towards @ gram @ towards)
        if down > -1e-15:
            break
        weights = weights + towards * (min(1.0, -down / (2.0 * bend)) if bend > 0.0 else 1.0)
    return weights


def _within(values: F64, fold: I64) -> F64:
    out = values.copy()
    for k in range(FOLDS):
        out[:, fold == k] -= values[:, fold == k].mean(axis=1, keepdims=True)
    return out
