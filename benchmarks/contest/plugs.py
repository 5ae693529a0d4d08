"""What takes the place of the engine's values or policy in a season: nothing explored, nothing personal, or a peer."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contest.peers import Desk
from cxreco.journey import MODES
from cxreco.pipelines.season import Offered, Watching
from cxreco.repeat.masking import PERSONAL
from cxreco.request.candidates import VALUE_COLUMN, Candidates
from cxreco.respond.policy import Distribution, Policy, uniform
from cxreco.respond.value import ValueModel, Values

F64 = NDArray[np.float64]
_OWN = np.array([VALUE_COLUMN[name] for name in PERSONAL])


class Usual:
    """What is usual for a candidate of a mode: running means of the personal features over everybody met so far."""

    def __init__(self) -> None:
        self._sums = np.zeros((len(MODES), _OWN.size))
        self._counts = np.zeros((len(MODES), _OWN.size))

    def met(self, candidates: Candidates) -> None:
        """Take a moment's candidates into the means."""
        own = candidates.x[:, _OWN]
        known = np.isfinite(own)
        np.add.at(self._sums, candidates.mode, np.where(known, own, 0.0))
        np.add.at(self._counts, candidates.mode, known)

    def masked(self, candidates: Candidates) -> Candidates:
        """Return the candidates as if nobody knew this customer: personal features as usual, the rest as they are."""
        means = np.divide(self._sums, self._counts, out=np.full(self._sums.shape, np.nan), where=self._counts > 0)
        x = candidates.x.copy()
        x[:, _OWN] = means[candidates.mode]
        return replace(candidates, x=x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked(Watching):
    """A value model that does not know the customer: what it is told of them is what is usual.

    Candidates and guardrails stay the customer's own, and so does what is logged.
    """

    usual: Usual

    def values(self, candidates: Candidates, contact: NDArray[np.bool_]) -> Values:
        """Return the values of the masked candidates; the truth of each is noted."""
        if self.open.moment is None:
            return ValueModel.values(self, candidates, contact)
        self.usual.met(candidates)
        self.open.offered = Offered(candidates, self.truths(candidates), contact)
        return ValueModel.values(self, self.usual.masked(candidates), contact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seated(Watching):
    """A value model that puts the candidates on a comparator's desk; its own values are logged, not used."""

    desk: Desk

    def values(self, candidates: Candidates, contact: NDArray[np.bool_]) -> Values:
        """Return the engine's values; what there is to choose from is laid out."""
        self.desk.facing = None if self.open.moment is None else candidates
        return Watching.values(self, candidates, contact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Policy):
    """A policy that is a comparator's: its probabilities are drawn from and logged by the engine."""

    desk: Desk = field(repr=False)

    def distribution(self, over_hold: F64, mode: NDArray[np.int16]) -> Distribution:
        """Return the comparator's probabilities; uniform while the engine warms up."""
        del over_hold
        if self.desk.facing is None:
            return uniform(mode)
        joint = self.desk.law()
        by_mode = np.bincount(mode, weights=joint, minlength=len(MODES)).astype(np.float64)
        of = by_mode[mode]
        within = np.divide(joint, of, out=np.zeros(mode.size), where=of > 0.0)
        return Distribution(joint=joint, mode=by_mode, action=within)


def plain(model: ValueModel | Policy, kind: type[ValueModel] | type[Policy]) -> dict[str, Any]:
    """Return what a value model or a policy is made from."""
    return {part.name: getattr(model, part.name) for part in fields(kind) if part.init}


def greedy(policy: Policy) -> Policy:
    """Return the policy that always takes what it believes best."""
    return replace(policy, gamma=1e9, gamma_most=1e9, floor=0.0)
