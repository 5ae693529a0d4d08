"""What is proposed: laws at any moment, each mode where it fits, the same to the bit every time."""

import tomllib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.journey import DAY, MODE_CODE, SURFACES, Mode, Moment, Surface
from cxreco.recognise.market import Market
from cxreco.recognise.state import State
from cxreco.request.actions import Actions
from cxreco.request.candidates import VALUE_COLUMN, Candidates
from cxreco.request.need import NeedModel
from cxreco.request.propose import RequestModels, propose
from cxreco.request.ranker import Blend

COLUMNS = ("mode", "action", "item", "quantity", "slate", "score", "reason", "x")


def models_of(spec: str) -> RequestModels:
    return RequestModels(ranker=Blend(), need=NeedModel(), actions=Actions.from_spec(tomllib.loads(spec)))


@pytest.fixture(scope="module")
def models(specs) -> RequestModels:
    return models_of((specs / "actions.toml").read_text())


@pytest.fixture(scope="module")
def market(habits) -> Market:
    return habits.shop.market(200.0)


def check_laws(candidates: Candidates, moment: Moment, market: Market) -> None:
    assert candidates.mode[0] == 0
    assert candidates.item[0] == -1
    assert np.all(candidates.slate[0] == -1)
    assert candidates.slate.shape == candidates.score.shape == (len(candidates), moment.max_items)
    for row in range(1, len(candidates)):
        slate = candidates.slate[row]
        filled = slate[slate >= 0]
        assert filled.size > 0
        assert np.all(slate[: filled.size] >= 0), "padding comes last"
        assert filled[0] == candidates.item[row]
        assert len(set(filled.tolist())) == filled.size
        assert market.shelf.available[filled].all()
        assert np.all((candidates.score[row, : filled.size] > 0.0) & (candidates.score[row] <= 1.0)[: filled.size])
        assert np.all(candidates.score[row, filled.size :] == 0.0)
        assert all(candidates.reasons[reason] for reason in candidates.reason[row, : filled.size])
    assert not np.isinf(candidates.x).any()
    if moment.modes is not None:
        assert set(candidates.mode.tolist()) <= {0, *(MODE_CODE[mode] for mode in moment.modes)}


@settings(max_examples=60)
@given(
    customer=st.integers(0, 130),
    surface=st.sampled_from(SURFACES),
    query=st.sampled_from(["", "category3", "i7", "no such thing", "categor"]),
    item=st.sampled_from(["", "i1", "i39", "gone", "unheard"]),
    cart=st.lists(st.sampled_from(["i0", "i1", "i2", "unheard"]), max_size=3),
    most=st.integers(1, 30),
    modes=st.none() | st.frozensets(st.sampled_from(list(Mode))),
)
def test_the_laws_hold_at_any_moment(
    models: RequestModels, habits, market: Market, customer, surface, query, item, cart, most, modes
) -> None:
    moment = Moment(
        customer_id=str(customer), at=200 * DAY, surface=surface, query=query, item_id=item, cart=tuple(cart),
        max_items=most, modes=modes,
    )  # fmt: skip
    state = habits.shop.state(customer, 200.0)
    candidates = propose(models, state, moment, market)
    check_laws(candidates, moment, market)
    again = propose(models, state.copy(), moment, market)
    for name in COLUMNS:
        assert getattr(candidates, name).tobytes() == getattr(again, name).tobytes()
    assert [candidates.reasons[i] for i in candidates.reason.ravel()] == [
        again.reasons[i] for i in again.reason.ravel()
    ]


def test_files_give_the_same_proposals(models: RequestModels, habits, market: Market) -> None:
    read = RequestModels.from_files(models.to_files())
    moment = Moment(customer_id="3", at=200 * DAY)
    state = habits.shop.state(3, 200.0)
    one, two = propose(models, state, moment, market), propose(read, state, moment, market)
    assert all(getattr(one, name).tobytes() == getattr(two, name).tobytes() for name in COLUMNS)
    assert one.actions == two.actions


def test_an_empty_shop_can_only_hold(models: RequestModels, shop) -> None:
    moment = Moment(customer_id="1", at=DAY, query="tea", item_id="tea", cart=("milk",))
    assert len(propose(models, State.empty(), moment, shop.market(1.0))) == 1


