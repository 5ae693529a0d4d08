"""Fitting the value model: what customers do if nobody acts, from history; the lift of each mode, from answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadSpec
from cxreco.journey import MODE_CODE, MODES, Mode
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES
from cxreco.respond.design import ACTING, Beliefs, pooled
from cxreco.respond.head import Head, Prior, logit_of, prior_head
from cxreco.respond.head_fitting import Rows, Trees, fit_head
from cxreco.respond.value import BASE_SIGNALS, HEADS, ON_A_PAGE, Basket, ValueModel, base_design
from cxreco.respond.worth import Worth

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I16 = NDArray[np.int16]
Bool = NDArray[np.bool_]
AUTOMATE = MODE_CODE[Mode.AUTOMATE]
NO_DESIGN = Prior(mean=np.empty(0), sd=np.empty(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisturbed:
    """Moments at which nobody acted: (n, F) features of their hold row, and what the customer did by themselves."""

    x: F64
    ordered: F64
    margin: F64
    at: I64

    @classmethod
    def none(cls) -> "Undisturbed":
        """Return no moments."""
        empty = np.empty(0)
        return cls(x=np.empty((0, len(VALUE_FEATURES))), ordered=empty, margin=empty, at=np.empty(0, dtype=np.int64))


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
        Head name -> (n,) 0 or 1.
    ripe
        Head name -> (n,) whether that outcome is settled by now.
    margin
        (n,) margin bought within the window.
    at
        (n,) microseconds, ascending.
    """

    x: F64
    hold_x: F64
    mode: I16
    contact: Bool
    outcomes: Mapping[str, F64]
    ripe: Mapping[str, Bool]
    margin: F64
    at: I64

    def __len__(self) -> int:
        return int(self.mode.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueSpec:
    """`models/value.toml`, read."""

    beliefs: Mapping[str, Beliefs]
    rates: Mapping[str, float]
    base: Mapping[str, float]
    basket: Mapping[str, float]
    trees: Trees

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "ValueSpec":
        """Read the tables of `models/value.toml`; an unknown one is an error that names it."""
        unknown = set(spec) - {*HEADS, "basket", "trees"}
        if unknown:
            raise BadSpec(f"unknown tables {sorted(unknown)}; known: {', '.join([*HEADS, 'basket', 'trees'])}",
                          where="value.toml")  # fmt: skip
        beliefs, rates = {}, {}
        for name in (head for head in HEADS if head != "base"):
            table = dict(spec.get(name, {}))
            rates[name] = float(table.pop("rate", 0.01))
            firm = {key: float(table.pop(key)) for key in ("sd_shared", "sd_mode") if key in table}
            beliefs[name] = Beliefs(by_mode=table, **firm)
        known = {*Trees.__dataclass_fields__}
        if set(spec.get("trees", {})) - known:
            raise BadSpec(f"unknown keys; known: {', '.join(sorted(known))}", where="value.toml, [trees]")
        return cls(
            beliefs=beliefs,
            rates=rates,
            base=_numbers(spec, "base", {"rate", "sd", *BASE_SIGNALS}),
            basket=_numbers(spec, "basket", {"pseudo_orders", "sd", *ACTING}),
            trees=Trees(**spec.get("trees", {})),
        )


def fit_value(
    spec: ValueSpec, worth: Worth, undisturbed: Undisturbed, answers: Answers, *, return_rate: float
) -> ValueModel:
    """Fit all heads; with no answers the model is the apprentice: history for `base`, beliefs for the rest.

    Parameters
    ----------
    return_rate
        Share of all orders of which something came back.
    """
    base_rate = _rate(undisturbed.ordered, spec.base.get("rate", 0.1), strength=20.0)
    base = _fit_base(spec, undisturbed, base_rate)
    usual = _usual_margin(undisturbed, answers)
    basket = Basket(usual=usual, pseudo_orders=spec.basket.get("pseudo_orders", 3.0), share=_belief_share(spec))
    rates = {name: spec.rates[name] for name in ("complained", "unsubscribed", "satisfied")}
    rates["returned"] = return_rate
    model = ValueModel(
        heads={"base": base} | {name: prior_head(_prior(name, spec)) for name in HEADS if name != "base"},
        basket=basket, worth=worth, base_rate=base_rate, rates=rates,
    )  # fmt: skip
    if len(answers) == 0:
        return model
    heads = dict(model.heads)
    for name in (head for head in HEADS if head != "base"):
        rows = _rows(name, model, answers)
        heads[name] = fit_head(rows, _prior(name, spec), spec.trees)
    basket = Basket(usual=usual, pseudo_orders=basket.pseudo_orders, share=_fit_share(spec, basket, answers))
    return ValueModel(heads=heads, basket=basket, worth=worth, base_rate=base_rate, rates=rates)


def _fit_base(spec: ValueSpec, undisturbed: Undisturbed, rate: float) -> Head:
    """Fit what customers do by themselves, on history alone: what serving adds is the order head's to learn."""
    mean = np.array([spec.base.get(signal, 0.0) for signal in BASE_SIGNALS])
    rows = Rows(
        x=undisturbed.x,
        design=base_design(undisturbed.x),
        offset=np.full(undisturbed.at.size, logit_of(np.array([rate]))[0]),
        y=undisturbed.ordered,
        at=undisturbed.at,
    )
    return fit_head(rows, Prior(mean=mean, sd=np.full(mean.size, spec.base.get("sd", 0.7))), spec.trees)


def _rows(name: str, model: ValueModel, answers: Answers) -> Rows:
    """Return what one head learns from: its settled answers, with what is believed of them as offset."""
    if name == "order":
        return _order_rows(model, answers)
    keep = answers.ripe[name] & (answers.mode > 0)
    if name == "wrong":
        keep &= answers.mode == AUTOMATE
    if name == "returned":
        keep &= answers.outcomes["order"] > 0
    x, mode = answers.x[keep], answers.mode[keep]
    design = pooled(x, mode)
    return Rows(x=x, design=design, offset=_offset(name, model, answers, keep), y=answers.outcomes[name][keep],
                at=answers.at[keep])  # fmt: skip


def _order_rows(model: ValueModel, answers: Answers) -> Rows:
    """Return what `order` learns from: `hold` too, which is the ground on which the lifts stand."""
    keep = answers.ripe["order"] & (answers.mode != AUTOMATE)
    x, hold_x, mode = answers.x[keep], answers.hold_x[keep], answers.mode[keep]
    offset = model.base_logit(hold_x, np.arange(len(hold_x)))
    design = np.column_stack([base_design(hold_x), pooled(x, mode)])
    return Rows(x=x, design=design, offset=offset, y=answers.outcomes["order"][keep], at=answers.at[keep])


def _prior(name: str, spec: ValueSpec) -> Prior:
    """Return what is believed of a head's coefficients; of the moments served, that they are like history's."""
    beliefs = spec.beliefs[name].prior()
    if name != "order":
        return beliefs
    served = np.full(len(BASE_SIGNALS), spec.base.get("sd", 0.7))
    return Prior(mean=np.concatenate([np.zeros(served.size), beliefs.mean]), sd=np.concatenate([served, beliefs.sd]))


def _offset(name: str, model: ValueModel, answers: Answers, keep: Bool) -> F64:
    x = answers.x[keep]
    if name == "wrong":
        return logit_of(1.0 - np.nan_to_num(x[:, VALUE_COLUMN["certainty"]]))
    if name == "returned":
        return logit_of(model.return_rate(x, answers.mode[keep]))
    rate = model.rates[name] * np.where(answers.contact[keep] | (name == "satisfied"), 1.0, ON_A_PAGE)
    return logit_of(rate)


def _fit_share(spec: ValueSpec, basket: Basket, answers: Answers) -> F64:
    """Return by mode how far the offered item moves the basket: ridge regression towards the belief."""
    share = _belief_share(spec)
    bought = (answers.outcomes["order"] > 0) & answers.ripe["order"]
    own, lines = basket.own(answers.x), basket.lines(answers.x)
    item = answers.x[:, VALUE_COLUMN["item_margin"]] * np.nan_to_num(answers.x[:, VALUE_COLUMN["quantity"]], nan=1.0)
    firm = spec.basket.get("sd", 0.25) ** -2
    for code in range(1, len(MODES)):
        rows = bought & (answers.mode == code) & np.isfinite(item)
        if code == AUTOMATE or not rows.any():
            continue
        apart, gain = item[rows] - (own / lines)[rows], answers.margin[rows] - own[rows]
        noise = max(float(np.var(gain)), 1e-9)
        precision = float(apart @ apart) / noise + firm
        share[code] = np.clip((float(apart @ gain) / noise + firm * share[code]) / precision, 0.0, 1.0)
    return share


def _belief_share(spec: ValueSpec) -> F64:
    return np.array([float(spec.basket.get(mode, 0.0)) for mode in MODES])


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
