"""What a log is, and what it can carry."""

import pytest

from cxreco.edge import census as census_module
from cxreco.edge.census import Census
from cxreco.edge.check import Needs, Verdict, check
from cxreco.edge.importers import Report, read
from cxreco.journey import DAY, Event, Item, Line, Mode

START = 20_000 * DAY
NEEDS = Needs(few=3, enough=10)


def _order(number, customer, items=("a", "b", "c"), *, day=0, dated=True, **line):
    lines = tuple(Line(item_id=item, price=2.0, **line) for item in items)
    return Event(
        event_id=f"o{number}",
        type="order_completed",
        customer_id=customer,
        occurred_at=START + day * DAY,
        dated=dated,
        lines=lines,
        fields={"order_id": f"o{number}"},
    )


def _event(number, kind, **fields):
    return Event(event_id=f"e{number}", type=kind, customer_id="c0", occurred_at=START, fields=fields)


def _log(customers=10, orders=3, **how):
    return [_order(f"{c}.{n}", f"c{c}", day=7 * n, **how) for n in range(orders) for c in range(customers)]


CATALOGUE = [Item(item_id=i, title=i, category=f"category {i}", price=2.0, margin=1.0) for i in "abc"]
UNKNOWN_MARGINS = [Item(item_id=i, title=i, category=f"category {i}", price=2.0) for i in "abc"]
CONSENT = _event(1, "consent_changed", purpose="automatic_execution", granted=True)
MAIL = _event(2, "product_viewed", item_id="a", channel="email")


def _verdicts(findings):
    return [standing.verdict for standing in findings.standings]


def test_a_log_with_everything_supports_all_four_modes():
    findings = check([*_log(), CONSENT, MAIL], CATALOGUE, needs=NEEDS)
    assert [standing.mode for standing in findings.standings] == [Mode.RESPOND, Mode.CURATE, Mode.COACH, Mode.AUTOMATE]
    assert _verdicts(findings) == [Verdict.SUPPORTED] * 4
    assert findings.problems == ()


def test_an_empty_log_supports_none_and_says_so():
    findings = check([], needs=NEEDS)
    assert _verdicts(findings) == [Verdict.NOT_SUPPORTED] * 4
    assert "  span" in "\n".join(findings.lines())


@pytest.mark.parametrize(
    ("events", "items", "mode", "verdict", "because"),
    [
        (_log(), [], Mode.RESPOND, Verdict.NOT_SUPPORTED, "no catalogue: nothing can be offered"),
        (_log(orders=1), CATALOGUE, Mode.RESPOND, Verdict.NOT_SUPPORTED, "0 searches"),
        (_log(customers=2), CATALOGUE, Mode.RESPOND, Verdict.LIMITED, "supported from"),
        (_log(), CATALOGUE[:1], Mode.CURATE, Verdict.LIMITED, "only 33% of the order lines"),
        (_log(items=("a",)), CATALOGUE, Mode.CURATE, Verdict.NOT_SUPPORTED, "different items"),
        (_log(), CATALOGUE, Mode.COACH, Verdict.LIMITED, "no marketing consent"),
        (_log(orders=2), CATALOGUE, Mode.COACH, Verdict.NOT_SUPPORTED, "bought 3 times"),
        (_log(dated=False), CATALOGUE, Mode.COACH, Verdict.NOT_SUPPORTED, "no dates"),
        (_log(dated=False), CATALOGUE, Mode.AUTOMATE, Verdict.NOT_SUPPORTED, "no dates"),
        (_log(), CATALOGUE, Mode.AUTOMATE, Verdict.LIMITED, "proposes none until consent is given"),
        ([*_log(), CONSENT], UNKNOWN_MARGINS, Mode.AUTOMATE, Verdict.LIMITED, "margin is known of 0%"),
        ([*_log(margin=1.0), CONSENT], UNKNOWN_MARGINS, Mode.AUTOMATE, Verdict.SUPPORTED, "with dates"),
        ([*_log(margin=1.0), CONSENT], [], Mode.AUTOMATE, Verdict.NOT_SUPPORTED, "no catalogue"),
    ],
)
def test_a_mode_is_limited_by_what_it_lacks(events, items, mode, verdict, because):
    standing = check(events, items, needs=NEEDS).standing(mode)
    assert standing.verdict is verdict
    assert because in "; ".join(standing.why)


