"""The named next-best actions: what they are called, when they make sense, what they say (`models/actions.toml`)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.errors import BadSpec
from cxreco.journey import HOLD, HOUR, MODE_CODE, Mode, Moment, Surface
from cxreco.recognise.reading import seconds
from cxreco.recognise.state import State
from cxreco.request.readings import READING, READINGS, read, readings

Scalar = str | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an action is made: the mode it serves and the numbers that may be set for it, with their defaults."""

    mode: Mode
    params: Mapping[str, float]


# How a slate is chosen (`coverage`), and how long an item rests that was dismissed, or is hardly bought again.
_SLATE = {"substitution": 0.5, "money": 1.0, "rest_days": 7.0, "satisfied_days": 14.0, "min_repeat": 0.1}
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "respond.sought": Recipe(mode=Mode.RESPOND, params={"min_match": 0.5, "alternatives": 3.0, "min_due": 0.1}),
        "checkout.cart": Recipe(mode=Mode.RESPOND, params={}),
        "reorder.item": Recipe(mode=Mode.RESPOND, params={"min_need": 0.02}),
        "reorder.basket": Recipe(mode=Mode.RESPOND, params={"min_need": 0.2, "min_items": 2.0}),
        "curate.personal": Recipe(mode=Mode.CURATE, params=_SLATE),
        "curate.category": Recipe(mode=Mode.CURATE, params={**_SLATE, "min_items": 2.0}),
        "curate.complement": Recipe(mode=Mode.CURATE, params={**_SLATE, "min_items": 1.0}),
        "curate.discover": Recipe(mode=Mode.CURATE, params={**_SLATE, "min_items": 2.0}),
        "coach.replenish": Recipe(mode=Mode.COACH, params={"min_need": 0.15, "count": 3.0}),
        "coach.back_in_stock": Recipe(mode=Mode.COACH, params={"within_days": 14.0, "count": 1.0}),
        "coach.winback": Recipe(mode=Mode.COACH, params={"overdue": 1.5, "min_orders": 2.0}),
        "auto.replenish": Recipe(
            mode=Mode.AUTOMATE,
            params={"min_need": 0.3, "count": 2.0, "min_item_orders": 2.0, "notice_hours": 24.0, "slack_days": 27.0},
        ),
    }
)
# As compiled code knows them: recipes by number, and the numbers of all recipes as columns.
RECIPE: Mapping[str, int] = MappingProxyType({name: i for i, name in enumerate(RECIPES)})
PARAM: Mapping[str, int] = MappingProxyType(
    {name: i for i, name in enumerate(dict.fromkeys(name for recipe in RECIPES.values() for name in recipe.params))}
)
# The least and the most that a number may be, where it is not free.
_BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "substitution": (0.0, 1.0), "money": (0.0, 8.0), "min_repeat": (0.0, 1.0),
        "rest_days": (0.0, 3650.0), "satisfied_days": (0.0, 3650.0),
    }
)  # fmt: skip
# Numbers that recipes took once, and what to do: a spec must drop them, a playbook kept with one is read without it.
_RETIRED: Mapping[str, str] = MappingProxyType(
    {"max_category_share": "leave it out; substitution says now how far items of a category take each other's place"}
)
# What a reason template may name: facts of the item it is said of.
FACTS = frozenset({"title", "category", "brand", "gap", "since", "due", "with"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligibility:
    """Who an action is for: bounds on readings of the customer, and values of the moment's attributes.

    Attributes
    ----------
    at_least, at_most
        Reading -> bound; a reading that is unknown does not meet one.
    attributes
        Attribute -> the values that qualify.
    """

    at_least: Mapping[str, float] = field(default_factory=dict)
    at_most: Mapping[str, float] = field(default_factory=dict)
    attributes: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], *, where: str) -> "Eligibility":
        """Read `min_<reading>`, `max_<reading>` and `attributes = {name = [values]}`."""
        low: dict[str, float] = {}
        high: dict[str, float] = {}
        for key, value in spec.items():
            if key == "attributes":
                continue
            bound, _, reading = key.partition("_")
            if bound not in ("min", "max") or reading not in READINGS:
                raise BadSpec(
                    f"unknown rule; use min_ or max_ with one of {', '.join(READINGS)}", where=f"{where}.{key}"
                )
            (low if bound == "min" else high)[reading] = _number(value, where=f"{where}.{key}")
        named = spec.get("attributes", {})
        if not isinstance(named, Mapping) or not all(isinstance(v, list) for v in named.values()):
            raise BadSpec("must map an attribute to the list of values that qualify", where=f"{where}.attributes")
        return cls(at_least=low, at_most=high, attributes={name: tuple(values) for name, values in named.items()})

    def refusal(self, readings: Mapping[str, float], attributes: Mapping[str, Scalar]) -> str:
        """Return why the customer does not qualify; empty if they do."""
        for name, bound in self.at_least.items():
            if not readings[name] >= bound:
                return f"{name} is {readings[name]:.4g}, the action asks for at least {bound:.4g}"
        for name, bound in self.at_most.items():
            if not readings[name] <= bound:
                return f"{name} is {readings[name]:.4g}, the action asks for at most {bound:.4g}"
        for name, values in self.attributes.items():
            if attributes.get(name) not in values:
                return f"{name} is {attributes.get(name)!r}, the action is for {', '.join(map(str, values))}"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One named next-best action; its name is stable across model versions.

    Attributes
    ----------
    reason
        Template said of the first item, with facts in braces (see `FACTS`); empty: the item's own best reason.
    surfaces
        Where it makes sense; empty: everywhere.
    expires_hours
        How long the offer stands.
    """

    action_id: str
    mode: Mode
    recipe: str
    reason: str = ""
    surfaces: frozenset[Surface] = frozenset()
    expires_hours: float = 24.0
    enabled: bool = True
    params: Mapping[str, float] = field(default_factory=dict)
    eligibility: Eligibility = field(default_factory=Eligibility)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], *, where: str) -> "Action":
        """Read one `[[action]]` table.

        Raises
        ------
        BadSpec
            Naming the field that cannot be used.
        """
        unknown = set(spec) - _FIELDS
        if unknown:
            raise BadSpec(f"unknown field; known are {', '.join(sorted(_FIELDS))}", where=f"{where}.{min(unknown)}")
        recipe_id = str(spec.get("recipe", spec.get("id", "")))
        if not spec.get("id") or recipe_id not in RECIPES:
            raise BadSpec(f"needs an id and a recipe of {', '.join(RECIPES)}", where=f"{where}.recipe")
        recipe = RECIPES[recipe_id]
        if spec.get("mode", recipe.mode) != recipe.mode:
            raise BadSpec(f"{recipe_id} serves {recipe.mode.value}", where=f"{where}.mode")
        expires = _number(spec.get("expires_hours", 24.0), where=f"{where}.expires_hours")
        if not expires > 0.0:
            raise BadSpec("must be above 0", where=f"{where}.expires_hours")
        return cls(
            action_id=str(spec["id"]),
            mode=recipe.mode,
            recipe=recipe_id,
            reason=_template(str(spec.get("reason", "")), where=f"{where}.reason"),
            surfaces=_surfaces(spec.get("surfaces", ()), where=f"{where}.surfaces"),
            expires_hours=expires,
            enabled=bool(spec.get("enabled", True)),
            params=_params(recipe, spec.get("params", {}), where=f"{where}.params"),
            eligibility=Eligibility.from_spec(spec.get("eligible", {}), where=f"{where}.eligible"),
        )

    def fits(self, moment: Moment) -> bool:
        """Whether the action makes sense at this moment at all: enabled, on its surfaces, in an allowed mode."""
        placed = not self.surfaces or moment.surface in self.surfaces
        return self.enabled and placed and (moment.modes is None or self.mode in moment.modes)


_FIELDS = frozenset({"id", "mode", "recipe", "reason", "surfaces", "expires_hours", "enabled", "params", "eligible"})


class Fitting(NamedTuple):
    """Actions that make sense at a moment, as compiled code reads them: by mode, then in the order of the spec.

    Attributes
    ----------
    action
        (k,) index into `Actions.names`.
    mode, recipe
        (k,) code of the mode, and `RECIPE`.
    params
        (k, len(PARAM)); NaN where the recipe has no such number.
    rows
        (k,) candidates that each makes at most.
    said
        (k,) whether it has words of its own for the first item.
    """

    action: NDArray[np.int64]
    mode: NDArray[np.int16]
    recipe: NDArray[np.int64]
    params: NDArray[np.float64]
    rows: NDArray[np.int64]
    said: NDArray[np.bool_]


def fitting_of(actions: Sequence[tuple[int, Action]]) -> Fitting:
    """Return actions, each with its index into `Actions.names`, as compiled code reads them."""
    ordered = sorted(actions, key=lambda one: (MODE_CODE[one[1].mode], one[0]))
    params = np.full((len(ordered), len(PARAM)), np.nan)
    for row, (_, action) in enumerate(ordered):
        for name, value in action.params.items():
            params[row, PARAM[name]] = value
    return Fitting(
        action=np.array([index for index, _ in ordered], dtype=np.int64),
        mode=np.array([MODE_CODE[action.mode] for _, action in ordered], dtype=np.int16),
        recipe=np.array([RECIPE[action.recipe] for _, action in ordered], dtype=np.int64),
        params=params,
        rows=np.array([max(int(action.params.get("count", 1.0)), 0) for _, action in ordered], dtype=np.int64),
        said=np.array([bool(action.reason) for _, action in ordered], dtype=np.bool_),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """All named actions of a workspace, in the order of the spec.

    Attributes
    ----------
    names
        Their ids with `hold` in front: what `Candidates.action` is an index into.
    modes
        (len(names),) codes of their modes.
    ruled
        Indices into `names` of those with a rule on who they are for.
    bounds
        (2, len(ruled), len(READINGS)) the least and the most that each of those asks for; NaN: nothing.
    """

    actions: tuple[Action, ...]
    names: tuple[str, ...]
    spec: str
    modes: NDArray[np.int16] = field(init=False, repr=False, compare=False)
    ruled: tuple[int, ...] = field(init=False, repr=False, compare=False)
    bounds: NDArray[np.float64] = field(init=False, repr=False, compare=False)
    _fitting: dict[tuple[Surface, frozenset[Mode] | None], Fitting] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes = [HOLD, *(MODE_CODE[action.mode] for action in self.actions)]
        object.__setattr__(self, "modes", np.array(codes, dtype=np.int16))
        ruled = (i for i, action in enumerate(self.actions, start=1) if action.eligibility != Eligibility())
        object.__setattr__(self, "ruled", tuple(ruled))
        object.__setattr__(self, "bounds", _bounds([self.actions[i - 1].eligibility for i in self.ruled]))
        object.__setattr__(self, "_fitting", {})

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "Actions":
        """Read the contents of `models/actions.toml`."""
        rows = spec.get("action", [])
        if not isinstance(rows, Sequence) or isinstance(rows, str) or set(spec) - {"action"}:
            raise BadSpec("must hold [[action]] tables and nothing else", where="actions")
        actions = tuple(Action.from_spec(row, where=f"action[{i}]") for i, row in enumerate(rows))
        names = ("hold", *(action.action_id for action in actions))
        if len(set(names)) != len(names):
            raise BadSpec("ids must differ from each other and from hold", where="action.id")
        return cls(actions=actions, names=names, spec=json.dumps(spec, sort_keys=True))

    @classmethod
    def from_json(cls, text: str) -> "Actions":
        """Read what `spec` holds, of earlier versions too."""
        kept = json.loads(text)
        for row in kept.get("action", ()):
            for name in _RETIRED.keys() & row.get("params", {}).keys():
                del row["params"][name]
        return cls.from_spec(kept)

    def fitting(self, moment: Moment) -> Fitting:
        """Return the actions that make sense at the moment; found once for a surface and the modes that are allowed."""
        found = self._fitting.get((moment.surface, moment.modes))
        if found is None:
            found = fitting_of([(i, action) for i, action in enumerate(self.actions, start=1) if action.fits(moment)])
            self._fitting[moment.surface, moment.modes] = found
        return found

    def expires_at(self, index: int, at: int) -> int:
        """Return when the offer of action `index` (into `names`) made at `at` ends, microseconds; `at` for hold."""
        return at if index == 0 else at + round(self.actions[index - 1].expires_hours * HOUR)

    def refusals(self, state: State, moment: Moment) -> dict[int, str]:
        """Return why actions (by index into `names`) are not for this customer at this moment: those that are not."""
        if not self.ruled:
            return {}
        suspects, some = _outside((state.head, state.items), seconds(moment.at), self.bounds)
        if not some:
            return {}
        known = readings(state, moment.at)
        reasons = {
            i: self.actions[i - 1].eligibility.refusal(known, moment.attributes)
            for i, suspect in zip(self.ruled, suspects.tolist(), strict=True)
            if suspect
        }
        return {i: reason for i, reason in reasons.items() if reason}


@compiled
def _outside(
    customer: tuple[NDArray[np.void], NDArray[np.void]], at_s: int, bounds: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], bool]:
    """Return (k,) whether a reading is not within bounds, which none is that is unknown; and whether any is not.

    `customer` is the head and the items of a state, with room to spare.
    """
    head, items = customer
    known = read(head, items[: head[0].items], at_s)
    out = np.zeros(bounds.shape[1], np.bool_)
    for k in range(out.size):
        for i in range(known.size):
            low, high = bounds[0, k, i], bounds[1, k, i]
            out[k] |= (low == low and not known[i] >= low) or (high == high and not known[i] <= high)
    return out, bool(out.any())


def _bounds(rules: Sequence[Eligibility]) -> NDArray[np.float64]:
    """Return (2, k, readings) what each rule asks for, NaN for nothing; one on attributes is never met by bounds."""
    bounds = np.full((2, len(rules), len(READINGS)), np.nan)
    for k, rule in enumerate(rules):
        for side, given in enumerate((rule.at_least, rule.at_most)):
            for name, bound in given.items():
                bounds[side, k, READING[name]] = bound
        if rule.attributes:
            bounds[0, k, 0] = np.inf
    return bounds


def _number(value: object, *, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadSpec(f"must be a number, not {value!r}", where=where)
    return float(value)


def _params(recipe: Recipe, given: Mapping[str, Any], *, where: str) -> dict[str, float]:
    for key in given:
        if key in _RETIRED:
            raise BadSpec(f"is gone: {_RETIRED[key]}", where=f"{where}.{key}")
        if key not in recipe.params:
            raise BadSpec(f"unknown; this recipe takes {', '.join(recipe.params)}", where=f"{where}.{key}")
    numbers = {key: _number(value, where=f"{where}.{key}") for key, value in given.items()}
    for key, value in numbers.items():
        least, most = _BOUNDS.get(key, (-np.inf, np.inf))
        if not least <= value <= most:
            raise BadSpec(f"must be from {least:g} to {most:g}, not {value:g}", where=f"{where}.{key}")
    return {**recipe.params, **numbers}


def _surfaces(given: Sequence[str], *, where: str) -> frozenset[Surface]:
    known = {surface.value for surface in Surface}
    wrong = [name for name in given if name not in known]
    if isinstance(given, str) or wrong:
        raise BadSpec(f"must be a list of {', '.join(sorted(known))}", where=where)
    return frozenset(Surface(name) for name in given)


def _template(text: str, *, where: str) -> str:
    try:
        names = [(name, spec, bang) for _, name, spec, bang in Formatter().parse(text) if name is not None]
    except ValueError as broken:
        raise BadSpec(f"is not a template: {broken}", where=where) from broken
    if any(name not in FACTS or spec or bang for name, spec, bang in names):
        raise BadSpec(f"may only name {', '.join(sorted(FACTS))} in braces", where=where)
    return text
