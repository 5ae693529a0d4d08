"""What another policy would have earned: terms per decision first, then one summary with interval and support.

Sources
-------
IPS: Horvitz & Thompson (1952); Strehl et al. (NeurIPS 2010). SNIPS: Swaminathan & Joachims (NeurIPS 2015).
DM, DR: Dudík, Langford & Li (ICML 2011). Switch-DR: Wang, Agarwal & Dudík (ICML 2017), its threshold by the estimated
bias and variance, Su et al. (ICML 2020). Marginalised weights (mode level): Saito & Joachims (ICML 2022).
"""

from dataclasses import asdict, dataclass
from math import inf

import numpy as np
import pandas as pd

from cxreco.errors import BadInput, NoSupport
from cxreco.repeat.intervals import betting_interval, clustered, standard_error, t_interval
from cxreco.repeat.support import F64, Labels, Logged, Support, SupportRules, support_of
from cxreco.tables import LOGGED, LOGGED_OPTIONAL, checked

DEFAULT = SupportRules()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """One estimator's term per decision: the estimate is their mean.

    `base + weight * residual` has the same expectation as `values`; from it come bounds that hold for heavy weights.
    `bias` is a bound on what the estimator knowingly leaves out; `consistent` says whether it goes to the truth.
    """

    name: str
    values: F64
    weight: F64
    base: F64
    residual: F64
    bias: float = 0.0
    consistent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Money per decision, with an interval; `stderr` is clustered by customer.

    `method` is `t` or, where support is thin, `betting`. `consistent` is False for the direct method, whose interval
    leaves out the error of its model, and for the switch estimator, whose interval includes a bound on its bias.
    """

    name: str
    value: float
    stderr: float
    low: float
    high: float
    n: int
    customers: int
    ess: float
    unsupported: float
    max_weight: float
    confidence: float = 0.95
    method: str = "t"
    consistent: bool = True


def ips_terms(reward: F64, target: F64, propensity: F64) -> F64:
    """Per-decision terms of inverse propensity scoring, r pi/mu; all (n,)."""
    return reward * target / propensity


def snips_terms(reward: F64, target: F64, propensity: F64) -> F64:
    """Per-decision terms of the self-normalised estimator, linearised: mean and variance are those of the ratio."""
    weight = target / propensity
    mean = float(weight.mean())
    if mean <= 0.0:
        raise NoSupport("the target policy would have chosen nothing that the log holds")
    value = float((weight * reward).mean()) / mean
    return value + weight * (reward - value) / mean


def dm_terms(q_target: F64) -> F64:
    """Per-decision terms of the direct method: the model's mean reward under the target policy, (n,)."""
    return q_target.copy()


def dr_terms(reward: F64, target: F64, propensity: F64, q: F64, q_target: F64) -> F64:
    """Per-decision terms of the doubly robust estimator, q_target + (r - q) pi/mu; all (n,)."""
    return q_target + (reward - q) * target / propensity


def switch_dr_terms(reward: F64, target: F64, propensity: F64, q: F64, q_target: F64, *, threshold: float) -> F64:
    """Per-decision terms of Switch-DR: doubly robust where the weight is at most `threshold`, the model elsewhere."""
    weight = target / propensity
    return q_target + np.where(weight <= threshold, weight * (reward - q), 0.0)


def choose_threshold(log: Logged, *, candidates: int = 12) -> tuple[float, float]:
    """Return the Switch threshold of least estimated squared error, and a bound on the bias at it.

    The squared bias of switching is the squared mean of what is left out, less the noise in that mean. The bound is the
    lesser of that mean plus two standard errors of it, and the weight left out times the model's root mean squared
    error. Two, as the threshold is chosen where the mean looks small: with one, a 95 % interval held the truth in 83%
    of the logs of 5,000 decisions that hardly overlap (`cxreco bench off_policy`).
    """
    if log.q is None or log.q_target is None:
        raise BadInput("Switch-DR needs q and q_target", where="log")
    weight, residual = log.weight, log.reward - log.q
    off = float(np.sqrt((residual**2).mean()))
    quantiles = np.unique(np.quantile(weight, 1.0 - np.geomspace(0.2, 0.5 / weight.size, candidates)))
    least, chosen = inf, (float(weight.max()), 0.0)
    for threshold in (float(weight.max()), *quantiles[::-1]):
        beyond = weight > threshold
        out = clustered(np.where(beyond, weight * residual, 0.0), log.clusters)
        kept = clustered(log.q_target + np.where(beyond, 0.0, weight * residual), log.clusters)
        noise = standard_error(out)
        error = max(out.mean**2 - noise**2, 0.0) + standard_error(kept) ** 2
        if error < least:
            left = float((weight * beyond).mean())
            least, chosen = error, (float(threshold), min(abs(out.mean) + 2.0 * noise, left * off))
    return chosen


