"""How sure we are: intervals for means of clustered terms, bounds that hold for heavy weights, and anytime-valid ones.

Sources
-------
Cameron & Miller (2015), A practitioner's guide to cluster-robust inference: clustered variance, t with few clusters.
Hall (1992), On the removal of skewness by transformation: the skew-corrected t.
Waudby-Smith & Ramdas (2024), Estimating means of bounded random variables by betting: capital as evidence.
Waudby-Smith, Wu, Ramdas, Karampatziakis & Mineiro (2024), Anytime-valid off-policy inference for contextual bandits:
unbounded importance weights, lower bounds of non-negative terms, upper bounds by mirroring the reward.
Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Time-uniform central limit theory and asymptotic confidence
sequences: the normal-mixture boundary. Fabijan et al. (2019), Diagnosing sample ratio mismatch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, exp, inf, isfinite, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_BETS = np.geomspace(0.003, 0.97, 14)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clusters:
    """Sums of terms and numbers of decisions by cluster: what a clustered mean is made of, (g,) each."""

    totals: F64
    sizes: F64

    @property
    def mean(self) -> float:
        """Mean of the terms over decisions."""
        return float(self.totals.sum() / self.sizes.sum())

    @property
    def residuals(self) -> F64:
        """(g,) influence of each cluster on the mean; they sum to 0."""
        return (self.totals - self.mean * self.sizes) / float(self.sizes.sum())


def clustered(terms: F64, clusters: NDArray[np.generic] | None = None) -> Clusters:
    """Sum terms by cluster; without clusters every decision is its own.

    Parameters
    ----------
    terms
        (n,) terms whose mean is estimated.
    clusters
        (n,) any labels, such as customer ids.
    """
    if clusters is None:
        return Clusters(totals=terms.astype(np.float64), sizes=np.ones(terms.size))
    _, codes = np.unique(clusters, return_inverse=True)
    return Clusters(
        totals=np.bincount(codes, weights=terms).astype(np.float64), sizes=np.bincount(codes).astype(np.float64)
    )


def standard_error(data: Clusters) -> float:
    """Cluster-robust standard error of the mean; infinite with fewer than two clusters."""
    g = data.totals.size
    if g < 2:
        return inf
    # The jackknife's form (CR3): a cluster that is a large share of the log hides part of its own deviation.
    left_out = data.residuals / (1.0 - data.sizes / data.sizes.sum())
    return sqrt((g - 1) / g * float((left_out**2).sum()))


def degrees_of_freedom(data: Clusters) -> float:
    """Degrees of freedom of the estimated variance, Satterthwaite with the sample kurtosis: heavy tails leave few.

    For normal terms of equal clusters this is g - 1. A sample shows too little of a heavy tail, so what excess it
    shows counts twice.
    """
    squares = data.residuals**2
    g, total = squares.size, float(squares.sum())
    if g < 2 or total <= 0.0:
        return 1.0
    kurtosis = g * float((squares**2).sum()) / total**2
    return float(np.clip(2.0 / (2.0 * max(kurtosis - 3.0, 0.0) / g + 2.0 / (g - 1)), 1.0, g - 1))


def t_interval(data: Clusters, confidence: float) -> tuple[float, float]:
    """Two-sided t interval, stretched where skewness asks for it (the union of plain and Hall's transformed t)."""
    error = standard_error(data)
    if not isfinite(error):
        return -inf, inf
    df = degrees_of_freedom(data)
    t = float(stats.t.ppf(0.5 + confidence / 2.0, df))
    up, down = _hall(t, data), _hall(-t, data)
    return data.mean - error * max(t, up), data.mean + error * max(t, -down)


def _hall(t: float, data: Clusters) -> float:
    """Hall's inverse transformation of a t quantile for the skewness of the influences."""
    residuals = data.residuals
    g, spread = residuals.size, float(np.sqrt((residuals**2).mean()))
    if spread <= 0.0:
        return t
    skew = float((residuals**3).mean()) / spread**3
    a, root = skew / 3.0, sqrt(g)
    # g(t) = t + a t^2 / sqrt(n) + a^2 t^3 / (3 n) + skew / (6 sqrt(n)), solved for t: a cube, monotone in t.
    inner = 1.0 + 3.0 * a / root * (t - skew / (6.0 * root))
    if abs(a) < 1e-9:
        return t
    return root / a * (float(np.cbrt(inner)) - 1.0)


def lower_bound(data: Clusters, alpha: float) -> float:
    """Lower confidence bound of the mean of non-negative terms, valid for any sample size and however heavy the tail.

    A gambler who bets that the mean exceeds m, at several stakes at once, multiplies their capital by more than
    1/alpha with probability at most alpha if it does not (Ville); the bound is the least m that survives.

    Parameters
    ----------
    data
        Cluster sums; totals must be non-negative.
    alpha
        Chance of being wrong, one-sided.
    """
    totals, sizes = data.totals, data.sizes
    scale = float(sizes.max())
    if totals.size == 0 or totals.max() <= 0.0:
        return 0.0
    low, high = 0.0, data.mean
    for _ in range(40):
        m = 0.5 * (low + high)
        if m <= 0.0 or _capital(totals / m, sizes, scale) >= log(1.0 / alpha):
            low = m
        else:
            high = m
    return low


def _capital(ratio: F64, sizes: F64, scale: float) -> float:
    """Log of the mean capital over the stakes, each a share of the most that cannot go broke."""
    stakes = _BETS / scale
    logs = np.array([float(np.log1p(stake * (ratio - sizes)).sum()) for stake in stakes])
    top = float(logs.max())
    return top + log(float(np.exp(logs - top).mean()))


def betting_interval(
    rise: Clusters, fall: Clusters, top: float, bottom: float, confidence: float
) -> tuple[float, float]:
    """Interval from two non-negative forms of one value v: `rise` has mean v - bottom, `fall` has mean top - v."""
    alpha = (1.0 - confidence) / 2.0
    return bottom + lower_bound(rise, alpha), top - lower_bound(fall, alpha)


def sequence_radius(stderr: float, *, alpha: float, planned: float) -> float:
    """Half-width of an anytime-valid interval around an estimate with this standard error.

    The normal-mixture boundary of the asymptotic confidence sequences, in the time of information 1/stderr^2, so that
    it holds for any estimate whose later value is the best forecast of itself (means, differences of arms).

    Parameters
    ----------
    stderr
        Standard error now.
    alpha
        Chance that the truth ever leaves the sequence.
    planned
        Standard error at which the interval should be tightest.
    """
    if not (isfinite(stderr) and stderr > 0.0):
        return inf if stderr != 0.0 else 0.0
    spread = planned**2 * (-2.0 * log(alpha) + log(-2.0 * log(alpha) + 1.0))
    variance = stderr**2
    return sqrt(
        2.0 * variance * (variance + spread) / spread * (0.5 * log((variance + spread) / variance) - log(alpha))
    )


def anytime_interval(data: Clusters, *, alpha: float, planned: float) -> tuple[float, float]:
    """Return the interval of a clustered mean that may be looked at as often as one likes.

    Parameters
    ----------
    alpha
        Chance that the truth ever leaves the intervals of all looks.
    planned
        Number of decisions at which it should be tightest; fix it beforehand.
    """
    stderr = standard_error(data)
    if not isfinite(stderr):
        return -inf, inf
    # Few clusters or heavy tails: as a t interval is to a normal one.
    tail = 1.0 - alpha / 2.0
    stretch = float(stats.t.ppf(tail, degrees_of_freedom(data)) / stats.norm.ppf(tail))
    at_plan = stderr * sqrt(float(data.sizes.sum()) / planned)
    radius = stretch * sequence_radius(stderr, alpha=alpha, planned=at_plan)
    return data.mean - radius, data.mean + radius


def always_p(value: float, stderr: float, *, planned: float, alpha: float = 0.05) -> float:
    """Anytime-valid p value of `value = 0`: the mixture's evidence turned over (Johari et al. 2017)."""
    if not (isfinite(stderr) and stderr > 0.0):
        return 1.0
    spread = planned**2 * (-2.0 * log(alpha) + log(-2.0 * log(alpha) + 1.0))
    variance = stderr**2
    evidence = 0.5 * log(variance / (variance + spread)) + value**2 * spread / (2.0 * variance * (variance + spread))
    return min(1.0, exp(-min(max(evidence, 0.0), 700.0)))


def sample_ratio(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """P value of the arms' sizes against the declared shares (chi-squared); below 0.001 the split is broken.

    Arms with a declared share of 0 that nevertheless have customers give 0.
    """
    declared = {arm: share for arm, share in shares.items() if share > 0.0}
    if any(count > 0 and arm not in declared for arm, count in counts.items()):
        return 0.0
    total = sum(counts.values())
    if len(declared) < 2 or total == 0:
        return 1.0
    observed = np.array([counts.get(arm, 0) for arm in declared], dtype=np.float64)
    expected = np.array(list(declared.values()), dtype=np.float64)
    return float(stats.chisquare(observed, expected / expected.sum() * total).pvalue)


def needed(
    stderr: float, n: int, *, effect: float, alpha: float, power: float = 0.8, stretch: float = 1.0
) -> int | None:
    """Decisions needed in all to see `effect` with one-sided error `alpha` and this power, from n that gave `stderr`.

    Assumes that decisions come as now: as many customers, as much alike. `stretch` is how much wider the interval is
    than a normal one (few customers, heavy tails). None where nothing can be foreseen.
    """
    if not (effect > 0.0 and isfinite(stderr) and isfinite(stretch) and n > 0):
        return None
    z = stretch * float(stats.norm.ppf(1.0 - alpha)) + float(stats.norm.ppf(power))
    return ceil(n * (z * stderr / effect) ** 2)


def spent(alpha: float, attempt: int) -> float:
    """Error that may be spent on the k-th attempt (1, 2, ...): alpha 6 / (pi k)^2, which sums to alpha over all."""
    if attempt < 1:
        raise ValueError(f"attempts count from 1, got {attempt}")
    return alpha * 6.0 / (np.pi**2 * attempt**2)


def growth(before: float, after: float) -> float:
    """Relative change, (after - before) / |before|; 0 where both are 0, signed infinity where only the base is."""
    if before == 0.0:
        return 0.0 if after == 0.0 else float(np.copysign(inf, after))
    return (after - before) / abs(before)
