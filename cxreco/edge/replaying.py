"""A decision made again from its record, on the shop, the log and the playbook as they were."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cxreco.edge.champion import load_playbook
from cxreco.edge.log_reading import group_at, record_of
from cxreco.edge.markets import SEPARATOR, Markets
from cxreco.edge.populations import Populations
from cxreco.edge.records import moment_of, seen_of
from cxreco.edge.settings import Settings
from cxreco.edge.shop import Shop
from cxreco.edge.states import States
from cxreco.edge.store import Row, Store
from cxreco.journey import Arm
from cxreco.respond.decide import Decided, decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay found.

    Attributes
    ----------
    same
        Whether everything agreed to the bit.
    differences
        What did not, by name, as (logged, now).
    note
        What to know about it.
    """

    decision_id: str
    same: bool
    differences: dict[str, tuple[Any, Any]]
    note: str = ""


def replayed(store: Store, settings: Settings, row: Row) -> Replayed:
    """Decide again and compare.

    Raises
    ------
    NotFound
        If the playbook or the population statistics of the time are gone from the workspace.
    """
    record = record_of(row)
    if record["fallback"]:
        note = f"a safe answer ({record['fallback']}): there was nothing to draw"
        return Replayed(decision_id=record["decision_id"], same=True, differences={}, note=note)
    population, version = record["market_version"].split(SEPARATOR)
    shop = Shop.as_of(store, settings.margin_share, version)
    moment = moment_of(record)
    market = Markets(shop, Populations(settings.home / "populations")).of(moment.at, population)
    states = States(store, shop, bound=1)
    group = group_at(store.aliases(), record["canonical"], record["arrival_cut"])
    known = states.rebuilt(group)
    latest = known.state
    past = moment.at < int(latest.head[0]["last_at"])
    decided = decide(
        load_playbook(settings.home, record["policy"]["version"]),
        moment=moment,
        state=states.as_of(known, moment.at) if past else latest,
        latest=latest,
        market=market,
        decision_id=record["decision_id"],
        arm=Arm(record["policy"]["arm"]),
    )
    differences = _differences(record, row, decided, shop.codes.item_ids)
    return Replayed(decision_id=record["decision_id"], same=not differences, differences=differences)


def _differences(record: Any, row: Row, decided: Decided, item_ids: list[str]) -> dict[str, tuple[Any, Any]]:  # noqa: ANN401
    choice, table = decided.choice, record["candidates"]
    mine = {
        "keys": list(choice.keys),
        "modes": [str(mode) for mode in choice.modes],
        "joint": list(choice.joint),
        "values": list(choice.values),
        "items": [item_ids[code] if code >= 0 else "" for code in decided.candidates.item.tolist()],
    }
    compared: dict[str, tuple[Any, Any]] = {name: (table[name], found) for name, found in mine.items()}
    slate = [item_ids[code] for code in decided.candidates.slate[choice.chosen].tolist() if code >= 0]
    compared |= {
        "chosen": (record["chosen"], choice.chosen),
        "slate": ([item["item_id"] for item in record["items"]], slate),
        "refusals": (
            [(refusal["action_id"], refusal["item_id"], refusal["guardrail"]) for refusal in record["refusals"]],
            [(refusal.action_id, refusal.item_id, refusal.guardrail) for refusal in choice.refusals],
        ),
    }
    found = {name: pair for name, pair in compared.items() if pair[0] != pair[1]}
    logged, now = seen_of(row.blob, len(record["candidates"]["keys"])), decided.candidates.x.astype(np.float32)
    if logged.tobytes() != now.tobytes():
        found["seen"] = (logged.tolist(), now.tolist())
    return found