def terms_of(log: Logged) -> tuple[Terms, ...]:
    """Return the terms of every estimator that the log allows: IPS, SNIPS and, with a model, DM, DR, Switch-DR."""
    weight, zero = log.weight, np.zeros_like(log.reward)
    triple = (log.reward, log.target, log.propensity)
    plain = (
        Terms(name="ips", values=ips_terms(*triple), weight=weight, base=zero, residual=log.reward),
        Terms(name="snips", values=snips_terms(*triple), weight=weight, base=zero, residual=log.reward),
    )
    if log.q is None or log.q_target is None:
        return plain
    threshold, bias = choose_threshold(log)
    base, rest = log.q_target, log.reward - log.q
    switched = switch_dr_terms(*triple, log.q, log.q_target, threshold=threshold)
    return (
        *plain,
        Terms(name="dm", values=dm_terms(log.q_target), consistent=False, weight=weight, base=base, residual=rest),
        Terms(name="dr", values=dr_terms(*triple, log.q, log.q_target), weight=weight, base=base, residual=rest),
        Terms(name="switch_dr", values=switched, bias=bias, consistent=False, weight=weight, base=base, residual=rest),
    )


def summarise(
    terms: Terms,
    *,
    clusters: Labels | None,
    support: Support,
    confidence: float = 0.95,
    rules: SupportRules = DEFAULT,
) -> Estimate:
    """Turn terms into one estimate with its interval: the only place where intervals of estimates are made.

    The interval is a cluster-robust t interval with kurtosis-adjusted degrees of freedom and Hall's correction for
    skewness; where support is thin, its union with a betting interval, which is valid for any weights as long as
    rewards stay within the range seen. Unsupported probability widens it as if what was never tried were worth the
    average give or take one standard deviation of the reward.
    """
    data = clustered(terms.values, clusters)
    low, high = t_interval(data, confidence)
    method = "t"
    if support.ess < rules.thin_ess and terms.name != "dm":
        least, most = _betting(terms, clusters, confidence)
        low, high, method = min(low, least), max(high, most), "betting"
    slack = terms.bias + support.unsupported * float(terms.residual.std())
    return Estimate(
        name=terms.name,
        value=data.mean,
        stderr=standard_error(data),
        low=low - slack,
        high=high + slack,
        n=terms.values.size,
        customers=data.totals.size,
        ess=support.ess,
        unsupported=support.unsupported,
        max_weight=support.max_weight,
        confidence=confidence,
        method=method,
        consistent=terms.consistent,
    )


def _betting(terms: Terms, clusters: Labels | None, confidence: float) -> tuple[float, float]:
    """Interval from the mirrored, non-negative forms of the terms."""
    least, most = float(min(terms.residual.min(), 0.0)), float(max(terms.residual.max(), 0.0))
    floor, ceiling = float(terms.base.min()), float(terms.base.max())
    rise = (terms.base - floor) + terms.weight * (terms.residual - least)
    fall = (ceiling - terms.base) + terms.weight * (most - terms.residual)
    return betting_interval(
        clustered(rise, clusters), clustered(fall, clusters), ceiling + most, floor + least, confidence
    )


def estimates(log: Logged, *, confidence: float = 0.95, rules: SupportRules = DEFAULT) -> tuple[Estimate, ...]:
    """Estimate the target policy's money per decision by every estimator that the log allows.

    Raises
    ------
    NoSupport
        If the log does not support the target policy, with the reasons.
    """
    support = support_of(log, rules)
    support.demand()
    return tuple(
        summarise(terms, clusters=log.clusters, support=support, confidence=confidence, rules=rules)
        for terms in terms_of(log)
    )


