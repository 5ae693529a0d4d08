import numpy as np
import pandas as pd
import pytest

from cxreco.errors import BadInput
from cxreco.journey import DAY
from cxreco.recognise.layout import TICK, Kind
from cxreco.repeat.experiments import WEEK, assignments_of, compare, customer_weeks
from cxreco.respond.worth import Worth

WORTH = Worth()


def ticks_of(rows):
    ticks = np.zeros(len(rows), dtype=TICK)
    for i, (customer, at, kind, more) in enumerate(rows):
        ticks[i]["customer"], ticks[i]["at"], ticks[i]["seq"], ticks[i]["kind"], ticks[i]["item"] = (
            customer,
            at,
            i,
            kind,
            -1,
        )
        ticks[i]["quantity"] = 1.0
        for name, value in more.items():
            ticks[i][name] = value
    return ticks[np.lexsort((ticks["seq"], ticks["at"], ticks["customer"]))]


def assigned(*rows):
    return pd.DataFrame(rows, columns=["customer_id", "customer", "arm", "from_at"])


LINE = {"item": 1, "price": 10.0, "margin": 4.0}


def test_everybody_assigned_counts_from_their_assignment_on_whether_or_not_they_came_back():
    people = assigned(("a", 0, "champion", WEEK), ("b", 1, "holdout", 2 * WEEK), ("late", 2, "holdout", 9 * WEEK))
    ticks = ticks_of(
        [
            (0, DAY, Kind.ORDER_LINE, LINE), (0, DAY, Kind.ORDER, {}),
            (0, WEEK + DAY, Kind.ORDER_LINE, LINE), (0, WEEK + DAY, Kind.ORDER, {}),
            (0, WEEK + 2 * DAY, Kind.DECIDED, {"flag": 1}), (0, WEEK + 3 * DAY, Kind.DECIDED, {"flag": 0}),
            (7, WEEK + DAY, Kind.ORDER, {}),
        ]
    )  # fmt: skip
    got = customer_weeks(people, ticks, worth=WORTH, as_of=4 * WEEK).set_index("customer_id")
    assert list(got.index) == ["a", "b"]
    assert (got.loc["a", "weeks"], got.loc["a", "orders"], got.loc["a", "contacts"]) == (3.0, 1.0, 1.0)
    assert got.loc["a", "money"] == pytest.approx(4.0 - WORTH.contact)
    assert (got.loc["b", "weeks"], got.loc["b", "money"]) == (2.0, 0.0)


def test_goods_that_come_back_count_only_if_they_were_ordered_under_the_arm():
    people = assigned(("a", 0, "champion", WEEK), ("b", 1, "champion", WEEK))
    ticks = ticks_of(
        [
            (0, DAY, Kind.ORDER_LINE, LINE), (0, DAY, Kind.ORDER, {}), (0, 2 * WEEK, Kind.RETURNED, {"item": 1}),
            (1, WEEK + DAY, Kind.ORDER_LINE, LINE), (1, WEEK + DAY, Kind.ORDER, {}),
            (1, 2 * WEEK, Kind.RETURNED, {"item": 1}), (1, 2 * WEEK, Kind.UNSUBSCRIBED, {}),
        ]
    )  # fmt: skip
    got = customer_weeks(people, ticks, worth=WORTH, as_of=4 * WEEK).set_index("customer_id")
    assert got.loc["a", "money"] == 0.0
    assert got.loc["b", "money"] == pytest.approx(4.0 - 4.0 - 0.1 * 10.0 - 4.0 - 8.0)
    assert got.loc["b", "returned"] == 1.0


def test_a_customer_cannot_be_in_two_arms_at_once():
    with pytest.raises(BadInput, match="assigned twice"):
        customer_weeks(assigned(("a", 0, "x", 0), ("a", 0, "y", 1)), np.zeros(0, dtype=TICK), worth=WORTH, as_of=WEEK)


def shop(rng, customers=400, lift=0.0, weeks=4.0, share=0.5):
    arm = np.where(rng.random(customers) < share, "champion", "holdout")
    rich = rng.exponential(2.0, customers)
    money = rng.poisson(rich * weeks) * (1.0 + lift * (arm == "champion"))
    zero = np.zeros(customers)
    return pd.DataFrame(
        {"customer_id": np.arange(customers).astype(str), "arm": arm, "weeks": weeks, "money": money}
    ).assign(orders=zero, returned=zero, complained=zero, unsubscribed=zero, contacts=zero)


def test_a_lift_is_seen_and_a_broken_split_is_noticed():
    found = compare(shop(np.random.default_rng(0), customers=3_000, lift=0.5), shares={"champion": 0.5, "holdout": 0.5})
    row = found.differences.iloc[0]
    assert (row["arm"], row["control"]) == ("champion", "holdout")
    assert row["low"] > 0.0
    assert row["p"] < 0.05
    assert row["low"] < 1.0 < row["high"]
    assert not found.split_broken
    assert list(found.arms["arm"]) == ["champion", "holdout"]
    assert compare(shop(np.random.default_rng(0)), shares={"champion": 0.7, "holdout": 0.3}).split_broken


