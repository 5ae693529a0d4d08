"""From the workspace's store to the log that learning reads."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from cxreco.edge.log_reading import LogReader
from cxreco.edge.records import seen_of
from cxreco.edge.shop import Shop
from cxreco.edge.store import DECISION, Row, Store
from cxreco.errors import BadInput
from cxreco.journey import DAY, MODE_CODE, Mode
from cxreco.pipelines.workspace import Step, Workspace
from cxreco.recognise.codes import ref_of
from cxreco.recognise.contract import write_time
from cxreco.recognise.layout import Kind
from cxreco.recognise.replay import sort_ticks
from cxreco.recognise.undated import aligned
from cxreco.repeat.log import Log
from cxreco.request.candidates import VALUE_FEATURES
from cxreco.tables import CANDIDATES, DECISIONS, DecisionLog, empty

# Events that may name an order, so that what came back is traced to what was sold.
NAMING = ("order_completed", "order_cancelled", "order_returned", "complaint_opened", "survey_answered")
SERVING = (
    Kind.DECIDED, Kind.SHOWN, Kind.ACCEPTED, Kind.DISMISSED, Kind.AUTO_CONFIRMED, Kind.AUTO_CANCELLED,
    Kind.AUTO_EXPIRED, Kind.AUTO_EXECUTED, Kind.AUTO_UNDONE, Kind.CONSENT,
)  # fmt: skip
# Clocks differ by less, time zones included.
AHEAD = DAY
# More of the log than this is no slip of a few clocks: it is a shop that lives ahead of ours, such as a simulated one.
FEW = 0.05


def gather(
    store: Store, shop: Shop, *, upto_seq: int | None = None, clock: int | None = None, step: Step | None = None
) -> Log:
    """Return everything the store holds up to an arrival, ready to learn from.

    Parameters
    ----------
    clock
        What the time is; of a log with dates, a few rows dated more than a day later are left out, for one of them
        would move the end of the log, and all that happened would be long ago. None: all are taken.
    step
        Is told how many were left out.
    """
    read = LogReader(store, shop).read(upto_seq)
    ticks = sort_ticks(read.ticks)
    dated = is_dated(store, ticks)
    last = _last(ticks, clock) if dated else _last_place(ticks)
    if last is not None:
        late = ticks["at"] > last
        to_come = f"dated after {write_time(last)[:10]}, which is still to come"
        why = to_come if dated else "of serving: they have dates, the log has none"
        if step is not None and late.any():
            step(f"leaving out {int(late.sum()):,} rows {why}")
        ticks = ticks[~late]
    if not dated:
        ticks, now = aligned(ticks)
    else:
        now = int(ticks["at"].max()) + 1 if ticks.size else 0
    searches = store.scan(kinds=["products_searched"], upto_seq=read.position)
    bodies = [(row.seq, orjson.loads(row.body)) for rows in searches for row in rows]
    return Log(
        ticks=ticks,
        order=orders_of(ticks, (row for rows in store.scan(kinds=NAMING, upto_seq=read.position) for row in rows)),
        customers=read.customers,
        catalogue=shop.catalogue,
        codes=shop.codes,
        decisions=decisions_of(
            row
            for rows in store.scan(kinds=[DECISION], upto_seq=read.position)
            for row in rows
            if last is None or row.at <= last
        ),
        # The last arrival that is here: rows that were there already advance the store's counter, and teach nothing.
        position=int(ticks["seq"].max()) if ticks.size else 0,
        now=now,
        queries={seq: str(body.get("query") or "") for seq, body in bodies},
        dated=dated,
    )


def _last(ticks: NDArray[np.void], clock: int | None) -> int | None:
    """Return the instant behind which rows are left out; None where there are none, or too many to be a slip."""
    if clock is None:
        return None
    ahead = int((ticks["at"] > clock + AHEAD).sum())
    return clock + AHEAD if 0 < ahead <= FEW * ticks.size else None


def _last_place(ticks: NDArray[np.void]) -> int:
    """Return the instant of the last place of a log without dates; what serving added later has none."""
    return int(ticks["at"][~np.isin(ticks["kind"], SERVING)].max(initial=-1))


def gathered(workspace: Workspace, step: Step) -> Log:
    """Read the workspace's log, but for a few rows from the future.

    Raises
    ------
    BadInput
        If it is empty.
    """
    step("reading the log")
    log = gather(workspace.store, workspace.shop, clock=workspace.clock(), step=step)
    if log.ticks.size == 0:
        raise BadInput("the log is empty: `cxreco import` something first, or `cxreco simulate` a shop")
    if not log.catalogue.shelf(log.now).available.any():
        step("no item has a catalogue row that says it is there: nothing can be offered before `cxreco import items`")
    return log


def is_dated(store: Store, ticks: NDArray[np.void]) -> bool:
    """Return whether the log has dates: places of a sequence lie in 1970, so its latest row speaks for all of them.

    Not those that come of serving: what the shop did without us decides.
    """
    own = ticks[~np.isin(ticks["kind"], SERVING)]
    if not own.size:
        return True
    seq = int(own["seq"][own["at"].argmax()])
    latest = (row for rows in store.scan(seq - 1, upto_seq=seq) for row in rows)
    # An event that has both is dated: its sequence is the shop's own.
    bodies = [orjson.loads(row.body) for row in latest]
    return not any("sequence" in body and "occurred_at" not in body for body in bodies)


def orders_of(ticks: NDArray[np.void], rows: Iterable[Row]) -> NDArray[np.uint64]:
    """Return (n,) the hash of the order id of each tick, by the arrival of the row that it was made from.

    What came by an alias arrived under another number than the row's own: it keeps 0, and is traced by its item.
    """
    ids = ((row.seq, orjson.loads(row.body).get("order_id")) for row in rows)
    named = sorted((seq, ref_of(str(order_id))) for seq, order_id in ids if order_id)
    out = np.zeros(ticks.size, dtype=np.uint64)
    if not named:
        return out
    seqs = np.array([seq for seq, _ in named], dtype=np.int64)
    hashes = np.array([number for _, number in named], dtype=np.uint64)
    place = np.minimum(np.searchsorted(seqs, ticks["seq"]), seqs.size - 1)
    found = seqs[place] == ticks["seq"]
    out[found] = hashes[place[found]]
    return out


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
        seen.append(seen_of(row.blob, decisions[-1]["n_admitted"]))
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
        "assigned_arm": record["assigned_arm"],
        # Decisions of before it was looked at say nothing of it.
        "still_worth": record["parts"].get("still_worth", 0.0),
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
