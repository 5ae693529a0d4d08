"""Curves: the repeat loop, quantified; what a customer's own history is worth, and what everybody's answers are."""

from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxreco.chance import uniform
from cxreco.errors import NoSupport
from cxreco.pipelines.pictures import loop_picture
from cxreco.repeat.curves import Values, individual_curve, population_curve
from cxreco.repeat.evaluation import evaluate
from cxreco.repeat.masking import interactions_before, masked
from cxreco.repeat.reward import Outcomes, outcomes_of
from cxreco.repeat.support import SupportRules
from cxreco.repeat.targets import target_of
from cxreco.repeat.training import Lessons, fit_playbook
from cxreco.respond.playbook import Playbook
from cxreco.tables import DecisionLog

F64 = NDArray[np.float64]
FOLDER = "loop"
# Shares of the earlier customers' answers that the population curve learns from, the apprentice first.
SHARES = (0.0, 0.25, 1.0)
FOLDS = 2
# With fewer earlier answers, a part of them is next to none.
FEWEST_ANSWERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Both curves (see `repeat.curves`); where one is missing, `reasons` says why, by `individual` or `population`."""

    individual: pd.DataFrame | None
    population: pd.DataFrame | None
    reasons: dict[str, str]

    def metrics(self) -> dict[str, float]:
        """Return what MLflow keeps as numbers."""
        found: dict[str, float] = {}
        if self.individual is not None:
            for row in self.individual.to_dict("records"):
                place = "all" if row["from_interactions"] < 0 else f"from_{row['from_interactions']:.0f}"
                parts = ("lift", "low", "high", "n") if isfinite(row["stderr"]) else ()
                found |= {f"loop.individual.{place}.{part}": float(row[part]) for part in parts}
        if self.population is not None:
            last = self.population.iloc[-1]
            found |= {f"loop.population.{part}": float(last[part]) for part in ("gain", "gain_low", "gain_high")}
            found["loop.population.answers"] = float(last["size"])
        return {name: value for name, value in found.items() if isfinite(value)}

    def artifacts(self, currency: str) -> dict[str, bytes]:
        """Return tables, a picture, and the whole in words."""
        files = {f"{FOLDER}/loop.txt": "\n".join(self.words(currency)).encode()}
        for name, curve in (("individual", self.individual), ("population", self.population)):
            if curve is not None:
                files[f"{FOLDER}/{name}.csv"] = curve.to_csv(index=False).encode()
        if self.individual is not None or self.population is not None:
            files[f"{FOLDER}/loop.png"] = loop_picture(self.individual, self.population, currency)
        return files

    def words(self, currency: str) -> tuple[str, ...]:
        """Say it plainly, a sentence a line."""
        lines = []
        if self.individual is not None:
            row = self.individual.iloc[-1]
            said = _told(float(row["lift"]), float(row["low"]), float(row["high"]), currency)
            lines.append(f"Knowing a customer's own history is worth {said}, {row['n']:,} decisions.")
        else:
            lines.append(f"What a customer's own history is worth cannot be told: {self.reasons['individual']}.")
        if self.population is not None:
            row = self.population.iloc[-1]
            said = _told(float(row["gain"]), float(row["gain_low"]), float(row["gain_high"]), currency)
            lines.append(f"To customers never seen, {row['size']:,.0f} answers of others are worth {said}.")
        else:
            lines.append(f"What others' answers are worth to new customers cannot be told: "
                         f"{self.reasons['population']}.")  # fmt: skip
        return tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """The decisions that a playbook did not learn from, and what followed them."""

    log: DecisionLog
    outcomes: Outcomes
    customer: NDArray[np.int64]


def loop_curves(lessons: Lessons, judged: Playbook, cut: int, rules: SupportRules) -> Loop:
    """Measure both levels of the repeat loop on the decisions from `cut` on.

    Parameters
    ----------
    judged
        Fitted on what came before `cut`.
    rules
        Support that a value must have.
    """
    later = _later(lessons, cut)
    if later is None:
        reason = "no decision was logged after what the challenger learned from"
        return Loop(individual=None, population=None, reasons={"individual": reason, "population": reason})
    reasons: dict[str, str] = {}
    individual = population = None
    try:
        individual = _individual(lessons, judged, later, rules)
    except NoSupport as thin:
        reasons["individual"] = str(thin)
    try:
        population = _population(lessons, judged, later, rules, cut)
    except NoSupport as thin:
        reasons["population"] = str(thin)
    return Loop(individual=individual, population=population, reasons=reasons)


def _later(lessons: Lessons, cut: int) -> Later | None:
    log = lessons.log.decisions.take(lessons.log.decisions.decisions["at"].to_numpy(np.int64) >= cut)
    if not len(log):
        return None
    customer = lessons.log.code_of(list(log.decisions["customer_id"]))
    outcomes = outcomes_of(
        log.decisions, lessons.log.ticks, customer=customer, worth=lessons.worth, as_of=lessons.log.now,
        order=lessons.log.order,
    )  # fmt: skip
    return Later(log=log, outcomes=outcomes, customer=customer)


def _individual(lessons: Lessons, judged: Playbook, later: Later, rules: SupportRules) -> pd.DataFrame:
    """Value the same policy on the same decisions, with each customer's own history and with it masked."""
    log = later.log
    blind = DecisionLog(
        decisions=log.decisions,
        candidates=log.candidates,
        x=masked(log.x.astype(np.float64), log.candidates["mode"].to_numpy(np.int16)).astype(np.float32),
    )
    own, without = target_of(judged, log), target_of(judged, blind)
    reports = [
        evaluate(log, later.outcomes.frame, target.joint, name=name, q=own.money, rules=rules)
        for name, target in (("the policy", own), ("the policy without history", without))
    ]
    for report in reports:
        report.support.demand()
    used = np.isin(log.decisions["decision_id"].to_numpy(object).astype(str), reports[0].decision_id.astype(str))
    at = log.decisions["at"].to_numpy(np.int64)
    before = interactions_before(lessons.log.ticks, later.customer[used], at[used])
    values = [report.terms().values for report in reports]
    return individual_curve(values[0], values[1], before, later.customer[used])


