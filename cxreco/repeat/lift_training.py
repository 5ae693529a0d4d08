"""Which uplift learner serves the coach's messages, if any: chosen on earlier days, kept if later ones agree.

1. *Choose* among the learners of `uplift_learners.py` on the earlier three quarters of the messages, by cross-validated
   gain (`uplift_choice.choose`), on what orders came beyond the pooled head: folds and errors by customer.
2. *Keep* it only if its differences between messages are evident there, and if on the later quarter it foretells which
   messages added more better than the pooled head alone, by doubly robust scores of what neither has seen.
3. *Learn* it again from all messages. Else the pooled head stands alone, and it is said why.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxreco.errors import BadInput, BadSpec
from cxreco.repeat.messages import Messages
from cxreco.repeat.qini import Interval, gain_interval
from cxreco.repeat.uplift import F64, Learner, Trial
from cxreco.repeat.uplift_choice import Chosen, Rules, choose
from cxreco.repeat.uplift_learners import Fitted, Grown, learners
from cxreco.respond.head_fitting import LATER_SHARE
from cxreco.respond.lift import Lift, Term, scorer_of
from cxreco.respond.value import ValueModel


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftRules:
    """`models/value.toml`, [lift].

    Attributes
    ----------
    least
        Messages sent, and held back, without which nothing is looked for.
    alpha
        Chance of believing in differences that are not there.
    least_chance
        Smallest logged chance of sending or holding back that counts: rarer ones weigh too much.
    """

    least: float = 100.0
    alpha: float = 0.05
    least_chance: float = 0.05
    folds: int = 5
    seed: int = 7

    def __post_init__(self) -> None:
        if not (0.0 < self.alpha < 1.0 and 0.0 < self.least_chance < 0.5):
            raise BadSpec("alpha must be in (0, 1) and least_chance in (0, 0.5)", where="value.toml, [lift]")
        if not (self.least >= 1.0 and self.folds >= 2):
            raise BadSpec("least must be at least 1, and folds at least 2", where="value.toml, [lift]")

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "LiftRules":
        """Read the table; an unknown key is an error that names it."""
        unknown = set(spec) - {*cls.__dataclass_fields__}
        if unknown:
            known = ", ".join(sorted(cls.__dataclass_fields__))
            raise BadSpec(f"unknown keys {sorted(unknown)}; known: {known}", where="value.toml, [lift]")
        return cls(**spec)


def later_from(messages: Messages) -> int:
    """Return the instant from which messages judge what was learned from those before, microseconds."""
    return int(messages.at[round(len(messages) * (1.0 - LATER_SHARE))]) if len(messages) else 0


def fit_lift(
    messages: Messages,
    early: Callable[[], ValueModel],
    full: ValueModel,
    rules: LiftRules,
    candidates: tuple[Learner, ...] | None = None,
) -> Lift:
    """Return the lift that messages have beyond the pooled head, or none, with the reason.

    Parameters
    ----------
    early, full
        The pooled value model learned from what came before `later_from`, made when it is needed, and from everything.
    candidates
        The learners to choose among; None: all of them.
    """
    sent, held = int(messages.sent.sum()), int((~messages.sent).sum())
    counts = {"sent": float(sent), "held": float(held)}
    if min(sent, held) < rules.least:
        said = f"{sent:,} messages were sent and {held:,} held back by chance; {rules.least:g} of each are the least"
        return Lift(said=said, report=counts)
    split = messages.at < later_from(messages)
    model = early()
    before, after = (messages.take(rows).trial(model) for rows in (split, ~split))
    every = learners() if candidates is None else candidates
    options = Rules(folds=rules.folds, alpha=rules.alpha)
    try:
        chosen = choose(before, candidates=every, rules=options, seed=rules.seed)
        judged = _Judged.of(lift_of(chosen, before), after, rules.seed)
    except BadInput as thin:
        return Lift(said=f"the messages could not be judged: {thin}", report=counts)
    report = counts | {
        "t": chosen.learned_t, "needed_t": chosen.needed_t, "mean": float(chosen.mean[1]),
        "mean_error": float(chosen.error[1]), **judged.report(),
    }  # fmt: skip
    best = f"{chosen.learner} tells best whom messages make order, of {len(every)} learners"
    if not bool(chosen.evident[0, 1]):
        said = f"{best}, but no difference is evident (t {chosen.learned_t:.1f} of {chosen.needed_t:.1f} needed)"
        return Lift(said=said, report=report)
    if not judged.better > 0.0:
        return Lift(said=f"{best}, but it did not on later days: {judged.words()}", report=report)
    again = tuple(own for own in every if own.name == chosen.learner)
    trial = messages.trial(full)
    lift = lift_of(choose(trial, candidates=again, rules=options, seed=rules.seed), trial)
    if lift.kept == 0.0:
        return Lift(said=f"{best}, but all messages together show no difference", report=report)
    said = f"{best}: {judged.words()}; it learned from {sent:,} messages sent and {held:,} held back"
    return Lift(
        learner=lift.learner, terms=lift.terms, centre=lift.centre, kept=lift.kept, low=lift.low, high=lift.high,
        said=said, report=report,
    )  # fmt: skip


def lift_of(chosen: Chosen, trial: Trial) -> Lift:
    """Return what a calibrated choice says of how messages differ, within the range seen in training."""
    found = Lift(
        learner=chosen.learner, terms=served(chosen.model, trial), centre=float(chosen.centre[1]),
        kept=float(chosen.slope[0, 1]), low=-np.inf, high=np.inf,
    )  # fmt: skip
    told = found.of(trial.x)
    return Lift(
        learner=found.learner, terms=found.terms, centre=found.centre, kept=found.kept, low=float(told.min()),
        high=float(told.max()),
    )  # fmt: skip


def served(model: object, trial: Trial) -> tuple[Term, ...]:
    """Return the effect of arm 1 as it is scored when serving: trees compiled, and checked against LightGBM.

    Raises
    ------
    TypeError
        If the model is no sum of lines and trees.
    """
    if not isinstance(model, Fitted) or trial.arms != 2:
        raise TypeError(f"{type(model).__name__} over {trial.arms} arms cannot be served")
    terms = []
    for term in model.by_arm[0]:
        of = scorer_of(term.of.text, term.cross) if isinstance(term.of, Grown) else term.of
        terms.append(Term(weight=term.weight, of=of, cross=term.cross))
    return tuple(terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """How a lift did on messages that it had not seen.

    Attributes
    ----------
    gain
        What ranking by it brings over sending at random, in orders soon a message; interval over customers.
    better
        By how much its squared error of the differences in doubly robust scores is below that of no difference.
    """

    gain: Interval
    better: float

    @classmethod
    def of(cls, lift: Lift, later: Trial, seed: int) -> "_Judged":
        told = lift.of(later.x)
        signed = np.where(later.arm == 1, 1.0 / later.propensity[:, 1], -1.0 / later.propensity[:, 0])
        scores: F64 = signed * later.outcome
        away = told - told.mean()
        better = float((2.0 * scores * away - away**2).mean())
        ranked = gain_interval(later.outcome, told, later.arm, seed=seed, weight=later.weight, group=later.group)
        return cls(gain=ranked, better=better)

    def report(self) -> dict[str, float]:
        gain = self.gain
        return {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high, "better": self.better}

    def words(self) -> str:
        found = [1000.0 * value for value in (self.gain.value, self.gain.low, self.gain.high)]
        return (
            f"on later days ranking by it brings {found[0]:+.1f} orders soon per thousand messages "
            f"({found[1]:+.1f} to {found[2]:+.1f}) over sending at random"
        )
