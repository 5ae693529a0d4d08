"""May we? Refusals, each with its reason, before any draw; `hold` is always admitted.

What a customer has said counts from two states: what was known at the moment, and everything accepted since (the same
state, unless the moment lies in the past); the stricter holds, so that a backdated moment never revives a consent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadSpec
from cxreco.journey import DAY, MICROS, MODE_CODE, MODES, Mode, Moment, Refusal, Rung, Surface
from cxreco.recognise import reading
from cxreco.recognise.codes import channel_of
from cxreco.recognise.market import Market
from cxreco.recognise.state import State
from cxreco.request.candidates import VALUE_COLUMN, Candidates
from cxreco.respond.ladder import Bar, Ladder

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
    """One moment's candidates before the guardrails: what every check is asked about."""

    rules: Guardrails
    candidates: Candidates
    moment: Moment
    state: State
    market: Market
    rungs: Sequence[Rung | None]
    contact: Bool
    unready: Mapping[int, str]

    def column(self, name: str) -> NDArray[np.float64]:
        """Return (n,) one value feature."""
        return self.candidates.x[:, VALUE_COLUMN[name]]

    def is_mode(self, mode: Mode) -> Bool:
        """Return (n,) whether a candidate is of the mode."""
        return np.asarray(self.candidates.mode == MODE_CODE[mode], dtype=np.bool_)


Check = Callable[[Case], Iterator[tuple[Bool, str]]]


def _allowed(case: Case) -> Iterator[tuple[Bool, str]]:
    if case.moment.modes is not None:
        codes = [MODE_CODE[mode] for mode in case.moment.modes]
        yield ~np.isin(case.candidates.mode, codes), "the caller did not allow this mode"


def _ready(case: Case) -> Iterator[tuple[Bool, str]]:
    for action, reason in case.unready.items():
        yield case.candidates.action == action, reason


def _consent(case: Case) -> Iterator[tuple[Bool, str]]:
    if not reading.consent_auto_in_force(case.state):
        yield case.is_mode(Mode.AUTOMATE), "no consent to automatic execution is in force"


def _marketing(case: Case) -> Iterator[tuple[Bool, str]]:
    channel = channel_of(case.moment.channel)
    if reading.is_unsubscribed(case.state, channel):
        yield case.contact, f"unsubscribed from {case.moment.channel}"
    elif not reading.marketing_allowed(case.state, case.rules.opt_in, channel):
        yield case.contact, "no consent to be contacted"


def _contact_cap(case: Case) -> Iterator[tuple[Bool, str]]:
    channel = channel_of(case.moment.channel)
    made = reading.contacts_within(case.state, case.moment.at, 7, channel)
    if made >= case.rules.most_contacts:
        yield (
            case.contact,
            f"{made} contacts by {case.moment.channel} this week; {case.rules.most_contacts} are the cap",
        )


def _quiet(case: Case) -> Iterator[tuple[Bool, str]]:
    head = case.state.head[0]
    now = case.moment.at // MICROS
    for code, mode in enumerate(MODES):
        last = int(head["last_dismissed_at"][code])
        if not last or now - last > case.rules.quiet_days * 86_400:
            continue
        fading = reading.decayed(float(head["dismissed_60"][code]), 60.0, int(head["decayed_at"]), now)
        if fading >= case.rules.dismissals - 0.5:
            yield case.contact & (case.candidates.mode == code), f"{mode} was dismissed lately; it rests for a week"


def _complaint(case: Case) -> Iterator[tuple[Bool, str]]:
    if int(case.state.head[0]["complaints_open"]) > 0:
        yield case.contact | case.is_mode(Mode.AUTOMATE), "a complaint is open: mend that first"


def _stock(case: Case) -> Iterator[tuple[Bool, str]]:
    item = case.candidates.item
    available = np.ones(len(case.candidates), dtype=bool)
    coded = (item >= 0) & (item < case.market.shelf.available.size)
    available[coded] = case.market.shelf.available[item[coded]]
    yield (item >= 0) & ~available, "not available"


