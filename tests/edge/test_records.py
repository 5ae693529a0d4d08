"""What the value heads saw is kept to the bit, in little."""

import zlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cxreco.edge.records import blob_of, seen_of
from cxreco.request.candidates import VALUE_FEATURES

WIDTH = len(VALUE_FEATURES)
BITS = st.one_of(
    st.sampled_from([0, 0x8000_0000, 0x3F80_0000, 0x7FC0_0000, 0x7FC0_0001, 0x7F80_0000]),
    st.integers(0, 2**32 - 1),
)


@given(bits=st.integers(1, 12).flatmap(lambda rows: arrays(np.uint32, (rows, WIDTH), elements=BITS, fill=st.just(0))))
def test_every_bit_comes_back(bits):
    seen = seen_of(blob_of(bits.view(np.float32)), len(bits))
    assert seen.dtype == np.float32
    assert np.array_equal(seen.view(np.uint32), bits)


def test_candidates_of_one_moment_take_little():
    rng = np.random.default_rng(3)
    x = np.repeat(rng.normal(size=(1, WIDTH)), 8, axis=0).astype(np.float32)
    x[1:, :5] += 1.0
    assert len(blob_of(x)) < x.nbytes / 3


def test_what_was_deflated_before_is_still_read_and_lacks_what_came_after():
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    seen = seen_of(zlib.compress(x.astype("<f4").tobytes(), 1), 3)
    assert np.array_equal(seen[:, :4], x)
    assert np.isnan(seen[:, 4:]).all()


def test_a_safe_answer_has_none():
    assert seen_of(None, 0).shape == (0, WIDTH)
