"""A policy and a log: what the policy would have earned, by mode too, how surely, and what the log cannot say."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import inf, nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxreco.errors import BadInput, NoSupport
from cxreco.journey import MODES
from cxreco.repeat.estimators import DEFAULT, Estimate, Terms, estimates, terms_named
from cxreco.repeat.support import Labels, Logged, Support, SupportRules, support_of
from cxreco.tables import DecisionLog, contacts

F64 = NDArray[np.float64]

_SPOKEN = ("share", "logged_share", "value", "low", "high")
HARMS: tuple[str, ...] = ("returned", "cancelled", "complained", "unsubscribed", "wrong_auto")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """What one target policy would have done with the logged moments.

    Attributes
    ----------
    name
        Of the target policy.
    support
        Of the target as a whole; with `reasons` there are no overall estimates.
    estimates
        Money per decision by every estimator, empty where support is thin.
    rows
        Everything as one frame: `level` (`all`, `choice of mode`, `mode`, `within mode`, `rate`, `exposure`),
        `subject`, `share` (of the target's choices), `logged_share`, the fields of Estimate, and `reason` where there
        is none.
    money
        The log as the target sees it, reward in money.
    harms
        The same with each harm (0/1) as the reward.
    contact
        (n,) probability that the target makes a contact, exact.
    exposure
        (n, n_groups) the target's probability of each group, exact; `groups` are their names.
    decision_id
        (n,) which decisions: two reports can be paired only on the same ones.
    left_out
        Decisions not used: too young, or of an arm that does not explore.
    """

    name: str
    support: Support
    estimates: tuple[Estimate, ...]
    rows: pd.DataFrame
    money: Logged
    harms: Mapping[str, Logged]
    contact: F64
    exposure: F64
    groups: tuple[str, ...]
    decision_id: Labels
    left_out: int = 0

    @property
    def headline(self) -> Estimate:
        """The estimate to quote: doubly robust where there is a model, else self-normalised.

        Raises
        ------
        NoSupport
            If there is none, with the reasons.
        """
        self.support.demand()
        wanted = "snips" if self.money.q is None else "dr"
        return next(estimate for estimate in self.estimates if estimate.name == wanted)

    def terms(self, estimator: str | None = None) -> Terms:
        """Return the terms per decision of an estimator, the headline's by default."""
        return terms_named(self.money, estimator or ("snips" if self.money.q is None else "dr"))

    def words(self, currency: str = "EUR") -> tuple[str, ...]:
        """Say it plainly, a sentence a line."""
        support = self.support
        used = f"{support.n} decisions of {support.customers} customers speak, {self.left_out} are left out"
        if support.reasons:
            return (f"No estimate for {self.name}: {'; '.join(support.reasons)}.", f"{used}.")
        best = self.headline
        lines = [
            f"{self.name} would have earned {best.value:.3f} {currency} a decision "
            f"({best.confidence:.0%}: {best.low:.3f} to {best.high:.3f}, {best.name}).",
            f"{used}; they weigh as much as {support.ess:.0f} of its own, and {support.unsupported:.1%} of its choices "
            "were never possible in the log.",
            f"It would make {self.contact.mean():.3f} contacts a decision.",
        ]
        modes = self.rows[self.rows["level"] == "mode"]
        for subject, said, *rest in zip(*(modes[column] for column in ("subject", "reason", *_SPOKEN)), strict=True):
            share, logged, value, low, high = (float(number) for number in rest)
            money = f"{value:.3f} {currency} a decision ({low:.3f} to {high:.3f})"
            chosen = f"{share:.1%} of its choices ({logged:.1%} of the log's)"
            lines.append(f"{subject}: {chosen}, {said or money}.")
        return tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """A target policy laid over a log: sums by decision and mode, (n, modes) and (n,)."""

    log: DecisionLog
    probability: F64
    by_mode: F64 = field(init=False)
    logged_by_mode: F64 = field(init=False)

    def __post_init__(self) -> None:
        decision, mode = self.log.decision, self.log.candidates["mode"].to_numpy(np.int64)
        if self.probability.shape != decision.shape:
            raise BadInput(f"{self.probability.size} probabilities for {decision.size} candidates", where="target")
        if not bool((np.isfinite(self.probability) & (self.probability >= 0.0)).all()):
            raise BadInput("must be probabilities", where="target")
        cell, shape = decision * len(MODES) + mode, (len(self.log), len(MODES))
        by_mode = np.bincount(cell, weights=self.probability, minlength=shape[0] * shape[1]).reshape(shape)
        logged = np.bincount(cell, weights=self.log.joint, minlength=shape[0] * shape[1]).reshape(shape)
        if len(self.log) and float(np.abs(by_mode.sum(axis=1) - 1.0).max()) > 1e-6:
            raise BadInput("does not sum to 1 over the candidates of every decision", where="target")
        object.__setattr__(self, "by_mode", by_mode)
        object.__setattr__(self, "logged_by_mode", logged)

    def sums(self, column: F64) -> F64:
        """(n,) sum of a column of the candidates by decision."""
        return np.bincount(self.log.decision, weights=column, minlength=len(self.log)).astype(np.float64)


def evaluate(
    log: DecisionLog,
    outcomes: pd.DataFrame,
    target: F64,
    *,
    name: str = "target",
    q: F64 | None = None,
    groups: Labels | None = None,
    confidence: float = 0.95,
    rules: SupportRules = DEFAULT,
) -> Report:
    """Estimate what a policy would have earned on logged decisions.

    Parameters
    ----------
    log
        The decisions and all that each was drawn from.
    outcomes
        Frame of `reward.outcomes_of` for the same decisions in the same order; where `money` is NaN the decision is
        too young and left out.
    target
        (n_candidates,) the policy's probability of each candidate, summing to 1 by decision.
    q
        (n_candidates,) predicted money of each candidate, from a model that was not fitted on these decisions.
    groups
        (n_candidates,) label of each candidate for exposure, such as the category of its first item; "" is not counted.
    rules
        What support is demanded, and of which arms decisions are used.

    Raises
    ------
    BadInput
        If the parts do not fit.
    NoSupport
        If no decision is left. Thin support is not an error here: it is reported with its reasons.
    """
    if not np.array_equal(outcomes["decision_id"].to_numpy(object), log.decisions["decision_id"].to_numpy(object)):
        raise BadInput("outcomes are not those of the log's decisions, row by row", where="outcomes")
    ripe = np.isfinite(outcomes["money"].to_numpy(np.float64))
    use = ripe & log.decisions["arm"].isin(rules.arms).to_numpy()
    if not use.any():
        raise NoSupport(f"no decision is both ripe and of an exploring arm ({len(log)} in the log)")
    rows = use[log.decision]
    left_out, log, outcomes = int((~use).sum()), log.take(use), outcomes.loc[use].reset_index(drop=True)
    laid = Target(log=log, probability=target[rows])
    money = _logged(laid, outcomes["money"].to_numpy(np.float64), None if q is None else q[rows])
    support = support_of(money, rules)
    found = () if support.reasons else estimates(money, confidence=confidence, rules=rules)
    plain = replace(money, q=None, q_target=None)
    harms = {harm: replace(plain, reward=outcomes[harm].to_numpy(np.float64)) for harm in HARMS if harm in outcomes}
    surface = log.decisions["surface"].to_numpy(object)[log.decision]
    contact = laid.sums(laid.probability * contacts(log.candidates["mode"].to_numpy(), surface))
    names, exposure = _exposure(laid, None if groups is None else groups[rows])
    table = [
        *_overall(found, support),
        *_mode_rows(laid, money, confidence, rules),
        *_rate_rows(harms, contact, confidence, rules),
        *({"level": "exposure", "subject": n, "share": float(s)} for n, s in zip(names, exposure.mean(0), strict=True)),
    ]
    return Report(
        name=name,
        support=support,
        estimates=found,
        rows=pd.DataFrame(table, columns=_COLUMNS).fillna({"reason": ""}),
        money=money,
        harms=harms,
        contact=contact,
        exposure=exposure,
        groups=names,
        decision_id=log.decisions["decision_id"].to_numpy(object),
        left_out=left_out,
    )


_COLUMNS = ["level", "subject", "share", "logged_share", *Estimate.__dataclass_fields__, "reason"]


def _logged(laid: Target, reward: F64, q: F64 | None) -> Logged:
    log, chosen = laid.log, laid.log.chosen_rows
    return Logged(
        reward=reward,
        propensity=log.joint[chosen],
        target=laid.probability[chosen],
        clusters=log.decisions["customer_id"].to_numpy(object).astype(str),
        q=None if q is None else q[chosen].astype(np.float64),
        q_target=None if q is None else laid.sums(laid.probability * q),
        unsupported=laid.sums(np.where(log.joint > 0.0, 0.0, laid.probability)),
    )


def _exposure(laid: Target, groups: Labels | None) -> tuple[tuple[str, ...], F64]:
    if groups is None:
        return (), np.empty((len(laid.log), 0))
    names, code = np.unique(groups.astype(str), return_inverse=True)
    cell = laid.log.decision * names.size + code
    shares = np.bincount(cell, weights=laid.probability, minlength=len(laid.log) * names.size).astype(np.float64)
    kept = names != ""
    return tuple(str(name) for name in names[kept]), shares.reshape(len(laid.log), names.size)[:, kept]


def _overall(found: tuple[Estimate, ...], support: Support) -> list[dict[str, object]]:
    if not found:
        return [{"level": "all", "subject": "money", "n": support.n, "reason": "; ".join(support.reasons)}]
    return [{"level": "all", "subject": "money", **asdict(estimate)} for estimate in found]


def _mode_rows(laid: Target, money: Logged, confidence: float, rules: SupportRules) -> list[dict[str, object]]:
    """Money by mode: of the choice of mode alone, of what each mode brought, and of the choice within each mode."""
    mode = laid.log.decisions["mode"].to_numpy(np.int64)
    row = np.arange(mode.size)
    of_mode, logged_mode = laid.by_mode[row, mode], laid.logged_by_mode[row, mode]
    beyond = np.where(laid.logged_by_mode > 0.0, 0.0, laid.by_mode).sum(axis=1)
    plain = replace(money, q=None, q_target=None, unsupported=beyond)
    table: list[dict[str, object]] = [
        {"level": "choice of mode", "subject": "money"}
        | _snips(replace(plain, propensity=logged_mode, target=of_mode), confidence, rules)
    ]
    loose = replace(rules, max_miscalibration=inf, max_unsupported=1.0)
    for code, name in enumerate(MODES):
        share = {"share": float(laid.by_mode[:, code].mean()), "logged_share": float((mode == code).mean())}
        here = (mode == code) & (of_mode > 0.0)
        if not here.any():
            reason = "never chosen in the log" if share["share"] > 0.0 else "not chosen"
            table.append({"level": "mode", "subject": name.value, **share, "reason": reason})
            continue
        part = _rows(plain, here)
        inside = replace(part, propensity=part.propensity / logged_mode[here], target=part.target / of_mode[here])
        table.append({"level": "mode", "subject": name.value, **share} | _snips(part, confidence, loose))
        table.append({"level": "within mode", "subject": name.value, **share} | _snips(inside, confidence, loose))
    return table


def _rows(log: Logged, here: NDArray[np.bool_]) -> Logged:
    return Logged(
        reward=log.reward[here],
        propensity=log.propensity[here],
        target=log.target[here],
        clusters=None if log.clusters is None else log.clusters[here],
    )


def _snips(log: Logged, confidence: float, rules: SupportRules) -> dict[str, object]:
    try:
        found = estimates(log, confidence=confidence, rules=rules)
    except NoSupport as reason:
        return {"n": log.reward.size, "reason": str(reason)}
    return asdict(next(estimate for estimate in found if estimate.name == "snips"))


def _rate_rows(
    harms: Mapping[str, Logged], contact: F64, confidence: float, rules: SupportRules
) -> list[dict[str, object]]:
    known: dict[str, object] = {"value": float(contact.mean()), "name": "exact", "n": contact.size, "unsupported": nan}
    table: list[dict[str, object]] = [{"level": "rate", "subject": "contact", **known}]
    for harm, log in harms.items():
        table.append({"level": "rate", "subject": harm} | _snips(log, confidence, rules))
    return table
