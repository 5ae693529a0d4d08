"""May we? Refusals, each with its reason, before any draw; `hold` is always admitted.

What a customer has said counts from two states: what was known at the moment, and everything accepted since (the same
state, unless the moment lies in the past); the stricter holds, so that a backdated moment never revives a consent.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.declared import declared
from cxreco.errors import BadSpec
from cxreco.frozen import quick
from cxreco.journey import AUTOMATE, MODES, Mode, Moment, Refusal, Rung, Surface
from cxreco.recognise import reading
from cxreco.recognise.codes import channel_of
from cxreco.recognise.market import Market
from cxreco.recognise.state import State
from cxreco.request.candidates import VALUE_COLUMN, Candidates
from cxreco.respond import checks
from cxreco.respond.checks import MAX_ORDERS, MAX_VALUE, Limits, judged, own_or
from cxreco.respond.ladder import Bar, Ladder

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
_DAY_S = 86_400.0
_KEYS: Mapping[str, tuple[str, ...]] = {
    "contacts": ("most_per_week", "quiet_days_after_dismissals", "dismissals"),
    "marketing": ("opt_in",),
    "automatic_execution": (
        "max_order_value", "max_orders_per_month", "most_price_rise", "quiet_days_after_wrong",
    ),
    "certainty": tuple(Bar.__dataclass_fields__),
    "satisfied": ("least_need",),
}  # fmt: skip


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

    @property
    def limits(self) -> Limits:
        """The limits as compiled code reads them."""
        return Limits(
            float(self.most_contacts), self.quiet_days * _DAY_S, self.dismissals, self.opt_in, self.max_order_value,
            float(self.max_orders_per_month), self.most_price_rise, self.quiet_days_after_wrong * _DAY_S,
            self.least_need,
        )  # fmt: skip

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "Guardrails":
        """Read `models/guardrails.toml`; an unknown or missing key, or a value out of its range, is named."""
        for table in sorted({*spec, *_KEYS}):
            known, given = set(_KEYS.get(table, ())), spec.get(table, {})
            if table not in _KEYS or not isinstance(given, Mapping):
                raise BadSpec(f"no such table; known: {', '.join(_KEYS)}", where=f"guardrails.{table}")
            if unknown := sorted(set(given) - known):
                raise BadSpec(
                    f"unknown key; known: {', '.join(sorted(known))}", where=f"guardrails.{table}.{unknown[0]}"
                )
            if table != "certainty" and (missing := sorted(known - set(given))):
                raise BadSpec("missing key", where=f"guardrails.{table}.{missing[0]}")

        def number(table: str, key: str, most: float = math.inf, *, whole: bool = False) -> float:
            return declared(spec[table][key], f"guardrails.{table}.{key}", most=most, whole=whole)

        opt_in = spec["marketing"]["opt_in"]
        if not isinstance(opt_in, bool):
            raise BadSpec(f"must be true or false, got {opt_in!r}", where="guardrails.marketing.opt_in")
        certainty = spec.get("certainty", {})
        for key in certainty:
            number("certainty", key, whole=key == "notice_hours")
        automatic = "automatic_execution"
        return cls(
            most_contacts=int(number("contacts", "most_per_week", whole=True)),
            quiet_days=number("contacts", "quiet_days_after_dismissals"),
            dismissals=number("contacts", "dismissals"),
            opt_in=opt_in,
            max_order_value=number(automatic, "max_order_value"),
            max_orders_per_month=int(number(automatic, "max_orders_per_month", whole=True)),
            most_price_rise=number(automatic, "most_price_rise"),
            quiet_days_after_wrong=number(automatic, "quiet_days_after_wrong"),
            least_need=number("satisfied", "least_need", 1.0),
            bar=Bar(**certainty),
        )


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the words of a refusal are made of."""

    rules: Guardrails
    moment: Moment
    said: F64
    mode: Mode
    unready: str


def _above(heard: Heard) -> str:
    return f"above the limit of {own_or(heard.said[MAX_VALUE], heard.rules.max_order_value):.2f} an order"


def _too_many(heard: Heard) -> str:
    most = own_or(heard.said[MAX_ORDERS], heard.rules.max_orders_per_month)
    return f"{heard.said[checks.PLACED_30]:.0f} orders placed in 30 days; {most:.0f} are the limit"