def paired_difference(
    target_a: Logged,
    target_b: Logged,
    *,
    estimator: str | None = None,
    confidence: float = 0.95,
    rules: SupportRules = DEFAULT,
) -> Estimate:
    """Estimate by how much policy a beats policy b on the same decisions; pairing cancels what they share.

    Parameters
    ----------
    target_a, target_b
        The same log under two targets.
    estimator
        Name of a consistent estimator; None: doubly robust where there is a model, else self-normalised.

    Raises
    ------
    NoSupport
        If either is not supported, said which.
    BadInput
        If the two are not the same log.
    """
    if not np.array_equal(target_a.reward, target_b.reward):
        raise BadInput("the two targets are not about the same decisions", where="log")
    supports = (support_of(target_a, rules), support_of(target_b, rules))
    for name, support in zip(("first", "second"), supports, strict=True):
        if support.reasons:
            raise NoSupport(f"{name} policy: {'; '.join(support.reasons)}")
    chosen = estimator or ("snips" if target_a.q is None or target_b.q is None else "dr")
    first, second = terms_named(target_a, chosen), terms_named(target_b, chosen)
    return difference(first, second, clusters=target_a.clusters, supports=supports, confidence=confidence)


def difference(
    first: Terms,
    second: Terms,
    *,
    clusters: Labels | None,
    supports: tuple[Support, Support],
    confidence: float = 0.95,
) -> Estimate:
    """Summarise the paired difference of two targets' terms, first less second; support is taken as given."""
    data = clustered(first.values - second.values, clusters)
    low, high = t_interval(data, confidence)
    unsupported = [support.unsupported for support in supports]
    slack = first.bias + second.bias + sum(unsupported) * float(first.residual.std())
    return Estimate(
        name=first.name,
        value=data.mean,
        stderr=standard_error(data),
        low=low - slack,
        high=high + slack,
        n=first.values.size,
        customers=data.totals.size,
        ess=min(support.ess for support in supports),
        unsupported=max(unsupported),
        max_weight=max(support.max_weight for support in supports),
        confidence=confidence,
        consistent=first.consistent and second.consistent,
    )


def terms_named(log: Logged, name: str) -> Terms:
    """Return the terms of one estimator.

    Raises
    ------
    BadInput
        If there is no such estimator, or it needs a model that the log does not carry.
    """
    for terms in terms_of(log):
        if terms.name == name:
            return terms
    raise BadInput(f"no estimator {name!r} for this log; DM, DR and Switch-DR need q and q_target", where="estimator")


def estimate_frame(frame: pd.DataFrame, *, confidence: float = 0.95, rules: SupportRules = DEFAULT) -> pd.DataFrame:
    """Estimate a target policy's value from a plain frame, a row a decision.

    Parameters
    ----------
    frame
        Columns `reward`, `propensity`, `target_propensity`; optional `customer_id` (clusters), `q` and `q_target`
        (for DM, DR, Switch-DR), `unsupported` (target's probability of what could not have been logged),
        `propensity_mode` and `target_propensity_mode` (adds the estimates of the choice of mode alone).

    Returns
    -------
    A row per level (`action`, `mode`) and estimator, columns as the fields of Estimate.

    Raises
    ------
    BadInput
        If a column is missing or cannot be read.
    NoSupport
        If propensities are missing or not positive, or support is thin.
    """
    optional = {name: dtype for name, dtype in LOGGED_OPTIONAL.items() if name in frame.columns}
    frame = checked(frame, {**LOGGED, **optional}, name="log")
    if ("propensity_mode" in optional) != ("target_propensity_mode" in optional):
        raise BadInput("needs both propensity_mode and target_propensity_mode, or neither", where="log")

    def column(name: str) -> F64 | None:
        return frame[name].to_numpy(np.float64) if name in optional else None

    clusters = frame["customer_id"].to_numpy(object).astype(str) if "customer_id" in frame.columns else None
    levels = {
        "action": Logged(
            reward=frame["reward"].to_numpy(np.float64),
            propensity=frame["propensity"].to_numpy(np.float64),
            target=frame["target_propensity"].to_numpy(np.float64),
            clusters=clusters,
            q=column("q"),
            q_target=column("q_target"),
            unsupported=column("unsupported"),
        )
    }
    if "propensity_mode" in optional:
        levels["mode"] = Logged(
            reward=frame["reward"].to_numpy(np.float64),
            propensity=frame["propensity_mode"].to_numpy(np.float64),
            target=frame["target_propensity_mode"].to_numpy(np.float64),
            clusters=clusters,
        )
    rows = [
        {"level": level, **asdict(estimate)}
        for level, log in levels.items()
        for estimate in estimates(log, confidence=confidence, rules=rules)
    ]
    return pd.DataFrame(rows)
