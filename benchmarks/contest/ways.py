"""The policies of the contest, and the settings that comparators from elsewhere are tried with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cxreco.errors import BadInput
from cxreco.journey import Arm

Setting = Mapping[str, Any]
OWN, FLOOR, CEILING = "cxreco", "random", "oracle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a season is decided.

    Attributes
    ----------
    learns
        Whether the engine's models are retrained every week.
    knows
        Whether it is told the truth.
    greedy
        Whether nothing is explored.
    masked
        Whether each customer's own history is replaced, when candidates are valued, by what is usual.
    family
        The comparator that decides in the engine's place; empty: none.
    setting
        What the comparator is set to.
    """

    name: str
    label: str
    arm: Arm = Arm.CHAMPION
    learns: bool = False
    knows: bool = False
    greedy: bool = False
    masked: bool = False
    family: str = ""
    setting: Setting | None = None


_OWN_WAYS = (
    Way(name=FLOOR, label="random", arm=Arm.RANDOM),
    Way(name="rules", label="hand-written rules", arm=Arm.RULES),
    Way(name=CEILING, label="myopic oracle", knows=True),
    Way(name=OWN, label="cxreco", learns=True),
    Way(name="cxreco-greedy", label="cxreco, no exploration", learns=True, greedy=True),
    Way(name="cxreco-masked", label="cxreco, no individual state", learns=True, masked=True),
    Way(name="cxreco-frozen", label="cxreco, never retrained"),
)
_LABELS: Mapping[str, str] = {
    "vw-squarecb": "VW SquareCB",
    "vw-regcb": "VW RegCB",
    "vw-epsilon": "VW epsilon-greedy",
    "vw-cover": "VW online cover",
    "linucb": "LinUCB (MABWiser)",
    "lints": "linear Thompson (MABWiser)",
}
# Interactions of Vowpal Wabbit: m the moment, u the customer, a mode and recipe, c the candidate's numbers.
_NARROW = "-q ma -q ac"
_WIDE = "-q ma -q ac -q ua --interactions mac"


def _vw(options: str, features: str = _NARROW, rate: float = 0.5) -> Setting:
    return {"args": f"--cb_explore_adf {options} {features} -l {rate}"}


# Tried on the seeds for development (from 101 on); the best by takings of each family is the one that plays.
SETTINGS: Mapping[str, Sequence[Setting]] = {
    "vw-squarecb": (
        _vw("--squarecb --gamma_scale 100 --cb_type mtr"),
        _vw("--squarecb --gamma_scale 1000 --cb_type mtr"),
        _vw("--squarecb --gamma_scale 1000 --cb_type mtr", _WIDE),
        _vw("--squarecb --gamma_scale 1000 --cb_type mtr", rate=0.1),
    ),
    "vw-regcb": (
        _vw("--regcb --mellowness 0.01 --cb_min_cost -4 --cb_max_cost 4 --cb_type mtr"),
        _vw("--regcb --mellowness 0.001 --cb_min_cost -4 --cb_max_cost 4 --cb_type mtr"),
        _vw("--regcbopt --first_only --mellowness 0.001 --cb_min_cost -4 --cb_max_cost 4 --cb_type mtr"),
        _vw("--regcb --mellowness 0.001 --cb_min_cost -4 --cb_max_cost 4 --cb_type mtr", rate=0.1),
    ),
    "vw-epsilon": (
        _vw("--epsilon 0.1 --cb_type mtr"),
        _vw("--epsilon 0.03 --cb_type mtr"),
        _vw("--epsilon 0.03 --cb_type mtr", _WIDE),
        _vw("--epsilon 0.03 --cb_type dr", rate=0.1),
    ),
    "vw-cover": (
        _vw("--cover 4 --cb_type mtr"),
        _vw("--cover 4 --nounif --cb_type mtr"),
        _vw("--cover 4 --cb_type mtr", _WIDE),
        _vw("--cover 4 --cb_type mtr", rate=0.1),
    ),
    "linucb": ({"alpha": 0.3}, {"alpha": 0.1}, {"alpha": 0.03}),
    "lints": ({"alpha": 0.3}, {"alpha": 0.1}, {"alpha": 0.03}),
}
NAMES: tuple[str, ...] = (*(way.name for way in _OWN_WAYS), *SETTINGS)
TRIALS: tuple[str, ...] = tuple(f"{family}@{k}" for family, tried in SETTINGS.items() for k in range(len(tried)))


def way_of(name: str, tuned: Mapping[str, int]) -> Way:
    """Return a policy by name.

    `family@2` is a comparator in its third setting, `family` in the one that was tuned. With a `+` at the end the
    models that propose candidates are retrained every week, as cxreco's are, on the policy's own log.

    Raises
    ------
    BadInput
        If nobody is called that.
    """
    if name.endswith("+"):
        return replace(way_of(name[:-1], tuned), name=name, label=label_of(name), learns=True)
    for way in _OWN_WAYS:
        if way.name == name:
            return way
    family, _, number = name.partition("@")
    tried = SETTINGS.get(family, ())
    place = int(number) if number.isdigit() else tuned.get(family, 0)
    if family not in SETTINGS or place >= len(tried):
        raise BadInput(f"no policy is called {name!r}; there are {', '.join(NAMES)}", where="--policies")
    return Way(name=name, label=label_of(name), family=family, setting=tried[place])


def label_of(name: str) -> str:
    """Return how tables call a policy."""
    if name.endswith("+"):
        return label_of(name[:-1]) + ", candidates retrained"
    own = {way.name: way.label for way in _OWN_WAYS}
    family, at, number = name.partition("@")
    return own.get(name) or _LABELS.get(family, family) + (f", setting {number}" if at else "")