def test_looking_every_day_keeps_the_error_under_five_percent():
    """Two arms alike, looked at again and again over 56 days while the same customers go on buying."""
    wrong, fixed = 0, 0
    sims, days, n = 100, 56, 120
    for seed in range(sims):
        rng = np.random.default_rng(seed)
        frame = shop(rng, customers=n)
        daily = rng.exponential(3.0, size=(n, days)) * (rng.random((n, days)) < rng.beta(1, 6, n)[:, None])
        total = daily.cumsum(axis=1)
        crossed = crossed_fixed = False
        for day in range(6, days, 7):
            row = compare(frame.assign(weeks=(day + 1) / 7, money=total[:, day])).differences.iloc[0]
            crossed |= row["low"] > 0.0 or row["high"] < 0.0
            crossed_fixed |= abs(row["difference"]) > 1.96 * row["stderr"]
        wrong, fixed = wrong + crossed, fixed + crossed_fixed
    assert wrong <= 0.05 * sims
    assert fixed > 0.05 * sims


def test_controls_are_compared_with_each_other_once():
    frame = shop(np.random.default_rng(0))
    frame["arm"] = np.random.default_rng(1).choice(["champion", "holdout", "random"], len(frame))
    pairs = compare(frame).differences[["arm", "control"]].to_numpy().tolist()
    assert pairs == [["champion", "holdout"], ["random", "holdout"], ["champion", "random"]]
    assert compare(frame[frame["arm"] == "champion"]).differences.empty


def asked(*rows):
    """Decisions as (customer, at, the arm they had been dealt), in order of arrival."""
    frame = pd.DataFrame(rows, columns=["customer_id", "at", "assigned_arm"])
    return frame.assign(seq=np.arange(1, len(rows) + 1))


def test_everybody_is_assigned_from_the_first_moment_that_was_asked_about():
    frame = asked(("a", 5, "champion"), ("b", 9, "holdout"), ("a", 3, "champion"), ("b", 11, "holdout"))
    arms = {"a": "champion", "b": "holdout"}
    found = assignments_of(frame, np.array([4, 7, 4, 7]), arms.__getitem__).set_index("customer_id")
    assert found.loc["a"].to_dict() == {"customer": 4, "arm": "champion", "from_at": 3}
    assert found.loc["b"].to_dict() == {"customer": 7, "arm": "holdout", "from_at": 9}


def test_nobody_lived_under_an_arm_before_its_policy_was_there():
    """A clock that was reset asks of 1970: that moment begins with the policy that answered it."""
    frame = asked(("a", 0, "champion"), ("b", 9, "champion"), ("a", 12, "champion")).assign(trained_to=[7, 7, 10])
    found = assignments_of(frame, np.array([0, 1, 0]), lambda _: "champion").set_index("customer_id")
    assert found["from_at"].to_dict() == {"a": 7, "b": 9}


def test_a_new_dealing_begins_where_the_log_stops_contradicting_it():
    """b was in the holdout once; a's arm did not change, but what a did before the new dealing does not count."""
    frame = asked(("a", 1, "champion"), ("b", 2, "holdout"), ("b", 5, "champion"), ("a", 6, "champion"))
    found = assignments_of(frame, np.array([0, 1, 1, 0]), lambda _: "champion").set_index("customer_id")
    assert found["from_at"].to_dict() == {"a": 6, "b": 5}
    assert assignments_of(frame[:2], np.array([0, 1]), lambda _: "champion").empty


def test_what_came_back_is_laid_to_the_order_it_names():
    """Two orders of one item, before and under the arm; the return names the earlier."""
    people = assigned(("a", 0, "champion", WEEK))
    ticks = ticks_of(
        [
            (0, DAY, Kind.ORDER_LINE, LINE), (0, DAY, Kind.ORDER, {}),
            (0, WEEK + DAY, Kind.ORDER_LINE, LINE), (0, WEEK + DAY, Kind.ORDER, {}),
            (0, 2 * WEEK, Kind.RETURNED, {"item": 1}),
        ]
    )  # fmt: skip
    order = np.array([1, 1, 2, 2, 1], dtype=np.uint64)
    assert customer_weeks(people, ticks, worth=WORTH, as_of=4 * WEEK)["returned"].sum() == 1.0
    assert customer_weeks(people, ticks, worth=WORTH, as_of=4 * WEEK, order=order)["returned"].sum() == 0.0


def test_it_is_said_in_plain_words():
    found = compare(shop(np.random.default_rng(0), customers=3_000, lift=0.5))
    assert "champion against holdout: +" in found.words("CHF")[0]
    assert "CHF a customer and week" in found.words("CHF")[0] and "evidently more" in found.words("CHF")[0]
    close = compare(shop(np.random.default_rng(0), customers=60))
    assert "too close to tell yet" in close.words()[0]
    alone = compare(shop(np.random.default_rng(0), share=1.0))
    assert "no control" in alone.words()[0]
    broken = compare(shop(np.random.default_rng(0)), shares={"champion": 0.7, "holdout": 0.3})
    assert "no difference between them can be trusted" in broken.words()[0]


def test_arms_in_which_nobody_brought_anything_yet_are_not_known_to_be_equal():
    frame = pd.DataFrame({"arm": ["champion"] * 4 + ["holdout"] * 4, "weeks": 0.3, "money": 0.0})
    counts = dict.fromkeys(("orders", "returned", "complained", "unsubscribed", "contacts"), 0.0)
    found = compare(frame.assign(**counts), controls=("holdout",))
    row = found.differences.iloc[0]
    assert (row["low"], row["high"], row["p"]) == (-np.inf, np.inf, 1.0)
    assert found.words() == ("champion against holdout: too few customers to tell yet.",)
