"""Whether a log can speak for a target policy at all: weights, effective sample size, unsupported probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput, NoSupport
from cxreco.journey import Arm
from cxreco.repeat.intervals import clustered, standard_error

F64 = NDArray[np.float64]
Labels = NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportRules:
    """What a log must hold before an estimate is given.

    Attributes
    ----------
    min_ess
        Effective sample size (Kish) of the weights below which there is no estimate.
    thin_ess
        Below it, and from `min_ess` on, the interval is widened to one that holds however heavy the weights are.
    min_customers
        Fewest clusters.
    max_unsupported
        Largest share of the target's probability on what the log could never have shown.
    max_miscalibration
        Largest distance, in standard errors, of the mean weight from what it must be on average.
    arms
        Arms whose decisions are used: their policies explore; the others chose with certainty and say nothing of what
        they left.
    """

    min_ess: float = 12.0
    thin_ess: float = 30.0
    min_customers: int = 10
    max_unsupported: float = 0.05
    max_miscalibration: float = 5.0
    arms: tuple[str, ...] = (Arm.CHAMPION.value, Arm.CHALLENGER.value, Arm.RANDOM.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """How much of what the target policy wants was tried, and why it does not suffice, if it does not."""

    n: int
    customers: int
    ess: float
    unsupported: float
    max_weight: float
    mean_weight: float
    reasons: tuple[str, ...] = ()

    def demand(self) -> None:
        """Raise NoSupport, with all the reasons, unless there is enough."""
        if self.reasons:
            raise NoSupport("; ".join(self.reasons))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Logged:
    """A log seen through the eyes of one target policy, (n,) each.

    Attributes
    ----------
    reward
        What followed.
    propensity
        Probability with which the logging policy chose what it chose, in (0, 1].
    target
        Probability with which the target policy would have.
    clusters
        Customer of each decision; None: all independent.
    q, q_target
        Predicted reward of what was chosen, and mean prediction under the target policy; both or neither.
    unsupported
        Target's probability of what the log could not have chosen, (n,); None: none of it.

    Raises
    ------
    NoSupport
        If a propensity is missing or not positive.
    BadInput
        If a column is not finite, or lengths differ.
    """

    reward: F64
    propensity: F64
    target: F64
    clusters: Labels | None = None
    q: F64 | None = None
    q_target: F64 | None = None
    unsupported: F64 | None = None

    def __post_init__(self) -> None:
        bad = ~(self.propensity > 0.0) | ~(self.propensity <= 1.0 + 1e-9)
        if self.reward.size == 0:
            raise NoSupport("the log is empty")
        if bool(bad.any()):
            raise NoSupport(f"propensity missing or not in (0, 1] in {int(bad.sum())} of {bad.size} decisions")
        if (self.q is None) != (self.q_target is None):
            raise BadInput("needs both q and q_target, or neither", where="log")
        for name in ("reward", "target", "q", "q_target", "unsupported", "propensity", "clusters"):
            column = getattr(self, name)
            if column is not None and column.shape != self.reward.shape:
                raise BadInput(f"has shape {column.shape}, reward {self.reward.shape}", where=f"log.{name}")
            if column is not None and name != "clusters" and not bool(np.isfinite(column).all()):
                raise BadInput("must be finite", where=f"log.{name}")
        if bool((self.target < 0.0).any()):
            raise BadInput("must not be negative", where="log.target")

    @property
    def weight(self) -> F64:
        """(n,) importance weights, target over propensity."""
        return self.target / self.propensity

    @property
    def missing(self) -> float:
        """Mean unsupported probability."""
        return 0.0 if self.unsupported is None else float(self.unsupported.mean())


def support_of(log: Logged, rules: SupportRules) -> Support:
    """Measure the support of the target policy in the log and hold it against the rules."""
    weight = log.weight
    total, squares = float(weight.sum()), float((weight**2).sum())
    ess = total**2 / squares if squares > 0.0 else 0.0
    data = clustered(weight, log.clusters)
    customers, error = data.totals.size, standard_error(data)
    off = abs(data.mean - (1.0 - log.missing))
    checks = (
        (ess < rules.min_ess, f"effective sample size {ess:.1f} of {weight.size}, at least {rules.min_ess:g} needed"),
        (customers < rules.min_customers, f"{customers} customers, at least {rules.min_customers} needed"),
        (
            log.missing > rules.max_unsupported,
            f"{log.missing:.1%} of the target's choices were never possible in the log, at most "
            f"{rules.max_unsupported:.1%} allowed",
        ),
        (
            off > 1e-9 and off > rules.max_miscalibration * error,
            f"weights average {data.mean:.3f} and not {1.0 - log.missing:.3f}: either the propensities are not those "
            "of the log, or what the target wants was too rare to be seen",
        ),
    )
    return Support(
        n=weight.size,
        customers=customers,
        ess=ess,
        unsupported=log.missing,
        max_weight=float(weight.max()),
        mean_weight=data.mean,
        reasons=tuple(reason for failed, reason in checks if failed),
    )
