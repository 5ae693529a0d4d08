"""Seasons under the apprentice, with everything noted: what was seen, what was hidden, what was true."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from contest.apprentices import under_apprentice
from contest.shops import Plot
from numpy.typing import NDArray

from cxreco.edge.settings import Settings
from cxreco.errors import NotFound
from cxreco.pipelines.season import Offered, Season
from cxreco.world import World
from cxreco.world.oracle import informed
from knowable.minds import hidden

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


class Noted(NamedTuple):
    """Moments of one shop: candidate rows one moment after another, and what is the same for a whole moment.

    `x` (n, features), `hidden` (n, HIDDEN), `mode`, `contact`, `truth` and `believed` (n,) are of candidates: what the
    heads saw, what nobody sees, the mode, whether it is a contact, what it is worth over hold, what the apprentice
    thought. `size`, `customer`, `day` and `informed_best` (m,) are of moments: how many candidates, who, on which day
    of the season, and the best worth of what somebody would have proposed who knows the customer's mind.
    """

    x: F64
    hidden: F64
    mode: I64
    contact: Bool
    truth: F64
    believed: F64
    size: I64
    customer: I64
    day: I64
    informed_best: F64

    def part(self, moments: Bool) -> "Noted":
        """Return some of the moments, by a mask, with all their candidates; customers keep their numbers."""
        rows = np.repeat(moments, self.size)
        of_rows = {name: getattr(self, name)[rows] for name in ("x", "hidden", "mode", "contact", "truth", "believed")}
        of_moments = {name: getattr(self, name)[moments] for name in ("size", "customer", "day", "informed_best")}
        return Noted(**of_rows, **of_moments)

    @property
    def hold(self) -> I64:
        """(n,) the row of the `hold` candidate of the same moment."""
        return np.repeat(np.cumsum(self.size) - self.size, self.size)


@dataclass(slots=True)
class _Pad:
    """What is noted while a season is lived."""

    x: list[F64] = field(default_factory=list)
    hidden: list[F64] = field(default_factory=list)
    mode: list[NDArray[np.int16]] = field(default_factory=list)
    truth: list[F64] = field(default_factory=list)
    believed: list[F64] = field(default_factory=list)
    contact: list[Bool] = field(default_factory=list)
    customer: list[str] = field(default_factory=list)
    day: list[int] = field(default_factory=list)
    informed_best: list[float] = field(default_factory=list)

    def closed(self) -> Noted:
        """Return it as columns."""
        _, who = np.unique(np.array(self.customer), return_inverse=True)
        return Noted(
            x=np.concatenate(self.x), hidden=np.concatenate(self.hidden),
            mode=np.concatenate(self.mode).astype(np.int64), truth=np.concatenate(self.truth),
            contact=np.concatenate(self.contact), believed=np.concatenate(self.believed),
            size=np.array([len(one) for one in self.truth]), customer=who.astype(np.int64),
            day=np.array(self.day, dtype=np.int64), informed_best=np.array(self.informed_best),
        )  # fmt: skip


class Watched(Season):
    """A season under the apprentice that notes every moment before it is decided on."""

    def __init__(self, name: str, world: World, settings: Settings) -> None:
        super().__init__(name, world, settings)
        self.pad = _Pad()

    def _decided(self, moment: Mapping[str, Any]) -> dict[str, Any]:
        self.pad.informed_best.append(max(self.world.truth(moment, row) for row in informed(self.world, moment)))
        record = super()._decided(moment)
        if self.open.offered is None:
            raise NotFound(f"the engine gave a safe answer: {record['reasons']}")
        self._note(moment, self.open.offered, record["candidates"])
        return record

    def _note(self, moment: Mapping[str, Any], offered: Offered, table: Mapping[str, Any]) -> None:
        pad, (candidates, truth, contact) = self.pad, offered
        pad.x.append(candidates.x.copy())
        pad.hidden.append(hidden(self.world, moment, candidates, self.engine.shop.codes.item_ids))
        pad.mode.append(candidates.mode.copy())
        pad.truth.append(truth)
        pad.believed.append(np.array(table["values"]))
        pad.contact.append(contact.copy())
        pad.customer.append(str(moment["customer_id"]))
        pad.day.append(self.open.today)


def noted(plot: Plot, home: Path, say: Callable[[str], None]) -> Noted:
    """Found a shop, live its weeks under the apprentice, and return what was noted."""
    return under_apprentice(plot, home, Watched, say).pad.closed()
