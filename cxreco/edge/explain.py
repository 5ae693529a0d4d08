"""Why this, why not that, and what would change it: read off a decision's record, now or years later."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import MODES, Mode
from cxreco.request.candidates import VALUE_FEATURES

Json = dict[str, Any]
LIKELY = 0.05
_REMEDY: Mapping[str, str] = {
    "modes": "allow the mode in the request",
    "action": "meet the action's own rule, or change it in actions.toml",
    "consent": "record the customer's consent to automatic_execution",
    "marketing": "record the customer's consent to be contacted",
    "complaint": "resolve the complaint",
    "stock": "have the item available",
    "satisfied": "wait until the item is needed again",
    "price": "bring the price back to what was last paid, or let the customer buy it once at the new price",
    "spend_limit": "a higher limit set by the customer",
    "certainty": "more right orders in the category, or a clearer need",
    "contact_cap": "wait until fewer contacts lie within the week",
    "quiet": "wait until the quiet time after the dismissals is over",
}


def explained(record: Mapping[str, Any], seen: NDArray[np.float32]) -> Json:
    """Return the explanation of a decision.

    Parameters
    ----------
    record
        The logged record.
    seen
        (n admitted, features) what the value heads saw; no rows for a fallback.

    Returns
    -------
    `attributions` (money of the winner by what it is made of), `signals` (what was known of it), `why_not` (every
    refused and every losing candidate, and every mode that had nothing to offer), `would_change`.
    """
    chosen = record["chosen"]
    known = dict(zip(VALUE_FEATURES, seen[chosen].tolist(), strict=True)) if len(seen) else {}
    return {
        "attributions": record["parts"],
        "signals": {name: value for name, value in known.items() if math.isfinite(value) and value != 0.0},
        "why_not": [*_refused(record), *_lost(record), *_absent(record)],
        "would_change": list(_would_change(record)),
    }


def _refused(record: Mapping[str, Any]) -> Iterator[Json]:
    for refusal in record["refusals"]:
        yield {**refusal, "kind": "refused"}


def _lost(record: Mapping[str, Any]) -> Iterator[Json]:
    table, chosen = record["candidates"], record["chosen"]
    value = table["values"][chosen]
    for row, key in enumerate(table["keys"]):
        if row == chosen:
            continue
        gap, joint = value - table["values"][row], table["joint"][row]
        if gap >= 0.0:
            reason = f"worth {gap:.2f} less than what was chosen"
        else:
            reason = f"worth {-gap:.2f} more, but the draw fell elsewhere: it had probability {joint:.3f}"
        yield {
            "kind": "lost",
            "action_id": table["actions"][row],
            "mode": table["modes"][row],
            "item_id": table["items"][row],
            "key": key,
            "value": table["values"][row],
            "propensity": joint,
            "reason": reason,
        }


def _absent(record: Mapping[str, Any]) -> Iterator[Json]:
    there = {*record["candidates"]["modes"], *(refusal["mode"] for refusal in record["refusals"])}
    for mode in MODES:
        if mode not in there:
            yield {"kind": "absent", "mode": mode, "reason": "nothing to offer in this mode at this moment"}


def _would_change(record: Mapping[str, Any]) -> Iterator[str]:
    table, chosen = record["candidates"], record["chosen"]
    for mode in MODES:
        rows = [row for row, its in enumerate(table["modes"]) if its == mode and row != chosen]
        if mode == table["modes"][chosen] or not rows:
            continue
        best = max(rows, key=lambda row: float(table["values"][row]))
        gap = table["values"][chosen] - table["values"][best]
        likely = sum(table["joint"][row] for row in rows)
        if gap > 0.0:
            yield f"{mode} leads once {table['actions'][best]} is worth {gap:.2f} more"
        elif likely >= LIKELY:
            yield f"another draw: {mode} had probability {likely:.2f}"
    told: set[tuple[Mode, str]] = set()
    for refusal in record["refusals"]:
        about = (refusal["mode"], refusal["guardrail"])
        if about not in told and refusal["guardrail"] in _REMEDY:
            told.add(about)
            yield f"for {refusal['mode']}: {_REMEDY[refusal['guardrail']]}"
