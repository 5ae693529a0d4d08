"""Inspect: look at one decision or one customer, decide again from the record, and erase."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cxreco.edge import customers
from cxreco.edge.clock import now
from cxreco.edge.engine import Engine
from cxreco.edge.explain import explained
from cxreco.edge.settings import Settings
from cxreco.edge.stores import is_there, open_states, open_store
from cxreco.errors import NotFound

SHOWN = 20


def replay(settings: Settings, decision_id: str, console: Console) -> int:
    """Decide again from the record and say what differs; return 0 if nothing does, to the bit.

    Raises
    ------
    NotFound
        If the decision, or the playbook or the statistics it was made with, are gone.
    """
    with _engine(settings) as engine:
        found = engine.replay(decision_id)
    if found.note:
        console.print(escape(found.note))
    if found.same:
        console.print(f"{escape(decision_id)}: decided again, every bit is the same")
        return 0
    table = Table("what", "logged", "now", title=f"{escape(decision_id)}: decided again, these differ")
    for name, (logged, again) in found.differences.items():
        table.add_row(name, *(escape(_short(value)) for value in (logged, again)))
    console.print(table)
    return 1


def why(settings: Settings, decision_id: str, console: Console) -> None:
    """Show what a decision chose from, with which probability, why not the others, and what would change it.

    Raises
    ------
    NotFound
        If nobody decided that.
    """
    with _engine(settings) as engine:
        record, seen = engine.decision(decision_id)
    told = explained(record, seen)
    for line in _headline(record):
        console.print(escape(line), highlight=False)
    console.print(_admitted(record))
    if told["attributions"]:
        console.print(_expected(told["attributions"]))
    if told["signals"]:
        console.print(_pairs("What was known of it", told["signals"]))
    console.print(_others(told["why_not"]))
    for line in told["would_change"]:
        console.print(f"would change it: {escape(line)}", highlight=False)


def export(settings: Settings, customer_id: str, out: Path | None, console: Console) -> None:
    """Write everything that is kept about a customer as JSON, to a file or the screen.

    Raises
    ------
    NotFound
        If nothing is kept.
    """
    with _engine(settings) as engine:
        kept = customers.export(engine, customer_id)
    text = orjson.dumps(kept, option=orjson.OPT_INDENT_2)
    if out is None:
        console.out(text.decode(), highlight=False)
        return
    out.write_bytes(text + b"\n")
    console.print(f"written to {escape(str(out))}; events: {len(kept['events'])}, decisions: {len(kept['decisions'])}")


def forget(settings: Settings, customer_id: str, console: Console) -> None:
    """Erase a customer under all names, bytes included."""
    with _engine(settings) as engine:
        removed = engine.forget(customer_id)
    name = escape(customer_id)
    console.print(f"{removed} rows of {name} erased" if removed else f"nothing was kept about {name}")


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    """Open a workspace that is there; looking at one must not make one."""
    if not is_there(settings):
        where = "in the database of CXRECO_DATABASE_URL" if settings.database_url else f"at {settings.home}"
        raise NotFound(f"there is no workspace {where}: import something first, or name another by --home")
    store = open_store(settings)
    try:
        # The cache of states too: whoever is forgotten must be forgotten there.
        engine = Engine(store, settings, clock=now, cache=open_states(settings, store))
        try:
            yield engine
        finally:
            engine.states.close()
    finally:
        store.close()


def _headline(record: dict[str, Any]) -> Iterator[str]:
    joint, policy = record["propensity"]["joint"], record["policy"]
    yield f"{record['decision_id']}: {record['mode']}, {record['action']['action_id']}, for {record['customer_id']}"
    yield f"at {record['decided_at']} on {record['moment']['surface']}, stage {record['journey_stage']}"
    yield f"policy {policy['name']} {policy['version']}, arm {policy['arm']}, probability {joint:.4f}"
    yield f"worth {record['expected_value']:.2f} over hold"
    yield from (f"reason: {reason}" for reason in record["reasons"])
    for item in record["items"]:
        yield f"  {item['position'] + 1}. {item['item_id']} ({item['score']:.3f}) {item['reason']}"


def _admitted(record: dict[str, Any]) -> Table:
    table = Table("", "candidate", "mode", "value", "probability", title="What it chose from")
    admitted = record["candidates"]
    rows = zip(admitted["keys"], admitted["modes"], admitted["values"], admitted["joint"], strict=True)
    for row, (key, mode, value, joint) in sorted(enumerate(rows), key=lambda pair: -pair[1][3])[:SHOWN]:
        table.add_row("*" if row == record["chosen"] else "", escape(key), mode, f"{value:.3f}", f"{joint:.4f}")
    if len(admitted["keys"]) > SHOWN:
        table.caption = f"the likeliest {SHOWN} of {len(admitted['keys'])}"
    return table


# What a decision expects to follow: chances, and what an order would be worth. In the order of the story.
_EXPECTED = (
    ("order", "that they order, with this"),
    ("order_anyway", "that they order, left alone"),
    ("order_soon", "that they order soon, with this"),
    ("returned", "that something of the order comes back"),
    ("complained", "that they complain"),
    ("unsubscribed", "that they unsubscribe"),
    ("satisfied", "that they say they are pleased"),
    ("wrong", "that an order placed for them is wrong"),
)


_MONEY = {"still_worth": "what the customer is still worth, in money"}


def _expected(parts: dict[str, float]) -> Table:
    """Return the chances that a value was made of as chances, and money as money."""
    table = Table("what", "how much", title="What it expects to follow")
    said = dict(_EXPECTED)
    for name in [*said, *(name for name in parts if name not in said)]:
        if name not in parts or (name == "wrong" and not parts[name]):
            continue
        chance = name in said
        text = f"chance {said[name]}" if chance else _MONEY.get(name, f"{name} of an order, in money")
        table.add_row(escape(text), f"{parts[name]:.2%}" if chance else f"{parts[name]:.2f}")
    return table


def _pairs(title: str, values: dict[str, float]) -> Table:
    table = Table("what", "how much", title=title)
    for name, value in sorted(values.items(), key=lambda pair: -abs(pair[1])):
        table.add_row(name, f"{value:.4g}")
    return table


def _others(why_not: list[dict[str, Any]]) -> Table:
    table = Table("", "mode", "what", "why not", title="Why not the others")
    for other in why_not[:SHOWN]:
        what = " ".join(part for part in (other.get("action_id", ""), other.get("item_id", "")) if part)
        table.add_row(other["kind"], other["mode"], escape(what), escape(other["reason"]))
    if len(why_not) > SHOWN:
        table.caption = f"the first {SHOWN} of {len(why_not)}"
    return table


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
