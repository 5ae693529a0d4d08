"""What `quick` makes is the frozen dataclass it was given, only sooner."""

import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace
from inspect import signature

import pytest

from cxreco.frozen import quick


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    a: int
    b: str = "b"
    c: list = field(default_factory=list)
    d: int = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "d", self.a + 1)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    a: int
    b: str = "b"
    c: list = field(default_factory=list)
    d: int = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "d", self.a + 1)


@quick
@dataclass(frozen=True, slots=True)
class Placed:
    a: int
    b: int = 2


@pytest.mark.parametrize("given", [{"a": 1}, {"a": 1, "b": "x"}, {"c": [3], "a": 1}])
def test_it_holds_what_a_plain_one_holds(given):
    made, plain = Quick(**given), Plain(**given)
    assert [getattr(made, name) for name in "abcd"] == [getattr(plain, name) for name in "abcd"]
    assert repr(made).partition("(")[2] == repr(plain).partition("(")[2]
    assert made == Quick(**given) == pickle.loads(pickle.dumps(made)) == replace(made, a=1)


def test_each_has_a_list_of_its_own():
    assert Quick(a=1).c is not Quick(a=1).c


@pytest.mark.parametrize("wrong", [{}, {"b": "x"}, {"a": 1, "e": 2}, {"a": 1, "d": 2}])
def test_it_refuses_what_a_plain_one_refuses(wrong):
    for made in (Quick, Plain):
        with pytest.raises(TypeError):
            made(**wrong)


def test_arguments_stand_where_they_stood():
    assert Placed(1) == Placed(1, 2) == Placed(b=2, a=1)
    assert list(signature(Quick).parameters) == list(signature(Plain).parameters)
    with pytest.raises(TypeError):
        Quick(1)


def test_it_stays_frozen():
    with pytest.raises(FrozenInstanceError):
        Quick(a=1).a = 2


@pytest.mark.parametrize("how", [{"slots": True}, {"frozen": True}])
def test_what_is_not_frozen_or_has_no_slots_is_refused(how):
    with pytest.raises(TypeError, match="must be a frozen dataclass with slots"):

        @quick
        @dataclass(**how)
        class Other:
            a: int
