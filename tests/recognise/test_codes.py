"""Codes are dense, stable, handed out once, and come back from what was stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreco.errors import BadInput
from cxreco.recognise.codes import Codes, channel_of, purpose_of, ref_of
from cxreco.recognise.layout import Channel, Purpose

names = st.lists(st.tuples(st.sampled_from(["item", "category", "brand"]), st.text(max_size=4)), max_size=40)


def assign(codes: Codes, kind: str, name: str) -> int:
    return {"item": codes.item, "category": codes.category, "brand": codes.brand}[kind](name)


@given(names)
def test_restored_codes_are_the_same(asked):
    codes = Codes()
    rows = []
    for kind, name in asked:
        code = assign(codes, kind, name)
        assert assign(codes, kind, name) == code
        rows += codes.fresh()
    assert codes.fresh() == []
    assert len(set(rows)) == len(rows)
    restored = Codes.restore(reversed(rows))
    assert restored.item_ids == codes.item_ids
    assert restored.category_names == codes.category_names
    assert restored.brand_names == codes.brand_names
    assert restored.fresh() == []
    assert [restored.item_code(name) for name in codes.item_ids] == list(range(len(codes.item_ids)))


def test_asking_does_not_assign():
    codes = Codes()
    assert codes.item_code("milk") == -1
    assert codes.category_code("dairy") == -1
    assert codes.fresh() == []
    assert codes.category("") == codes.category_code("") == 0
    assert codes.category("dairy") == 1
    assert codes.item("milk") == 0


@pytest.mark.parametrize(
    "rows",
    [
        [("item", "a", 1)],
        [("item", "a", 0), ("item", "b", 0)],
        [("shelf", "a", 0)],
        [("item", "a", 0), ("item", "a", 1)],
    ],
)
def test_stored_codes_with_holes_are_refused(rows):
    with pytest.raises(BadInput, match="is stored with code"):
        Codes.restore(rows)


def test_names_of_channels_purposes_and_decisions():
    assert channel_of("") is channel_of("Web") is channel_of("onsite") is Channel.ONSITE
    assert channel_of(" EMAIL ") is Channel.EMAIL
    assert channel_of("carrier pigeon") is Channel.OTHER
    assert purpose_of("marketing") is Purpose.MARKETING
    assert purpose_of("automatic_execution") is Purpose.AUTOMATIC_EXECUTION
    assert purpose_of("research") is Purpose.OTHER
    assert ref_of("") == 0
    assert 0 < ref_of("d1") < 2**64
    assert ref_of("d1") != ref_of("d2")
