"""The ways to choose a slate that are compared, over the same items with the same chances."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import Mode
from cxreco.recognise.market import Market
from cxreco.request.actions import PARAM, RECIPE, RECIPES
from cxreco.request.context import MATCH, Context, Sight
from cxreco.request.coverage import covering
from cxreco.request.curation import considered
from cxreco.request.features import RANKER_COLUMN
from cxreco.request.renewal import repeat_posterior

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
_ORDERS, _SINCE = RANKER_COLUMN["category_orders"], RANKER_COLUMN["category_days_since"]
FADES = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a slate is to be made of: the moment, which items, the chance of each, and how alike they are.

    `order` is by the ranker, after a search the answers to it first: what was shown before anything was re-ranked.
    `same` is 1 where two items are of a category, `cosine` of their collaborative factors, both (n, n). `unanswered` is
    how often each was shown on a slate and neither looked at nor taken since, with a half-life of `FADES` days; `again`
    and `since` are how likely the customer is to buy of its category again after the latest time, and the days since.
    """

    sight: Sight
    where: Bool
    chance: F64
    order: I64
    same: F64
    cosine: F64
    unanswered: F64
    again: F64
    since: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to choose a slate; `own` is what the product does, with these numbers.

    `rests` says whether items rest that were dismissed lately, or that were just bought and are hardly bought again.
    """

    name: str
    chosen: Callable[[Asked], I64]
    own: Mapping[str, float] = field(default_factory=dict)
    rests: bool = True


SUBSTITUTION, MONEY = (RECIPES["curate.personal"].params[name] for name in ("substitution", "money"))
# With these, nothing rests: neither what was dismissed, nor what has met its need.
RESTLESS = {"rest_days": 0.0, "satisfied_days": 0.0}


def asked(context: Context, recipe: str, shown: Mapping[int, float], *, rests: bool = True) -> Asked:
    """Return what a recipe would make a slate of at a moment; `shown` is `Asked.unanswered` by item code."""
    s, market = context.sight, context.market
    params = np.full(len(PARAM), np.nan)
    for name, value in {**RECIPES[recipe].params, **({} if rests else RESTLESS)}.items():
        params[PARAM[name]] = value
    where, chance = considered(s, context.state.category_slots, market.columns.category, RECIPE[recipe], params)
    order = s.ranked[where[s.ranked]]
    if recipe == "curate.personal" and s.query:
        match = s.x[order, MATCH]
        order = order[np.argsort(-match * s.buy[order], kind="stable")]
    elif recipe != "curate.personal":
        order = order[np.argsort(-chance[order], kind="stable")]
    vectors = market.columns.factors[s.codes].astype(np.float64)
    length = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
    unit = vectors / length[:, None]
    return Asked(
        sight=s, where=where, chance=chance, order=order,
        same=(s.category[:, None] == s.category[None, :]).astype(np.float64), cosine=np.maximum(unit @ unit.T, 0.0),
        unanswered=np.array([shown.get(code, 0.0) for code in s.codes.tolist()]), again=_again(s, market),
        since=s.x[:, _SINCE],
    )  # fmt: skip


def _again(s: Sight, market: Market) -> F64:
    share = market.population.category_repeat_share[s.category]
    orders = s.x[:, _ORDERS]
    return np.array([repeat_posterior(n, p) for n, p in zip(orders.tolist(), share.tolist(), strict=True)])


def first(a: Asked) -> I64:
    """Return the first items, whatever they are."""
    return a.order[: a.sight.most]


def capped(share: float) -> Callable[[Asked], I64]:
    """Return the first items with no category above a share of the slate, but two at least; the rest fills up."""

    def chosen(a: Asked) -> I64:
        cap, seen, taken, late = max(int(np.ceil(share * a.sight.most)), 2), dict[int, int](), list[int](), list[int]()
        for position in a.order.tolist():
            category = int(a.sight.category[position])
            seen[category] = seen.get(category, 0) + 1
            (taken if seen[category] <= cap else late).append(position)
        return np.array((taken + late)[: a.sight.most], dtype=np.int64)

    return chosen


def marginal(weight: float, alike: str) -> Callable[[Asked], I64]:
    """Return maximal marginal relevance: weight x chance less (1 - weight) x likeness to what is there already.

    Carbonell and Goldstein, SIGIR 1998; the chance is over the greatest one, so that both lie in [0, 1].
    """

    def chosen(a: Asked) -> I64:
        relevance = a.chance / max(float(a.chance[a.order].max()), 1e-12) if a.order.size else a.chance
        likeness, worst = getattr(a, alike), np.zeros(a.chance.size)
        left, taken = a.order.tolist(), list[int]()
        while left and len(taken) < a.sight.most:
            gain = weight * relevance[left] - (1.0 - weight) * worst[left]
            taken.append(left.pop(int(np.argmax(gain))))
            worst = np.maximum(worst, likeness[taken[-1]])
        return np.array(taken, dtype=np.int64)

    return chosen


def determinantal(power: float, likeness: float) -> Callable[[Asked], I64]:
    """Return the greedy MAP of a determinantal point process (Chen, Zhang and Zhou, NeurIPS 2018, algorithm 1).

    The kernel is quality x similarity x quality: the chance to a power, and `likeness` between items of a category.
    """

    def chosen(a: Asked) -> I64:
        quality = np.maximum(a.chance, 1e-12) ** power
        kernel = quality[:, None] * (likeness * a.same + (1.0 - likeness) * np.eye(quality.size)) * quality[None, :]
        rest, rows = np.diag(kernel).copy(), np.zeros((0, quality.size))
        left, taken = a.order.tolist(), list[int]()
        while left and len(taken) < a.sight.most:
            best = left.pop(int(np.argmax(rest[left])))
            row = (kernel[best] - rows[:, best] @ rows) / np.sqrt(max(float(rest[best]), 1e-300))
            rows, rest = np.vstack([rows, row]), rest - row * row
            taken.append(best)
        return np.array(taken, dtype=np.int64)

    return chosen


def own(substitution: float, money: float) -> Way:
    """Return the product's own way, with these numbers."""
    return Way(
        name=f"coverage, substitution {substitution:g}, money {money:g}",
        chosen=lambda a: covering(a.sight, a.where, a.chance, substitution, money),
        own={"substitution": substitution, "money": money},
    )


