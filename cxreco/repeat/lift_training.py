"""Which uplift learner serves the coach's messages, if any: chosen on earlier days, kept if later money speaks for it.

1. *Choose* among the learners of `uplift_learners.py` on earlier messages, by cross-validated gain
   (`uplift_choice.choose`), on what orders came beyond the pooled head: folds and errors by customer.
2. *Judge* on the messages that follow, quarter by quarter of the later half, each by what was chosen and learned before
   it (prequential: Dawid 1984). Orders soon are what differences are learned from, for they show; money is what they
   are for. So where the learner would send and the pooled head would not, or the other way round, what that brought
   is valued by doubly robust scores of the money that followed. It is kept only if the one-sided interval of that mean,
   over customers, is above zero: one test of the whole way to choose, whatever the number of learners.
3. *Learn* it again from all messages. Else the pooled head stands alone, and it is said why.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cxreco.errors import BadInput, BadSpec
from cxreco.repeat.intervals import clustered, t_interval
from cxreco.repeat.messages import Messages
from cxreco.repeat.uplift import F64, Learner, Trial
from cxreco.repeat.uplift_choice import Chosen, Rules, choose
from cxreco.repeat.uplift_learners import Fitted, Grown, Ridge, doubly_robust, learners
from cxreco.respond.lift import Lift, Term, scorer_of
from cxreco.respond.value import ValueModel

# Shares of the messages from which each part of those that judge begins.
JUDGED_FROM = (0.5, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftRules:
    """`models/value.toml`, [lift].

    Attributes
    ----------
    least
        Messages sent, and held back, without which nothing is looked for.
    alpha
        Chance of keeping what brings nothing.
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

    @property
    def choice(self) -> Rules:
        """How a learner is chosen."""
        return Rules(folds=self.folds, alpha=self.alpha)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "LiftRules":
        """Read the table; an unknown key is an error that names it."""
        unknown = set(spec) - {*cls.__dataclass_fields__}
        if unknown:
            known = ", ".join(sorted(cls.__dataclass_fields__))
            raise BadSpec(f"unknown keys {sorted(unknown)}; known: {known}", where="value.toml, [lift]")
        return cls(**spec)


def fit_lift(
    messages: Messages,
    early: Callable[[int], ValueModel],
    full: ValueModel,
    rules: LiftRules,
    candidates: tuple[Learner, ...] | None = None,
    shows: int = 0,
) -> Lift:
    """Return the lift that messages have beyond the pooled head, or none, with the reason.

    Parameters
    ----------
    early, full
        The pooled value model learned from what came before an instant (us), and from everything.
    candidates
        The learners to choose among; None: all of them.
    shows
        Microseconds until an answer has shown: at an instant, later messages were not yet learned from.
    """
    sent, held = int(messages.sent.sum()), int((~messages.sent).sum())
    counts = {"sent": float(sent), "held": float(held)}
    if min(sent, held) < rules.least:
        said = f"{sent:,} messages were sent and {held:,} held back by chance; {rules.least:g} of each are the least"
        return Lift(said=said, report=counts)
    every = learners() if candidates is None else candidates
    try:
        walked = tuple(_walked(messages, early, every, rules, shows))
        judged = _judged(walked, rules)
    except BadInput as thin:
        return Lift(said=f"the messages could not be judged: {thin}", report=counts)
    last = walked[-1].chosen
    report = counts | judged.report() | {
        "t": last.learned_t, "needed_t": last.needed_t, "mean": float(last.mean[1]), "mean_error": float(last.error[1]),
    }  # fmt: skip
    best = f"{last.learner} tells best whom messages make order, of {len(every)} learners"
    if not judged.low > 0.0:
        return Lift(said=f"{best}, but what it would do is not shown to earn more: {judged.words()}", report=report)
    trial = messages.trial(full)
    chosen = choose(trial, candidates=every, rules=rules.choice, seed=rules.seed)
    lift = lift_of(chosen, trial)
    if lift.kept == 0.0:
        return Lift(said=f"{best}, but all messages together show no difference", report=report)
    said = (
        f"{chosen.learner} tells best whom messages make order, of {len(every)} learners: {judged.words()}; it learned "
        f"from {sent:,} messages sent and {held:,} held back"
    )
    return replace(lift, said=said, report=report)


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
    """What sending as the lift says brought over sending as the pooled head says, on messages it had not seen.

    Attributes
    ----------
    gain, low
        Money a message, all that were judged counted, and the lower end of its one-sided interval over customers.
    messages, differs
        How many were judged, and the share of them for which the two would do differently.
    level
        1 - alpha, of the interval.
    """

    gain: float
    low: float
    messages: int
    differs: float
    level: float

    def report(self) -> dict[str, float]:
        return {"gain": self.gain, "gain_low": self.low, "judged": float(self.messages), "differs": self.differs}

    def words(self) -> str:
        return (
            f"on {self.messages:,} later messages it differs from the pooled head in {self.differs:.0%} of cases, and "
            f"that brings {self.gain:+.3f} a message (above {self.low:+.3f} with {self.level:.0%} confidence)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walked:
    """Messages whose window is over, and the pooled head and what was chosen as they were known before them."""

    later: Messages
    pooled: ValueModel
    chosen: Chosen
    lift: Lift


def _walked(
    messages: Messages, early: Callable[[int], ValueModel], every: tuple[Learner, ...], rules: LiftRules, shows: int
) -> Iterator[_Walked]:
    cuts = [int(messages.at[round(len(messages) * share)]) for share in JUDGED_FROM]
    for cut, until in zip(cuts, [*cuts[1:], int(messages.at[-1]) + 1], strict=True):
        # What was answered by the cut: of a later message it was not known yet whether an order would follow.
        pooled = early(cut - shows)
        known = messages.take(messages.at < cut - shows).trial(pooled)
        chosen = choose(known, candidates=every, rules=rules.choice, seed=rules.seed)
        over = (messages.at >= cut) & (messages.at < until) & np.isfinite(messages.money)
        yield _Walked(later=messages.take(over), pooled=pooled, chosen=chosen, lift=lift_of(chosen, known))


def _judged(walked: tuple[_Walked, ...], rules: LiftRules) -> _Judged:
    """Judge the way to choose on all that was walked; see the module."""
    parts = [_brought(own, rules.seed) for own in walked]
    terms, differs = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    data = clustered(terms, np.concatenate([own.later.customer for own in walked]))
    low = t_interval(data, 1.0 - 2.0 * rules.alpha)[0] if differs.any() else 0.0
    return _Judged(gain=data.mean, low=low, messages=terms.size, differs=float(differs.mean()), level=1.0 - rules.alpha)


def _brought(own: _Walked, seed: int) -> tuple[F64, F64]:
    """Return (n,) the money that the lift's own choices brought, by doubly robust scores, and 1 where they differ."""
    before, after = (own.later.worth_sending(replace(own.pooled, lift=lift)) for lift in (Lift(), own.lift))
    trial = replace(own.later.trial(own.pooled), outcome=own.later.money)
    scores = doubly_robust(trial, Ridge(), seed)
    apart: F64 = after.astype(np.float64) - before
    return apart * (scores[:, 1] - scores[:, 0]), np.abs(apart)
