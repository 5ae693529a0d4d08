"""The pooled design: a few readable signals of a candidate, shared across modes and repeated for each mode.

A coefficient has a shared part and a part of its mode (partial pooling: the mode's part has the tighter prior), so that
what is learned of one mode helps the others, and a mode with few answers stays near what is known of all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from cxreco.declared import declared
from cxreco.errors import BadSpec
from cxreco.journey import MODES, Mode
from cxreco.request.candidates import VALUE_COLUMN
from cxreco.respond.head import Prior

F64 = NDArray[np.float64]
ACTING: tuple[Mode, ...] = MODES[1:]

SIGNALS: tuple[str, ...] = (
    "one",  # the mode itself
    "sought",  # how surely item 0 is what was asked for, 0 to 1; at the till that is what is in the cart
    "not_sought",  # something was asked for, and item 0 is not it
    "need",  # P(item 0 is needed within a week)
    "need_open",  # P(the need of item 0 is open now), whether or not the customer is about to act on it
    "buy",  # P(the ranker's best item is bought), as a log-odds scaled to about -1 to 1
    "slate",  # share of the slate's chance beyond its first item
    "knows",  # share of what this customer buys that they bought before
    "fatigue",  # contacts of the last week against the cap of three
    "answers",  # this customer's own answers to this mode, against expectation: the individual level
    "refused_lately",  # fading memory of the last dismissal of this mode
    "outbound",  # the shop opens the conversation
    "cart",  # something is in the cart
    "trust",  # orders the shop placed rightly against wrongly
    "named",  # something was asked for, and it names one item rather than a shelf: 1 over the equally good answers
    "sought_named",  # both: the one item that was named comes first
    "usual",  # what was asked for is what this customer usually buys of it, 0 to 1
    "sought_usual",  # both: and that comes first
    "topic",  # share of the slate that is about what was asked for
    "topic_open",  # the same where a shelf was asked for, not an item
    "open",  # something was asked for, and it names a shelf
    "variety",  # categories on the slate, in tens
    "slate_margin",  # expected margin of the slate, in usual order margins
)
WIDTH = len(SIGNALS)
PSEUDO_ANSWERS = 4.0
EXPECTED_ACCEPTANCE = 0.2


def signals(x: F64, usual: float) -> F64:
    """Return (n, WIDTH) signals of candidates from their value features; unknown (NaN) counts as the neutral value.

    Parameters
    ----------
    x
        (n, len(VALUE_FEATURES)).
    usual
        Mean margin of an order over all customers: the measure of money.
    """

    def column(name: str, neutral: float = 0.0) -> F64:
        values = x[:, VALUE_COLUMN[name]]
        return np.where(np.isfinite(values), values, neutral)

    asked = np.maximum(column("has_query"), column("has_item"))
    sought = np.clip(
        np.maximum(np.maximum(column("is_sought"), column("query_match")), column("item_in_cart")), 0.0, 1.0
    )
    buy = np.clip(column("buy", 0.02), 0.001, 0.999)
    slate = np.clip(column("slate_buy"), 0.0, 1.0)
    expected = EXPECTED_ACCEPTANCE
    answered = (column("mode_accepted_60") + PSEUDO_ANSWERS * expected) / (column("mode_shown_60") + PSEUDO_ANSWERS)
    since_refusal = column("mode_days_since_dismissed", 1e3)
    need = np.clip(column("need"), 0.0, 1.0)
    named = asked / np.maximum(column("asked_rivals", np.inf), 1.0)
    habit = asked * np.clip(column("asked_usual"), 0.0, 1.0)
    topic = asked * np.clip(column("topic_share"), 0.0, 1.0)
    return np.column_stack(
        [
            np.ones(len(x)),
            sought,
            asked * (1.0 - sought),
            need,
            np.clip(column("need_open"), 0.0, 1.0),
            np.clip(np.log(buy / (1.0 - buy)) / 4.0, -1.5, 1.5),
            np.clip(slate - buy, 0.0, 1.0),
            np.clip(column("repeat_share"), 0.0, 1.0),
            np.clip(column("contacts_7") / 3.0, 0.0, 2.0),
            np.clip(np.log(np.clip(answered, 0.01, 1.0) / expected), -2.0, 2.0),
            np.exp(-since_refusal / 14.0),
            column("on_outbound"),
            np.minimum(column("cart_size"), 1.0),
            np.clip(column("trust"), -1.0, 1.0),
            named,
            sought * named,
            habit,
            sought * habit,
            topic,
            topic * (1.0 - named),
            asked * (1.0 - named),
            column("slate_categories") / 10.0,
            np.clip(column("slate_margin") / usual, 0.0, 1.5),
        ]
    )


def pooled(phi: F64, mode: NDArray[np.int16]) -> F64:
    """Return (n, 5 * WIDTH) design: the shared signals, then the same once more for the candidate's own mode.

    Rows of `hold` are zero: they are the ground on which the others stand.

    Parameters
    ----------
    phi
        (n, WIDTH) as `signals` gives it.
    mode
        (n,) mode codes.
    """
    design = np.zeros((mode.size, len(MODES), WIDTH))
    acting = np.flatnonzero(mode)
    design[acting, 0] = phi[acting]
    design[acting, mode[acting]] = phi[acting]
    return design.reshape(mode.size, len(MODES) * WIDTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """What a good shopkeeper believes before the first decision, as coefficients of the signals.

    `by_mode` maps `shared` or a mode to {signal: belief}: a mean, or `{mean, sd}` where it is held less firmly than the
    others, or more; `sd_shared` and `sd_mode` say how firmly the others are. `where` names them in errors.

    Raises
    ------
    BadSpec
        If a mode, a signal or a key is unknown, or a number is none or out of range.
    """

    by_mode: Mapping[str, Mapping[str, float | Mapping[str, float]]]
    sd_shared: float = 0.5
    sd_mode: float = 0.5
    where: str = "value"

    def __post_init__(self) -> None:
        for group, coefficients in self.by_mode.items():
            if group != "shared" and group not in ACTING:
                raise BadSpec(f"unknown mode {group!r}; use shared, {', '.join(ACTING)}", where=self.where)
            unknown = set(coefficients) - set(SIGNALS)
            if unknown:
                raise BadSpec(
                    f"unknown signals {sorted(unknown)}; known: {', '.join(SIGNALS)}", where=f"{self.where}.{group}"
                )
            for signal, belief in coefficients.items():
                _check(belief, f"{self.where}.{group}.{signal}")

    def prior(self) -> Prior:
        """Return the Gaussian prior of the pooled design's coefficients."""
        mean, sd = np.zeros((len(MODES), WIDTH)), np.full((len(MODES), WIDTH), self.sd_mode)
        sd[0] = self.sd_shared
        for row, group in enumerate(("shared", *ACTING)):
            for signal, belief in self.by_mode.get(group, {}).items():
                at = row, SIGNALS.index(signal)
                if isinstance(belief, Mapping):
                    mean[at], sd[at] = belief["mean"], belief.get("sd", sd[at])
                else:
                    mean[at] = belief
        return Prior(mean=mean.ravel(), sd=sd.ravel())


def _check(belief: float | Mapping[str, float], where: str) -> None:
    """Raise `BadSpec` unless it is a mean, or a table of a mean and how firmly it is held."""
    if not isinstance(belief, Mapping):
        declared(belief, where, least=-inf, above=True)
        return
    if "mean" not in belief or set(belief) - {"mean", "sd"}:
        raise BadSpec(f"must be a number, or {{ mean = 0.5, sd = 0.2 }}, has {sorted(belief)}", where=where)
    declared(belief["mean"], f"{where}.mean", least=-inf, above=True)
    if "sd" in belief:
        declared(belief["sd"], f"{where}.sd", above=True)
