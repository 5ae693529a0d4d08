"""From the workspace's store to the log that learning reads."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from cxreco.edge.log_reading import LogReader
from cxreco.edge.records import seen_of
from cxreco.edge.shop import Shop
from cxreco.edge.store import DECISION, Row, Store
from cxreco.journey import MODE_CODE, Mode
from cxreco.recognise.replay import sort_ticks
from cxreco.repeat.log import Log
from cxreco.request.candidates import VALUE_FEATURES
from cxreco.tables import CANDIDATES, DECISIONS, DecisionLog, empty


def gather(store: Store, shop: Shop, *, upto_seq: int | None = None) -> Log:
    """Return everything the store holds up to an arrival, ready to learn from."""
    read = LogReader(store, shop).read(upto_seq)
    ticks = sort_ticks(read.ticks)
    searches = store.scan(kinds=["products_searched"], upto_seq=read.position)
    bodies = [(row.seq, orjson.loads(row.body)) for rows in searches for row in rows]
    return Log(
        ticks=ticks,
        customers=read.customers,
        catalogue=shop.catalogue,
        codes=shop.codes,
        decisions=decisions_of(row for rows in store.scan(kinds=[DECISION], upto_seq=read.position) for row in rows),
        # The last arrival that is here: rows that were there already advance the store's counter, and teach nothing.
        position=int(ticks["seq"].max()) if ticks.size else 0,
        now=int(ticks["at"].max()) + 1 if ticks.size else 0,
        queries={seq: str(body.get("query") or "") for seq, body in bodies},
    )


def decisions_of(rows: Iterator[Row]) -> DecisionLog:
    """Return decisions as frames; safe answers given while a part was down are no policy's choice and left out."""
    decisions: list[dict[str, Any]] = []
    columns: dict[str, list[Any]] = {name: [] for name in CANDIDATES}
    seen: list[NDArray[np.float32]] = []
    for row in rows:
        record = orjson.loads(row.body)
        if record["fallback"]:
            continue
        _add_candidates(columns, record, len(decisions))
        decisions.append(_decision(record, row.seq))
        seen.append(seen_of(row.blob))
    if not decisions:
        return DecisionLog(
            decisions=empty(DECISIONS), candidates=empty(CANDIDATES), x=np.empty((0, len(VALUE_FEATURES)), np.float32)
        )
    return DecisionLog(decisions=pd.DataFrame(decisions), candidates=pd.DataFrame(columns), x=np.concatenate(seen))


def _decision(record: dict[str, Any], seq: int) -> dict[str, Any]:
    moment, items, propensity = record["moment"], record["items"], record["propensity"]
    return {
        "decision_id": record["decision_id"],
        "customer_id": record["canonical"],
        "at": moment["at"],
        "seq": seq,
        "arrival_cut": record["arrival_cut"],
        "arm": record["policy"]["arm"],
        "policy_version": record["policy"]["version"],
        "mode": MODE_CODE[Mode(record["mode"])],
        "action_id": record["action"]["action_id"],
        "item_id": items[0]["item_id"] if items else "",
        "item": -1,
        "surface": moment["surface"],
        "channel": moment["channel"],
        "expires_at": record["until"],
        "propensity_mode": propensity["mode"],
        "propensity_action": propensity["action"],
        "propensity": propensity["joint"],
        "expected_value": record["expected_value"],
        "chosen": record["chosen"],
        "n_admitted": len(record["candidates"]["keys"]),
        "contact": record["contact"],
    }


def _add_candidates(columns: dict[str, list[Any]], record: dict[str, Any], decision: int) -> None:
    admitted = record["candidates"]
    columns["decision"] += [decision] * len(admitted["keys"])
    columns["key"] += admitted["keys"]
    columns["mode"] += [MODE_CODE[Mode(mode)] for mode in admitted["modes"]]
    columns["action_id"] += admitted["actions"]
    columns["item_id"] += admitted["items"]
    columns["joint"] += admitted["joint"]
    columns["value"] += admitted["values"]
