"""The log as learning reads it: who is who, and markets made of nothing but their past."""

from dataclasses import replace

import numpy as np
import pytest

from cxreco.errors import BadInput
from cxreco.journey import DAY
from cxreco.recognise.layout import Kind
from cxreco.repeat.log import published


def test_customers_have_the_code_their_ticks_carry(lived):
    log = lived.log
    codes = log.code_of(list(log.decisions.decisions["customer_id"]))
    decided = log.ticks[log.ticks["kind"] == Kind.DECIDED]
    assert sorted(codes.tolist()) == sorted(decided["customer"].tolist())
    with pytest.raises(BadInput, match="not in the log"):
        log.code_of(["nobody"])


def test_ticks_are_in_order_and_end_before_now(lived):
    ticks = lived.log.ticks
    order = np.lexsort((ticks["seq"], ticks["at"], ticks["customer"]))
    assert np.array_equal(order, np.arange(ticks.size))
    assert lived.log.start == ticks["at"].min() and ticks["at"].max() < lived.log.now


def test_a_market_knows_only_its_past(lived):
    log = lived.log
    since = log.now - 30 * DAY
    whole = published(log, since=since, every_days=14)
    assert [date for date, _ in whole.markets] == list(range(since, log.now, 14 * DAY))
    cut = whole.markets[1][0]
    early = published(replace(log, ticks=log.ticks[log.ticks["at"] < cut], order=None), since=since, every_days=14)
    for n in (0, 1):
        mine, theirs = (found.markets[n][1].population.to_arrays() for found in (whole, early))
        assert all(np.array_equal(mine[name], theirs[name], equal_nan=mine[name].dtype.kind == "f") for name in mine)


def test_it_is_published_at_least_once_and_never_backwards(lived):
    assert len(published(lived.log, since=lived.log.now + DAY, every_days=7).markets) == 1
    with pytest.raises(BadInput, match="at least 1"):
        published(lived.log, since=0, every_days=0)
