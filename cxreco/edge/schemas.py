"""The bodies of the HTTP contract, version 1: what comes in is checked, what goes out is documented."""

import contextlib
import hashlib
import math
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import unquote

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    WithJsonSchema,
)

from cxreco.edge.decider import Ask
from cxreco.errors import BadInput
from cxreco.journey import NOTHING, Arm, Mode, Moment, Stage, Surface
from cxreco.recognise.contract import read_id, read_text, read_time

MAX_ROWS = 1_000
MAX_CART = 500
MAX_ATTRIBUTES = 100
MAX_TEXT = 256
# Up to here a float64 holds every whole number.
WHOLE = 2**53
# Stands for an escaped slash while a path is taken apart.
_CONTROL = "\x1f"


def _id(value: object) -> str:
    """Read an id as events do: text or an integer."""
    try:
        return read_id(value, "")
    except BadInput as error:
        raise ValueError(error.reason) from error


def path_of(raw: bytes, path: str) -> str:
    """Return a path in which a slash that was escaped, as one inside an id must be, parts nothing.

    Parameters
    ----------
    raw, path
        The path as it was sent, and with its escapes undone.
    """
    if _CONTROL in path:
        # No id holds one: it stays wrong.
        path = path.replace(_CONTROL, "\0")
    elif b"%2f" in raw.lower():
        path = "/".join(unquote(part).replace("/", _CONTROL) for part in raw.decode("latin-1").split("/"))
    return path


def _path_id(value: str) -> str:
    return _id(value.replace(_CONTROL, "/"))


def _text(value: str) -> str:
    try:
        return "" if not value.strip() else str(read_text(value, ""))
    except BadInput as error:
        raise ValueError(error.reason) from error


def _time(value: object) -> int:
    try:
        at: int = read_time(value, "")
    except BadInput as error:
        raise ValueError(error.reason) from error
    return at


