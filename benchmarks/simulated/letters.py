"""Messages sent or held back by chance, whose effect on orders and on money is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import COACH, DAY
from cxreco.repeat.messages import Messages
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES
from cxreco.respond.value import ValueModel

F64 = NDArray[np.float64]
PER_CUSTOMER, SPREAD, ANYWAY, COST = 5, 0.7, 0.2, 0.25
# Of a message's columns, those that are shares; the rest are amounts.
_SHARES = ("need", "need_3", "need_top", "buy", "repeat_share", "order_due")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """Messages, and what each truly adds to the chance of an order soon and to money, (n,) each."""

    messages: Messages
    orders: F64
    money: F64


def letters(believed: ValueModel, seed: int, n: int, *, size: float, carried: float) -> Letters:
    """Return messages that add to the chance of an order what is believed, and `size` more or less of it.

    More for those who seldom visit, less for the rest.

    Parameters
    ----------
    carried
        Share of an order soon that would not have come later: what orders are worth, and what a message is not told.
    """
    rng = np.random.default_rng(seed)
    customers = max(n // PER_CUSTOMER, 2)
    who = np.sort(rng.integers(0, customers, n))[rng.permutation(n)]
    lasting = rng.random((customers, len(VALUE_FEATURES)))[who]
    x = -np.log(np.clip(0.5 * lasting + 0.5 * rng.random((n, len(VALUE_FEATURES))), 1e-6, 1.0))
    for name in _SHARES:
        x[:, VALUE_COLUMN[name]] = rng.random(n)
    usual = 4.0 + 8.0 * lasting[:, 0]
    plain = {
        "on_outbound": 1.0, "orders": 10.0, "lines_mean": 2.0, "margin_mean": usual, "item_margin": usual / 2.0,
        "item_price": usual, "quantity": 1.0, "returned_share": 0.05, "return_rate": 0.05,
        "cart_size": 0.0, "contacts_7": 0.0, "contacts_30": 0.0, "mode_shown_60": 0.0, "mode_dismissed_60": 0.0,
        "mode_days_since_dismissed": np.nan,
    }  # fmt: skip
    for name, value in plain.items():
        x[:, VALUE_COLUMN[name]] = value
    hold = x.copy()
    hold[:, VALUE_COLUMN["need"] : VALUE_COLUMN["certainty"] + 1] = np.nan
    chance = 0.2 + 0.6 * x[:, VALUE_COLUMN["need"]]
    sent = rng.random(n) < chance
    mode = np.repeat(np.array([0, COACH], np.int16), n)
    values = believed.values_of(np.concatenate([hold, x]), mode, mode == COACH, np.tile(np.arange(n), 2))
    alone, written = values.parts["order_soon"].reshape(2, n)
    seldom = x[:, VALUE_COLUMN["visits_30"]] > np.log(2.0)
    lifted = np.clip(written + np.where(seldom, size, -size), 0.0, 1.0)
    soon = (rng.random(n) < np.where(sent, lifted, alone)).astype(np.float64)
    basket = usual * rng.lognormal(-0.5 * SPREAD**2, SPREAD, n)
    money = basket * (carried * soon + (rng.random(n) < ANYWAY)) - COST * sent
    found = Messages(
        x=x, hold_x=hold, sent=sent, chance=chance, soon=soon, money=money, customer=who, at=DAY * np.arange(n)
    )
    return Letters(messages=found, orders=lifted - alone, money=carried * usual * (lifted - alone) - COST)
