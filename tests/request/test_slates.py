"""Reasons are said in plain words, and only where they are true."""

import math

import pytest

from cxreco.request.reasons import Reason, filled, sentence
from cxreco.request.slates import every, span


@pytest.mark.parametrize(
    ("days", "said", "after_every"),
    [
        (0.2, "1 day", "day"),
        (1.4, "1 day", "day"),
        (23.6, "24 days", "24 days"),
        (49.0, "7 weeks", "7 weeks"),
        (math.nan, "", ""),
    ],
)
def test_spans_in_words(days: float, said: str, after_every: str) -> None:
    assert (span(days), every(days)) == (said, after_every)


def test_every_kind_has_a_sentence() -> None:
    facts = {"gap": "24 days", "with": "tea", "category": "drinks"}
    said = [sentence(kind, facts) for kind in Reason]
    assert len(set(said)) == len(Reason)
    assert sentence(Reason.RHYTHM, facts) == "You buy this about every 24 days"


def test_a_template_is_only_filled_whole() -> None:
    assert filled("{title} for you", {"title": "Tea"}) == "Tea for you"
    assert filled("{title} for you", {"title": ""}) == ""
