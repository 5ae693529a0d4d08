"""Does the challenger replace the champion? A verdict with its reasons, never more sure than the log.

A refresh must be non-inferior within a margin; a change must be better, with the error spread over all challengers
(alpha spending with sum alpha, Foster & Stine 2008). Both are judged by the customer-clustered difference on the same
decisions. Where a week's log cannot tell a refresh from its champion to within the margin, and does not show it to be
worse either, the same model with more data is held to what the week can tell: it must have foreseen the customers'
answers as well as the champion did. What refreshes add up to since a policy last won as a change keeps them from
drifting downhill by a margin at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil, isfinite
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from cxreco.errors import BadInput, BadSpec
from cxreco.repeat.chain import Chain
from cxreco.repeat.estimators import Estimate, Terms, difference, terms_named
from cxreco.repeat.evaluation import HARMS, Report
from cxreco.repeat.intervals import clustered, needed, spent, t_interval
from cxreco.repeat.support import SupportRules

F64 = NDArray[np.float64]
Change = Literal["refresh", "change"]
_SLACKS: Mapping[str, float] = MappingProxyType({"contact": 0.50, **dict.fromkeys(HARMS, 0.05), "latency": 0.25})


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRules:
    """`models/promotion.toml`, read. Shares are of what the champion earns, or of its rate of a harm."""

    margin_share: float = 0.03
    foresight_slack: float = 0.02
    refresh_confidence: float = 0.90
    alpha: float = 0.05
    effect_share: float = 0.10
    power: float = 0.88
    min_ess: float = 50.0
    min_customers: int = 20
    max_unsupported: float = 0.05
    harm_confidence: float = 0.95
    slack: Mapping[str, float] = field(default_factory=lambda: _SLACKS)
    largest_loss: float = 0.50
    smallest_group: float = 0.02

    def __post_init__(self) -> None:
        shares = ("refresh_confidence", "alpha", "power", "harm_confidence", "largest_loss")
        for name in shares:
            if not 0.0 < getattr(self, name) < 1.0:
                raise BadSpec(f"must be between 0 and 1, got {getattr(self, name)!r}", where=f"promotion.{name}")
        if not (self.margin_share > 0.0 and self.effect_share > 0.0):
            raise BadSpec("margin_share and effect_share must be above 0", where="promotion")

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Self:
        """Read the tables of `models/promotion.toml`; what is left out takes its default.

        Raises
        ------
        BadSpec
            If a table or key is unknown, or a number is out of its range.
        """
        unknown = sorted(set(spec) - {*_PLACES, "guardrails"})
        if unknown:
            raise BadSpec(f"unknown tables {', '.join(unknown)}", where="promotion")
        values: dict[str, Any] = {}
        for table, places in _PLACES.items():
            for key, value in _numbers(spec, table, set(places)).items():
                values[places[key]] = int(value) if key == "min_customers" else value
        guardrails = _numbers(spec, "guardrails", {*_SLACKS, "confidence"})
        if "confidence" in guardrails:
            values["harm_confidence"] = guardrails.pop("confidence")
        return cls(slack=MappingProxyType({**_SLACKS, **guardrails}), **values)

    @property
    def support(self) -> SupportRules:
        """Support that both policies must have."""
        return SupportRules(
            min_ess=self.min_ess, min_customers=self.min_customers, max_unsupported=self.max_unsupported
        )


_PLACES: Mapping[str, Mapping[str, str]] = {
    "refresh": {
        "margin_share": "margin_share",
        "confidence": "refresh_confidence",
        "foresight_slack": "foresight_slack",
    },
    "change": {"alpha": "alpha"},
    "plan": {"effect_share": "effect_share", "power": "power"},
    "support": {"min_ess": "min_ess", "min_customers": "min_customers", "max_unsupported": "max_unsupported"},
    "exposure": {"largest_loss": "largest_loss", "smallest_group": "smallest_group"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing the challenger was held to: its value, the limit, and whether it passed, in words."""

    name: str
    passed: bool
    value: float
    limit: float
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Promote or not, and why.

    Attributes
    ----------
    reasons
        Sentences, the failed checks first.
    needed
        About how many more decisions it takes; None where the verdict does not wait for more.
    spent
        Whether this judgement used up an attempt: the money of a change was tested.
    difference
        Money per decision, challenger less champion, paired; None where support is thin.
    """

    promote: bool
    kind: Change
    reasons: tuple[str, ...]
    needed: int | None
    checks: tuple[Check, ...]
    spent: bool = False
    difference: Estimate | None = None

    @property
    def undecided(self) -> bool:
        """Whether it was held back for lack of evidence alone: nothing seen of it is worse than the rules allow."""
        failed = [check.name for check in self.checks if not check.passed]
        money = any(name.startswith("money") for name in failed)
        harmless = all(name.startswith(_OF_EVIDENCE) for name in failed)
        return not self.promote and harmless and not (money and self.needed is None)


# Checks that fail for want of data; the others fail for what was seen.
_OF_EVIDENCE = ("support", "money", "foresight")


def judge(
    champion: Report,
    challenger: Report,
    rules: PromotionRules,
    *,
    kind: Change,
    attempt: int = 1,
    since: Chain | None = None,
    latency_ms: tuple[float, float] | None = None,
    foresight: F64 | None = None,
) -> Verdict:
    """Hold a challenger against the champion on the same later decisions.

    Parameters
    ----------
    champion, challenger
        Reports on the same log.
    kind
        `refresh`: same spec, more data. `change`: anything else.
    attempt
        Which test of a change this is, from 1, over all challengers and looks that spent an attempt so far.
    since
        What refreshes led to the champion since a policy last won as a change; a refresh is held to their sum.
    latency_ms
        Champion's and challenger's time to decide.
    foresight
        (n,) per decision of the reports, by how many nats the challenger foresaw the answer better than the champion.

    Raises
    ------
    BadInput
        If the reports are not about the same decisions.
    """
    if not np.array_equal(challenger.decision_id, champion.decision_id):
        raise BadInput("reports are about different decisions and cannot be paired", where=challenger.name)
    supported = [_supported(report, rules) for report in (champion, challenger)]
    if not all(check.passed for check in supported):
        more = [_for_support(report, rules) for report in (champion, challenger)]
        return _verdict(kind, tuple(supported), needed=max((n for n in more if n), default=None))
    money, apart = _money(champion, challenger, rules, kind=kind, attempt=attempt)
    seen = None if foresight is None or kind == "change" else _foresight(foresight, champion, rules)
    money = _excused(money, apart, seen)
    checks = [*supported, money, *((seen,) if seen is not None else ())]
    if since is not None and since.links and kind == "refresh":
        checks.append(_chained(since.longer(apart), money.limit, rules))
    checks += _harms(champion, challenger, rules)
    checks += _exposure(champion, challenger, rules)
    if latency_ms is not None:
        checks.append(_latency(latency_ms, rules))
    more_needed = None if money.passed else _more(champion, apart, rules, kind=kind, attempt=attempt)
    return _verdict(kind, tuple(checks), needed=more_needed, spent=kind == "change", apart=apart)


def _verdict(
    kind: Change, checks: tuple[Check, ...], *, needed: int | None, spent: bool = False, apart: Estimate | None = None
) -> Verdict:
    failed = [check.said for check in checks if not check.passed]
    if needed is not None:
        failed.insert(0, f"not enough evidence yet: about {_rounded(needed):,} more decisions")
    passed = [check.said for check in checks if check.passed]
    return Verdict(
        promote=all(check.passed for check in checks),
        kind=kind,
        reasons=(*failed, *passed),
        needed=needed,
        checks=checks,
        spent=spent,
        difference=apart,
    )


def _supported(report: Report, rules: PromotionRules) -> Check:
    support, wanted = report.support, rules.support
    reasons = list(support.reasons)
    if support.ess < wanted.min_ess and not any("effective" in reason for reason in reasons):
        reasons.append(f"effective sample size {support.ess:.0f}, at least {wanted.min_ess:g} needed")
    if support.customers < wanted.min_customers and not any("customers" in reason for reason in reasons):
        reasons.append(f"{support.customers} customers, at least {wanted.min_customers} needed")
    if support.unsupported > wanted.max_unsupported and not any("possible" in reason for reason in reasons):
        reasons.append(f"{support.unsupported:.1%} of its choices were never possible in the log")
    enough = f"the log supports {report.name}: effective sample size {support.ess:.0f} of {support.n}"
    said = enough if not reasons else f"the log does not support {report.name}: {'; '.join(reasons)}"
    return Check(
        name=f"support of {report.name}", passed=not reasons, value=support.ess, limit=wanted.min_ess, said=said
    )


def _for_support(report: Report, rules: PromotionRules) -> int | None:
    """More decisions until the effective sample size suffices, if that is what is short."""
    support = report.support
    if not 0.0 < support.ess < rules.min_ess:
        return None
    return ceil(support.n * (rules.min_ess / support.ess - 1.0))


def _alpha(rules: PromotionRules, kind: Change, attempt: int) -> float:
    return spent(rules.alpha, attempt) if kind == "change" else 1.0 - rules.refresh_confidence


def _money(
    champion: Report, challenger: Report, rules: PromotionRules, *, kind: Change, attempt: int
) -> tuple[Check, Estimate]:
    apart = _paired(
        challenger.terms(), champion.terms(), champion, challenger, 1.0 - 2.0 * _alpha(rules, kind, attempt)
    )
    limit = 0.0 if kind == "change" else -rules.margin_share * abs(champion.headline.value)
    passed = apart.low > limit
    wanted = "must be above 0" if kind == "change" else f"must be above {limit:.4f}"
    said = (
        f"{challenger.name} earns {apart.value:+.4f} a decision against {champion.name}, at least {apart.low:+.4f} "
        f"with {1.0 - _alpha(rules, kind, attempt):.1%} confidence; that {wanted}"
    )
    return Check(name=f"money against {champion.name}", passed=passed, value=apart.low, limit=limit, said=said), apart


def _foresight(gain: F64, champion: Report, rules: PromotionRules) -> Check:
    """Check that the challenger foresaw the answers of these days no worse than the champion."""
    alpha = 1.0 - rules.refresh_confidence
    low, _ = t_interval(clustered(gain, champion.money.clusters), 1.0 - 2.0 * alpha)
    limit = -rules.foresight_slack
    said = (
        f"it foresaw the answers better by {gain.mean():+.4f} nats a decision, at least {low:+.4f} with "
        f"{rules.refresh_confidence:.1%} confidence; that must be above {limit:+.4f}"
    )
    return Check(name="foresight", passed=low > limit, value=low, limit=limit, said=said)


def _excused(money: Check, apart: Estimate, seen: Check | None) -> Check:
    """Let foresight speak where the log cannot: not shown to be as good, and not shown to be worse either."""
    if money.passed or seen is None or not seen.passed or apart.high <= money.limit:
        return money
    said = f"{money.said}: the log cannot tell them apart so finely (up to {apart.high:+.4f}), so foresight decides"
    return replace(money, passed=True, said=said)


def _chained(chain: Chain, limit: float, rules: PromotionRules) -> Check:
    """Check that refreshes did not evidently add up to a loss beyond the margin, however often one looked."""
    most = chain.most(rules.alpha)
    said = (
        f"{chain.links} refreshes since the last change add up to {chain.gain:+.4f} a decision, at most {most:+.4f} "
        f"with {1.0 - rules.alpha:.1%} confidence over all of them; that must be above {limit:+.4f}"
    )
    return Check(name="chain of refreshes", passed=most > limit, value=most, limit=limit, said=said)


def _paired(first: Terms, second: Terms, champion: Report, challenger: Report, confidence: float) -> Estimate:
    return difference(
        first,
        second,
        clusters=champion.money.clusters,
        supports=(challenger.support, champion.support),
        confidence=confidence,
    )


def _more(champion: Report, apart: Estimate, rules: PromotionRules, *, kind: Change, attempt: int) -> int | None:
    """Count the decisions still missing to see the gain worth detecting (for a refresh: no loss), or None.

    Planned at the error that the next attempt may spend. Where such a gain would have shown by now, planned for the
    difference that was seen, if it is on the right side; None where waiting will not help.
    """
    earned = abs(champion.headline.value)
    lost = 0.0 if kind == "change" else rules.margin_share * earned
    if apart.high < -lost or apart.stderr == 0.0:
        return None
    effect = rules.effect_share * earned if kind == "change" else lost
    stretch = (apart.value - apart.low) / apart.stderr / float(norm.ppf(1.0 - _alpha(rules, kind, attempt)))
    for hoped in (effect, apart.value + lost):
        alpha = _alpha(rules, kind, attempt + 1)
        total = needed(apart.stderr, apart.n, effect=hoped, alpha=alpha, power=rules.power, stretch=stretch)
        if total is not None and total > apart.n:
            return total - apart.n
    return None


def _harms(champion: Report, challenger: Report, rules: PromotionRules) -> list[Check]:
    checks = [_contact(champion, challenger, rules)]
    for harm in champion.harms:
        first, second = (terms_named(report.harms[harm], "snips") for report in (challenger, champion))
        # The error is shared by the harms: a refresh should not fall to the one of many that looks bad by chance.
        alpha = (1.0 - rules.harm_confidence) / len(champion.harms)
        apart = _paired(first, second, champion, challenger, 1.0 - 2.0 * alpha)
        rate = float(second.values.mean())
        checks.append(_harm(harm, apart.value, apart.low, rate, rules))
    return checks


def _contact(champion: Report, challenger: Report, rules: PromotionRules) -> Check:
    apart = float((challenger.contact - champion.contact).mean())
    return _harm("contact", apart, apart, float(champion.contact.mean()), rules)


def _harm(name: str, apart: float, low: float, rate: float, rules: PromotionRules) -> Check:
    limit = rules.slack[name] * max(rate, 0.0)
    said = f"{name}: {apart:+.4f} a decision, at least {low:+.4f}, on {rate:.4f}; at most {limit:+.4f} allowed"
    return Check(name=name, passed=not low > limit, value=low, limit=limit, said=said)


def _exposure(champion: Report, challenger: Report, rules: PromotionRules) -> list[Check]:
    after = dict(zip(challenger.groups, challenger.exposure.mean(axis=0), strict=True))
    checks = []
    for name, share in zip(champion.groups, champion.exposure.mean(axis=0), strict=True):
        if share < rules.smallest_group:
            continue
        now, limit = float(after.get(name, 0.0)), (1.0 - rules.largest_loss) * float(share)
        said = f"exposure of {name}: {share:.1%} becomes {now:.1%}; at least {limit:.1%} wanted"
        checks.append(Check(name=f"exposure of {name}", passed=now >= limit, value=now, limit=limit, said=said))
    return checks


def _latency(latency_ms: tuple[float, float], rules: PromotionRules) -> Check:
    before, after = latency_ms
    limit = (1.0 + rules.slack["latency"]) * before
    said = f"latency: {before:.2f} ms becomes {after:.2f} ms; at most {limit:.2f} ms allowed"
    return Check(name="latency", passed=isfinite(after) and after <= limit, value=after, limit=limit, said=said)


def _rounded(n: int) -> int:
    """Two significant digits: nobody knows it better."""
    size = int(10 ** max(len(str(n)) - 2, 0))
    return max(ceil(n / size) * size, 1)


def _numbers(spec: Mapping[str, Any], table: str, known: set[str]) -> dict[str, float]:
    given = spec.get(table, {})
    where = f"promotion.{table}"
    if not isinstance(given, Mapping):
        raise BadSpec("must be a table", where=where)
    unknown = sorted(set(given) - known)
    if unknown:
        raise BadSpec(f"unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}", where=where)
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise BadSpec(f"must be a number of at least 0, got {value!r}", where=f"{where}.{key}")
    return {key: float(value) for key, value in given.items()}