# A small shop by hand.


@pytest.fixture
def corner(shop):
    """Customer 1 buys tea every 10 days and salt every 100; others buy biscuits with tea."""
    for item, category in (("tea", "drinks"), ("salt", "food"), ("biscuits", "food"), ("juice", "drinks")):
        shop.put(item, category, title=item)
    for day in range(10, 101, 10):
        shop.order(1, float(day), "tea", *(["salt"] if day == 100 else []))
    for customer in range(2, 20):
        for day in (20.0, 50.0, 80.0):
            shop.order(customer, day + customer / 10, "tea", "biscuits")
    for customer in range(20, 26):
        shop.order(customer, 30.0 + customer, "juice")
    return shop


Ask = Callable[..., dict[str, list[dict[str, object]]]]


@pytest.fixture
def ask(models: RequestModels, corner) -> Ask:
    """Return candidates by action: item, slate and reasons in words, quantity and x."""

    def propose_at(day: float, customer: int = 1, chosen: RequestModels = models, **fields):
        market = corner.market(day)
        moment = Moment(customer_id=str(customer), at=round(day * DAY), **fields)
        candidates = propose(chosen, corner.state(customer, day), moment, market)
        check_laws(candidates, moment, market)
        found: dict[str, list[dict[str, object]]] = {}
        for row in range(len(candidates)):
            slate = [corner.codes.item_ids[code] for code in candidates.slate[row] if code >= 0]
            reasons = [candidates.reasons[reason] for reason in candidates.reason[row][: len(slate)]]
            row_x = {name: float(candidates.x[row, column]) for name, column in VALUE_COLUMN.items()}
            found.setdefault(candidates.actions[candidates.action[row]], []).append(
                {"slate": slate, "reasons": reasons, "quantity": float(candidates.quantity[row]), **row_x}
            )
        return found

    return propose_at


def test_respond_puts_the_searched_item_first(ask: Ask) -> None:
    (sought,) = ask(105.0, surface=Surface.SEARCH, query="Juice")["respond.sought"]
    assert sought["slate"][0] == "juice"
    assert sought["reasons"][0] == "Matches your search"
    assert sought["has_query"] == 1.0
    assert sought["query_match"] > 0.9
    assert "respond.sought" not in ask(105.0, surface=Surface.SEARCH, query="zzz")


def test_respond_puts_the_item_looked_at_first(ask: Ask) -> None:
    (sought,) = ask(105.0, surface=Surface.PRODUCT, item_id="juice")["respond.sought"]
    assert sought["slate"] == ["juice", "tea"]
    assert sought["is_sought"] == 1.0
    assert sought["reasons"][0] == "The item you asked for"


def test_respond_reorders_what_is_due(ask: Ask) -> None:
    (reorder,) = ask(110.0)["reorder.item"]
    assert reorder["slate"] == ["tea"]
    assert reorder["reasons"] == ["You buy this about every 10 days"]
    assert reorder["item_orders"] == 10.0
    assert reorder["need"] > 0.5


def test_curate_knows_what_goes_with_the_cart(ask: Ask) -> None:
    (complement,) = ask(104.0, surface=Surface.CART, cart=("tea",))["curate.complement"]
    assert complement["slate"][0] == "biscuits"
    assert complement["reasons"][0] == "Goes with tea"
    assert "tea" not in complement["slate"]


def test_premium_puts_the_dearer_of_the_shelf_first_and_nothing_from_elsewhere(ask: Ask, corner) -> None:
    for name, price in (("cup", 20.0), ("mug", 30.0), ("pot", 40.0)):
        corner.put(name, "crockery", title=name, price=price)
    corner.put("diamond", "jewels", title="diamond", price=5_000.0)
    for customer in range(10, 30):
        corner.order(customer, 90.0 + customer / 100, *(["cup"] if customer < 26 else ["pot"]))
    found = ask(105.0, customer=99, surface=Surface.PRODUCT, item_id="mug")
    (likely,), (premium,) = found["curate.category"], found["curate.premium"]
    assert set(likely["slate"]) == set(premium["slate"]) == {"cup", "pot"}
    assert (likely["slate"][0], premium["slate"][0]) == ("cup", "pot")
    assert "curate.premium" not in ask(105.0, customer=99), "at home they are at no shelf"


