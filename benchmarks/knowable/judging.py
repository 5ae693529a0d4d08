"""What choosing by values is worth, by the truth that was noted at each moment."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import MODES
from cxreco.request.candidates import VALUE_COLUMN
from knowable.seasons import Noted

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
RESAMPLED, SEED = 1_000, 11
# Where a decision is asked for: by the customer's coming, or by the calendar.
PLACES = ("on pages", "on own days")


def chosen(shop: Noted, values: F64) -> I64:
    """Return (m,) the row of the greatest value at each moment, the first among equals."""
    ends = np.cumsum(shop.size)
    return np.array(
        [start + int(np.argmax(values[start:end])) for start, end in zip(ends - shop.size, ends, strict=True)]
    )


def per_customer(shop: Noted, worth: F64) -> F64:
    """Return (customers,) sums of what moments were worth."""
    return np.bincount(shop.customer, weights=worth, minlength=int(shop.customer.max()) + 1).astype(np.float64)


def closed(got: F64, floor: F64, top: F64) -> tuple[float, float, float]:
    """Return the share of the gap that was closed, with its 95 % interval over customers."""
    rng = np.random.default_rng(SEED)
    rows = rng.integers(0, got.size, (RESAMPLED, got.size))
    shares = (got - floor)[rows].sum(axis=1) / (top - floor)[rows].sum(axis=1)
    low, high = np.quantile(shares, (0.025, 0.975))
    return float((got - floor).sum() / (top - floor).sum()), float(low), float(high)


def uniform(shop: Noted) -> F64:
    """Return (m,) the worth of a random mode, then a random action of it, as the random arm draws."""
    ends = np.cumsum(shop.size)
    out = np.empty(shop.size.size)
    for k, (start, end) in enumerate(zip(ends - shop.size, ends, strict=True)):
        truth, mode = shop.truth[start:end], shop.mode[start:end]
        out[k] = np.mean([truth[mode == one].mean() for one in np.unique(mode)])
    return out


def judged(test: Sequence[Noted], values: Sequence[F64]) -> dict[str, Any]:
    """Return what choosing by values closes of the gap, and what it gets of the best, by its mode and by the place."""
    got, floor, top, by_mode, by_place = [], [], [], np.zeros((2, len(MODES))), np.zeros((2, len(PLACES)))
    for shop, value in zip(test, values, strict=True):
        best, row = chosen(shop, shop.truth), chosen(shop, value)
        got.append(per_customer(shop, shop.truth[row]))
        floor.append(per_customer(shop, uniform(shop)))
        top.append(per_customer(shop, shop.truth[best]))
        np.add.at(by_mode[0], shop.mode[best], shop.truth[row])
        np.add.at(by_mode[1], shop.mode[best], shop.truth[best])
        away = (shop.x[best, VALUE_COLUMN["on_outbound"]] > 0.0).astype(np.int64)
        np.add.at(by_place[0], away, shop.truth[row])
        np.add.at(by_place[1], away, shop.truth[best])
    share = closed(np.concatenate(got), np.concatenate(floor), np.concatenate(top))
    return {
        "closed": share, "got_by_mode": by_mode[0].tolist(), "best_by_mode": by_mode[1].tolist(),
        "got_by_place": by_place[0].tolist(), "best_by_place": by_place[1].tolist(),
    }  # fmt: skip
