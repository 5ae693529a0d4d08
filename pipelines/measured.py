"""What training measured, each number with what it means and its unit, for people who did not train."""

from collections.abc import Mapping
from math import isfinite

# What the heads of the value model foretell.
HEADS: Mapping[str, str] = {
    "base": "an order within the window if nobody acts",
    "soon": "an order soon if nobody acts",
    "order": "an order soon after an action",
    "returned": "something of an order coming back",
    "complained": "a complaint",
    "unsubscribed": "an unsubscribe",
    "satisfied": "a pleased answer",
    "wrong": "an order placed by the shop being wrong",
}
_PARTS = {
    "rows": "moments it was learned from",
    "rate": "share of those moments at which it came",
    "trees": "trees kept; 0: none foretold later moments better",
    "later_gain": "what trees would gain on later moments, nats a moment; below 0: they would lose",
    "later_log_loss": "log loss on later moments, nats a moment; smaller is better",
    "stopped": "share of the wrong ones that are stopped where they are announced",
    "disputed": "share of those not stopped that draw a complaint",
    "platt_slope": "correction of its log-odds by later moments; 1: none needed",
    "platt_intercept": "correction of its log-odds by later moments; 0: none needed",
}
_WHOLE = {
    "decisions": "answered decisions it learned from",
    "undisturbed": "moments of history at which nobody acted",
    "shadow_orders": "orders that would have been placed in the past",
    "shadow_wrong_share": "share of those that the customer did not make unprompted",
    "lifetime.customers": "customers who ordered",
    "lifetime.active": "of them still active, by expectation",
    "lifetime.orders_next_year": "orders to come of a customer within the lifetime window, on average",
    "lifetime.value_next_year": "margin to come of a customer within the lifetime window, on average, {currency}",
    "lifetime.value_of_an_active_customer": "the same of one still active, {currency}",
    "cupboard.notices": "chance a day that a need that is open brings a visit",
    "cupboard.buys": "share of such visits that end in a purchase",
    "cupboard.shows": "share of those without one that are seen in the log",
    "cupboard.leaves": "share of those without one after which the need is met elsewhere",
    "cupboard.elsewhere": "chance a day that an open need is met elsewhere without a visit",
    "cupboard.gone": "chance that a purchase or a look is a customer's last in the category",
    "cupboard.irregular": "spread of how long one purchase lasts, of its logarithm",
    "cupboard.spread": "spread of how long it lasts over customers, of its logarithm",
    "lift.sent": "messages sent by chance",
    "lift.held": "messages held back by chance",
    "lift.judged": "later messages the uplift learner was judged on",
    "lift.differs": "share of them for which it would do otherwise than the pooled head",
    "lift.gain": "what that brings a message, {currency}",
    "lift.gain_low": "and at least, with the declared confidence, {currency}",
}


def meaning(name: str, currency: str) -> str:
    """Return what a number of a training report means; empty for one that means something to who fits models alone."""
    head, _, part = name.partition(".")
    if name in _WHOLE:
        return _WHOLE[name].format(currency=currency)
    return f"{HEADS[head]}: {_PARTS[part]}" if head in HEADS and part in _PARTS else ""


def measured(report: Mapping[str, float], currency: str) -> str:
    """Return a Markdown table of a training report, without what could not be measured."""
    rows = [
        f"| {name} | {value:.4g} | {meaning(name, currency)} |"
        for name, value in sorted(report.items())
        if isfinite(value)
    ]
    return "\n".join(["| what | value | that is |", "|---|---|---|", *rows])
