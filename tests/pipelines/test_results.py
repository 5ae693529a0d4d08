"""What is said of the arms where a log holds more than one dealing of the customers."""

import pandas as pd

from cxreco.journey import DAY
from cxreco.pipelines.results import _left_out


def test_customers_of_an_earlier_dealing_are_said_to_be_left_out() -> None:
    asked = pd.DataFrame({"customer_id": ["a", "a", "b", "c"]})
    assigned = pd.DataFrame({"customer_id": ["c"], "from_at": [20_000 * DAY]})
    said = _left_out(asked, assigned)
    assert "1 of the 3 customers" in said and "2024-10-04" in said
    assert "0 of the 3 customers" in _left_out(asked, assigned.iloc[:0])
    assert not _left_out(asked[asked["customer_id"] == "c"], assigned)
