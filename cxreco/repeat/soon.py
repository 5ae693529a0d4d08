"""What came soon after a moment: on a page within the visit, after a message within the day.

An offer is answered at once or hardly at all. Over the window that decisions are judged by, what it moved is drowned in
what is bought anyway; here it stands out.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxreco.errors import BadSpec
from cxreco.journey import AUTOMATE, HOUR, Surface
from cxreco.repeat.attribution import bought_after
from cxreco.repeat.origins import F64, I64, Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Soon:
    """How soon an answer shows, in hours: `visit` after a page, `message` after a message."""

    visit: float = 3.0
    message: float = 24.0

    def __post_init__(self) -> None:
        if not (self.visit > 0.0 and self.message > 0.0):
            raise BadSpec("hours must be above zero", where="value.toml, [order]")

    def window(self, outbound: NDArray[np.bool_]) -> I64:
        """Return (n,) microseconds."""
        return np.where(outbound, round(self.message * HOUR), round(self.visit * HOUR))

    def after(
        self, decisions: pd.DataFrame, ticks: NDArray[np.void], customer: I64, margin_share: float
    ) -> tuple[F64, F64]:
        """Return the same for logged decisions (columns DECISIONS), as `bought` does for moments."""
        at = decisions["at"].to_numpy(np.int64)
        cut = decisions["arrival_cut"].to_numpy(np.int64)
        judged = Judged(customer=customer, at=at, cut=cut, ref=np.zeros(at.size, dtype=np.uint64))
        return self.bought(ticks, judged, outbound_of(decisions), margin_share)

    def bought(
        self, ticks: NDArray[np.void], judged: Judged, outbound: NDArray[np.bool_], margin_share: float
    ) -> tuple[F64, F64]:
        """Return (n,) whether an order came soon, 0 or 1, and the margin bought by then.

        An order of the shop's own, placed meanwhile, answers nothing.
        """
        ticks = ticks[ticks["mode"] != AUTOMATE]
        ordered, margin = np.zeros(outbound.size), np.zeros(outbound.size)
        for away in (False, True):
            rows = outbound == away
            if rows.any():
                window = int(self.window(np.array([away]))[0])
                part = Judged(
                    customer=judged.customer[rows], at=judged.at[rows], cut=judged.cut[rows], ref=judged.ref[rows]
                )
                found = bought_after(ticks, part, window=window, margin_share=margin_share)
                ordered[rows], margin[rows] = found.orders > 0, found.margin
        return ordered, margin


def outbound_of(decisions: pd.DataFrame) -> NDArray[np.bool_]:
    """Return (n,) whether the shop opened the conversation."""
    return np.asarray(decisions["surface"].to_numpy(object) == Surface.OUTBOUND.value, dtype=np.bool_)
