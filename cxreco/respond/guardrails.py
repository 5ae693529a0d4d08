"""May we? Refusals, each with its reason, before any draw; `hold` is always admitted.

What a customer has said counts from two states: what was known at the moment, and everything accepted since (the same
state, unless the moment lies in the past); the stricter holds, so that a backdated moment never revives a consent.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.errors import BadSpec
from cxreco.journey import DAY, MICROS, MODE_CODE, MODES, Mode, Moment, Refusal, Rung, Surface
from cxreco.recognise import reading
from cxreco.recognise.codes import channel_of
from cxreco.recognise.market import Market
from cxreco.recognise.state import State
from cxreco.request.candidates import VALUE_COLUMN, Candidates
from cxreco.request.readings import faded
from cxreco.respond.ladder import Bar, Ladder

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
AUTOMATE = MODE_CODE[Mode.AUTOMATE]
COACH = MODE_CODE[Mode.COACH]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrails:
    """The declared limits: `models/guardrails.toml`."""

    most_contacts: int = 3
    quiet_days: float = 7.0
    dismissals: float = 2.0
    opt_in: bool = False
    max_order_value: float = 200.0
    max_orders_per_month: int = 8
    most_price_rise: float = 0.15
    quiet_days_after_wrong: float = 30.0
    least_need: float = 0.02
    bar: Bar = field(default_factory=Bar)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "Guardrails":
        """Read `models/guardrails.toml`; an unknown or missing key is an error that names it."""
        try:
            contacts, automatic = dict(spec["contacts"]), dict(spec["automatic_execution"])
            made = cls(
                most_contacts=int(contacts.pop("most_per_week")),
                quiet_days=float(contacts.pop("quiet_days_after_dismissals")),
                dismissals=float(contacts.pop("dismissals")),
                opt_in=bool(spec["marketing"]["opt_in"]),
                max_order_value=float(automatic.pop("max_order_value")),
                max_orders_per_month=int(automatic.pop("max_orders_per_month")),
                most_price_rise=float(automatic.pop("most_price_rise")),
                quiet_days_after_wrong=float(automatic.pop("quiet_days_after_wrong")),
                least_need=float(spec["satisfied"]["least_need"]),
                bar=Bar(**spec["certainty"]),
            )
        except KeyError as missing:
            raise BadSpec(f"missing key {missing}", where="guardrails.toml") from missing
        except TypeError as wrong:
            raise BadSpec(str(wrong), where="guardrails.toml, [certainty]") from wrong
        if contacts or automatic:
            raise BadSpec(f"unknown keys {sorted({*contacts, *automatic})}", where="guardrails.toml")
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One moment's candidates before the guardrails: what every check is asked about.

    Attributes
    ----------
    said
        What the customer's state says now (`SAID`).
    rungs, contact, automatic, coach
        Of each candidate, (n,).
    """

    rules: Guardrails
    candidates: Candidates
    moment: Moment
    said: F64
    market: Market
    rungs: Sequence[Rung | None]
    contact: Bool
    automatic: Bool
    coach: Bool
    unready: Mapping[int, str]

    def column(self, name: str) -> F64:
        """Return (n,) one value feature."""
        return self.candidates.x[:, VALUE_COLUMN[name]]


# What the checks ask of a state, in the order that `_said` writes; then, for each mode, the fading count of its
# dismissals and when the last one was (seconds; 0: never).
SAID = (
    "consent_auto", "consent_marketing", "unsubscribed", "contacts_7", "complaints_open", "max_value", "max_orders",
    "placed_30", "last_wrong_at",
)  # fmt: skip
CONSENT, MARKETING, UNSUBSCRIBED, CONTACTS_7, COMPLAINTS, MAX_VALUE, MAX_ORDERS, PLACED_30, WRONG_AT = range(9)
_GRANTED, _REFUSED = 1.0, 2.0
_MODES = len(MODES)