def test_curate_serves_a_stranger_what_is_popular(ask: Ask) -> None:
    (personal,) = ask(104.0, customer=99)["curate.personal"]
    assert set(personal["slate"][:2]) == {"tea", "biscuits"}
    assert personal["orders"] == 0.0


def test_coach_nudges_when_it_is_due_and_not_before(ask: Ask) -> None:
    on_time = ask(110.0, surface=Surface.OUTBOUND)
    assert "tea" in [nudge["slate"][0] for nudge in on_time["coach.replenish"]]
    early = ask(101.0, surface=Surface.OUTBOUND)
    assert "tea" not in [nudge["slate"][0] for nudge in early.get("coach.replenish", [])]


def test_coach_says_what_is_back(ask: Ask, corner) -> None:
    corner.note("product_viewed", 1, 102.0, item_id="juice")
    corner.put("juice", "drinks", title="juice", at=103 * DAY, available=False)
    assert "coach.back_in_stock" not in ask(104.0)
    corner.put("juice", "drinks", title="juice", at=105 * DAY)
    (back,) = ask(106.0)["coach.back_in_stock"]
    assert back["slate"] == ["juice"]
    assert back["reasons"] == ["juice is back in stock"]
    assert "coach.back_in_stock" not in ask(150.0)


def test_coach_wins_back_who_is_overdue(ask: Ask) -> None:
    (back,) = ask(160.0, surface=Surface.OUTBOUND)["coach.winback"]
    assert back["slate"] == ["tea"]
    assert back["order_due"] > 1.5
    assert "coach.winback" not in ask(108.0, surface=Surface.OUTBOUND)


def test_automation_orders_only_habits(ask: Ask) -> None:
    rows = ask(109.0, surface=Surface.OUTBOUND)["auto.replenish"]
    assert [row["slate"] for row in rows] == [["tea"]]
    assert rows[0]["quantity"] == 1.0
    assert 0.5 < rows[0]["certainty"] < 1.0
    assert "auto.replenish" not in ask(108.0, customer=20, surface=Surface.OUTBOUND)


def test_an_order_is_as_certain_as_that_it_would_be_made_within_one_usual_gap(ask: Ask) -> None:
    def certainty(slack: float) -> float:
        own = models_of(f'[[action]]\nid = "x"\nrecipe = "auto.replenish"\nparams = {{ slack_days = {slack} }}')
        (order,) = ask(109.0, surface=Surface.OUTBOUND, chosen=own)["x"]
        return float(order["certainty"])

    # Their tea is bought every ten days.
    assert certainty(2.0) < certainty(6.0) < certainty(27.0)
    assert certainty(27.0) == certainty(200.0)


def test_quantity_is_what_is_usually_taken(ask: Ask, corner) -> None:
    for day in (10.0, 20.0, 30.0, 40.0):
        corner.order(50, day, "juice", "juice", "juice")
    (reorder,) = ask(50.0, customer=50)["reorder.item"]
    assert reorder["quantity"] == 3.0


def test_nothing_out_of_stock_is_offered(ask: Ask, corner) -> None:
    corner.put("tea", "drinks", title="tea", at=105 * DAY, available=False)
    for candidates in ask(110.0, item_id="tea", surface=Surface.PRODUCT).values():
        assert all("tea" not in candidate["slate"] for candidate in candidates)


def test_an_action_of_the_workspace_is_served(ask: Ask) -> None:
    own = models_of('[[action]]\nid = "tea.time"\nrecipe = "coach.replenish"\nreason = "Time for {title}?"')
    (nudge,) = ask(110.0, chosen=own)["tea.time"]
    assert nudge["reasons"] == ["Time for tea?"]
    assert set(ask(110.0, chosen=own)) == {"hold", "tea.time"}


def test_a_template_without_its_facts_says_the_next_best(ask: Ask) -> None:
    own = models_of('[[action]]\nid = "x"\nrecipe = "coach.replenish"\nreason = "Goes with {with}, {brand}"')
    assert ask(110.0, chosen=own)["x"][0]["reasons"] == ["You buy this about every 10 days"]


