"""The standing experiments: money per assigned customer-week by arm, by intention to treat, whenever one looks.

Everybody assigned counts, whether or not they came back: who comes back is part of what a policy does. Differences have
anytime-valid intervals (see `intervals.sequence_radius`), so that looking every day is honest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cxreco.errors import BadInput
from cxreco.journey import DAY, Arm
from cxreco.recognise.layout import Kind
from cxreco.repeat.attribution import check_sorted
from cxreco.repeat.intervals import (
    Clusters,
    always_p,
    degrees_of_freedom,
    sample_ratio,
    sequence_radius,
    standard_error,
    t_interval,
)
from cxreco.repeat.origins import Judged, consequences_of, unit_money
from cxreco.respond.worth import Worth
from cxreco.tables import ASSIGNMENTS, checked

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
WEEK = 7 * DAY
CONTROLS: tuple[str, ...] = (Arm.HOLDOUT.value, Arm.RANDOM.value, Arm.RULES.value)
SPLIT_ALPHA = 0.001


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """The arms side by side.

    Attributes
    ----------
    arms
        A row an arm: `arm, customers, weeks, money` (per customer-week), `stderr, low, high`, and per customer-week
        `orders, returned, complained, unsubscribed, contacts`.
    differences
        A row a pair: `arm, control, difference, stderr, low, high` (anytime-valid), `p` (anytime-valid), `share` (of
        the control's money).
    split_p
        P value of the arms' sizes against the declared shares; NaN where none were declared.
    """

    arms: pd.DataFrame
    differences: pd.DataFrame
    split_p: float

    @property
    def split_broken(self) -> bool:
        """Whether the arms' sizes contradict the declared shares: then no difference can be trusted."""
        return self.split_p < SPLIT_ALPHA

    def words(self, currency: str = "EUR") -> tuple[str, ...]:
        """Say it plainly, a sentence a line."""
        if self.split_broken:
            return (
                f"The arms do not have the sizes that were declared (p = {self.split_p:.1g}): no difference between "
                "them can be trusted until the reason is found.",
            )
        if self.differences.empty:
            return ("There is no control to compare with: every customer asked about so far lives under the same arm.",)
        lines = []
        for row in self.differences.to_dict("records"):
            apart, low, high = (float(row[name]) for name in ("difference", "low", "high"))
            if not (isfinite(low) and isfinite(high)):
                lines.append(f"{row['arm']} against {row['control']}: too few customers to tell yet.")
                continue
            told = "evidently more" if low > 0.0 else "evidently less" if high < 0.0 else "too close to tell yet"
            lines.append(
                f"{row['arm']} against {row['control']}: {apart:+.2f} {currency} a customer and week "
                f"({low:+.2f} to {high:+.2f}, however often one looks), {told}."
            )
        return tuple(lines)


def assignments_of(decisions: pd.DataFrame, customer: I64, dealt: Callable[[str], str]) -> pd.DataFrame:
    """Return who lives under which arm since when: from the first moment of theirs that was asked about.

    But nobody did before the policy that answered was there: who asks of an earlier day asks what would have been.

    Every arm is asked about the same moments, so nothing that an arm does decides who is counted. A log may hold more
    than one dealing (another epoch, other shares): the present one begins where the log stops contradicting it.

    Parameters
    ----------
    decisions
        Columns DECISIONS and `assigned_arm`, the arm the customer had been dealt; optionally `trained_to`, the end of
        the log that the policy which answered was learned from, microseconds.
    customer
        (n,) code of each decision's customer, as ticks carry it.
    dealt
        Customer id -> the arm dealt now.

    Returns
    -------
    Columns ASSIGNMENTS, a row a customer; and `still_worth` where decisions have it: before any arm acted.
    """
    told = [name for name in ("still_worth",) if name in decisions]
    frame = decisions[["customer_id", "at", "seq", "assigned_arm", *told]].assign(customer=customer)
    if "trained_to" in decisions:
        frame["at"] = np.maximum(frame["at"], decisions["trained_to"])
    frame["arm"] = frame["customer_id"].map({name: str(dealt(name)) for name in frame["customer_id"].unique()})
    before = frame.loc[frame["arm"] != frame["assigned_arm"], "seq"]
    if len(before):
        frame = frame[frame["seq"] > before.max()]
    first = frame.sort_values(["at", "seq"]).drop_duplicates("customer_id").rename(columns={"at": "from_at"})
    return checked(first[["customer_id", "customer", "arm", "from_at", *told]], ASSIGNMENTS, name="assignments")


def customer_weeks(
    assignments: pd.DataFrame, ticks: NDArray[np.void], *, worth: Worth, as_of: int, order: U64 | None = None
) -> pd.DataFrame:
    """Add up what each assigned customer brought from their assignment to now, in money and in counts.

    Parameters
    ----------
    assignments
        Columns ASSIGNMENTS, a row a customer; later than `as_of` does not count. A column `still_worth` is what they
        were still worth then (absent: 0): who leaves is priced by that, whatever an arm did since.
    ticks
        (n_ticks,) of TICK, sorted by customer, at, seq.
    worth
        Worth of outcomes. Goods that come back count against the arm under which they were ordered.
    as_of
        Now, microseconds; ticks at or after it are not looked at.
    order
        (n_ticks,) hash of each tick's order id, 0 where none; None where the log has no order ids.

    Returns
    -------
    `customer_id, arm, weeks, money, orders, returned, complained, unsubscribed, contacts`, one row a customer.

    Raises
    ------
    BadInput
        If a customer is assigned twice, or ticks are not sorted.
    """
    frame = checked(assignments, ASSIGNMENTS, name="assignments")
    frame = frame[frame["from_at"] < as_of].sort_values("customer", ignore_index=True)
    if bool(frame["customer"].duplicated().any()):
        raise BadInput("a customer is assigned twice; give one epoch at a time", where="assignments.customer")
    check_sorted(ticks)
    past = ticks["at"] < as_of
    ticks, order = ticks[past], order if order is None else order[past]
    customer, start = frame["customer"].to_numpy(np.int64), frame["from_at"].to_numpy(np.int64)
    totals = _counts(ticks, customer, start, worth) | _trouble(ticks, order, customer, start, worth)
    money = worth.money(
        margin=totals["margin"] - totals.pop("margin_back"),
        returned_price=totals.pop("price_back"),
        returned=totals["returned"],
        cancelled=totals.pop("cancelled"),
        complained=totals["complained"],
        unsubscribed=totals["unsubscribed"],
        satisfied=totals.pop("satisfied"),
        still_worth=frame["still_worth"].to_numpy(np.float64) if "still_worth" in frame else 0.0,
    )
    del totals["margin"]
    weeks = (as_of - start) / WEEK
    money = money - worth.contact * totals["contacts"]
    return frame[["customer_id", "arm"]].assign(weeks=weeks, money=money, **totals)


def compare(
    frame: pd.DataFrame,
    *,
    shares: Mapping[str, float] | None = None,
    controls: tuple[str, ...] = CONTROLS,
    confidence: float = 0.95,
    planned_weeks: float = 8.0,
) -> Comparison:
    """Compare the arms by money per assigned customer-week.

    Parameters
    ----------
    frame
        As `customer_weeks` returns it.
    shares
        Declared shares of the arms, for the sample-ratio check.
    controls
        Arms that the others are compared with.
    planned_weeks
        Weeks per customer after which the anytime-valid intervals should be tightest; fix it beforehand.
    """
    sides = {str(arm): part for arm, part in frame.groupby("arm", sort=True)}
    rows = [_arm_row(arm, part, confidence) for arm, part in sides.items()]
    pairs = [(arm, control) for control in controls if control in sides for arm in sides if arm != control]
    # Two controls would otherwise be compared both ways.
    kept = [(a, c) for a, c in pairs if a not in controls or controls.index(a) > controls.index(c)]
    differences = [
        {"arm": arm, "control": control} | _difference(sides[arm], sides[control], confidence, planned_weeks)
        for arm, control in kept
    ]
    counts = {arm: len(part) for arm, part in sides.items()}
    columns = ["arm", "control", "difference", "stderr", "low", "high", "p", "share"]
    return Comparison(
        arms=pd.DataFrame(rows),
        differences=pd.DataFrame(differences, columns=columns),
        split_p=float("nan") if shares is None else sample_ratio(counts, shares),
    )


def _place(found: I64, customer: I64) -> I64:
    """Row of each customer among the assigned, -1 where not assigned."""
    if customer.size == 0:
        return np.full(found.size, -1, dtype=np.int64)
    row = np.minimum(np.searchsorted(customer, found), customer.size - 1)
    return np.where(customer[row] == found, row, -1)


def _counts(ticks: NDArray[np.void], customer: I64, start: I64, worth: Worth) -> dict[str, F64]:
    row = _place(ticks["customer"].astype(np.int64), customer)
    mine = row >= 0
    mine[mine] = ticks["at"][mine] >= start[row[mine]]
    ticks, row = ticks[mine], row[mine]
    kind = ticks["kind"]
    _, unit_margin = unit_money(ticks, worth.margin_share)
    quantity = np.nan_to_num(ticks["quantity"].astype(np.float64), nan=1.0)
    columns = {
        "orders": kind == Kind.ORDER,
        "margin": np.where(kind == Kind.ORDER_LINE, quantity * unit_margin, 0.0),
        "unsubscribed": kind == Kind.UNSUBSCRIBED,
        "contacts": (kind == Kind.DECIDED) & (ticks["flag"] == 1),
    }
    return {name: _sum(row, np.asarray(column, dtype=np.float64), customer.size) for name, column in columns.items()}


def _trouble(ticks: NDArray[np.void], order: U64 | None, customer: I64, start: I64, worth: Worth) -> dict[str, F64]:
    nobody = np.empty(0, dtype=np.int64)
    found = consequences_of(
        ticks,
        Judged(customer=nobody, at=nobody, cut=nobody, ref=nobody.astype(np.uint64)),
        pleased=worth.pleased,
        margin_share=worth.margin_share,
        harm_window=worth.harm_window,
        order=order,
    )
    row = _place(found.customer, customer)
    mine = row >= 0
    mine[mine] = found.origin_at[mine] >= start[row[mine]]
    kind = found.kind
    columns = {
        "returned": kind == Kind.RETURNED,
        "cancelled": kind == Kind.CANCELLED,
        "margin_back": found.margin,
        "price_back": np.where(kind == Kind.RETURNED, found.price, 0.0),
        "complained": kind == Kind.COMPLAINT,
        "satisfied": found.pleased,
    }
    size = customer.size
    return {n: _sum(row[mine], np.asarray(column, dtype=np.float64)[mine], size) for n, column in columns.items()}


def _sum(row: I64, column: F64, size: int) -> F64:
    return np.bincount(row, weights=column, minlength=size).astype(np.float64)


def _ratio(part: pd.DataFrame) -> Clusters:
    return Clusters(totals=part["money"].to_numpy(np.float64), sizes=part["weeks"].to_numpy(np.float64))


def _arm_row(arm: str, part: pd.DataFrame, confidence: float) -> dict[str, object]:
    data, weeks = _ratio(part), float(part["weeks"].sum())
    low, high = t_interval(data, confidence)
    rates = {n: float(part[n].sum()) / weeks for n in ("orders", "returned", "complained", "unsubscribed", "contacts")}
    money = {"money": data.mean, "stderr": standard_error(data), "low": low, "high": high}
    return {"arm": arm, "customers": len(part), "weeks": weeks, **money, **rates}


def _difference(arm: pd.DataFrame, control: pd.DataFrame, confidence: float, planned_weeks: float) -> dict[str, float]:
    first, second = _ratio(arm), _ratio(control)
    value = first.mean - second.mean
    # Where nobody brought anything yet there is no spread to see, which is no certainty.
    errors = [standard_error(side) or inf for side in (first, second)]
    stderr = sqrt(errors[0] ** 2 + errors[1] ** 2)
    weeks = float(first.sizes.mean() + second.sizes.mean()) / 2.0
    # The variance now, carried to the planned time: planned is fixed in weeks, its money scale is learned.
    planned = stderr * sqrt(weeks / planned_weeks)
    alpha = 1.0 - confidence
    # Few customers or heavy tails: as a t interval is to a normal one.
    df = min(degrees_of_freedom(first), degrees_of_freedom(second))
    stretch = float(stats.t.ppf(1.0 - alpha / 2.0, df) / stats.norm.ppf(1.0 - alpha / 2.0))
    radius = stretch * sequence_radius(stderr, alpha=alpha, planned=planned)
    p = always_p(value, stretch * stderr, planned=stretch * planned, alpha=alpha) if stderr < inf else 1.0
    share = value / abs(second.mean) if second.mean != 0.0 else float("nan")
    return {
        "difference": value,
        "stderr": stderr,
        "low": value - radius,
        "high": value + radius,
        "p": p,
        "share": share,
    }
