"""How much more one message adds than another, beyond the pooled head: the find of an uplift learner, if any is kept.

Learned in `repeat/lift_training.py`, scored here. Learners of any kind come down to a weighted sum of lines and boosted
trees over what is known of a message, in chances of an order soon, where effects add up; both are scored compiled. How
much messages add on average stays the pooled head's to say: it has beliefs to hold on to.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.errors import StalePlaybook
from cxreco.journey import COACH
from cxreco.request.candidates import VALUE_COLUMN
from cxreco.request.forest import Scorer, verified

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I16 = NDArray[np.int16]

# What learners see of a message: the customer, the moment, and the need that it is about.
SEEN: tuple[str, ...] = (
    "orders", "days_since_order", "order_due", "orders_30", "spend_30", "margin_mean", "visits_30", "days_since_visit",
    "views_7", "searches_7", "adds_7", "repeat_share", "tenure_days", "returned_share", "mode_shown_60",
    "mode_accepted_60", "mode_dismissed_60", "mode_days_since_dismissed", "contacts_7", "contacts_30", "on_outbound",
    "cart_size", "hour", "need_top", "needs_due", "buy_top", "need", "need_3", "due_ratio", "item_orders",
    "item_margin", "item_price", "buy", "need_open",
)  # fmt: skip
COLUMNS: I64 = np.array([VALUE_COLUMN[name] for name in SEEN])


class Regression(Protocol):
    """Foretells a number of each row."""

    def score(self, x: F64) -> F64:
        """Return (n,) from (n, d)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A linear regression: `usual` at the centre, and where a column is not known, that column at its centre."""

    usual: float
    centre: F64
    slope: F64

    def score(self, x: F64) -> F64:
        """Return (n,) from (n, d); a row's answer does not depend on its company, to the bit."""
        return _line(np.ascontiguousarray(x, dtype=np.float64), self.usual, self.centre, self.slope)


@compiled
def _line(x: F64, usual: float, centre: F64, slope: F64) -> F64:
    out = np.empty(x.shape[0])
    for row in range(x.shape[0]):
        total = 0.0
        for i in range(slope.size):
            if math.isfinite(x[row, i]):
                total += (x[row, i] - centre[i]) * slope[i]
        out[row] = usual + total
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """Rows as one regression over all arms sees them: the columns, the arm dealt, and its products with the columns."""

    arm: int
    arms: int
    centre: F64

    def of(self, x: F64) -> F64:
        """Return (n, d + arms - 1 + d * (arms - 1)), everybody dealt the same arm."""
        return crossed(x, np.full(len(x), self.arm, dtype=np.int64), self.arms, self.centre)


