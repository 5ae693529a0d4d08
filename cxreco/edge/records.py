"""A decision as it is logged and answered: one JSON record, of which the reply is the part that the contract names.

The record keeps what is needed to decide again, bit for bit, and to learn: every admitted candidate with its
probability, every refusal with its reason, the moment, the arrival cut, the versions of policy and market. Its blob is
what the value heads saw, (n admitted, features) float32: the candidates of a moment differ in a fifth of them, and the
others are written once, which deflate would take ten times as long to find out.
"""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.edge.store import DECISION, Entry
from cxreco.frozen import quick
from cxreco.journey import Arm, Mode, Moment, Refusal, Stage, Surface
from cxreco.recognise.catalogue import Shelf
from cxreco.recognise.contract import write_time
from cxreco.request.candidates import VALUE_FEATURES
from cxreco.respond.decide import Decided

Json = dict[str, Any]
F32 = NDArray[np.float32]
REPLY = (
    "decision_id", "customer_id", "mode", "journey_stage", "action", "items", "propensity", "expected_value", "policy",
    "reasons", "decided_at", "expires_at",
)  # fmt: skip
FALLBACK = "fallback"
POPULAR = "curate.popular"

_STAGE_OF_SURFACE: Mapping[Surface, Stage] = {
    Surface.CART: Stage.RESPOND,
    Surface.CHECKOUT: Stage.RESPOND,
    Surface.POST_PURCHASE: Stage.REPEAT,
    Surface.SERVICE: Stage.REPEAT,
    Surface.OUTBOUND: Stage.RECOGNISE,
}
_STAGE_OF_MODE: Mapping[Mode, Stage] = {
    Mode.HOLD: Stage.REQUEST,
    Mode.RESPOND: Stage.RESPOND,
    Mode.CURATE: Stage.REQUEST,
    Mode.COACH: Stage.RECOGNISE,
    Mode.AUTOMATE: Stage.RECOGNISE,
}
_REASON_OF_ARM: Mapping[Arm, str] = {
    Arm.HOLDOUT: "this customer is held out of the experiment: the shop's own default applies",
    Arm.RANDOM: "this customer is in the random arm: any admitted action was equally likely",
    Arm.RULES: "this customer is in the rules arm: the hand-written rules chose",
}


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a decision was made in, beyond its moment.

    Attributes
    ----------
    canonical
        The customer that the asked id is a name of.
    assigned
        The arm the customer was dealt; `arm` is whose policy served (no challenger: the champion's).
    arrival_cut
        Where the customer's log ended.
    market_version
        Names the population and the shop, for replay.
    asked
        The customer id as the caller wrote it.
    """

    decision_id: str
    asked: str
    canonical: str
    arm: Arm
    assigned: Arm
    policy: str
    policy_version: str
    arrival_cut: int
    market_version: str
    explain: bool


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What the customer gets to see of a decision."""

    mode: Mode
    action_id: str
    parameters: Json
    items: list[Json]
    propensity: tuple[float, float]
    value: float
    reasons: list[str]
    expires_at: int


def stage_of(surface: Surface, mode: Mode) -> Stage:
    """Return where on the journey the customer is: by the place where that tells, else by what mends it."""
    return _STAGE_OF_SURFACE.get(surface, _STAGE_OF_MODE[mode])


def record_of_decided(decided: Decided, moment: Moment, around: Around, shelf: Shelf, item_ids: list[str]) -> Json:
    """Return the record of a decision that a playbook made."""
    choice, candidates = decided.choice, decided.candidates
    row = choice.chosen
    mode, items, quantity = choice.modes[row], _items(decided, item_ids), float(candidates.quantity[row])
    answer = _Answer(
        mode=mode,
        action_id=candidates.actions[int(candidates.action[row])],
        parameters=_parameters(decided, shelf, item_ids),
        items=items,
        propensity=(choice.propensity_mode, choice.propensity_action),
        value=choice.values[row],
        reasons=_reasons(mode, around.arm, items),
        expires_at=decided.expires_at,
    )
    rest: Json = {
        "contact": decided.contact,
        "rung": None if decided.rung is None else decided.rung.value,
        "quantity": quantity if math.isfinite(quantity) else None,
        "chosen": row,
        "candidates": _table(decided, item_ids),
        "refusals": [_refused(refusal) for refusal in choice.refusals],
        "parts": {name: float(column[row]) for name, column in decided.parts.items()},
        "fallback": "",
    }
    return _record(moment, around, answer, rest)


def _refused(refusal: Refusal) -> Json:
    # Not `dataclasses.asdict`, which copies every value.
    return {
        "action_id": refusal.action_id,
        "mode": refusal.mode,
        "item_id": refusal.item_id,
        "guardrail": refusal.guardrail,
        "reason": refusal.reason,
    }


def _items(decided: Decided, item_ids: list[str]) -> list[Json]:
    candidates, row = decided.candidates, decided.choice.chosen
    shown = zip(
        candidates.slate[row].tolist(), candidates.score[row].tolist(), candidates.reason[row].tolist(), strict=True
    )
    return [
        {"item_id": item_ids[code], "position": position, "score": score, "reason": candidates.reasons[reason]}
        for position, (code, score, reason) in enumerate(shown)
        if code >= 0
    ]


def _table(decided: Decided, item_ids: list[str]) -> Json:
    """Return what was admitted, column by column."""
    choice, candidates = decided.choice, decided.candidates
    return {
        "keys": choice.keys,
        "modes": choice.modes,
        "actions": [candidates.actions[code] for code in candidates.action.tolist()],
        "items": [item_ids[code] if code >= 0 else "" for code in candidates.item.tolist()],
        "joint": choice.joint,
        "values": choice.values,
    }


def record_of_fallback(moment: Moment, around: Around, slate: list[tuple[str, float]], why: str) -> Json:
    """Return the record of a safe answer: popular items on a page where there are any, else `hold`.

    Parameters
    ----------
    slate
        (item id, share of popularity) in order; empty: hold.
    why
        Which part is down; said in the reasons.
    """
    mode = Mode.CURATE if slate else Mode.HOLD
    action_id = POPULAR if slate else "hold"
    items = [
        {"item_id": item_id, "position": position, "score": score, "reason": "popular with everybody"}
        for position, (item_id, score) in enumerate(slate)
    ]
    first = slate[0][0] if slate else ""
    answer = _Answer(
        mode=mode, action_id=action_id, parameters={}, items=items, propensity=(1.0, 1.0), value=0.0,
        reasons=[f"a safe answer: {why}"], expires_at=moment.at,
    )  # fmt: skip
    key = f"{action_id}:{first}" if first else action_id
    table = {"keys": [key], "modes": [mode], "actions": [action_id], "items": [first], "joint": [1.0], "values": [0.0]}
    rest: Json = {
        "contact": False, "rung": None, "quantity": None, "chosen": 0, "candidates": table, "refusals": [], "parts": {},
        "fallback": why,
    }  # fmt: skip
    return _record(moment, around, answer, rest)


def entry_of_record(record: Json, x: F32 | None) -> Entry:
    """Return a decision as the store keeps it; `x` is (n admitted, features)."""
    return Entry(
        uid=f"d:{record['decision_id']}",
        kind=DECISION,
        customer_id=record["customer_id"],
        at=record["moment"]["at"],
        body=orjson.dumps(record),
        blob=None if x is None else blob_of(x),
    )


def blob_of(x: F32) -> bytes:
    """Return (n, features) float32 as bytes: of each row a bit a feature, and where it differs from what it is beside.

    The first row is beside zeros, the others are beside the first. Before them stand one byte of the form, and the
    number of features.
    """
    differs, values = _differing(np.ascontiguousarray(x, dtype=np.float32).view(np.uint32))
    values = values.astype("<u4", copy=False)
    return b"".join((_FORM, x.shape[1].to_bytes(2, "little"), differs.tobytes(), values.tobytes()))


@compiled
def _differing(bits: NDArray[np.uint32]) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Return (n, features / 8) a bit a feature, the highest first, and the values where it is set, row by row."""
    rows, features = bits.shape
    differs = np.zeros((rows, (features + 7) // 8), np.uint8)
    values = np.empty(bits.size, np.uint32)
    n = 0
    for row in range(rows):
        for at in range(0, features, 8):
            byte = 0
            for k in range(at, min(at + 8, features)):
                other = bits[row, k] != (bits[0, k] if row > 0 else 0)
                byte |= other << (7 - (k - at))
                values[n] = bits[row, k]
                n += other
            differs[row, at >> 3] = byte
    return differs, values[:n]


def seen_of(blob: bytes | None, admitted: int) -> F32:
    """Return what the value heads saw, (admitted, features) float32; no rows for a fallback.

    Features are only ever added at the end: what an older record lacks is unknown (NaN).
    """
    if not blob:
        return np.empty((0, len(VALUE_FEATURES)), dtype=np.float32)
    kept = _unpacked(blob, admitted) if blob[:1] == _FORM else _inflated(blob, admitted)
    return np.pad(kept, ((0, 0), (0, len(VALUE_FEATURES) - kept.shape[1])), constant_values=np.nan)


# Deflated bytes, as records before 0.1 have them, begin otherwise.
_FORM = b"\x01"


def _unpacked(blob: bytes, rows: int) -> F32:
    features = int.from_bytes(blob[1:3], "little")
    width = (features + 7) // 8
    end = 3 + rows * width
    packed = np.frombuffer(blob[3:end], np.uint8).reshape(rows, width)
    differs = np.unpackbits(packed, axis=1, count=features).astype(np.bool_)
    bits = np.zeros((rows, features), "<u4")
    values = np.frombuffer(blob[end:], "<u4")
    first = int(differs[0].sum())
    bits[0, differs[0]] = values[:first]
    bits[1:] = bits[:1]
    bits[1:][differs[1:]] = values[first:]
    return bits.view("<f4")


def _inflated(blob: bytes, rows: int) -> F32:
    flat = np.frombuffer(zlib.decompress(blob), dtype="<f4")
    return flat.reshape(rows, -1) if flat.size else np.empty((0, 0), np.float32)


def moment_of(record: Mapping[str, Any]) -> Moment:
    """Return the moment a record was made at, under the customer's canonical id."""
    kept = record["moment"]
    return Moment(
        customer_id=record["canonical"],
        at=kept["at"],
        surface=Surface(kept["surface"]),
        channel=kept["channel"],
        session_id=kept["session_id"],
        query=kept["query"],
        item_id=kept["item_id"],
        cart=tuple(kept["cart"]),
        attributes=kept["attributes"],
        max_items=kept["max_items"],
        modes=None if kept["modes"] is None else frozenset(Mode(mode) for mode in kept["modes"]),
    )


def _record(moment: Moment, around: Around, answer: "_Answer", rest: Json) -> Json:
    in_mode, in_action = answer.propensity
    mode = answer.mode
    return {
        "decision_id": around.decision_id,
        "customer_id": around.asked,
        "mode": mode,
        "journey_stage": stage_of(moment.surface, mode),
        "action": {"action_id": answer.action_id, "parameters": answer.parameters},
        "items": answer.items,
        "propensity": {"mode": in_mode, "action": in_action, "joint": in_mode * in_action},
        "expected_value": answer.value,
        "policy": {"name": around.policy, "version": around.policy_version, "arm": around.arm},
        "reasons": answer.reasons,
        "decided_at": write_time(moment.at),
        "expires_at": write_time(answer.expires_at),
        "canonical": around.canonical,
        "assigned_arm": around.assigned,
        "arrival_cut": around.arrival_cut,
        "market_version": around.market_version,
        "until": answer.expires_at,
        "moment": {
            "at": moment.at,
            "surface": moment.surface,
            "channel": moment.channel,
            "session_id": moment.session_id,
            "query": moment.query,
            "item_id": moment.item_id,
            "cart": moment.cart,
            "attributes": dict(moment.attributes),
            "max_items": moment.max_items,
            "modes": None if moment.modes is None else sorted(moment.modes),
        },
        "explain": around.explain,
        **rest,
    }


def _reasons(mode: Mode, arm: Arm, items: list[Json]) -> list[str]:
    said = [_REASON_OF_ARM[arm]] if arm in _REASON_OF_ARM else []
    if mode is Mode.HOLD and not said:
        said = ["nothing that may be done now is worth more than leaving the customer be"]
    return [*said, str(items[0]["reason"])] if items and items[0]["reason"] else said


def _parameters(decided: Decided, shelf: Shelf, item_ids: list[str]) -> Json:
    candidates, row = decided.candidates, decided.choice.chosen
    mode, code, quantity = decided.choice.modes[row], int(candidates.item[row]), float(candidates.quantity[row])
    if mode is Mode.AUTOMATE and decided.rung is not None:
        line = {
            "item_id": item_ids[code],
            "quantity": quantity if math.isfinite(quantity) else 1.0,
            "price": float(shelf.price[code]),
        }
        return {
            "order": [line],
            "rung": decided.rung.value,
            "notice_hours": decided.notice_hours,
            "max_order_value": decided.max_order_value,
        }
    return {"quantity": quantity} if code >= 0 and math.isfinite(quantity) else {}