def _population(lessons: Lessons, judged: Playbook, later: Later, rules: SupportRules, cut: int) -> pd.DataFrame:
    """Value policies that learned from ever more customers' answers, on customers that are not among them."""
    if judged.decisions < FEWEST_ANSWERS:
        raise NoSupport(f"{judged.decisions:,} answers before these days, {FEWEST_ANSWERS} are the least")
    known = lessons.log.decisions
    place = {name: uniform("loop", "fold", name) for name in known.decisions["customer_id"].unique()}
    earlier = known.decisions["customer_id"].map(place).to_numpy(np.float64)
    new = later.log.decisions["customer_id"].map(place).to_numpy(np.float64)
    q = target_of(judged, later.log).money
    by_share: dict[float, list[tuple[int, Values]]] = {share: [] for share in SHARES}
    for share in SHARES:
        for fold in range(FOLDS):
            # The part of a customer's place within the fold says how early they are learned from: subsets are nested.
            other = (earlier * FOLDS).astype(int) != fold
            taught = known.take(other & ((earlier * FOLDS) % 1.0 < share))
            playbook = fit_playbook(replace(lessons, log=replace(lessons.log, decisions=taught)), salt="", until=cut)
            here = (new * FOLDS).astype(int) == fold
            by_share[share].append((playbook.decisions, _values(playbook, later, here, q, rules)))
    return population_curve({_size(parts): _joined(parts) for parts in by_share.values()})


def _values(playbook: Playbook, later: Later, here: NDArray[np.bool_], q: F64, rules: SupportRules) -> Values:
    log = later.log.take(here)
    frame = later.outcomes.frame.loc[here].reset_index(drop=True)
    report = evaluate(log, frame, target_of(playbook, log).joint, q=q[here[later.log.decision]], rules=rules)
    report.support.demand()
    return Values(terms=report.terms().values, customers=np.asarray(report.money.clusters))


def _size(parts: list[tuple[int, Values]]) -> int:
    return round(sum(answers for answers, _ in parts) / len(parts))


def _joined(parts: list[tuple[int, Values]]) -> Values:
    return Values(
        terms=np.concatenate([values.terms for _, values in parts]),
        customers=np.concatenate([values.customers for _, values in parts]),
    )


def _told(value: float, low: float, high: float, currency: str) -> str:
    sure = "" if low > 0.0 or high < 0.0 else ", which may be nothing"
    return f"{value:+.3f} {currency} a decision ({low:+.3f} to {high:+.3f}){sure}"
