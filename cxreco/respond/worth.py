"""What an outcome is worth, in money: the one mapping that the value model, the rewards and the reports share."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cxreco.errors import BadSpec
from cxreco.journey import DAY

# Where each field stands in models/reward.toml: field -> (table, key).
_PLACES: Mapping[str, tuple[str, str]] = {
    "margin": ("worth", "order_margin"),
    "return_price_share": ("worth", "return_price_share"),
    "return_handling": ("worth", "return_handling"),
    "cancel_handling": ("worth", "cancel_handling"),
    "complaint": ("worth", "complaint"),
    "unsubscribe": ("worth", "unsubscribe"),
    "complaint_share": ("worth", "complaint_share"),
    "unsubscribe_share": ("worth", "unsubscribe_share"),
    "satisfied": ("worth", "satisfied"),
    "contact": ("worth", "contact"),
    "order_days": ("windows", "order"),
    "harm_days": ("windows", "harm"),
    "lifetime_days": ("windows", "lifetime"),
    "pleased_nps": ("satisfied", "nps"),
    "pleased_csat": ("satisfied", "csat"),
    "pleased_ces": ("satisfied", "ces"),
    "margin_share": ("prior", "margin_share"),
    "return_rate": ("prior", "return_rate"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """Money per outcome and the windows in which an outcome counts.

    Costs are given as positive money and subtracted. Days are counted from the decision.

    Attributes
    ----------
    currency
        ISO 4217 code; a label only.
    margin
        Money per unit of margin bought and kept (`order_margin` in the spec).
    return_price_share, return_handling
        A returned line costs its margin, this share of its price, and this much handling.
    cancel_handling
        A cancelled line costs its margin and this much handling.
    complaint, unsubscribe, satisfied, contact
        Money per complaint, per unsubscribe, per pleased answer (gained), per contact made.
    complaint_share, unsubscribe_share
        What a complaint and an unsubscribe cost besides: a share of what the customer was still worth when decided on.
    order_days, harm_days
        Windows of orders and unsubscribes, and of returns, cancellations, complaints and surveys.
    lifetime_days
        Horizon of what a customer is still worth.
    pleased_nps, pleased_csat, pleased_ces
        Lowest score that counts as pleased.
    margin_share, return_rate
        Used where a line has no margin, and where no ripe decision tells how much comes back.
    """

    currency: str = "EUR"
    margin: float = 1.0
    return_price_share: float = 0.10
    return_handling: float = 4.0
    cancel_handling: float = 0.5
    complaint: float = 12.0
    unsubscribe: float = 8.0
    complaint_share: float = 0.0
    unsubscribe_share: float = 0.0
    satisfied: float = 1.0
    contact: float = 0.20
    order_days: float = 3.0
    harm_days: float = 30.0
    lifetime_days: float = 365.0
    pleased_nps: float = 9.0
    pleased_csat: float = 4.0
    pleased_ces: float = 6.0
    margin_share: float = 0.35
    return_rate: float = 0.08

    def __post_init__(self) -> None:
        for name in _PLACES:
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0.0):
                raise BadSpec(f"must be a number of at least 0, got {value!r}", where=f"reward.{name}")
        if not 0.0 < self.order_days <= self.harm_days:
            raise BadSpec("windows must satisfy 0 < order <= harm", where="reward.windows")
        for share in ("complaint_share", "unsubscribe_share"):
            if getattr(self, share) > 1.0:
                raise BadSpec(f"is a share, at most 1, got {getattr(self, share)!r}", where=f"reward.worth.{share}")
        if self.lifetime_days == 0.0:
            raise BadSpec("must be above 0", where="reward.windows.lifetime")
        if self.margin_share > 1.0 or self.return_rate > 1.0:
            raise BadSpec("margin_share and return_rate are shares, at most 1", where="reward.prior")

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Self:
        """Read the tables of `models/reward.toml`; what is left out takes its default.

        Raises
        ------
        BadSpec
            If a table or key is unknown, or a value is not a number in its range.
        """
        tables = {table for table, _ in _PLACES.values()}
        _no_unknown(spec, tables | {"currency"}, "reward")
        values: dict[str, float] = {}
        for table in tables:
            given = spec.get(table, {})
            if not isinstance(given, Mapping):
                raise BadSpec("must be a table", where=f"reward.{table}")
            here = {key: name for name, (place, key) in _PLACES.items() if place == table}
            _no_unknown(given, set(here), f"reward.{table}")
            for key, value in given.items():
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise BadSpec(f"must be a number, got {value!r}", where=f"reward.{table}.{key}")
                values[here[key]] = float(value)
        return cls(currency=str(spec.get("currency", "EUR")), **values)

    def to_spec(self) -> dict[str, Any]:
        """Return the tables that `from_spec` reads, every value written out."""
        spec: dict[str, Any] = {"currency": self.currency}
        for name, (table, key) in _PLACES.items():
            spec.setdefault(table, {})[key] = getattr(self, name)
        return spec

    @property
    def order_window(self) -> int:
        """Window of orders and unsubscribes, microseconds."""
        return round(self.order_days * DAY)

    @property
    def harm_window(self) -> int:
        """Window of returns, cancellations, complaints and surveys, microseconds."""
        return round(self.harm_days * DAY)

    @property
    def pleased(self) -> tuple[float, float, float]:
        """Lowest pleased score by instrument, in the order of `layout.SURVEYS`."""
        return (self.pleased_nps, self.pleased_csat, self.pleased_ces)

    def return_cost(self, price: ArrayLike) -> NDArray[np.float64]:
        """Money lost on top of the margin when a line of this price comes back."""
        return np.asarray(self.return_price_share * np.asarray(price, dtype=np.float64) + self.return_handling)

    def money(
        self,
        *,
        margin: ArrayLike = 0.0,
        returned_price: ArrayLike = 0.0,
        returned: ArrayLike = 0.0,
        cancelled: ArrayLike = 0.0,
        complained: ArrayLike = 0.0,
        unsubscribed: ArrayLike = 0.0,
        satisfied: ArrayLike = 0.0,
        still_worth: ArrayLike = 0.0,
    ) -> NDArray[np.float64]:
        """Money of outcomes, or of their expectations (the map is linear), without the cost of the contact itself.

        Parameters
        ----------
        margin
            Margin kept: bought less what was returned or cancelled.
        returned_price
            Price of what came back.
        returned, cancelled
            Lines returned and cancelled.
        complained, unsubscribed, satisfied
            Counts, 0/1 flags or probabilities. All arguments broadcast together.
        still_worth
            Money that the customer was still worth when it was decided.
        """
        still = np.asarray(still_worth, dtype=np.float64)
        return np.asarray(
            self.margin * np.asarray(margin, dtype=np.float64)
            - self.return_price_share * np.asarray(returned_price, dtype=np.float64)
            - self.return_handling * np.asarray(returned, dtype=np.float64)
            - self.cancel_handling * np.asarray(cancelled, dtype=np.float64)
            - (self.complaint + self.complaint_share * still) * np.asarray(complained, dtype=np.float64)
            - (self.unsubscribe + self.unsubscribe_share * still) * np.asarray(unsubscribed, dtype=np.float64)
            + self.satisfied * np.asarray(satisfied, dtype=np.float64)
        )


def _no_unknown(given: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise BadSpec(f"unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}", where=where)


# Every number of the class has its place in the spec; a field without one would be silently left at its default.
if {f.name for f in fields(Worth)} - {"currency"} != set(_PLACES):
    raise BadSpec("a field of Worth has no place in models/reward.toml", where="reward")
