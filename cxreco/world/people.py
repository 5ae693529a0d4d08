"""The customers: what they are like for good (`People`), and what is on their mind today (`Mind`). All of it hidden.

Some of it shows: one trait, how organised a customer is, makes needs come regularly, be remembered, be sought by name,
notices be read and consent be given, so that what can be observed predicts what cannot, up to a point.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from cxreco.world.categories import Kind
from cxreco.world.dice import F64, stream
from cxreco.world.shop import Shop
from cxreco.world.spec import WorldSpec

Bool = NDArray[np.bool_]
I64 = NDArray[np.int64]

CHANNELS = ("email", "push")
LIMITS = (40.0, 60.0, 100.0)
LEAST_REFILL = 7.0
HARM_AFTER = 4
LONG = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """What customers like, from a day on.

    Attributes
    ----------
    fit
        (customers, items) chance that an item looked at is right for the customer, were it there at its list price.
    first, second
        (customers, categories) the item that is usually wanted, and the one now and then.
    trust
        (customers,) change of trust on that day.
    liked
        (items,) mean fit over the whole population; what the shop's own pages are ordered by.
    """

    day: int
    fit: F64
    liked: F64
    first: I64
    second: I64
    trust: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Traits that stay, one row a customer; see `WorldSpec` for what they mean.

    `uses`, `days`, `quantity`, `lead`, `hazard`, `elsewhere`, `known`, `interest` are (customers, categories);
    `opens` is (customers, channels); the rest (customers,).
    """

    ids: tuple[str, ...]
    tastes: tuple[Taste, ...]
    uses: Bool
    days: F64
    quantity: F64
    lead: F64
    hazard: F64
    elsewhere: F64
    known: F64
    interest: F64
    opens: F64
    irregular: F64
    leave: F64
    loyal: F64
    patience: F64
    haste: F64
    distracted: F64
    eager: F64
    checks_out: F64
    tolerance: F64
    reads: F64
    returns: F64
    elastic: F64
    pleased: F64
    trust: F64
    consents: Bool
    consent_day: I64
    limit: F64
    phase: F64

    def taste(self, day: int) -> Taste:
        """Return what is liked on a day."""
        return next(taste for taste in reversed(self.tastes) if taste.day <= day)

    def take(self, rows: I64, ids: tuple[str, ...]) -> "People":
        """Return the people of these rows under other names."""
        tastes = tuple(
            replace(t, fit=t.fit[rows], first=t.first[rows], second=t.second[rows], trust=t.trust[rows])
            for t in self.tastes
        )
        traits = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in ("ids", "tastes")}
        return People(ids=ids, tastes=tastes, **traits)


@dataclass(slots=True, kw_only=True)
class Mind:
    """What changes from day to day, one row a customer.

    Attributes
    ----------
    stock
        (customers, categories) days until the want is met no more; a need is open when this falls to `lead`.
    plan_at, plan_known, plan_target
        (customers, categories) time of the visit planned for today (0: none), whether the item is known, and which.
    satisfaction, pending
        (customers,) and (customers, HARM_AFTER): changes due in 1, 2 … days; habits change with a delay.
    unsubscribed
        (customers, channels).
    revokes_on
        (customers,) day on which consent is withdrawn, -1 where that is not planned.
    """

    stock: F64
    plan_at: I64
    plan_known: Bool
    plan_target: I64
    satisfaction: F64
    pending: F64
    trust: F64
    fatigue: F64
    unsubscribed: Bool
    consent: Bool
    revokes_on: I64

    def take(self, rows: I64) -> "Mind":
        """Return a copy of these rows."""
        return Mind(**{f.name: getattr(self, f.name)[rows].copy() for f in fields(self)})


def _squash(x: F64) -> F64:
    return np.asarray(1.0 / (1.0 + np.exp(-x)), dtype=np.float64)


