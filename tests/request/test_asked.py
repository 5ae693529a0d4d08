"""What was asked for: one item or a shelf, and how far a slate is about it."""

import tomllib

import numpy as np
import pytest

from cxreco.journey import CURATE, DAY, Moment, Surface
from cxreco.recognise.market import Market
from cxreco.request.actions import Actions
from cxreco.request.candidates import VALUE_COLUMN, Candidates
from cxreco.request.need import NeedModel
from cxreco.request.propose import RequestModels, propose
from cxreco.request.ranker import Blend


@pytest.fixture(scope="module")
def models(specs) -> RequestModels:
    actions = Actions.from_spec(tomllib.loads((specs / "actions.toml").read_text()))
    return RequestModels(ranker=Blend(), need=NeedModel(), actions=actions)


@pytest.fixture(scope="module")
def market(habits) -> Market:
    return habits.shop.market(200.0)


def asked(habits, models, market, *, customer=3, **wish) -> Candidates:
    moment = Moment(customer_id=str(customer), at=200 * DAY, **wish)
    return propose(models, habits.shop.state(customer, 199.0), moment, market)


def column(found: Candidates, name: str) -> np.ndarray:
    return found.x[:, VALUE_COLUMN[name]]


def test_a_query_that_names_one_item_has_no_rivals_and_one_that_names_a_shelf_has_the_shelf(habits, models, market):
    exact = asked(habits, models, market, surface=Surface.SEARCH, query="category3 i11")
    shelf = asked(habits, models, market, surface=Surface.SEARCH, query="category3")
    assert np.all(column(exact, "asked_rivals") == 1.0)
    # Five of the forty items stand on each of the eight shelves.
    assert np.all(column(shelf, "asked_rivals") == 5.0)
    nothing = asked(habits, models, market, surface=Surface.HOME)
    assert np.isnan(column(nothing, "asked_rivals")).all() and np.isnan(column(nothing, "topic_share")).all()


def test_an_item_page_names_one_item_to_those_who_bought_it_and_its_shelf_to_the_rest(habits, models, market):
    bought = int(np.flatnonzero(np.isfinite(habits.gap[3]))[0])
    state = habits.shop.state(3, 199.0)
    never = next(i for i in range(40) if state.slot(habits.shop.codes.item_code(f"i{i}")) is None)
    for item, rivals in ((bought, 1.0), (never, 5.0)):
        found = asked(habits, models, market, surface=Surface.PRODUCT, item_id=f"i{item}")
        assert np.all(column(found, "asked_rivals") == rivals)


def test_a_slate_tells_its_share_on_the_topic_its_categories_and_its_margin(habits, models, market):
    found = asked(habits, models, market, surface=Surface.SEARCH, query="category3")
    category = market.shelf.category
    topic = category[habits.shop.codes.item_code("i3")]
    assert np.isnan(column(found, "topic_share")[0]) and (found.mode == CURATE).any()
    for row in range(1, len(found)):
        slate = found.slate[row][found.slate[row] >= 0]
        kinds = category[slate]
        assert column(found, "topic_share")[row] == pytest.approx((kinds == topic).mean())
        assert column(found, "slate_categories")[row] == len({*kinds.tolist()})
        margin = float(found.score[row, : slate.size] @ market.shelf.margin[slate])
        assert column(found, "slate_margin")[row] == pytest.approx(margin)