@compiled
def _said(head: NDArray[np.void], contacts: NDArray[np.void], at_s: int, channel: int) -> F64:
    h, own = head[0], 9
    out = np.empty(own + 2 * _MODES)
    out[CONSENT], out[MARKETING], out[UNSUBSCRIBED] = h.consent_auto, h.consent_marketing, h.unsubscribed >> channel & 1
    out[CONTACTS_7] = reading.count_contacts(contacts, at_s, 7.0, channel)
    out[COMPLAINTS], out[MAX_VALUE], out[MAX_ORDERS] = h.complaints_open, h.auto_max_value, h.auto_max_orders
    out[PLACED_30] = reading.count_executed(contacts, at_s, 30.0)
    out[WRONG_AT] = h.last_wrong_at
    for mode in range(_MODES):
        out[own + mode] = faded(h.dismissed_60[mode], 60.0, h.decayed_at, at_s)
        out[own + _MODES + mode] = h.last_dismissed_at[mode]
    return out


Check = Callable[[Case], Iterator[tuple[Bool, str]]]


def _allowed(case: Case) -> Iterator[tuple[Bool, str]]:
    if case.moment.modes is not None:
        codes = [MODE_CODE[mode] for mode in case.moment.modes]
        yield ~np.isin(case.candidates.mode, codes), "the caller did not allow this mode"


def _ready(case: Case) -> Iterator[tuple[Bool, str]]:
    for action, reason in case.unready.items():
        yield case.candidates.action == action, reason


def _consent(case: Case) -> Iterator[tuple[Bool, str]]:
    if case.said[CONSENT] != _GRANTED:
        yield case.automatic, "no consent to automatic execution is in force"


def _marketing(case: Case) -> Iterator[tuple[Bool, str]]:
    consent = case.said[MARKETING]
    if case.said[UNSUBSCRIBED]:
        yield case.contact, f"unsubscribed from {case.moment.channel}"
    elif consent == _REFUSED or (case.rules.opt_in and consent != _GRANTED):
        yield case.contact, "no consent to be contacted"


def _contact_cap(case: Case) -> Iterator[tuple[Bool, str]]:
    made = int(case.said[CONTACTS_7])
    if made >= case.rules.most_contacts:
        yield (
            case.contact,
            f"{made} contacts by {case.moment.channel} this week; {case.rules.most_contacts} are the cap",
        )


def _quiet(case: Case) -> Iterator[tuple[Bool, str]]:
    now, lasting = case.moment.at // MICROS, case.rules.quiet_days * 86_400
    fading, last = case.said[len(SAID) : len(SAID) + _MODES].tolist(), case.said[len(SAID) + _MODES :].tolist()
    for code, mode in enumerate(MODES):
        if last[code] and now - last[code] <= lasting and fading[code] >= case.rules.dismissals - 0.5:
            yield case.contact & (case.candidates.mode == code), f"{mode} was dismissed lately; it rests for a week"


def _complaint(case: Case) -> Iterator[tuple[Bool, str]]:
    if case.said[COMPLAINTS] > 0:
        yield case.contact | case.automatic, "a complaint is open: mend that first"


def _stock(case: Case) -> Iterator[tuple[Bool, str]]:
    item, available = case.candidates.item, case.market.shelf.available
    coded = (item >= 0) & (item < available.size)
    yield coded & ~available[np.where(coded, item, 0)] if available.size else coded, "not available"


def _satisfied(case: Case) -> Iterator[tuple[Bool, str]]:
    # Of what is not known (NaN), no comparison holds: neither that it was bought, nor that it is not needed.
    low = (case.column("need") < case.rules.least_need) & (case.column("item_orders") > 0.0)
    yield (case.coach | case.automatic) & low, "bought lately; it is not needed again yet"


def _price(case: Case) -> Iterator[tuple[Bool, str]]:
    risen = case.column("price_change") > case.rules.most_price_rise
    yield case.automatic & risen, "the price rose since it was last bought"


def _spend(case: Case) -> Iterator[tuple[Bool, str]]:
    if not case.automatic.any():
        return
    limit = _own_or(case.said[MAX_VALUE], case.rules.max_order_value)
    quantity = case.column("quantity")
    value = case.column("item_price") * np.where(np.isnan(quantity), 1.0, quantity)
    yield case.automatic & (value > limit), f"above the limit of {limit:.2f} an order"
    most, placed = _own_or(case.said[MAX_ORDERS], case.rules.max_orders_per_month), int(case.said[PLACED_30])
    if placed >= most:
        yield case.automatic, f"{placed} orders placed in 30 days; {most:.0f} are the limit"