def _around(share: float, shift: F64) -> F64:
    """Return chances with median `share`, shifted on the log-odds."""
    return _squash(np.log(share / (1.0 - share)) + shift)


def settle_in(spec: WorldSpec, shop: Shop, seed: int) -> tuple[People, Mind]:
    """Throw the dice for all customers of a world.

    Parameters
    ----------
    spec
        Medians and shares.
    shop
        What there is to like.
    seed
        Of the world's making (not of its responses).
    """
    rng = stream(seed, 0, "people")
    n, count = spec.customers, len(spec.categories)
    staple = np.array([c.kind is Kind.STAPLE for c in spec.categories])
    organised = rng.standard_normal(n)

    def normal(*shape: int) -> F64:
        return rng.standard_normal(shape or (n,))

    interest, visits = _pleasures(spec, staple, rng)
    uses = np.where(staple, rng.random((n, count)) < spec.staples_used, interest > 0.0)
    memory = _around(spec.memory, 0.7 * organised + 0.5 * normal())
    hazard = np.where(staple, np.clip(memory[:, None] * np.exp(0.2 * normal(n, count)), 0.0, 0.85), visits)
    known = np.where(
        staple,
        _around(spec.known_staple, 0.6 * organised[:, None] + 0.6 * normal(n, count)),
        _around(spec.known_other, 0.5 * normal(n, count)),
    )
    opens = _around(spec.opens, 0.7 * normal(n, 1) + np.array([0.0, 0.3]))
    trust = np.clip(spec.trust + 0.2 * normal(), 0.02, 0.98)
    limited = rng.random(n) < 0.3
    people = People(
        ids=tuple(f"c{k:05d}" for k in range(n)),
        tastes=_tastes(spec, shop, staple, rng),
        uses=uses,
        days=np.array([c.days for c in spec.categories]) * np.exp(0.35 * normal(n, count)),
        quantity=np.where(staple, 1.0 + (rng.random((n, count)) < 0.3), 1.0),
        lead=np.where(staple, rng.uniform(0.5, 3.0, (n, count)), 0.0),
        hazard=np.where(uses, hazard, 0.0),
        elsewhere=np.where(staple, spec.elsewhere * np.exp(0.3 * normal(n, 1)), 0.0),
        known=known,
        interest=interest,
        opens=opens,
        irregular=np.clip(0.16 * np.exp(-0.4 * organised + 0.3 * normal()), 0.03, 0.5),
        leave=_around(spec.leave, 0.5 * normal()),
        loyal=0.65 + 0.33 * rng.beta(2.0, 1.0, n),
        patience=rng.uniform(0.7, 1.0, n),
        haste=rng.uniform(0.35, 0.75, n),
        distracted=rng.uniform(0.03, 0.25, n),
        eager=rng.uniform(0.55, 0.92, n),
        checks_out=rng.uniform(0.6, 0.92, n),
        tolerance=spec.tolerance * np.exp(0.5 * normal()),
        reads=_around(0.65, 0.6 * organised + 0.3 * normal()),
        returns=spec.returns * np.exp(0.5 * normal()),
        elastic=rng.uniform(0.5, 2.5, n),
        pleased=np.clip(0.7 + 0.1 * normal(), 0.3, 0.95),
        trust=trust,
        consents=rng.random(n) < _around(spec.consent, 4.0 * (trust - spec.trust) + 0.4 * organised),
        consent_day=rng.integers(0, 30, n),
        limit=np.where(limited, rng.choice(np.array(LIMITS), n), np.inf),
        phase=rng.random(n),
    )
    return people, _waking(people, staple, rng)


