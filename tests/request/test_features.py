"""What the ranker sees: named columns, hand-checked values, NaN where nothing is known."""

import numpy as np
import pytest

from cxreco.journey import DAY, Moment, Surface
from cxreco.request.cupboard import UNTOLD
from cxreco.request.features import RANKER_COLUMN, RANKER_FEATURES, item_features
from cxreco.request.moment_codes import codes_of
from cxreco.request.need_features import NEED_FEATURES, category_need_features, item_need_features, renewal
from cxreco.request.recalls import RECALLS


@pytest.fixture
def corner(shop):
    for item in ("tea", "milk", "cup"):
        shop.put(item, "kitchen" if item == "cup" else "food", price=4.0)
    for day in (10.0, 20.0, 31.0):
        shop.order(1, day, "tea")
    shop.order(2, 12.0, "milk")
    shop.note("product_viewed", 1, 38.0, item_id="milk")
    shop.note("product_added", 1, 39.0, item_id="cup")
    return shop


def row(shop, item: str, **moment) -> dict[str, float]:
    at = 40 * DAY
    market = shop.market(40.0)
    mc = codes_of(Moment(customer_id="1", at=at, **moment), market)
    codes = np.array([shop.codes.item_code(item)], dtype=np.int32)
    scores = np.arange(float(len(RECALLS)))[None, :]
    return dict(
        zip(RANKER_FEATURES, item_features(shop.state(1, 40.0), mc, market, codes, scores, UNTOLD)[0], strict=True)
    )


def test_an_item_bought_before(corner) -> None:
    seen = row(corner, "tea")
    assert seen["item_orders"] == 3.0
    assert seen["item_days_since"] == 9.0
    assert seen["item_gap_mean"] == 10.5
    assert seen["item_gap_sd"] == pytest.approx(np.std([10.0, 11.0], ddof=1))
    assert seen["item_share"] == 1.0
    assert 0.0 < seen["item_renewal_7"] < 1.0
    assert seen["category_orders"] == 3.0
    # The catalogue says 4, the order was made at 10.
    assert seen["price_change"] == pytest.approx(-0.6)
    assert seen["price_ratio"] == pytest.approx(0.4)
    assert seen["customer_orders"] == 3.0
    assert seen["in_cart"] == seen["is_sought"] == 0.0


def test_what_they_buy_is_measured_by_their_own_clock(corner) -> None:
    corner.order(1, 38.0, "milk")
    tea, milk, cup = (row(corner, item) for item in ("tea", "milk", "cup"))
    assert milk["item_orders_since"] == 0.0
    # Three gaps of 28 days in all, leaning on the belief of 45 days worth 1.5 gaps; seven days without tea.
    assert tea["item_orders_since"] == pytest.approx(7.0 / ((28.0 + 1.5 * 45.0) / 4.5))
    assert np.isnan(cup["item_orders_since"]) and cup["item_share_30"] == cup["item_share_180"] == 0.0
    fading = [2.0 ** (-(40.0 - day) / 30.0) for day in (10.0, 20.0, 31.0, 38.0)]
    assert milk["item_share_30"] == pytest.approx(fading[3] / sum(fading))
    assert tea["item_share_30"] == pytest.approx(sum(fading[:3]) / sum(fading))


def test_what_is_in_the_latest_orders_is_seen(corner) -> None:
    # The latest orders: tea of customer 1 nine days ago, milk of customer 2 twenty-eight days ago.
    weight = [2.0 ** (-9.0 / 30.0), 2.0 ** (-28.0 / 30.0)]
    assert row(corner, "tea")["latest"] == pytest.approx(weight[0] / sum(weight))
    assert row(corner, "milk")["latest"] == pytest.approx(weight[1] / sum(weight))
    assert row(corner, "cup")["latest"] == 0.0


def test_an_item_never_bought(corner) -> None:
    seen = row(corner, "milk")
    assert seen["item_orders"] == seen["item_bought_30"] == 0.0
    assert seen["item_days_since_view"] == 2.0
    for name in ("item_days_since", "item_due", "item_renewal_7", "item_last_quantity", "pop_due", "price_change"):
        assert np.isnan(seen[name])
    assert seen["days_since_sold"] == 28.0
    assert row(corner, "cup")["item_cart"] == 1.0


def test_the_moment_is_seen(corner) -> None:
    seen = row(corner, "milk", surface=Surface.PRODUCT, item_id="milk", cart=("tea", "cup"))
    assert seen["is_sought"] == 1.0
    assert seen["cart_size"] == 2.0
    assert seen["in_cart"] == 0.0
    assert row(corner, "tea", cart=("tea",))["in_cart"] == 1.0
    assert [seen[f"recall_{name}"] for name in RECALLS] == list(range(len(RECALLS)))


def test_columns_have_names_of_their_own() -> None:
    assert len(set(RANKER_FEATURES)) == len(RANKER_FEATURES) == len(RANKER_COLUMN)


def test_need_is_read_of_items_and_of_categories(corner) -> None:
    state, market = corner.state(1, 40.0), corner.market(40.0)
    code = np.array([corner.codes.item_code("tea")], dtype=np.int32)
    category = np.array([corner.codes.category_code("food")], dtype=np.int32)
    item = dict(zip(NEED_FEATURES, item_need_features(state, market, code, 40 * DAY, UNTOLD)[0], strict=True))
    food = dict(zip(NEED_FEATURES, category_need_features(state, market, category, 40 * DAY, UNTOLD)[0], strict=True))
    assert item["orders"] == food["orders"] == 3.0
    assert (item["is_category"], food["is_category"]) == (0.0, 1.0)
    assert item["category_days_since"] == 9.0
    assert np.isnan(food["category_days_since"])
    assert item["customer_days_since"] == 9.0


def test_the_closed_form_of_a_stranger_is_unknown(corner) -> None:
    codes = np.arange(3, dtype=np.int32)
    features = item_need_features(corner.state(99, 40.0), corner.market(40.0), codes, 40 * DAY, UNTOLD)
    assert np.isnan(renewal(features, 7.0)).all()
