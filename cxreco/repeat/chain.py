"""What refreshes add up to since a policy last won as a change: many small steps down must not pass one by one.

Each link is a paired difference between neighbours, on a log that supports both. The sum says how the policy of today
stands to the one the chain began with, whether or not today's log could still speak for that one: weights between
policies months apart grow without bound, those between neighbours do not.
"""

from dataclasses import dataclass
from math import sqrt

from cxreco.repeat.estimators import Estimate
from cxreco.repeat.intervals import sequence_radius

PLANNED = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Money per decision gained since the last change, its variance, and by how many refreshes."""

    gain: float = 0.0
    variance: float = 0.0
    links: int = 0

    def longer(self, apart: Estimate) -> "Chain":
        """Return the chain with one link more.

        Links are taken to be judged on days of their own, so that their variances add: refreshes more often than the
        evaluation days last are bounded too tightly, on the side of being held back.
        """
        return Chain(gain=self.gain + apart.value, variance=self.variance + apart.stderr**2, links=self.links + 1)

    def most(self, alpha: float) -> float:
        """Return an upper bound of the gain, of which some look is too low with probability at most `alpha`.

        It is tightest after half a year of weekly refreshes.
        """
        if self.variance == 0.0:
            return self.gain
        # As a mean of its links, whose information grows as the sum's variance does.
        error = sqrt(self.variance) / self.links
        radius = sequence_radius(error, alpha=2.0 * alpha, planned=error * sqrt(self.links / PLANNED))
        return self.gain + self.links * radius