def test_hold_sees_the_customer_and_the_moment(ask: Ask) -> None:
    (hold,) = ask(110.0)["hold"]
    assert hold["orders"] == 10.0
    assert hold["need_top"] > 0.5
    assert hold["slate_size"] == 0.0
    assert np.isnan(hold["item_orders"])
    assert np.isnan(hold["certainty"])


def own_slate(**params: float) -> RequestModels:
    numbers = ", ".join(f"{name} = {value}" for name, value in params.items())
    return models_of(f'[[action]]\nid = "curate.personal"\nparams = {{ {numbers} }}')


def test_what_takes_anothers_place_waits_for_other_needs(habits, market: Market) -> None:
    shown = {0.0: [], 1.0: []}
    for customer in range(20):
        moment = Moment(customer_id=str(customer), at=200 * DAY, max_items=8)
        state = habits.shop.state(customer, 200.0)
        for substitution, kinds in shown.items():
            candidates = propose(own_slate(substitution=substitution, money=0.0), state, moment, market)
            kinds.append(len(set(market.shelf.category[candidates.slate[1]].tolist())))
    assert all(more >= fewer for fewer, more in zip(shown[0.0], shown[1.0], strict=True))
    assert np.mean(shown[1.0]) > np.mean(shown[0.0]) + 0.5


def test_an_old_playbook_is_read_without_the_numbers_that_went(models: RequestModels) -> None:
    files = own_slate(substitution=0.5).to_files()
    old = files["actions.json"].decode().replace('"substitution": 0.5', '"max_category_share": 0.5')
    read = RequestModels.from_files(files | {"actions.json": old.encode()})
    assert read.actions.actions[0].params == models.actions.actions[4].params


def test_what_was_dismissed_rests_for_a_declared_time(ask: Ask, corner) -> None:
    corner.note("product_viewed", 1, 104.0, item_id="juice")
    (before,) = ask(105.0)["curate.personal"]
    corner.note("decision_dismissed", 1, 105.5, decision_id="d", item_id="juice")
    rested = {
        day: ask(day, chosen=own_slate(rest_days=7))["curate.personal"][0]["slate"] for day in (106.0, 112.0, 113.0)
    }
    assert "juice" in before["slate"]
    assert ["juice" in slate for slate in rested.values()] == [False, False, True]
    assert "juice" in ask(106.0, chosen=own_slate(rest_days=0))["curate.personal"][0]["slate"]
    corner.note("decision_dismissed", 1, 112.5, decision_id="e", item_id="juice")
    (again,) = ask(121.0, chosen=own_slate(rest_days=7))["curate.personal"]
    assert "juice" not in again["slate"], "twice in a week rests longer than once"


def test_what_nobody_buys_twice_is_not_shown_to_who_just_bought_it(ask: Ask, corner) -> None:
    corner.put("kettle", "kitchen", title="kettle")
    for customer in range(100, 400):
        corner.order(customer, 20.0 + customer / 10, "kettle")
    corner.order(1, 95.0, "kettle")
    personal = {
        day: ask(day, chosen=own_slate(satisfied_days=60))["curate.personal"][0]["slate"] for day in (110.0, 156.0)
    }
    assert ["kettle" in slate for slate in personal.values()] == [False, True]
    assert "tea" in personal[110.0], "what is bought again and again is"
    assert "kettle" in ask(110.0, chosen=own_slate(min_repeat=0.0))["curate.personal"][0]["slate"]
    assert "kettle" in ask(110.0, customer=2)["curate.personal"][0]["slate"]


def test_of_what_is_discovered_every_fourth_is_new(ask: Ask, corner) -> None:
    for n in range(6):
        corner.put(f"fresh{n}", f"shelf{n}", title=f"fresh{n}", at=100 * DAY)
    for n in range(8):
        corner.put(f"known{n}", f"case{n}", title=f"known{n}")
        for customer in range(2, 20):
            corner.order(customer, 60.0 + n + customer / 20, f"known{n}", "tea")
    (discover,) = ask(104.0, max_items=8)["curate.discover"]
    assert [name.startswith("fresh") for name in discover["slate"]].count(True) >= 2
    assert [place for place, name in enumerate(discover["slate"]) if name.startswith("fresh")][:2] == [3, 7]
    assert not {"tea", "salt"} & set(discover["slate"])