def test_a_withdrawn_consent_is_none():
    refused = _event(3, "consent_changed", purpose="automatic_execution", granted=False)
    assert check([*_log(), CONSENT], CATALOGUE, needs=NEEDS).standing(Mode.AUTOMATE).verdict is Verdict.SUPPORTED
    withdrawn = check([*_log(), CONSENT, refused], CATALOGUE, needs=NEEDS).standing(Mode.AUTOMATE)
    assert "proposes none" in "; ".join(withdrawn.why)


def test_what_is_wrong_is_counted():
    wrong = [
        _order(1, "c1"),
        _order(1, "c1"),
        _order(2, "c1", margin=5.0),
        Event(event_id="r", type="order_returned", customer_id="c1", occurred_at=START, fields={"order_id": "o9"}),
        Event(event_id="s", type="order_returned", customer_id="c1", occurred_at=START),
        _order(3, "c1", dated=False),
    ]
    wrong.append(
        Event(event_id="n", type="order_completed", customer_id="c2", occurred_at=START, fields={"order_id": "o4"})
    )
    problems = dict(check(wrong, CATALOGUE[:2]).problems)
    assert problems == {
        "orders whose order_id was used before": "1",
        "order lines whose margin exceeds their price": "3",
        "returns that name no order": "1",
        "returns that name an order not seen before them": "1",
        "items ordered that have no catalogue row": "1, in 4 order lines",
        "events without a time, among events with one: their order is not comparable": "1",
    }


def test_what_is_still_to_come_and_money_of_another_currency_are_named():
    abroad = [
        Event(event_id=f"x{n}", type="order_completed", customer_id="c", occurred_at=START, lines=_order(1, "c").lines,
              fields={"order_id": f"x{n}"} | ({"currency": currency} if currency else {}))
        for n, currency in enumerate(("USD", "EUR", "eur", ""))
    ]  # fmt: skip
    events = [*abroad, _order(9, "c", day=2), _order(10, "c", day=3)]
    assert dict(check(events, CATALOGUE, clock=START + DAY, currency="EUR").problems) == {
        "events dated more than a day from now": "1",
        "orders in USD, counted as if it were EUR": "1",
    }
    assert not check(events, CATALOGUE).problems


def test_facts_say_span_spread_and_silence():
    facts = dict(check([_order(1, "c1"), _order(2, "c1", day=10), _order(3, "c2", day=11)]).facts)
    assert facts["span"] == "2024-10-04 to 2024-10-15, 12 days; longest silence 9 days"
    assert facts["customers who ordered again"] == "50.0%"
    assert facts["orders"] == "3 with 9 lines of 3 items"


def test_a_sample_of_customers_stands_for_all(monkeypatch):
    log = _log(customers=4_000, orders=2)
    everyone = Census().take(log)
    monkeypatch.setattr(census_module, "MAX_PAIRS", 3_000)
    sampled = Census().take(log)
    assert sampled.one_in > 1
    assert sampled.pairs <= 3_000
    # Each customer has three pairs; the number of customers kept is binomial, at 1 / one_in.
    stderr = 3 * (4_000 * (sampled.one_in - 1)) ** 0.5
    assert abs(sampled.repeats(2) - everyone.repeats(2)) < 4 * stderr
    assert abs(sampled.with_taste(3) - everyone.with_taste(3)) < 4 * stderr


def test_the_real_shop_supports_what_it_should(data_file):
    report = Report(source="online retail")
    batches = list(read("online-retail", data_file("online_retail/online_retail.csv.gz"), report=report))
    events = [event for batch in batches for event in batch.parsed_events]
    findings = check(events, [item for batch in batches for item in batch.parsed_items])
    assert _verdicts(findings) == [Verdict.SUPPORTED, Verdict.SUPPORTED, Verdict.LIMITED, Verdict.LIMITED]
    assert dict(findings.facts)["events with a time"] == "100.0%"