def _satisfied(case: Case) -> Iterator[tuple[Bool, str]]:
    pushed = case.is_mode(Mode.COACH) | case.is_mode(Mode.AUTOMATE)
    bought = np.nan_to_num(case.column("item_orders")) > 0
    low = np.nan_to_num(case.column("need"), nan=1.0) < case.rules.least_need
    yield pushed & bought & low, "bought lately; it is not needed again yet"


def _price(case: Case) -> Iterator[tuple[Bool, str]]:
    risen = np.nan_to_num(case.column("price_change")) > case.rules.most_price_rise
    yield case.is_mode(Mode.AUTOMATE) & risen, "the price rose since it was last bought"


def _spend(case: Case) -> Iterator[tuple[Bool, str]]:
    automatic = case.is_mode(Mode.AUTOMATE)
    if not automatic.any():
        return
    head = case.state.head[0]
    limit = order_limit(case.rules, case.state)
    value = np.nan_to_num(case.column("item_price")) * np.nan_to_num(case.column("quantity"), nan=1.0)
    yield automatic & (value > limit), f"above the limit of {limit:.2f} an order"
    most = float(head["auto_max_orders"])
    most = most if np.isfinite(most) and most >= 0 else case.rules.max_orders_per_month
    placed = reading.executed_orders_within(case.state, case.moment.at, 30)
    if placed >= most:
        yield automatic, f"{placed} orders placed in 30 days; {most:.0f} are the limit"


def _certainty(case: Case) -> Iterator[tuple[Bool, str]]:
    shadow = np.array([rung is Rung.SHADOW for rung in case.rungs])
    yield shadow, "not certain enough yet for its category: it stays in shadow"
    last = int(case.state.head[0]["last_wrong_at"])
    if last and case.moment.at - last * MICROS < case.rules.quiet_days_after_wrong * DAY:
        yield case.is_mode(Mode.AUTOMATE), "an order the shop placed was wrong lately: trust has to be earned again"


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
    own = float(state.head[0]["auto_max_value"])
    return own if np.isfinite(own) and own >= 0 else rules.max_order_value


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
    rungs = _rungs(ladder, candidates, market)
    contact = contacts(candidates, moment, rungs)
    reasons: dict[int, tuple[str, str]] = {}
    for state in states:
        case = Case(
            rules=rules, candidates=candidates, moment=moment, state=state, market=market, rungs=rungs,
            contact=contact, unready=unready,
        )  # fmt: skip
        for name, check in CHECKS:
            for refused, reason in check(case):
                for row in np.flatnonzero(refused):
                    if row > 0:
                        reasons.setdefault(int(row), (name, reason))
    rows = np.array([row for row in range(len(candidates)) if row not in reasons], dtype=np.intp)
    return Admission(
        rows=rows,
        rungs=rungs,
        contact=contact,
        refusals=tuple(_refusal(candidates, market, row, *why) for row, why in sorted(reasons.items())),
    )


def contacts(candidates: Candidates, moment: Moment, rungs: Sequence[Rung | None]) -> Bool:
    """Return (n,) whether a candidate is a contact: anything but hold on outbound, coaching or a notice anywhere."""
    notice = np.array([rung is Rung.NOTICE for rung in rungs])
    acting = candidates.mode != 0
    outbound = moment.surface is Surface.OUTBOUND
    return np.asarray(acting & (outbound | (candidates.mode == COACH) | notice))


def _rungs(ladder: Ladder, candidates: Candidates, market: Market) -> list[Rung | None]:
    certainty = np.nan_to_num(candidates.x[:, VALUE_COLUMN["certainty"]])
    names = market.shelf.category_names
    return [
        ladder.rung(names[market.shelf.category[item]], float(certainty[row])) if mode == AUTOMATE else None
        for row, (mode, item) in enumerate(zip(candidates.mode, candidates.item, strict=True))
    ]


def _refusal(candidates: Candidates, market: Market, row: int, guardrail: str, reason: str) -> Refusal:
    item = int(candidates.item[row])
    return Refusal(
        action_id=candidates.actions[int(candidates.action[row])],
        mode=MODES[int(candidates.mode[row])],
        item_id=market.codes.item_ids[item] if item >= 0 else "",
        guardrail=guardrail,
        reason=reason,
    )
