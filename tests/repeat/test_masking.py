"""A customer without their history: nothing of theirs is left, and nothing of the moment is lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreco.errors import BadInput
from cxreco.recognise.layout import TICK, Kind
from cxreco.repeat.masking import IMPERSONAL, PERSONAL, interactions_before, masked
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES

OWN = [VALUE_COLUMN[name] for name in PERSONAL]
MOMENT = [VALUE_COLUMN[name] for name in sorted(IMPERSONAL)]


def test_every_feature_is_the_customers_or_not():
    assert IMPERSONAL.issubset(VALUE_FEATURES)
    assert set(PERSONAL) | IMPERSONAL == set(VALUE_FEATURES)


@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_whose_history_it_is_makes_no_difference_and_the_moment_stays(seed, n):
    """Deal the histories out anew within each mode: what is left after masking is the same."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(VALUE_FEATURES)))
    x[rng.random(x.shape) < 0.2] = np.nan
    mode = rng.integers(0, 3, n).astype(np.int16)
    other = x.copy()
    for code in set(mode.tolist()):
        rows = np.flatnonzero(mode == code)
        other[np.ix_(rows, OWN)] = x[np.ix_(rng.permutation(rows), OWN)]
    got, again = masked(x, mode), masked(other, mode)
    np.testing.assert_allclose(got[:, OWN], again[:, OWN])
    np.testing.assert_array_equal(got[:, MOMENT], x[:, MOMENT])
    for code in set(mode.tolist()):
        part = got[mode == code][:, OWN]
        np.testing.assert_array_equal(part, np.broadcast_to(part[0], part.shape))
        # What is usual lies within what was seen: nothing strange to a model that learned from it.
        seen = x[mode == code][:, OWN]
        known = np.isfinite(seen).any(axis=0)
        assert (part[0, known] <= np.nanmax(seen[:, known], axis=0) + 1e-12).all()
        assert (part[0, known] >= np.nanmin(seen[:, known], axis=0) - 1e-12).all()
        assert np.isnan(part[0, ~known]).all()


def test_shapes_must_fit():
    with pytest.raises(BadInput, match="does not fit"):
        masked(np.zeros((3, 2)), np.zeros(3, dtype=np.int16))


def test_interactions_count_events_before_the_instant_an_order_once():
    rows = [(0, 1, Kind.VIEW), (0, 2, Kind.ORDER_LINE), (0, 2, Kind.ORDER), (0, 3, Kind.DECIDED), (0, 5, Kind.VIEW),
            (2, 4, Kind.SEARCH)]  # fmt: skip
    ticks = np.zeros(len(rows), dtype=TICK)
    for i, (customer, at, kind) in enumerate(rows):
        ticks[i]["customer"], ticks[i]["at"], ticks[i]["kind"] = customer, at, kind
    customer, at = np.array([0, 0, 0, 1, 2]), np.array([1, 5, 6, 9, 9])
    assert interactions_before(ticks, customer, at).tolist() == [0, 2, 3, 0, 1]
