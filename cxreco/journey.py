"""The nouns, one at a time: frozen, keyword-only and true from birth.

Times are integers, microseconds since 1970-01-01 UTC (`at`, `…_at`). Money is in the workspace's currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from cxreco.frozen import quick

MICROS = 1_000_000
DAY = 86_400 * MICROS
HOUR = 3_600 * MICROS
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Mode(StrEnum):
    """The connected customer experiences (Siggelkow and Terwiesch), and holding back."""

    HOLD = "hold"
    RESPOND = "respond_to_desire"
    CURATE = "curated_offering"
    COACH = "coach_behavior"
    AUTOMATE = "automatic_execution"


MODES: tuple[Mode, ...] = tuple(Mode)
MODE_CODE: Mapping[Mode, int] = MappingProxyType({mode: code for code, mode in enumerate(MODES)})
HOLD, RESPOND, CURATE, COACH, AUTOMATE = (MODE_CODE[mode] for mode in MODES)


class Stage(StrEnum):
    """Where on the journey the customer is at the moment: the four Rs."""

    RECOGNISE = "recognise"
    REQUEST = "request"
    RESPOND = "respond"
    REPEAT = "repeat"


class Surface(StrEnum):
    """Where a decision is shown."""

    HOME = "home"
    SEARCH = "search"
    PRODUCT = "product"
    CART = "cart"
    CHECKOUT = "checkout"
    POST_PURCHASE = "post_purchase"
    SERVICE = "service"
    OUTBOUND = "outbound"


SURFACES: tuple[Surface, ...] = tuple(Surface)
SURFACE_CODE: Mapping[Surface, int] = MappingProxyType({surface: code for code, surface in enumerate(SURFACES)})


class Rung(StrEnum):
    """How far automatic execution is trusted."""

    SHADOW = "shadow"
    NOTICE = "notice"
    AUTOMATIC = "automatic"


class Arm(StrEnum):
    """The standing experiments: whose policy a customer lives under."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    RANDOM = "random"
    RULES = "rules"
    HOLDOUT = "holdout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of an order, a return or a checkout; `price` is per unit, NaN where the shop did not say."""

    item_id: str
    quantity: float = 1.0
    price: float = float("nan")
    margin: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to one customer, checked (see `recognise.events`).

    `fields` holds what the contract names for this type, already converted; `extra` holds what it does not, untouched.
    `occurred_at` of a log without dates is its `sequence` in nominal days, and `dated` is False.
    """

    event_id: str
    type: str
    customer_id: str
    occurred_at: int
    dated: bool = True
    lines: tuple[Line, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    extra: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One version of a catalogue item, in force from `effective_at` (None: from arrival) on."""

    item_id: str
    title: str
    category: str
    price: float
    brand: str = ""
    margin: float = float("nan")
    available: bool = True
    effective_at: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A point in a customer's journey at which the shop could do something."""

    customer_id: str
    at: int
    surface: Surface = Surface.HOME
    channel: str = "onsite"
    session_id: str = ""
    query: str = ""
    item_id: str = ""
    cart: tuple[str, ...] = ()
    attributes: Mapping[str, str | float | bool] = field(default_factory=lambda: NOTHING)
    max_items: int = 10
    modes: frozenset[Mode] | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A candidate that was not admitted, and why."""

    action_id: str
    mode: Mode
    item_id: str
    guardrail: str
    reason: str


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the draw picked, and all that it was picked from: the part of a decision that is pure.

    The columns run over the admitted candidates, `hold` first. `joint` sums to 1.
    """

    keys: tuple[str, ...]
    modes: tuple[Mode, ...]
    joint: tuple[float, ...]
    values: tuple[float, ...]
    chosen: int
    propensity_mode: float
    propensity_action: float
    refusals: tuple[Refusal, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(self.keys), len(self.modes), len(self.joint), len(self.values)}
        if len(lengths) != 1:
            raise ValueError(f"columns of a choice differ in length: {sorted(lengths)}")
        if abs(sum(self.joint) - 1.0) > 1e-9:
            raise ValueError(f"probabilities of a choice sum to {sum(self.joint)!r}, not 1")
        if not self.joint[self.chosen] > 0.0:
            raise ValueError("the chosen candidate was impossible")

    @property
    def propensity(self) -> float:
        """Probability of the chosen candidate, mode times action."""
        return self.propensity_mode * self.propensity_action