def _scalar(value: object) -> bool | float | str:
    """Read an attribute; one error where it is none, not one for each kind it could have been."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise ValueError(f"has {len(value)} characters; shorten it to {MAX_TEXT}")
        return value
    if isinstance(value, int) and abs(value) <= WHOLE:
        return value
    if isinstance(value, int | float) and abs(value) < math.inf:
        with contextlib.suppress(OverflowError):
            return float(value)
    raise ValueError("must be text, a number, true or false")


_ID_SCHEMA: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 256}
_TIME_SCHEMA: dict[str, Any] = {"type": "string", "format": "date-time"}
Id: TypeAlias = Annotated[str, BeforeValidator(_id), Field(json_schema_extra=_ID_SCHEMA)]
PathId: TypeAlias = Annotated[str, BeforeValidator(_path_id), Field(json_schema_extra=_ID_SCHEMA)]
Text: TypeAlias = Annotated[str, Field(max_length=1_000), AfterValidator(_text)]
Time: TypeAlias = Annotated[int, BeforeValidator(_time), Field(json_schema_extra=_TIME_SCHEMA)]
_SCALAR_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "boolean"},
        {"type": "integer", "minimum": -WHOLE, "maximum": WHOLE},
        {"type": "number"},
        {"type": "string", "maxLength": MAX_TEXT},
    ]
}
Scalar: TypeAlias = Annotated[bool | int | float | str, PlainValidator(_scalar), WithJsonSchema(_SCALAR_SCHEMA)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class EventsIn(_Body):
    """Rows of the event contract; each is checked by itself."""

    events: list[Any] = Field(
        json_schema_extra={"items": {"type": "object"}, "maxItems": MAX_ROWS},
        examples=[
            [
                {
                    "event_id": "e-1",
                    "type": "product_viewed",
                    "customer_id": "ann",
                    "occurred_at": "2026-03-01T12:00:00+00:00",
                    "item_id": "oat-milk",
                }
            ]
        ],
    )


class ItemsIn(_Body):
    """Versions of items."""

    items: list[Any] = Field(
        json_schema_extra={"items": {"type": "object"}, "maxItems": MAX_ROWS},
        examples=[[{"item_id": "oat-milk", "title": "Oat milk 1 l", "category": "dairy", "price": 2.19}]],
    )


class RejectedRow(BaseModel):
    """A row that was not taken."""

    index: int = Field(ge=0, description="Its place in the list that was sent, from 0.")
    reason: str


class ReceiptOut(BaseModel):
    """What became of the rows; what was accepted survives a power cut."""

    accepted: int = Field(ge=0)
    duplicates: int = Field(ge=0)
    rejected: list[RejectedRow]


class DecisionIn(_Body):
    """A moment at which the shop could do something."""

    customer_id: Id
    request_id: Annotated[Id | None, Field(description="The same id and body get the same answer.")] = None
    occurred_at: Annotated[Time | None, Field(description="The moment; default now.")] = None
    channel: Id = "onsite"
    surface: Surface = Surface.HOME
    session_id: Id | None = None
    query: Text | None = None
    item_id: Id | None = None
    # Made anew each time: a default that could change, pydantic copies deeply at every call.
    cart: list[Id] = Field(default_factory=list, max_length=MAX_CART, json_schema_extra={"default": []})
    attributes: dict[Annotated[str, Field(max_length=MAX_TEXT)], Scalar] = Field(
        default_factory=dict, max_length=MAX_ATTRIBUTES, json_schema_extra={"default": {}}
    )
    max_items: Annotated[int, Field(ge=1, le=100, strict=True)] = 10
    modes: Annotated[list[Mode] | None, Field(max_length=20, description="Allowed modes; `hold` always is.")] = None
    explain: StrictBool = False

    def ask(self, now: int) -> Ask:
        """Return what to decide; `now` is the moment where none was given."""
        moment = Moment(
            customer_id=self.customer_id,
            at=now if self.occurred_at is None else self.occurred_at,
            surface=self.surface,
            channel=self.channel,
            session_id=self.session_id or "",
            query=self.query or "",
            item_id=self.item_id or "",
            cart=tuple(self.cart),
            attributes=self.attributes or NOTHING,
            max_items=self.max_items,
            modes=None if self.modes is None else frozenset(self.modes),
        )
        digest = self._digest() if self.request_id else ""
        return Ask(moment=moment, request_id=self.request_id or "", digest=digest, explain=self.explain)

    def _digest(self) -> str:
        """Return a digest of the body that does not depend on how it was written down."""
        return hashlib.sha256(orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).hexdigest()


class ActionOut(BaseModel):
    """A named recipe; its id is stable across model versions."""

    action_id: str = Field(examples=["reorder.item"])
    parameters: dict[str, Any]


class ItemOut(BaseModel):
    """One item of the answer."""

    item_id: str
    position: int = Field(ge=0)
    score: float = Field(description="Probability that the customer buys it soon.")
    reason: str


class PropensityOut(BaseModel):
    """The probability of the answer under the policy of its arm, given what was admitted."""

    mode: float = Field(ge=0, le=1)
    action: float = Field(ge=0, le=1)
    joint: float = Field(ge=0, le=1)


class PolicyOut(BaseModel):
    """Whose policy answered."""

    name: str
    version: str
    arm: Arm


class ExplanationOut(BaseModel):
    """Why this, why not that, and what would change it."""

    attributions: dict[str, float] = Field(description="Money of the winner, by what it is made of.")
    signals: dict[str, float] = Field(description="What was known of the winner.")
    why_not: list[dict[str, Any]] = Field(description="Every refused and every losing candidate, with its reason.")
    would_change: list[str]


class DecisionOut(BaseModel):
    """The answer."""

    decision_id: str
    customer_id: str
    mode: Mode
    journey_stage: Stage
    action: ActionOut
    items: list[ItemOut]
    propensity: PropensityOut
    expected_value: float = Field(description="Money over `hold`, in the workspace's currency.")
    policy: PolicyOut
    reasons: list[str]
    decided_at: str = Field(json_schema_extra={"format": "date-time"})
    expires_at: str = Field(json_schema_extra={"format": "date-time"})
    explain: ExplanationOut | None = None


class RefusalOut(BaseModel):
    """A candidate that was not admitted."""

    action_id: str
    mode: Mode
    item_id: str
    guardrail: str
    reason: str


class CandidatesOut(BaseModel):
    """The admitted candidates, column by column; `joint` sums to 1."""

    keys: list[str]
    modes: list[Mode]
    actions: list[str]
    items: list[str]
    joint: list[float]
    values: list[float]


class RecordOut(DecisionOut):
    """The whole record of a decision, and why."""

    model_config = ConfigDict(extra="allow")

    canonical: str
    assigned_arm: Arm
    arrival_cut: int
    market_version: str
    chosen: int
    candidates: CandidatesOut
    refusals: list[RefusalOut]


class Limits(_Body):
    """Spending limits of a consent."""

    max_order_value: Annotated[float | None, Field(ge=0, le=1e12)] = None
    max_orders_per_month: Annotated[float | None, Field(ge=0, le=1e12)] = None


class ConsentIn(_Body):
    """A consent given or withdrawn."""

    purpose: Id = Field(examples=["automatic_execution", "marketing"])
    granted: StrictBool
    limits: Limits | None = None
    occurred_at: Time | None = None


class ConsentOut(BaseModel):
    """The consent as it was recorded."""

    event_id: str
    customer_id: str
    purpose: str
    granted: bool
    limits: Limits | None = None
    occurred_at: str = Field(json_schema_extra={"format": "date-time"})


class CustomerOut(BaseModel):
    """What is known of a customer."""

    customer_id: str
    known_as: list[str] = Field(description="Anonymous ids that were identified as this customer.")
    arm: Arm
    known: dict[str, Any]
    consent: dict[str, Any]
    modes: dict[str, Any] = Field(description="How each mode stands with this customer.")
    needs: list[dict[str, Any]] = Field(description="What they buy, and its rhythm.")
    journey: list[dict[str, Any]] = Field(description="The latest events and decisions, newest first.")


class ExportOut(BaseModel):
    """Everything that is kept about a customer."""

    customer_id: str
    known_as: list[str]
    events: list[dict[str, Any]]
    decisions: list[dict[str, Any]]


class LivePolicyOut(BaseModel):
    """Which playbook is live."""

    name: str | None
    version: str | None
    since: str | None = Field(json_schema_extra={"format": "date-time"})
    previous: str | None
    decisions: int | None = Field(description="Logged decisions it learned from; 0: the apprentice.")
    challenger: str | None
    arms: dict[str, float] = Field(description="Shares of the standing experiments, in percent.")


class HealthOut(BaseModel):
    """The process lives."""

    status: Literal["ok"]


class ReadyOut(BaseModel):
    """The process can decide."""

    status: Literal["ready"]
    champion: str