_ANY = np.zeros(len(MODES), np.bool_)
_NONE = np.zeros(0, np.bool_)
# By what a candidate is refused for: the guardrail's name, and the reason in words.
_WORDS: Mapping[int, tuple[str, Callable[[Heard], str]]] = {
    checks.BARRED: ("modes", lambda _: "the caller did not allow this mode"),
    checks.UNREADY: ("action", lambda heard: heard.unready),
    checks.NO_CONSENT: ("consent", lambda _: "no consent to automatic execution is in force"),
    checks.UNSUBSCRIBED_FROM: ("marketing", lambda heard: f"unsubscribed from {heard.moment.channel}"),
    checks.NO_MARKETING: ("marketing", lambda _: "no consent to be contacted"),
    checks.COMPLAINT: ("complaint", lambda _: "a complaint is open: mend that first"),
    checks.GONE: ("stock", lambda _: "not available"),
    checks.SATISFIED: ("satisfied", lambda _: "bought lately; it is not needed again yet"),
    checks.DEARER: ("price", lambda _: "the price rose since it was last bought"),
    checks.ABOVE: ("spend_limit", _above),
    checks.TOO_MANY: ("spend_limit", _too_many),
    checks.UNSURE: ("certainty", lambda _: "not certain enough yet for its category: it stays in shadow"),
    checks.WRONG_LATELY: (
        "certainty", lambda _: "an order the shop placed was wrong lately: trust has to be earned again",
    ),
    checks.CAPPED: (
        "contact_cap",
        lambda heard: f"{heard.said[checks.CONTACTS_7]:.0f} contacts by {heard.moment.channel} this week; "
        f"{heard.rules.most_contacts} are the cap",
    ),
    checks.TIRED: ("quiet", lambda heard: f"{heard.mode} was dismissed lately; it rests for a week"),
}  # fmt: skip


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What goes in comes out: `rows` admitted (ascending, 0 among them), the others refused with a reason."""

    rows: NDArray[np.intp]
    rungs: Sequence[Rung | None]
    contact: Bool
    refusals: tuple[Refusal, ...]


def order_limit(rules: Guardrails, state: State) -> float:
    """Return the most an order placed for this customer may cost: their own limit, else the workspace's."""
    return own_or(float(state.head[0]["auto_max_value"]), rules.max_order_value)


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
    rungs, notice, shadow = _rungs(ladder, candidates, market)
    barred = _ANY if moment.modes is None else np.array([mode not in moment.modes for mode in MODES])
    excluded = np.zeros(len(candidates.actions), np.bool_)
    for action in unready:
        excluded[action] = True
    offers = candidates.x, candidates.mode, candidates.action, candidates.item
    about = reading.seconds(moment.at), int(channel_of(moment.channel)), moment.surface is Surface.OUTBOUND
    limits, available = rules.limits, market.columns.available
    contact: Bool = _NONE
    refusals: dict[int, Refusal] = {}
    for state in states:
        found, said, contact = judged(
            offers, (barred, excluded, notice, shadow), (state.head, state.contacts), about, limits, available
        )
        for row, why in enumerate(found.tolist()):
            if why == checks.ADMITTED or row in refusals:
                continue
            heard = Heard(
                rules=rules, moment=moment, said=said, mode=MODES[int(candidates.mode[row])],
                unready=unready.get(int(candidates.action[row]), ""),
            )  # fmt: skip
            refusals[row] = _refusal(candidates, market, row, why, heard)
    return Admission(
        rows=np.array([row for row in range(len(candidates)) if row not in refusals], np.intp),
        rungs=rungs,
        contact=contact,
        refusals=tuple(refusals[row] for row in sorted(refusals)),
    )


def _rungs(ladder: Ladder, candidates: Candidates, market: Market) -> tuple[list[Rung | None], Bool, Bool]:
    """Return how far each order is trusted, None for what is no order; and which are on notice, and in shadow."""
    rungs: list[Rung | None] = [None] * len(candidates)
    notice, shadow = np.zeros(len(candidates), np.bool_), np.zeros(len(candidates), np.bool_)
    shelf = market.shelf
    for row, mode in enumerate(candidates.mode.tolist()):
        if mode == AUTOMATE:
            certainty = float(candidates.x[row, VALUE_COLUMN["certainty"]])
            category = shelf.category_names[shelf.category[candidates.item[row]]]
            rung = rungs[row] = ladder.rung(category, 0.0 if math.isnan(certainty) else certainty)
            notice[row], shadow[row] = rung is Rung.NOTICE, rung is Rung.SHADOW
    return rungs, notice, shadow


def _refusal(candidates: Candidates, market: Market, row: int, why: int, heard: Heard) -> Refusal:
    item = int(candidates.item[row])
    guardrail, words = _WORDS[why]
    return Refusal(
        action_id=candidates.actions[int(candidates.action[row])],
        mode=heard.mode,
        item_id=market.codes.item_ids[item] if item >= 0 else "",
        guardrail=guardrail,
        reason=words(heard),
    )
