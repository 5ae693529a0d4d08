"""One customer, looked at: what is known, how each mode stands, the journey so far, and all that is kept."""

import math
from typing import Any

import numpy as np
import orjson

from cxreco.edge.engine import Engine
from cxreco.edge.log_reading import record_of
from cxreco.edge.records import REPLY, Json
from cxreco.edge.states import Known
from cxreco.edge.store import DECISION, Row
from cxreco.errors import NotFound
from cxreco.journey import MICROS, MODES
from cxreco.recognise import reading
from cxreco.recognise.contract import write_time
from cxreco.recognise.layout import SURVEYS

RECENT = 50
SHOWN_NEEDS = 20


def customer(engine: Engine, customer_id: str) -> Json:
    """Return what is known of a customer.

    Raises
    ------
    NotFound
        If nothing was ever heard of them.
    """
    with engine.lock:
        engine.shop.refresh()
        known = engine.states.of(customer_id)
        _heard_of(known.group.position, customer_id)
        rows = engine.store.customer_log(known.group)
        return {
            "customer_id": known.group.customer_id,
            "known_as": sorted(known.group.joined),
            "arm": engine.dealt(known.group.customer_id),
            "known": _known(known),
            "consent": _consent(known),
            "modes": _modes(known),
            "needs": _needs(known, engine.shop.codes.item_ids),
            "journey": [_step(row) for row in sorted(rows, key=lambda row: (row.at, row.seq))[: -RECENT - 1 : -1]],
        }


def export(engine: Engine, customer_id: str) -> Json:
    """Return everything that is kept about a customer.

    Raises
    ------
    NotFound
        If nothing is kept.
    """
    group = engine.store.group(customer_id)
    _heard_of(group.position, customer_id)
    rows = engine.store.customer_log(group)
    return {
        "customer_id": group.customer_id,
        "known_as": sorted(group.joined),
        "events": [orjson.loads(row.body) for row in rows if row.kind != DECISION],
        "decisions": [record_of(row) for row in rows if row.kind == DECISION],
    }


def reply(record: Json) -> Json:
    """Return the part of a record that the contract answers with."""
    return {name: record[name] for name in REPLY}


def _heard_of(position: int, customer_id: str) -> None:
    if position == 0:
        raise NotFound(f"nothing is known of customer {customer_id!r}")


def _known(known: Known) -> Json:
    head = known.state.head[0]
    numbers = ("orders", "gap_mean", "value_mean", "lines_mean", "rating_mean", "complaints_open", "referrals")
    times = ("first_at", "last_order_at", "last_visit_at", "last_complaint_at")
    return {
        **{name: _number(head[name]) for name in numbers},
        **{name: _time(int(head[name])) for name in times},
        "survey": {name: _number(score) for name, score in zip(SURVEYS, head["survey"], strict=True)},
    }


def _consent(known: Known) -> Json:
    head = known.state.head[0]
    words = {0: "not recorded", 1: "granted", 2: "refused"}
    return {
        "automatic_execution": reading.consent_auto_in_force(known.state),
        "max_order_value": _number(head["auto_max_value"]),
        "max_orders_per_month": _number(head["auto_max_orders"]),
        "marketing": words[int(head["consent_marketing"])],
    }


def _modes(known: Known) -> Json:
    head = known.state.head[0]
    return {
        mode.value: {
            "shown": _number(head["shown_60"][code]),
            "accepted": _number(head["accepted_60"][code]),
            "dismissed": _number(head["dismissed_60"][code]),
            "last_shown_at": _time(int(head["last_shown_at"][code])),
            "last_dismissed_at": _time(int(head["last_dismissed_at"][code])),
        }
        for code, mode in enumerate(MODES)
    }


def _needs(known: Known, item_ids: list[str]) -> list[Json]:
    slots = known.state.item_slots
    order = np.argsort(-slots["orders"].astype(np.int64), kind="stable")[:SHOWN_NEEDS]
    return [
        {
            "item_id": item_ids[int(slot["key"])],
            "orders": int(slot["orders"]),
            "last_at": _time(int(slot["last_at"])),
            "gap_days": _number(slot["gap_mean"]),
            "usual_quantity": _number(slot["quantity_mean"]),
        }
        for slot in slots[order]
        if slot["orders"] > 0
    ]


def _step(row: Row) -> Json:
    if row.kind == DECISION:
        record = record_of(row)
        told = {
            "action_id": record["action"]["action_id"],
            "mode": record["mode"],
            "decision_id": record["decision_id"],
        }
        return {"at": write_time(row.at), "type": DECISION, **told}
    body: Json = orjson.loads(row.body)
    return {
        "at": write_time(row.at),
        **{name: body[name] for name in body if name not in ("customer_id", "occurred_at")},
    }


def _number(value: Any) -> float | None:  # noqa: ANN401 (a numpy scalar of any kind)
    number = float(value)
    return round(number, 6) if math.isfinite(number) else None


def _time(seconds: int) -> str | None:
    return write_time(seconds * MICROS) if seconds else None
