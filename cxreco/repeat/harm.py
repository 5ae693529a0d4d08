"""Does the champion do harm? Its guardrail outcomes since its promotion against its predecessor's, at every look.

Both policies are laid over the same later decisions, which neither was trained on, by their probabilities: a bad month
for everybody blames nobody. The intervals are anytime-valid (`intervals.anytime_interval`), their error shared by all
that is watched, so that a healthy champion is rolled back with at most the declared chance over its whole life.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.repeat.estimators import terms_named
from cxreco.repeat.evaluation import Report
from cxreco.repeat.intervals import anytime_interval, clustered
from cxreco.repeat.promotion import PromotionRules
from cxreco.repeat.support import Logged

F64 = NDArray[np.float64]
# Decisions after which the watch should be sharpest: some weeks of a small shop.
PLANNED = 2_000.0
# Fewer cases of a harm are an accident, however surely an interval excludes zero.
FEWEST_CASES = 5
WORDS: Mapping[str, str] = {
    "returned": "returns",
    "cancelled": "cancellations",
    "complained": "complaints",
    "unsubscribed": "unsubscribes",
    "wrong_auto": "wrong automatic orders",
    "money": "money",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One outcome under watch, a decision: how much worse the champion is, and how much may evidently be.

    `worse` is the difference to the predecessor, turned so that above 0 is worse; `low` and `high` hold at any look.
    """

    name: str
    worse: float
    low: float
    high: float
    limit: float
    rate: float
    cases: int

    @property
    def evident(self) -> bool:
        """Whether it is evidently worse than the rules allow."""
        return self.low > self.limit and self.cases >= FEWEST_CASES

    def words(self, currency: str = "EUR") -> str:
        """Say it plainly."""
        if self.name == "money":
            return (
                f"it earns {-self.worse:+.3f} {currency} a decision against its predecessor "
                f"({-self.high:+.3f} to {-self.low:+.3f}, at any look)"
            )
        return (
            f"{WORDS.get(self.name, self.name)}: {1000 * self.worse:+.1f} in a thousand decisions against its "
            f"predecessor's {1000 * self.rate:.1f} ({1000 * self.low:+.1f} to {1000 * self.high:+.1f}, at any look)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What was seen of a champion since its promotion; without an answer, `reason` says why."""

    seen: tuple[Watched, ...] = ()
    reason: str = ""

    @property
    def harm(self) -> tuple[Watched, ...]:
        """What is evidently worse, the surest first."""
        found = [each for each in self.seen if each.evident]
        return tuple(sorted(found, key=lambda each: each.limit - each.low))


def watch(champion: Report, predecessor: Report, rules: PromotionRules) -> Watch:
    """Compare a champion's harms and money with its predecessor's on the decisions since its promotion.

    Parameters
    ----------
    champion, predecessor
        Reports of both policies on the same decisions.
    rules
        Confidence, and by how much of the predecessor's rate each harm may evidently rise.

    Raises
    ------
    BadInput
        If the reports are not about the same decisions.
    """
    if not np.array_equal(champion.decision_id, predecessor.decision_id):
        raise BadInput("reports are about different decisions and cannot be paired", where=predecessor.name)
    for report in (champion, predecessor):
        if report.support.ess < rules.min_ess or report.support.customers < rules.min_customers:
            return Watch(
                reason=f"too early to tell: the decisions since weigh as much as {report.support.ess:.0f} of "
                f"{report.name}, of {report.support.customers} customers; {rules.min_ess:g} of {rules.min_customers} "
                "are the least"
            )
    alpha = 2.0 * (1.0 - rules.harm_confidence) / (len(champion.harms) + 1)
    seen = [_harm(name, champion.harms[name], predecessor.harms[name], rules, alpha) for name in champion.harms]
    return Watch(seen=(*seen, _money(champion, predecessor, rules, alpha)))


def _harm(name: str, ours: Logged, theirs: Logged, rules: PromotionRules, alpha: float) -> Watched:
    first, second = terms_named(ours, "snips").values, terms_named(theirs, "snips").values
    rate = max(float(second.mean()), 0.0)
    cases = int((ours.reward > 0.0).sum())
    return _watched(name, first - second, ours, (rules.slack[name] * rate, rate, cases), alpha)


def _money(champion: Report, predecessor: Report, rules: PromotionRules, alpha: float) -> Watched:
    lost = predecessor.terms().values - champion.terms().values
    rate = float(predecessor.terms().values.mean())
    limit = rules.margin_share * abs(rate)
    return _watched("money", lost, champion.money, (limit, rate, lost.size), alpha)


def _watched(name: str, terms: F64, log: Logged, against: tuple[float, float, int], alpha: float) -> Watched:
    data = clustered(terms, log.clusters)
    low, high = anytime_interval(data, alpha=alpha, planned=PLANNED)
    limit, rate, cases = against
    return Watched(name=name, worse=data.mean, low=low, high=high, limit=limit, rate=rate, cases=cases)
