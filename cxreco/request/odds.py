"""What a ranker's score is worth: from the scores of one moment to calibrated probabilities."""

import json
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.request.calibration import MIN_EACH, STRAIGHT, Calibrator, fit_calibrator
from cxreco.request.features import RANKER_COLUMN

F64 = NDArray[np.float64]

# What the logistic sees beside the score: columns of the features whose meaning does not depend on the item.
_CUSTOMER_COLUMNS = tuple(
    RANKER_COLUMN[name] for name in ("customer_orders", "customer_days_since", "customer_due", "customer_orders_30")
)
WIDTH = 3 + len(_CUSTOMER_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """From the scores of one moment to probabilities: a logistic, then isotonic.

    Attributes
    ----------
    weight
        (WIDTH,) of score, log share within the moment, best score, and log1p of the customer's columns.
    """

    weight: F64
    intercept: float
    calibrator: Calibrator | None = None

    def probability(self, x: F64, scores: F64) -> F64:
        """Return (n,) probabilities of the items of one moment."""
        bend = STRAIGHT if self.calibrator is None else self.calibrator
        return _probability(x, scores, self.weight, self.intercept, bend.score, bend.probability)

    def to_json(self) -> bytes:
        """Return it as JSON, exact to the bit."""
        bent = None if self.calibrator is None else json.loads(self.calibrator.to_json())
        return json.dumps({"weight": self.weight.tolist(), "intercept": self.intercept, "calibrator": bent}).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "Odds":
        """Read what `to_json` wrote."""
        read = json.loads(body)
        bent = read["calibrator"]
        return cls(
            weight=np.asarray(read["weight"], dtype=np.float64),
            intercept=float(read["intercept"]),
            calibrator=None if bent is None else Calibrator.from_json(json.dumps(bent).encode()),
        )


def odds_of(seen: F64, bought: F64) -> Odds | None:
    """Fit the logistic and bend it; None where purchases are too rare to tell.

    Parameters
    ----------
    seen
        (n, WIDTH) `evidence` of the items of many moments.
    bought
        (n,) 0 or 1.
    """
    from sklearn.linear_model import LogisticRegression  # only training pays for this import

    if min(bought.sum(), bought.size - bought.sum()) < MIN_EACH:
        return None
    scale = np.maximum(seen.std(axis=0), 1e-9)
    fitted = LogisticRegression(C=1.0, max_iter=500).fit(seen / scale, bought)
    weight = np.asarray(fitted.coef_[0], dtype=np.float64) / scale
    intercept = float(fitted.intercept_[0])
    raw = np.asarray(1.0 / (1.0 + np.exp(-(seen @ weight + intercept))))
    return Odds(weight=weight, intercept=intercept, calibrator=fit_calibrator(raw, bought))


def evidence(x: F64, scores: F64) -> F64:
    """Return (n, WIDTH) what the logistic sees of the items of one moment."""
    return _evidence(x, scores)


@compiled
def _evidence(x: F64, scores: F64) -> F64:
    out = np.empty((scores.size, WIDTH))
    if scores.size:
        best = scores.max()
        total = 0.0
        for row in range(scores.size):
            total += math.exp(scores[row] - best)
        # The same for every item of the moment: read once.
        known = np.empty(len(_CUSTOMER_COLUMNS))
        for i in range(known.size):
            value = x[0, _CUSTOMER_COLUMNS[i]]
            known[i] = math.log1p(value) if value == value else 0.0
        for row in range(scores.size):
            out[row, 0] = scores[row]
            out[row, 1] = scores[row] - best - math.log(total)
            out[row, 2] = best
            out[row, 3:] = known
    return out


@compiled
def _probability(x: F64, scores: F64, weight: F64, intercept: float, knots: F64, bent: F64) -> F64:
    seen = _evidence(x, scores)
    out = np.empty(scores.size)
    for row in range(scores.size):
        logit = intercept
        for i in range(weight.size):
            logit += weight[i] * seen[row, i]
        out[row] = 1.0 / (1.0 + math.exp(-logit))
    return np.interp(out, knots, bent) if knots.size else out
