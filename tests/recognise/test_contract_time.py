"""Times are written as `datetime` writes them."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cxreco.recognise.contract import read_time, write_time

LAST = 4_102_444_800 * 10**6 - 1


@given(at=st.integers(0, LAST) | st.integers(0, LAST // 10**6).map(lambda second: second * 10**6))
def test_a_time_is_written_in_iso_8601_and_reads_back(at):
    assert write_time(at) == (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).isoformat()
    assert read_time(write_time(at), "at") == at
