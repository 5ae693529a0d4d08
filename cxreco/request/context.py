"""Everything the four sources share about one moment: recalled once, scored once, read by all."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import Moment
from cxreco.recognise.market import Market
from cxreco.recognise.state import State
from cxreco.request.features import RANKER_COLUMN
from cxreco.request.moment_codes import MomentCodes
from cxreco.request.need import NeedModel
from cxreco.request.reasons import Reason

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


class Proposal(NamedTuple):
    """One candidate on its way into the columns.

    Attributes
    ----------
    action
        Index into `Actions.names`.
    slate
        Positions in the context's columns, the item that it is about first.
    reasons
        Kinds of reason in order of preference; the first that holds of an item is said of it.
    quantity
        Units of the first item; NaN where it does not apply.
    certainty
        Probability that the customer would have bought the first item unprompted; NaN where it does not apply.
    """

    action: int
    slate: I64
    reasons: tuple[Reason, ...]
    quantity: float = float("nan")
    certainty: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A moment as columns over the (n,) recalled items.

    Attributes
    ----------
    readings
        Of the customer (`readings.READINGS`).
    codes, category
        The items and their categories.
    x
        (n, len(RANKER_FEATURES)).
    score, buy
        The ranker's score and the calibrated probability that the item is bought soon.
    grid
        (n, horizons) calibrated P(needed again within h days); NaN for what was never bought.
    need, need_3
        The same within 7 and 3 days; 0 for what was never bought.
    offerable
        What may be offered as the shop's own idea: available, priced, not in the cart and not just bought.
    buyable
        What may be bought at all: available and priced.
    ranked
        (n,) positions by score, best first; the smaller code first among equals.
    """

    state: State
    moment: Moment
    mc: MomentCodes
    market: Market
    model: NeedModel
    readings: F64
    codes: I32
    category: I32
    x: F64
    score: F64
    buy: F64
    grid: F64
    need: F64
    need_3: F64
    offerable: Bool
    buyable: Bool
    ranked: I64

    def column(self, name: str) -> F64:
        """Return (n,) one of the ranker's features."""
        return self.x[:, RANKER_COLUMN[name]]

    def need_within(self, days: float) -> F64:
        """Return (n,) calibrated P(needed again within `days`); 0 for what was never bought."""
        return np.nan_to_num(self.model.read(self.grid, (days,))[:, 0])

    def best(self, where: Bool, most: int) -> I64:
        """Return up to `most` positions where `where` holds, best score first."""
        return self.ranked[where[self.ranked]][:most]

    def most(self, values: F64, where: Bool, most: int) -> I64:
        """Return up to `most` positions where `where` holds, by value descending, then by score."""
        chosen = self.ranked[where[self.ranked]]
        return chosen[np.argsort(-values[chosen], kind="stable")][:most]

    def quantity(self, position: int) -> float:
        """Return the units to order of an item: what the customer takes on average, at least 1."""
        record = self.state.slot(int(self.codes[position]))
        mean = float("nan") if record is None else float(record["quantity_mean"])
        return float(max(round(mean), 1)) if mean == mean else 1.0

    def spread(self, order: I64, most: int, share: float) -> I64:
        """Return the first `most` of `order` with no category above `share` of them; what is left over fills up.

        One category may always have two items, and a slate of one category stays what it is.
        """
        cap = max(int(np.ceil(share * most)), 2)
        category = self.category[order]
        # How many of the same category came before, for each place: a stable sort by category counts them.
        by = np.argsort(category, kind="stable")
        sorted_category = category[by]
        starts = np.searchsorted(sorted_category, sorted_category, side="left")
        before = np.empty(order.size, dtype=np.int64)
        before[by] = np.arange(order.size) - starts
        return np.concatenate((order[before < cap], order[before >= cap]))[:most]
