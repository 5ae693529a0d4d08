"""When would they buy it again, in closed form: a renewal process with a cure share, shrunk to the population.

Gaps between purchases are lognormal; their mean and spread are those of the customer's own past, shrunk to the item's
population rhythm. A share of the buyers never comes back (the cure share of survival analysis, Boag 1949; for
repeat buying, Schmittlein, Morrison and Colombo, Management Science 1987), so a long silence speaks for it.
The learned model of `need` starts from this one and is as good as it where data are few.
"""

import math

from cxreco.compiled import compiled

# Pseudo-gaps that the population's rhythm is worth, and pseudo-purchases that its repeat share is worth.
GAP_STRENGTH = 1.5
SPREAD_STRENGTH = 3.0
REPEAT_STRENGTH = 1.5
# What holds for an item nobody has bought twice: days, relative spread, share of buyers that come back.
GAP_PRIOR = 45.0
SPREAD_PRIOR = 0.7
REPEAT_PRIOR = 0.25


@compiled
def gap_posterior(gaps: float, own_mean: float, own_m2: float, pop_mean: float, pop_sd: float) -> tuple[float, float]:
    """Return the mean gap in days and its coefficient of variation, own gaps shrunk to the population's.

    Parameters
    ----------
    gaps
        How many gaps the customer's own mean is made of; 0 for none.
    own_mean, own_m2
        Mean of the own gaps and sum of their squared deviations (Welford), in days and days squared.
    pop_mean, pop_sd
        The population's, in days; NaN where unknown.
    """
    prior = pop_mean if pop_mean > 0.0 else GAP_PRIOR
    spread = SPREAD_PRIOR
    if pop_mean > 0.0 and pop_sd > 0.0:
        # The population's spread holds the differences between customers too: an upper bound for one customer's.
        spread = min(max(pop_sd / pop_mean, 0.1), 1.5)
    if not (gaps > 0.0 and own_mean > 0.0):
        return prior, spread
    mean = (GAP_STRENGTH * prior + gaps * own_mean) / (GAP_STRENGTH + gaps)
    own = max(own_m2, 0.0) / (own_mean * own_mean)
    square = (SPREAD_STRENGTH * spread * spread + own) / (SPREAD_STRENGTH + max(gaps - 1.0, 0.0))
    return mean, min(max(math.sqrt(square), 0.1), 2.0)


@compiled
def repeat_posterior(orders: float, pop_repeat: float) -> float:
    """Return the probability, just after the latest purchase, that there will be another.

    Each earlier purchase of the customer was followed by one; the population's share is the prior.
    """
    prior = REPEAT_PRIOR
    if pop_repeat == pop_repeat:
        prior = min(max(pop_repeat, 0.02), 0.98)
    return (REPEAT_STRENGTH * prior + max(orders - 1.0, 0.0)) / (REPEAT_STRENGTH + max(orders - 1.0, 0.0))


@compiled
def _lognormal_cdf(days: float, log_mean: float, log_sd: float) -> float:
    if days <= 0.0:
        return 0.0
    return 0.5 * math.erfc(-(math.log(days) - log_mean) / (log_sd * math.sqrt(2.0)))


@compiled
def renewal_within(mean: float, spread: float, repeat: float, since: float, horizon: float) -> float:
    """Return P(next purchase within `horizon` days | none in the `since` days after the last one).

    With F the lognormal distribution of the gap and r the repeat probability:
    r (F(since + horizon) - F(since)) / (r (1 - F(since)) + 1 - r). Rises with the horizon.

    Parameters
    ----------
    mean, spread
        Mean gap in days and coefficient of variation, as `gap_posterior` gives them.
    repeat
        As `repeat_posterior` gives it.
    since, horizon
        Days since the last purchase, and ahead.
    """
    variance = math.log1p(spread * spread)
    log_mean = math.log(max(mean, 1e-3)) - 0.5 * variance
    log_sd = math.sqrt(variance)
    before = _lognormal_cdf(since, log_mean, log_sd)
    upto = _lognormal_cdf(since + horizon, log_mean, log_sd)
    left = repeat * (1.0 - before) + 1.0 - repeat
    return min(max(repeat * (upto - before) / max(left, 1e-12), 0.0), 1.0)