def _pleasures(spec: WorldSpec, staple: Bool, rng: np.random.Generator) -> tuple[F64, F64]:
    """Return interest in [0, 1] and visits per day, both (customers, categories), 0 for staples.

    Interests are a Dirichlet draw with few large shares: people like a few things much. Durables are thought of seldom.
    """
    n = spec.customers
    fun = np.flatnonzero(~staple)
    share = rng.dirichlet(np.full(fun.size, 0.5), n)
    lasting = np.array([spec.categories[c].kind is Kind.DURABLE for c in fun])
    share = share * np.where(lasting, 0.3, 1.0)
    rate = spec.browse * np.exp(0.6 * rng.standard_normal((n, 1)))
    interest, visits = np.zeros((n, staple.size)), np.zeros((n, staple.size))
    interest[:, fun] = np.clip(share * fun.size / 4.0, 0.0, 1.0) * np.where(lasting, 0.3, 1.0)
    visits[:, fun] = np.clip(2.0 * rate * share, 0.0, 0.4)
    return interest, visits


def _tastes(spec: WorldSpec, shop: Shop, staple: Bool, rng: np.random.Generator) -> tuple[Taste, ...]:
    n = spec.customers
    direction = rng.standard_normal((n, shop.features.shape[1]))
    habit = rng.gumbel(0.0, 0.5, (n, len(shop.ids)))
    tastes = [_liking(spec, shop, staple, (direction, habit), (0, np.zeros(n)))]
    if spec.drift_day is not None:
        # Half of what is liked is new, a third of the habits are rethought, and half the people trust less.
        moved = direction + rng.standard_normal(direction.shape)
        rethought = np.where(rng.random((n, 1)) < 1 / 3, rng.gumbel(0.0, 0.5, habit.shape), habit)
        trust = np.where(rng.random(n) < 0.5, -0.3, 0.0)
        tastes.append(_liking(spec, shop, staple, (moved, rethought), (spec.drift_day, trust)))
    return tuple(tastes)


def _liking(spec: WorldSpec, shop: Shop, staple: Bool, leaning: tuple[F64, F64], since: tuple[int, F64]) -> Taste:
    direction, habit = leaning
    scaled = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    median = np.array([c.price for c in shop.categories])[shop.category]
    liking = spec.taste * scaled @ shop.features.T + 0.4 * shop.quality - 0.4 * np.log(shop.list_price / median)
    fit = _squash(1.5 * (liking - 0.5))
    n, count = len(direction), len(shop.categories)
    first, second = np.zeros((n, count), dtype=np.int64), np.zeros((n, count), dtype=np.int64)
    rows = np.arange(n)
    for category in range(count):
        items = shop.of_category(category)
        order = np.argsort(-(liking + habit)[:, items], axis=1)
        first[:, category], second[:, category] = items[order[:, 0]], items[order[:, 1]]
    for category in np.flatnonzero(staple).tolist():
        # With staples most people want what they have at home; the rest will do at a pinch.
        items = shop.of_category(category)
        fit[:, items] *= 0.45
        fit[rows, first[:, category]] = 0.97
        fit[rows, second[:, category]] = 0.75
    return Taste(day=since[0], fit=fit, liked=fit.mean(axis=0), first=first, second=second, trust=since[1])


def _waking(people: People, staple: Bool, rng: np.random.Generator) -> Mind:
    n, count = people.uses.shape
    lasts = people.days * people.quantity
    stock = np.where(staple, rng.random((n, count)) * lasts, rng.uniform(-1.0, 1.0, (n, count)) * people.days)
    return Mind(
        stock=np.where(people.uses, stock, LONG),
        plan_at=np.zeros((n, count), dtype=np.int64),
        plan_known=np.zeros((n, count), dtype=bool),
        plan_target=np.zeros((n, count), dtype=np.int64),
        satisfaction=people.pleased.copy(),
        pending=np.zeros((n, HARM_AFTER)),
        trust=people.trust.copy(),
        fatigue=np.zeros(n),
        unsubscribed=np.zeros((n, len(CHANNELS)), dtype=bool),
        consent=np.zeros(n, dtype=bool),
        revokes_on=np.full(n, -1, dtype=np.int64),
    )