def rested(name: str, rests: Callable[[Asked], Bool]) -> Way:
    """Return the product's own way, where some items rest besides."""
    return Way(name=name, chosen=lambda a: covering(a.sight, a.where & ~rests(a), a.chance, SUBSTITUTION, MONEY))


def tired(times: float) -> Way:
    """Return the product's own way, where what was shown so often without an answer rests."""
    return rested(f"rests after {times:g} without an answer", lambda a: a.unanswered >= times)


def fading(factor: float) -> Way:
    """Return the product's own way, where every time without an answer takes from an item's chance."""
    return Way(
        name=f"x {factor:g} each time without an answer",
        chosen=lambda a: covering(a.sight, a.where, a.chance * factor**a.unanswered, SUBSTITUTION, MONEY),
    )


def satisfied(days: float, least: float) -> Way:
    """Return the product's own way, where a category rests of which one was just bought and hardly another will be."""
    name = f"category rests {days:g} days if again below {least:g}"
    return rested(name, lambda a: (a.since < days) & (a.again < least))


BEFORE = "before: cap 0.5, nothing rests"
GRID = tuple(
    own(substitution, money) for substitution in (0.0, 0.25, 0.5, 1.0) for money in (0.0, 0.2, 0.5, 1.0, 2.0, 4.0)
)
# What else might rest, over the product's own way.
RESTING = (
    *(tired(times) for times in (1.0, 2.0)),
    *(fading(factor) for factor in (0.8, 0.5)),
    *(satisfied(days, least) for days in (14.0, 28.0) for least in (0.3, 0.5)),
)
OWN = own(SUBSTITUTION, MONEY).name
WAYS: tuple[Way, ...] = (
    Way(name=BEFORE, chosen=capped(0.5), rests=False),
    Way(name="coverage, substitution 1, money 1, nothing rests", chosen=own(1.0, 1.0).chosen, rests=False),
    Way(name="as ranked", chosen=first),
    *(Way(name=f"cap {share:g}", chosen=capped(share)) for share in (0.2, 0.3, 0.5)),
    *(Way(name=f"MMR {weight:g}, category", chosen=marginal(weight, "same")) for weight in (0.3, 0.5, 0.7, 0.9)),
    *(Way(name=f"MMR {weight:g}, factors", chosen=marginal(weight, "cosine")) for weight in (0.5, 0.7, 0.9)),
    *(Way(name=f"DPP {power:g}, {like:g}", chosen=determinantal(power, like))
      for power, like in ((1.0, 0.9), (0.5, 0.9), (0.5, 0.5))),
    *RESTING,
    *GRID,
)  # fmt: skip
MODE = Mode.CURATE
