"""Half a year of weekly refreshes: whether noise blocks them, and whether they can drift downhill.

Three kinds. `learning`: a model of a few coefficients whose error is the mean of all weeks' errors, so that each
refresh knows a little more, and its single steps go up and down. `standing`: errors of one small size, drawn anew each
week, so that refreshes differ and are as good on average. `downhill`: every refresh truly earns a given share less than
the champion it would replace, foresees exactly as well, and decides almost alike: the worst that a gate can be sent.
"""

import functools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from simulated.promotions import KNOWN, Drawn, K, Shop, drawn_by, report_of, shop_of, softmax, worst_of

from cxreco.repeat.chain import Chain
from cxreco.repeat.promotion import PromotionRules, Verdict, judge
from gating.promotions import CUSTOMERS, share

F64 = NDArray[np.float64]
RULES = PromotionRules()
WEEKS, ERROR, STANDING, TEMPERATURE, FLOOR = 26, 0.6, 0.15, 0.5, 0.1
Kind = Literal["learning", "standing", "downhill"]
DOWNHILL = 0.01
Found = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """What is believed of the actions: errors of level and slope, (2, K); and what share of choices is spoiled."""

    error: F64
    spoiled: float = 0.0

    def leaning(self, shop: Shop) -> F64:
        """Return what it believes of each action at each moment, (n, K)."""
        believed: F64 = shop.known + self.error[0] + self.error[1] * (shop.known - KNOWN)
        return believed

    def policy(self, shop: Shop) -> F64:
        """Return its choices, (n, K)."""
        kept = (1.0 - FLOOR) * softmax(self.leaning(shop), TEMPERATURE) + FLOOR / K
        return (1.0 - self.spoiled) * kept + self.spoiled * worst_of(shop)

    def chance(self, shop: Shop, drawn: Drawn) -> F64:
        """Return the believed chance that what was done sells, (n,)."""
        said = self.leaning(shop)[np.arange(drawn.action.size), drawn.action]
        return np.clip(1.0 / (1.0 + np.exp(2.2 - said)), 1e-4, 1.0 - 1e-4)


@functools.cache
def _everybody() -> Shop:
    return shop_of(np.random.default_rng(1), 20_000)


@functools.lru_cache(maxsize=4)
def worth(model: Model) -> float:
    """Return the model's true sales a decision."""
    return _everybody().takes(model.policy(_everybody()))


@functools.cache
def _least() -> float:
    return _everybody().takes(worst_of(_everybody()))


def foresight(champion: Model, challenger: Model, shop: Shop, drawn: Drawn) -> F64:
    """Return by how many nats the challenger foresaw each sale, or none, better."""
    before, after, sold = champion.chance(shop, drawn), challenger.chance(shop, drawn), drawn.reward != 0.0
    return np.where(sold, np.log(after / before), np.log((1.0 - after) / (1.0 - before)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """One chain: which weeks' refreshes were let through, which the chain's sum held back, and the value."""

    through: tuple[bool, ...]
    chained: tuple[bool, ...]
    gain: float
    offered: float


def half_year(seed: int, kind: Kind, *, guarded: bool = True) -> Year:
    """Live half a year of refreshes; `offered` is the value had every one been let through."""
    rng = np.random.default_rng([7, seed])
    sums = (STANDING if kind == "standing" else ERROR) * rng.normal(size=(2, K))
    champion = first = Model(error=sums)
    chain, through, chained = Chain(), [], []
    challenger = champion
    for week in range(WEEKS):
        shop = shop_of(rng, CUSTOMERS)
        drawn = drawn_by(rng, shop, champion.policy(shop))
        step = rng.normal(size=(2, K))
        sums = sums + ERROR * step
        challenger = {
            "learning": Model(error=sums / (week + 2)),
            "standing": Model(error=STANDING * step),
            "downhill": _lower(champion, first),
        }[kind]
        verdict = _judged(shop, drawn, champion, challenger, chain if guarded else None)
        through.append(verdict.promote)
        chained.append(any(check.name == "chain of refreshes" and not check.passed for check in verdict.checks))
        if verdict.promote and verdict.difference is not None:
            champion, chain = challenger, chain.longer(verdict.difference)
    level = worth(first)
    offered = (1.0 - DOWNHILL) ** WEEKS if kind == "downhill" else worth(challenger) / level
    return Year(
        through=tuple(through), chained=tuple(chained), gain=worth(champion) / level - 1.0, offered=offered - 1.0
    )


def _lower(champion: Model, first: Model) -> Model:
    """Return one that truly earns DOWNHILL less than the champion, which is the first one, spoiled somewhat."""
    level, worst = worth(first), _least()
    earns = level - champion.spoiled * (level - worst)
    return Model(error=first.error, spoiled=(level - earns * (1.0 - DOWNHILL)) / (level - worst))


def _judged(shop: Shop, drawn: Drawn, champion: Model, challenger: Model, since: Chain | None) -> Verdict:
    return judge(
        report_of("champion", shop, drawn, champion.policy(shop)),
        report_of("challenger", shop, drawn, challenger.policy(shop)),
        RULES,
        kind="refresh",
        since=since,
        foresight=foresight(champion, challenger, shop, drawn),
    )


def refreshes(sims: int, kind: Kind, *, guarded: bool = True) -> Found:
    """Live many half years; the intervals of means are over half years."""
    years = [half_year(seed, kind, guarded=guarded) for seed in range(sims)]
    return {
        "half_years": sims,
        "through": mean_of([float(np.mean(year.through)) for year in years]),
        "gain": mean_of([year.gain for year in years]),
        "offered": mean_of([year.offered for year in years]),
        "ended_lower": share(sum(year.gain < 0.0 for year in years), sims),
        "ended_lower_than_margin": share(sum(year.gain < -RULES.margin_share for year in years), sims),
        "ever_held_by_the_chain": share(sum(any(year.chained) for year in years), sims),
    }


def mean_of(values: list[float]) -> Found:
    """Return a mean with its 95 % t interval, and the worst of twenty."""
    column = np.array(values)
    radius = float(stats.t.ppf(0.975, column.size - 1)) * float(column.std(ddof=1)) / column.size**0.5
    mean = float(column.mean())
    return {"mean": mean, "low": mean - radius, "high": mean + radius, "worst_of_20": float(np.quantile(column, 0.05))}
