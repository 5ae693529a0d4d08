"""Pictures are drawn whole however little there is to show."""

import warnings

import pandas as pd
import pytest

from cxreco.journey import MODES
from cxreco.pipelines import pictures
from cxreco.pipelines.explanations import SAID


def coefficients(modes: int, signals: int) -> pd.DataFrame:
    rows = [
        {"mode": f"mode_{m}", "signal": f"a signal with a long name {s}", "coefficient": 0.1 * s, "sd": 0.1,
         "believed": 0.0}
        for m in range(modes) for s in range(signals)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("modes", [1, 5])
@pytest.mark.parametrize("signals", [1, 2, 14])
def test_a_picture_has_room_for_what_it_shows(modes: int, signals: int) -> None:
    frame = coefficients(modes, signals)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pictures.coefficient_picture(frame, "order: learned from 12 rows").startswith(b"\x89PNG")
        assert pictures.strongest_picture(frame, "returned: learned from 12 rows").startswith(b"\x89PNG")
        drivers = frame.rename(columns={"coefficient": "money"})
        assert pictures.driver_picture(drivers, "EUR").startswith(b"\x89PNG")


def test_the_longest_names_there_are_have_room() -> None:
    names = sorted(SAID.values(), key=len)
    frame = pd.DataFrame(
        [{"mode": mode.value, "signal": name, "coefficient": 0.1, "sd": 0.1, "believed": 0.0}
         for mode in MODES for name in names]
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pictures.coefficient_picture(frame, "order").startswith(b"\x89PNG")
        assert pictures.driver_picture(frame.rename(columns={"coefficient": "money"}), "EUR").startswith(b"\x89PNG")


def test_intervals_of_one_row_are_drawn() -> None:
    frame = pd.DataFrame({"arm": ["champion"], "value": [1.0], "low": [float("-inf")], "high": [2.0]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = pictures.interval_picture(frame, "arm", "value", "what each arm earned", "EUR")
    assert drawn.startswith(b"\x89PNG")
