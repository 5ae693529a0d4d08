"""What a log is, what is wrong in it, and which of the four modes it can support, and why.

The needs of each mode follow the information that a connected experience takes (Siggelkow & Terwiesch, *Connected
Strategy*): responding takes a wish the customer states, curating takes taste, coaching takes a rhythm that goes on in
time, and executing takes the rhythm, its worth and the customer's consent.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np

from cxreco.edge.census import FEEDBACK, Census
from cxreco.journey import DAY, MICROS, Event, Item, Mode

QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """How much of something a mode needs before it counts as there.

    Parameters
    ----------
    few
        Under this many (searches, re-bought items, customers with taste, rhythms) a mode is not supported.
    enough
        From this many it is supported; between the two it is limited.
    taste_items
        Different items a customer must have bought to show a taste.
    rhythm_orders
        Orders of one item by one customer that make a rhythm: three orders are two intervals, the least that vary.
    catalogue_share
        Share of the order lines whose items must be in the catalogue.
    categories
        Categories the catalogue must tell apart.
    dated_share
        Share of the events that must have a time.
    margin_share
        Share of the order lines whose margin must be known.
    """

    few: int = 20
    enough: int = 200
    taste_items: int = 3
    rhythm_orders: int = 3
    catalogue_share: float = 0.9
    categories: int = 2
    dated_share: float = 0.99
    margin_share: float = 0.5


class Verdict(StrEnum):
    """How far a log supports a mode."""

    SUPPORTED = "supported"
    LIMITED = "limited"
    NOT_SUPPORTED = "not supported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a mode is supported, what speaks for it, and what is missing."""

    mode: Mode
    verdict: Verdict
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What `check` found: facts and problems as (what, how much), and where each mode stands."""

    facts: tuple[tuple[str, str], ...]
    problems: tuple[tuple[str, str], ...]
    standings: tuple[Standing, ...]

    def standing(self, mode: Mode) -> Standing:
        """Return where one of the four modes stands."""
        return next(standing for standing in self.standings if standing.mode is mode)

    def tables(self) -> dict[str, list[tuple[str, ...]]]:
        """Return the rows of three tables, by title."""
        modes: list[tuple[str, ...]]
        modes = [(each.mode.value, each.verdict.value, "; ".join(each.why)) for each in self.standings]
        return {
            "What the log is": [*self.facts],
            "What is wrong in it": [*self.problems],
            "Which modes it supports": modes,
        }

    def lines(self) -> list[str]:
        """Return the findings as text."""
        out: list[str] = []
        for title, rows in self.tables().items():
            out.append(title)
            width = max((len(row[0]) for row in rows), default=0)
            out += [f"  {row[0]:<{width}}  {'  '.join(row[1:])}" for row in rows] or ["  nothing"]
        return out


def check(
    events: Iterable[Event],
    items: Iterable[Item] = (),
    *,
    needs: Needs | None = None,
    clock: int | None = None,
    currency: str = "",
) -> Findings:
    """Go once over a log and say what it is, what is wrong in it, and which modes it can support.

    Parameters
    ----------
    events
        Checked events, in the order of their arrival.
    items
        The catalogue's versions.
    needs
        The thresholds; default `Needs()`.
    clock
        What the time is: later events are a problem. None: none are.
    currency
        Of the workspace: orders in another are a problem. Empty: none are.
    """
    census = Census(clock=clock, currency=currency).take_items(items).take(events)
    thresholds = needs if needs is not None else Needs()
    judged = (_respond, _curate, _coach, _automate)
    return Findings(
        facts=tuple(_facts(census)),
        problems=tuple(_problems(census)),
        standings=tuple(_with_a_shelf(census, judge(census, thresholds)) for judge in judged),
    )


def _with_a_shelf(census: Census, standing: Standing) -> Standing:
    """Return where a mode stands: nowhere without a catalogue, for what is not on the shelf is never offered."""
    if census.catalogue:
        return standing
    lacking = "no catalogue: nothing can be offered before its items are imported"
    return replace(standing, verdict=Verdict.NOT_SUPPORTED, why=(*standing.why, lacking))


def _facts(census: Census) -> Iterable[tuple[str, str]]:
    orders = np.array([customer.orders for customer in census.customers.values() if customer.orders])
    yield "events", f"{census.n_events:,}"
    for kind, count in census.types.most_common():
        yield f"  {kind}", f"{count:,}"
    yield "customers", f"{len(census.customers):,}, of whom {orders.size:,} ordered"
    yield "orders", f"{census.n_orders:,} with {census.lines:,} lines of {len(census.sold):,} items"
    if orders.size:
        spread = ", ".join(f"{int(np.quantile(orders, q))} ({q:.0%})" for q in QUANTILES)
        yield "orders per customer", f"mean {orders.mean():.1f}, quantiles {spread}, most {orders.max():,}"
        yield "customers who ordered again", f"{(orders > 1).mean():.1%}"
    yield "span", _span(census)
    yield "events with a time", f"{census.dated_share:.1%}"
    yield "catalogue", f"{len(census.catalogue):,} items in {len(_categories(census)):,} categories"
    yield "order lines with a known margin", f"{census.margin_share():.1%}"
    yield "customer, item pairs bought twice or more", f"{census.repeats(2):,}"
    yield "customers who consent to automatic_execution", f"{census.consenting('automatic_execution'):,}"
    yield "logged decisions with feedback", f"{sum(census.types[kind] for kind in FEEDBACK):,} events"
    if census.one_in > 1:
        yield "counted per customer and item", f"from one customer in {census.one_in}, scaled up"


def _span(census: Census) -> str:
    if not census.days:
        return "none"
    if census.dated_share < 1.0:
        return (
            f"{census.span_days + 1:,} places of a sequence"
            if census.dated_share == 0.0
            else "dates and sequence numbers"
        )
    first, last = (
        datetime.fromtimestamp(day * DAY / MICROS, UTC).date() for day in (min(census.days), max(census.days))
    )
    return f"{first} to {last}, {census.span_days + 1:,} days; longest silence {census.longest_silence()} days"


def _categories(census: Census) -> set[str]:
    return set(census.catalogue.values()) - {""}


def _problems(census: Census) -> Iterable[tuple[str, str]]:
    for what, count in census.problems.most_common():
        if count:
            yield what, f"{count:,}"
    uncatalogued = [item for item in census.sold if item not in census.catalogue]
    if uncatalogued:
        lines = sum(census.sold[item] for item in uncatalogued)
        yield "items ordered that have no catalogue row", f"{len(uncatalogued):,}, in {lines:,} order lines"
    if nameless := sum(category == "" for category in census.catalogue.values()):
        yield "catalogue items without a category", f"{nameless:,}"
    if 0 < census.n_undated < census.n_events:
        yield "events without a time, among events with one: their order is not comparable", f"{census.n_undated:,}"
    if census.n_events and not census.n_orders:
        yield "no orders: there is nothing to learn from", "0"


def _standing(mode: Mode, count: int, needs: Needs, speaks: str, lacks: Iterable[str]) -> Standing:
    """Judge by a count, and lower to limited by what is lacking."""
    missing = tuple(lacks)
    if count < needs.few:
        return Standing(
            mode=mode, verdict=Verdict.NOT_SUPPORTED, why=(f"{speaks}; {needs.few:,} is the least", *missing)
        )
    if count < needs.enough:
        missing = (f"supported from {needs.enough:,} on", *missing)
    return Standing(mode=mode, verdict=Verdict.LIMITED if missing else Verdict.SUPPORTED, why=(speaks, *missing))


def _respond(census: Census, needs: Needs) -> Standing:
    searches, rebought = census.types["products_searched"], census.repeats(2)
    speaks = f"{searches:,} searches and {rebought:,} customer, item pairs bought again"
    return _standing(Mode.RESPOND, max(searches, rebought), needs, speaks, ())


def _curate(census: Census, needs: Needs) -> Standing:
    tasteful = census.with_taste(needs.taste_items)
    lacks = []
    if (share := census.catalogue_share()) < needs.catalogue_share:
        lacks.append(f"only {share:.0%} of the order lines are of items in the catalogue: others cannot be offered")
    if len(_categories(census)) < needs.categories:
        lacks.append("the catalogue tells no categories apart: no breadth, no slates by category")
    speaks = f"{tasteful:,} customers bought {needs.taste_items} or more different items"
    return _standing(Mode.CURATE, tasteful, needs, speaks, lacks)


def _rhythm(census: Census, needs: Needs) -> tuple[int, str]:
    """Return how many rhythms there are in time (none without dates), and that in words."""
    rhythms = census.repeats(needs.rhythm_orders)
    if census.dated_share < needs.dated_share:
        return (
            0,
            f"{rhythms:,} customer, item pairs bought {needs.rhythm_orders} times or more, but no dates: no intervals",
        )
    return rhythms, f"{rhythms:,} customer, item pairs bought {needs.rhythm_orders} times or more, with dates"


def _coach(census: Census, needs: Needs) -> Standing:
    rhythms, speaks = _rhythm(census, needs)
    lacks = []
    if not census.outbound() and not census.consenting("marketing"):
        lacks.append("no email, push or sms channel and no marketing consent in the log: nudges stay in the shop")
    return _standing(Mode.COACH, rhythms, needs, speaks, lacks)


def _automate(census: Census, needs: Needs) -> Standing:
    rhythms, speaks = _rhythm(census, needs)
    lacks = []
    if not census.consenting("automatic_execution"):
        lacks.append("no customer consents to automatic_execution: proposes none until consent is given")
    if (share := census.margin_share()) < needs.margin_share:
        lacks.append(
            f"the margin is known of {share:.0%} of the order lines: the declared share of the price stands in"
        )
    return _standing(Mode.AUTOMATE, rhythms, needs, speaks, lacks)
