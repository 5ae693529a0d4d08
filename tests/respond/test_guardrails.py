"""What may be done: nothing is lost without a reason, hold always may, and what a customer said is kept to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.errors import BadSpec
from cxreco.journey import AUTOMATE, COACH, DAY, Mode, Moment, Rung, Surface
from cxreco.recognise import reading
from cxreco.request.propose import propose
from cxreco.respond.decide import only
from cxreco.respond.guardrails import Guardrails, admit
from cxreco.respond.ladder import Ladder

AUTOMATE, COACH = AUTOMATE, COACH
PLAIN = Ladder()


@pytest.fixture(scope="session")
def admitted(corner, playbook):
    def run(moment, *states, rules=None, candidates=None):
        found = propose(playbook.request, states[0], moment, corner.market) if candidates is None else candidates
        admission = admit(
            rules or playbook.guardrails, playbook.ladder, found, moment=moment, states=states, market=corner.market,
            unready={},
        )  # fmt: skip
        return found, admission

    return run


def outbound(at, **more):
    return Moment(customer_id="0", at=at, surface=Surface.OUTBOUND, channel="email", **more)


def offers(at):
    """Moments of every kind."""
    return [
        Moment(customer_id="0", at=at),
        Moment(customer_id="0", at=at, surface=Surface.SEARCH, query="tea"),
        Moment(customer_id="0", at=at, surface=Surface.CART, cart=("milk",)),
        outbound(at),
        outbound(at, modes=frozenset({Mode.COACH})),
    ]


consents = st.lists(
    st.tuples(st.floats(0.0, 40.0), st.booleans(), st.sampled_from([None, 1.0, 500.0]), st.sampled_from([None, 0, 5])),
    max_size=6,
)


@settings(max_examples=60)
@given(customer=st.integers(0, 2), said=consents, kind=st.integers(0, 4))
def test_no_order_is_placed_without_a_consent_that_is_in_force(corner, admitted, now, customer, said, kind):
    rows = [
        corner.consent(customer, days, granted, seq=n, max_order_value=value, max_orders_per_month=orders)
        for n, (days, granted, value, orders) in enumerate(said)
    ]
    state = corner.state(customer, *rows)
    found, admission = admitted(offers(now)[kind], state)
    # Of two said at the same instant the one that arrived later holds.
    last = max(enumerate(said), key=lambda one: (-round(one[1][0] * DAY), one[0]), default=(0, (0, False, None, None)))
    in_force = last[1][1]
    assert reading.consent_auto_in_force(state) == in_force
    placed = admission.rows[found.mode[admission.rows] == AUTOMATE]
    assert in_force or placed.size == 0
    limit = last[1][2]
    assert all(limit is None or found.quantity[row] * 1.2 <= limit + 1e-9 for row in placed)
    # Conservation: what was proposed is admitted or refused with a reason, and hold is always admitted.
    assert admission.rows[0] == 0
    assert admission.rows.size + len(admission.refusals) == len(found)
    assert all(refusal.guardrail and refusal.reason for refusal in admission.refusals)


def test_every_refusal_names_what_was_refused(corner, admitted, now):
    found, admission = admitted(outbound(now), corner.state(0))
    refused = sorted(set(range(len(found))) - set(admission.rows.tolist()))
    names = [found.actions[found.action[row]] for row in refused]
    assert [refusal.action_id for refusal in admission.refusals] == names
    assert "consent" in {refusal.guardrail for refusal in admission.refusals}


def test_what_was_admitted_is_admitted_again(corner, admitted, now):
    for moment in offers(now):
        state = corner.state(0, corner.consent(0, 1.0, True), corner.contacted(0, 2.0))
        found, first = admitted(moment, state)
        kept = only(found, first.rows)
        _, second = admitted(moment, state, candidates=kept)
        assert second.rows.tolist() == list(range(len(kept))) and second.refusals == ()


@pytest.mark.parametrize("made", range(6))
def test_contacts_stop_at_the_cap(corner, admitted, playbook, now, made):
    contacts = [corner.contacted(0, 0.5 + n, seq=n) for n in range(made)]
    _, admission = admitted(outbound(now), corner.state(0, *contacts))
    more = bool(admission.contact[admission.rows].any())
    assert more == (made < playbook.guardrails.most_contacts)


@pytest.mark.parametrize(
    ("type_", "fields", "guardrail"),
    [
        ("unsubscribed", {"channel": "email"}, "marketing"),
        ("unsubscribed", {}, "marketing"),
        ("complaint_opened", {}, "complaint"),
    ],
)
def test_what_was_said_stops_contacts(corner, admitted, now, type_, fields, guardrail):
    _, admission = admitted(outbound(now), corner.state(0, corner.said(type_, 0, 1.0, **fields)))
    assert not admission.contact[admission.rows].any()
    assert guardrail in {refusal.guardrail for refusal in admission.refusals}


@pytest.mark.parametrize("back", [0.0, 3.0, 10.0])
def test_a_moment_in_the_past_revives_nothing(corner, admitted, now, back):
    said = corner.consent(0, 20.0, True), corner.consent(0, 1.0, False, seq=1)
    gone = corner.said("unsubscribed", 0, 0.5, seq=2, channel="email")
    before, latest = corner.state(0, *said, gone, until=back), corner.state(0, *said, gone)
    assert reading.consent_auto_in_force(before) == (back > 1.0)
    found, admission = admitted(outbound(now - round(back * DAY)), before, latest)
    assert not (found.mode[admission.rows] == AUTOMATE).any()
    assert not admission.contact[admission.rows].any()


def test_only_the_modes_that_were_allowed_are_left_and_hold(corner, admitted, now):
    found, admission = admitted(outbound(now, modes=frozenset({Mode.COACH})), corner.state(0))
    assert set(found.mode[admission.rows].tolist()) <= {0, COACH}
    _, none = admitted(outbound(now, modes=frozenset()), corner.state(0))
    assert none.rows.tolist() == [0]


def test_an_order_says_how_far_it_is_trusted_and_a_notice_is_a_contact(corner, admitted, now):
    found, admission = admitted(Moment(customer_id="0", at=now), corner.state(0, corner.consent(0, 1.0, True)))
    for row, mode in enumerate(found.mode):
        assert (admission.rungs[row] is not None) == (mode == AUTOMATE)
        if admission.rungs[row] is Rung.NOTICE:
            assert admission.contact[row]
        if admission.rungs[row] is Rung.SHADOW:
            assert row not in admission.rows


def test_what_is_not_available_is_not_offered(corner, admitted, now):
    found, _ = admitted(Moment(customer_id="0", at=now), corner.state(0))
    moment, columns = Moment(customer_id="0", at=now), corner.market.columns
    market = replace(corner.market, columns=columns._replace(available=np.zeros_like(columns.available)))
    states = (corner.state(0),)
    admission = admit(Guardrails(), PLAIN, found, moment=moment, states=states, market=market, unready={})
    assert (found.item[admission.rows] < 0).all()
    assert "stock" in {refusal.guardrail for refusal in admission.refusals}


def test_an_unknown_limit_is_an_error_that_names_it():
    from cxreco.edge.specs import load_specs

    spec = {name: dict(table) for name, table in load_specs()["guardrails"].items()}
    spec["contacts"]["most_per_wek"] = 3
    with pytest.raises(BadSpec, match="most_per_wek"):
        Guardrails.from_spec(spec)
    del spec["contacts"]["most_per_week"]
    with pytest.raises(BadSpec, match="most_per_week"):
        Guardrails.from_spec(spec)