def _certainty(case: Case) -> Iterator[tuple[Bool, str]]:
    if not case.automatic.any():
        return
    shadow = np.array([rung is Rung.SHADOW for rung in case.rungs])
    yield shadow, "not certain enough yet for its category: it stays in shadow"
    last = int(case.said[WRONG_AT])
    if last and case.moment.at - last * MICROS < case.rules.quiet_days_after_wrong * DAY:
        yield case.automatic, "an order the shop placed was wrong lately: trust has to be earned again"


CHECKS: tuple[tuple[str, Check], ...] = (
    ("modes", _allowed),
    ("action", _ready),
    ("consent", _consent),
    ("marketing", _marketing),
    ("complaint", _complaint),
    ("stock", _stock),
    ("satisfied", _satisfied),
    ("price", _price),
    ("spend_limit", _spend),
    ("certainty", _certainty),
    ("contact_cap", _contact_cap),
    ("quiet", _quiet),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What goes in comes out: `rows` admitted (ascending, 0 among them), the others refused with a reason."""

    rows: NDArray[np.intp]
    rungs: Sequence[Rung | None]
    contact: Bool
    refusals: tuple[Refusal, ...]


def order_limit(rules: Guardrails, state: State) -> float:
    """Return the most an order placed for this customer may cost: their own limit, else the workspace's."""
    return _own_or(float(state.head[0]["auto_max_value"]), rules.max_order_value)


def _own_or(own: float, workspace: float) -> float:
    return float(own) if math.isfinite(own) and own >= 0 else float(workspace)


def admit(
    rules: Guardrails,
    ladder: Ladder,
    candidates: Candidates,
    *,
    moment: Moment,
    states: Sequence[State],
    market: Market,
    unready: Mapping[int, str],
) -> Admission:
    """Refuse what may not be done.

    Parameters
    ----------
    states
        The state at the moment, and the latest one: the stricter holds.
    unready
        Actions (by index) that their own rule excludes here, with the reason.
    """
    automatic, coach = candidates.mode == AUTOMATE, candidates.mode == COACH
    rungs = _rungs(ladder, candidates, market, automatic)
    contact = contacts(candidates, moment, rungs)
    channel, at_s = int(channel_of(moment.channel)), reading.seconds(moment.at)
    reasons: dict[int, tuple[str, str]] = {}
    for state in states:
        case = Case(
            rules=rules, candidates=candidates, moment=moment, market=market, rungs=rungs, contact=contact,
            automatic=automatic, coach=coach, unready=unready,
            said=_said(state.head, state.contact_slots, at_s, channel),
        )  # fmt: skip
        for name, check in CHECKS:
            for refused, reason in check(case):
                for row in refused.nonzero()[0].tolist():
                    if row > 0:
                        reasons.setdefault(row, (name, reason))
    rows = np.array([row for row in range(len(candidates)) if row not in reasons], dtype=np.intp)
    return Admission(
        rows=rows,
        rungs=rungs,
        contact=contact,
        refusals=tuple(_refusal(candidates, market, row, *why) for row, why in sorted(reasons.items())),
    )


def contacts(candidates: Candidates, moment: Moment, rungs: Sequence[Rung | None]) -> Bool:
    """Return (n,) whether a candidate is a contact: anything but hold on outbound, coaching or a notice anywhere."""
    if moment.surface is Surface.OUTBOUND:
        return np.asarray(candidates.mode != 0)
    notice = np.array([rung is Rung.NOTICE for rung in rungs])
    return np.asarray((candidates.mode == COACH) | notice)


def _rungs(ladder: Ladder, candidates: Candidates, market: Market, automatic: Bool) -> list[Rung | None]:
    rungs: list[Rung | None] = [None] * len(candidates)
    shelf = market.shelf
    for row in automatic.nonzero()[0].tolist():
        certainty = float(candidates.x[row, VALUE_COLUMN["certainty"]])
        category = shelf.category_names[shelf.category[candidates.item[row]]]
        rungs[row] = ladder.rung(category, 0.0 if math.isnan(certainty) else certainty)
    return rungs


def _refusal(candidates: Candidates, market: Market, row: int, guardrail: str, reason: str) -> Refusal:
    item = int(candidates.item[row])
    return Refusal(
        action_id=candidates.actions[int(candidates.action[row])],
        mode=MODES[int(candidates.mode[row])],
        item_id=market.codes.item_ids[item] if item >= 0 else "",
        guardrail=guardrail,
        reason=reason,
    )