def crossed(x: F64, arm: I64, arms: int, centre: F64) -> F64:
    """Return rows with the arms dealt to them and the products of both, the columns counted from their centre."""
    dealt = (arm[:, None] == np.arange(1, arms)[None, :]).astype(np.float64)
    away = np.where(np.isfinite(x), x - centre, 0.0)
    return np.hstack([x, dealt, *(away * dealt[:, [a]] for a in range(arms - 1))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One summand of an effect: so many times what a regression foretells of the rows, or of the rows crossed."""

    weight: float
    of: Regression
    cross: Crossed | None = None

    def score(self, x: F64) -> F64:
        """Return (n,) from (n, d)."""
        return self.weight * self.of.score(x if self.cross is None else self.cross.of(x))


Terms = tuple[Term, ...]


def summed(terms: Terms, x: F64) -> F64:
    """Return (n,) the sum of the terms, in their order."""
    total = terms[0].score(x)
    for term in terms[1:]:
        total = total + term.score(x)
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """What is added to the chance of an order soon after a message, beyond the pooled head; without terms, nothing.

    Attributes
    ----------
    learner
        Name of the learner; empty: none is kept, and the pooled head stands alone.
    terms
        The effect as it foretells it.
    centre, kept
        Mean of what it foretold in training, and what is kept of differences from it.
    low, high
        Smallest and largest found in training: nothing beyond them is believed.
    said
        Why it serves, or why none does.
    report
        What training measured, for the model card.
    """

    learner: str = ""
    terms: Terms = ()
    centre: float = 0.0
    kept: float = 0.0
    low: float = -1.0
    high: float = 1.0
    said: str = "no answered decision was looked at"
    report: Mapping[str, float] = field(default_factory=dict)

    def of(self, seen: F64) -> F64:
        """Return (n,) what messages add, from (n, len(SEEN))."""
        if not self.terms:
            return np.zeros(len(seen))
        found = self.kept * (summed(self.terms, seen) - self.centre)
        return np.asarray(np.clip(found, self.low, self.high), dtype=np.float64)

    def extra(self, x: F64, mode: I16) -> F64:
        """Return (n,) what is added to each candidate's chance of an order soon, 0 for what is no message.

        Parameters
        ----------
        x, mode
            (n, len(VALUE_FEATURES)) and (n,) the candidates.
        """
        out = np.zeros(mode.size)
        if self.terms:
            rows = np.flatnonzero(mode == COACH)
            if rows.size:
                out[rows] = self.of(x[rows][:, COLUMNS])
        return out

    def words(self) -> str:
        """Say what tells messages apart, and why."""
        if self.learner:
            return f"The uplift learner {self.learner} tells messages apart beyond the pooled head: {self.said}."
        return f"No uplift learner tells messages apart, the pooled head stands alone: {self.said}."

    def to_spec(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Return what JSON can hold of it, and its trees in LightGBM's text form by file name."""
        files: dict[str, bytes] = {}
        terms: list[dict[str, Any]] = []
        for number, term in enumerate(self.terms):
            saved: dict[str, Any] = {"weight": term.weight}
            if term.cross is not None:
                cross = term.cross
                saved["cross"] = {"arm": cross.arm, "arms": cross.arms, "centre": cross.centre.tolist()}
            if isinstance(term.of, Line):
                line = term.of
                saved["line"] = {
                    "usual": line.usual, "centre": line.centre.tolist(), "slope": line.slope.tolist(),
                }  # fmt: skip
            else:
                files[_file(number)] = _text(term.of).encode()
            terms.append(saved)
        numbers = {name: getattr(self, name) for name in _PLAIN}
        return {**numbers, "report": dict(self.report), "seen": list(SEEN), "terms": terms}, files

    @classmethod
    def from_spec(cls, saved: Mapping[str, Any], files: Mapping[str, bytes]) -> "Lift":
        """Read what `to_spec` wrote.

        Raises
        ------
        StalePlaybook
            If it was learned on other columns.
        """
        if saved["terms"] and saved["seen"] != list(SEEN):
            raise StalePlaybook("its lift of messages was learned on other features: retrain with this version")
        terms = tuple(_term(number, term, files) for number, term in enumerate(saved["terms"]))
        return cls(**{name: saved[name] for name in _PLAIN}, report=saved["report"], terms=terms)


_PLAIN = ("learner", "centre", "kept", "low", "high", "said")


def _file(number: int) -> str:
    return f"lift/{number}.txt"


def _text(scorer: Regression) -> str:
    text: str = getattr(scorer, "text", "")
    if not text:
        raise TypeError(f"{type(scorer).__name__} has no text form to be kept in")
    return text


def _term(number: int, saved: Mapping[str, Any], files: Mapping[str, bytes]) -> Term:
    cross = saved.get("cross")
    if cross is not None:
        cross = Crossed(arm=cross["arm"], arms=cross["arms"], centre=np.array(cross["centre"], dtype=np.float64))
    return Term(weight=saved["weight"], of=_regression(number, saved, files, cross), cross=cross)


def _regression(
    number: int, saved: Mapping[str, Any], files: Mapping[str, bytes], cross: Crossed | None
) -> Line | Scorer:
    line = saved.get("line")
    if line is not None:
        centre, slope = (np.array(line[name], dtype=np.float64) for name in ("centre", "slope"))
        return Line(usual=line["usual"], centre=centre, slope=slope)
    return scorer_of(files[_file(number)].decode(), cross)


def scorer_of(text: str, cross: Crossed | None) -> Scorer:
    """Return the compiled form of trees over what is seen of a message, checked against LightGBM."""
    probes = np.random.default_rng(0).exponential(3.0, size=(30, len(SEEN)))
    return verified(text, probes if cross is None else cross.of(probes))
