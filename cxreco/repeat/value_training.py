"""Fitting the value model: what customers do if nobody acts, from history; the lift of each mode, from answers.

A row of the log tells what one candidate did, and the policy chose it for a reason: what the moment does not explain
of the answer must not be read as an effect. Hence few coefficients, firm beliefs, and no trees on candidates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import inf
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.declared import declared
from cxreco.errors import BadSpec
from cxreco.journey import AUTOMATE
from cxreco.repeat.lift_training import LiftRules, fit_lift
from cxreco.repeat.messages import Messages
from cxreco.repeat.soon import Soon
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES
from cxreco.respond.design import Beliefs, pooled, signals
from cxreco.respond.head import Head, Prior, logit_of, prior_head
from cxreco.respond.head_fitting import Rows, Trees, fit_head
from cxreco.respond.lift import Lift
from cxreco.respond.value import ANYWAY, BASE_SIGNALS, GROUNDED, HEADS, Basket, ValueModel, base_design
from cxreco.respond.worth import Worth

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I16 = NDArray[np.int16]
Bool = NDArray[np.bool_]
# Of the wrong orders, the shares that are stopped in their notice, and that draw a complaint if they are not.
FOLLOWS: Mapping[str, float] = MappingProxyType(
    {"stopped": 0.5, "stopped_orders": 10.0, "disputed": 0.2, "disputed_orders": 10.0}
)
CARRIED: Mapping[str, float] = MappingProxyType({"visit": 0.8, "visit_sd": 0.1, "message": 0.6})
ANSWERED: tuple[str, ...] = tuple(head for head in HEADS if head not in ANYWAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisturbed:
    """Moments at which nobody acted, and what the customer did by themselves, in time order.

    Attributes
    ----------
    x
        (n, F) features of their hold row.
    ordered, soon
        (n,) whether they ordered within the window, and soon; 0 or 1.
    margin, margin_soon
        (n,) margin bought within the window, and soon.
    at
        (n,) microseconds, ascending.
    """

    x: F64
    ordered: F64
    soon: F64
    margin: F64
    margin_soon: F64
    at: I64

    @classmethod
    def none(cls) -> "Undisturbed":
        """Return no moments."""
        no, x = np.empty(0), np.empty((0, len(VALUE_FEATURES)))
        return cls(x=x, ordered=no, soon=no, margin=no, margin_soon=no, at=np.empty(0, dtype=np.int64))

    def before(self, at: int) -> "Undisturbed":
        """Return those before an instant."""
        known = self.at < at
        return Undisturbed(**{f.name: getattr(self, f.name)[known] for f in fields(Undisturbed)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Logged decisions whose outcome is known, in time order.

    Attributes
    ----------
    x, hold_x
        (n, F) features of what was chosen, and of the hold row of the same moment.
    mode
        (n,) mode code chosen.
    contact
        (n,) whether it was a contact.
    outcomes
        Head name -> (n,) 0 or 1; of `order` whether an order came soon.
    ripe
        Head name -> (n,) whether that outcome is settled by now.
    stopped
        (n,) whether it was an order of the shop's that the customer stopped in its notice; 0 or 1.
    ordered, window_over
        (n,) whether they ordered within the window, and whether it is over.
    margin, margin_soon
        (n,) margin bought within the window, and soon.
    at
        (n,) microseconds, ascending.
    messages
        The trial of messages among them; None: not looked at.
    """

    x: F64
    hold_x: F64
    mode: I16
    contact: Bool
    outcomes: Mapping[str, F64]
    ripe: Mapping[str, Bool]
    stopped: F64
    ordered: F64
    window_over: Bool
    margin: F64
    margin_soon: F64
    at: I64
    messages: Messages | None = None

    def __len__(self) -> int:
        return int(self.mode.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueSpec:
    """`models/value.toml`, read."""

    beliefs: Mapping[str, Beliefs]
    rates: Mapping[str, float]
    anyway: Mapping[str, Mapping[str, float]]
    basket: Mapping[str, float]
    carried: Mapping[str, float]
    follows: Mapping[str, float]
    soon: Soon
    trees: Trees
    lift: LiftRules

    def __post_init__(self) -> None:
        for name, rate in self.rates.items():
            declared(rate, f"value.{name}.rate", above=True, most=1.0)
        for name, numbers in self.anyway.items():
            for key in ("rate", "sd"):
                if key in numbers:
                    declared(numbers[key], f"value.{name}.{key}", above=True, most=1.0 if key == "rate" else inf)
        for name, beliefs in self.beliefs.items():
            for key in ("sd_shared", "sd_mode"):
                declared(getattr(beliefs, key), f"value.{name}.{key}", above=True)
        for key in ("stopped", "disputed"):
            declared(self.follows[key], f"value.wrong.{key}", most=1.0)
            declared(self.follows[f"{key}_orders"], f"value.wrong.{key}_orders", above=True)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "ValueSpec":
        """Read the tables of `models/value.toml`; an unknown one is an error that names it."""
        tables = [*HEADS, "basket", "trees", "lift"]
        unknown = set(spec) - {*tables}
        if unknown:
            raise BadSpec(f"unknown tables {sorted(unknown)}; known: {', '.join(tables)}", where="value.toml")
        beliefs, rates, follows = {}, {}, dict(FOLLOWS)
        told = dict(spec.get("order", {}))
        soon = Soon(**{key: float(told.pop(f"{key}_hours")) for key in ("visit", "message") if f"{key}_hours" in told})
        carried = {key: float(told.pop(f"carried_{key}", usual)) for key, usual in CARRIED.items()}
        for name in ANSWERED:
            table = told if name == "order" else dict(spec.get(name, {}))
            rates[name] = float(table.pop("rate", 0.01))
            if name == "wrong":
                follows = {key: float(table.pop(key, usual)) for key, usual in FOLLOWS.items()}
            firm = {key: float(table.pop(key)) for key in ("sd_shared", "sd_mode") if key in table}
            beliefs[name] = Beliefs(by_mode=table, **firm, where=f"value.{name}")
        known = {*Trees.__dataclass_fields__}
        if set(spec.get("trees", {})) - known:
            raise BadSpec(f"unknown keys; known: {', '.join(sorted(known))}", where="value.toml, [trees]")
        return cls(
            beliefs=beliefs,
            rates=rates,
            anyway={name: _numbers(spec, name, {"rate", "sd", *BASE_SIGNALS}) for name in ANYWAY},
            basket=_numbers(spec, "basket", {"pseudo_orders"}),
            carried=carried,
            follows=follows,
            soon=soon,
            trees=Trees(**spec.get("trees", {})),
            lift=LiftRules.from_spec(spec.get("lift", {})),
        )


def fit_value(
    spec: ValueSpec, worth: Worth, undisturbed: Undisturbed, answers: Answers, *, returns: Mapping[str, float]
) -> ValueModel:
    """Fit all heads; with no answers the model is the apprentice: history for `base`, beliefs for the rest.

    Parameters
    ----------
    returns
        `returned`, the share of all orders of which something came back, and `own_returns`, the weight of a customer's.
    """
    rates = {name: spec.rates[name] for name in ("complained", "unsubscribed", "satisfied")} | dict(returns)
    did = {"base": undisturbed.ordered, "soon": undisturbed.soon}
    rates |= {name: _rate(did[name], spec.anyway[name].get("rate", 0.1), strength=20.0) for name in ANYWAY}
    anyway = {name: _fit_anyway(spec, name, undisturbed, did[name], rates[name]) for name in ANYWAY}
    basket = Basket(
        usual=_usual_margin(undisturbed, answers), pseudo_orders=spec.basket.get("pseudo_orders", 3.0)
    )  # fmt: skip
    stopped, disputed = _fit_follows(spec, answers)
    model = ValueModel(
        heads=anyway | {name: prior_head(_prior(name, spec)) for name in ANSWERED},
        basket=basket, carried=_fit_carried(spec, basket, undisturbed, answers),
        stopped=stopped, disputed=disputed, worth=worth, rates=rates,
    )  # fmt: skip
    if len(answers) == 0:
        return model
    heads = {name: fit_head(_rows(name, model, answers), _prior(name, spec), spec.trees) for name in ANSWERED}
    taught = replace(model, heads=anyway | heads)
    return taught if answers.messages is None else replace(taught, lift=_fit_lift(spec, model, taught, answers))


def _fit_lift(spec: ValueSpec, untaught: ValueModel, taught: ValueModel, answers: Answers) -> Lift:
    """Return what messages add beyond the pooled head, judged against one that saw as little as the learners did."""
    messages = answers.messages
    assert messages is not None  # noqa: S101 (for the type checker; `fit_value` asked)

    def early(until: int) -> ValueModel:
        rows = _rows("order", untaught, answers)
        known = rows.part(slice(0, int(np.searchsorted(rows.at, until))))
        return replace(taught, heads={**taught.heads, "order": fit_head(known, _prior("order", spec), spec.trees)})

    shows = int(spec.soon.window(np.array([True]))[0])
    return fit_lift(messages, early, taught, spec.lift, shows=shows)


def _fit_anyway(spec: ValueSpec, name: str, undisturbed: Undisturbed, did: F64, rate: float) -> Head:
    """Fit what customers do by themselves, on history alone: what serving adds is the order head's to learn."""
    told = spec.anyway[name]
    mean = np.array([told.get(signal, 0.0) for signal in BASE_SIGNALS])
    offset = np.full(undisturbed.at.size, logit_of(np.array([rate]))[0])
    rows = Rows(x=undisturbed.x, design=base_design(undisturbed.x), offset=offset, y=did, at=undisturbed.at)
    return fit_head(rows, Prior(mean=mean, sd=np.full(mean.size, told.get("sd", 0.7))), spec.trees)


def _fit_carried(spec: ValueSpec, basket: Basket, undisturbed: Undisturbed, answers: Answers) -> tuple[float, float]:
    """Return the share of an order that came soon which is not missing later in the window, on a page and by message.

    Of a visit, one less what an order takes from the later margin, in usual orders, given what the moment tells: ridge
    regression towards the belief. Of a message it is believed: those who answer one need something anyway, and the log
    would take their need for its effect.
    """
    over = answers.window_over & (answers.hold_x[:, VALUE_COLUMN["on_outbound"]] == 0.0)
    alone = undisturbed.x[:, VALUE_COLUMN["on_outbound"]] == 0.0
    x = np.concatenate([undisturbed.x[alone], answers.hold_x[over]])
    soon = np.concatenate([undisturbed.soon[alone], answers.outcomes["order"][over] if over.any() else np.empty(0)])
    margin = np.concatenate([undisturbed.margin[alone], answers.margin[over]])
    later = (margin - np.concatenate([undisturbed.margin_soon[alone], answers.margin_soon[over]])) / basket.own(x)
    design = np.column_stack([soon, base_design(x)])
    precision = np.diag([spec.carried["visit_sd"] ** -2] + [1.0] * len(BASE_SIGNALS))
    noise = max(float(later.var()), 1e-9) if later.size else 1.0
    start = np.zeros(len(precision))
    start[0] = spec.carried["visit"] - 1.0
    found = np.linalg.solve(design.T @ design / noise + precision, design.T @ later / noise + precision @ start)
    return float(np.clip(1.0 + found[0], 0.0, 1.0)), spec.carried["message"]


def _fit_follows(spec: ValueSpec, answers: Answers) -> tuple[float, float]:
    """Return the share of the wrong orders that are stopped where announced, and the share that is disputed if not.

    Each is shrunk to its belief.
    """
    wrong = answers.ripe["wrong"] & (answers.mode == AUTOMATE) & (answers.outcomes["wrong"] > 0.0)
    announced = wrong & (answers.x[:, VALUE_COLUMN["announced"]] != 0.0)
    through = wrong & (answers.stopped == 0.0)

    def share(name: str, did: F64) -> float:
        return _rate(did, spec.follows[name], strength=spec.follows[f"{name}_orders"])

    disputed = answers.outcomes["complained"][through]
    return share("stopped", answers.stopped[announced]), share("disputed", disputed)


def _rows(name: str, model: ValueModel, answers: Answers) -> Rows:
    """Return what one head learns from: its settled answers, with what is believed of them as offset.

    What follows `hold` is the ground on which the lifts of a grounded head stand.
    """
    keep = answers.ripe[name].copy()
    if name == "order":
        keep &= answers.mode != AUTOMATE
    elif name == "complained":
        # What is said of the shop's own orders is part of what a wrong one costs.
        keep &= answers.mode != AUTOMATE
    elif name == "wrong":
        keep &= answers.mode == AUTOMATE
    elif name == "returned":
        keep &= (answers.mode > 0) & (answers.ordered > 0)
    design = pooled(signals(answers.x[keep], model.basket.usual), answers.mode[keep])
    if name in GROUNDED:
        design = np.column_stack([base_design(answers.hold_x[keep]), design])
    offset = _offset(name, model, answers, keep)
    return Rows(x=answers.hold_x[keep], design=design, offset=offset, y=answers.outcomes[name][keep],
                at=answers.at[keep])  # fmt: skip


def _prior(name: str, spec: ValueSpec) -> Prior:
    """Return what is believed of a head's coefficients; of the moments served, that they are like history's."""
    beliefs = spec.beliefs[name].prior()
    if name not in GROUNDED:
        return beliefs
    served = np.full(len(BASE_SIGNALS), spec.anyway["soon"].get("sd", 0.7))
    return Prior(mean=np.concatenate([np.zeros(served.size), beliefs.mean]), sd=np.concatenate([served, beliefs.sd]))


def _offset(name: str, model: ValueModel, answers: Answers, keep: Bool) -> F64:
    x = answers.x[keep]
    if name == "order":
        return model.anyway("soon", answers.hold_x[keep])
    if name == "wrong":
        return logit_of(1.0 - np.nan_to_num(x[:, VALUE_COLUMN["certainty"]]))
    if name == "returned":
        return logit_of(model.return_rate(x, answers.mode[keep]))
    return model.rare(name, answers.contact[keep])


def _usual_margin(undisturbed: Undisturbed, answers: Answers) -> float:
    margins = np.concatenate([undisturbed.margin[undisturbed.ordered > 0], answers.margin[answers.margin > 0]])
    return float(margins.mean()) if margins.size else 1.0


def _rate(y: F64, believed: float, strength: float) -> float:
    return float((y.sum() + strength * believed) / (y.size + strength))


def _numbers(spec: Mapping[str, Any], table: str, known: set[str]) -> dict[str, float]:
    given = spec.get(table, {})
    unknown = set(given) - {str(name) for name in known}
    if unknown:
        raise BadSpec(
            f"unknown keys {sorted(unknown)}; known: {', '.join(sorted(known))}", where=f"value.toml, [{table}]"
        )
    return {key: float(value) for key, value in given.items()}
