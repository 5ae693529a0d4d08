"""When will this customer need this item or category again: a discrete-time survival model, calibrated.

P(next purchase within h days | state) for h on a grid, by one LightGBM that has h among its features and may only rise
with it (discrete-time survival as classification: Singer and Willett 1993; Tutz and Schmid 2016). It starts from the
customer's rhythm (`renewal`) and from what is inferred of the cupboard, in the mixture that foretold the past best, is
bent to later data by isotonic regression, and falls back on that start alone where there is too little to learn from.
Between the grid's days the cumulative hazard is linear.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.errors import BadSpec, StalePlaybook
from cxreco.request.calibration import MIN_EACH, STRAIGHT, Calibrator, fit_calibrator
from cxreco.request.forest import Scorer, verified
from cxreco.request.growing import check_parameters, grow
from cxreco.request.need_features import EXPANDED_FEATURES, NEED_FEATURES, expand, expand_known

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

ORDERS, IS_CATEGORY, CUPBOARD_AT = (NEED_FEATURES.index(name) for name in ("orders", "is_category", "need_open"))
# How far the cupboard may be asked, of which the best is taken.
PARTS = (0.0, 0.25, 0.5, 0.75, 1.0)
LONGEST = 365.0
_FLOOR = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedRows:
    """What need is learned from: a row a customer, item (or category) and past instant.

    Attributes
    ----------
    x
        (n, len(NEED_FEATURES)) as of the instant.
    days
        (n,) days from it to the next purchase; infinite where none was seen.
    seen
        (n,) days from it to the end of what was seen.
    at
        (n,) the instant, microseconds.
    customer, code
        (n,) whose and of what; a category's code where the feature `is_category` says so.
    """

    x: F64
    days: F64
    seen: F64
    at: I64
    customer: I64
    code: NDArray[np.int32]

    def __len__(self) -> int:
        return int(self.days.size)

    def take(self, rows: NDArray[Any]) -> "NeedRows":
        """Return the rows of a mask or an index."""
        return NeedRows(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedSpec:
    """What `models/need.toml` sets.

    Attributes
    ----------
    horizons
        Days ahead that the model is asked for in training, ascending.
    later_share
        Share of the rows, the latest, kept for calibration.
    min_rows
        With fewer rows the closed form stands alone.
    lightgbm
        Parameters of LightGBM; `rounds` is the number of trees.
    """

    horizons: tuple[float, ...] = (1.0, 3.0, 7.0, 14.0, 28.0)
    later_share: float = 0.3
    min_rows: int = 400
    lightgbm: Mapping[str, float] = field(
        default_factory=lambda: {
            "rounds": 100,
            "num_leaves": 8,
            "learning_rate": 0.05,
            "min_data_in_leaf": 100,
            "lambda_l2": 5.0,
        }
    )

    def __post_init__(self) -> None:
        if not self.horizons or min(self.horizons) <= 0.0 or list(self.horizons) != sorted(set(self.horizons)):
            raise BadSpec("must be positive days, ascending", where="need.horizons")
        if not 0.0 < self.later_share < 1.0:
            raise BadSpec("must be inside (0, 1)", where="need.later_share")
        check_parameters(self.lightgbm, "need.lightgbm")

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "NeedSpec":
        """Read the contents of `models/need.toml`.

        Raises
        ------
        BadSpec
            Naming the key that cannot be used.
        """
        unknown = set(spec) - {f.name for f in fields(cls)}
        if unknown:
            raise BadSpec("unknown key", where=f"need.{min(unknown)}")
        given = dict(spec)
        if "horizons" in given:
            given["horizons"] = tuple(float(h) for h in given["horizons"])
        return cls(**given)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedModel:
    """Calibrated P(next purchase within h days | state); frozen, so `fit` returns a new one.

    Attributes
    ----------
    forest
        What was learned on top of the closed form; None: the closed form alone.
    calibrator
        None: as it comes.
    by_cupboard
        (2,) how far it starts from the cupboard rather than from the customer's rhythm, for items and for categories.
    days
        0 and the horizons: the knots between which it is read.
    """

    spec: NeedSpec = field(default_factory=NeedSpec)
    forest: Scorer | None = None
    calibrator: Calibrator | None = None
    by_cupboard: F64 = field(default_factory=lambda: np.zeros(2), compare=False)
    days: F64 = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "days", np.array([0.0, *self.spec.horizons]))

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "NeedModel":
        """Return the model that nothing has been learned by yet."""
        return cls(spec=NeedSpec.from_spec(spec))

    def fit(self, rows: NeedRows) -> "NeedModel":
        """Learn from the earlier rows and calibrate on the later ones."""
        order = np.argsort(rows.at, kind="stable")
        cut = round(len(rows) * (1.0 - self.spec.later_share))
        earlier, later = rows.take(order[:cut]), rows.take(order[cut:])
        fresh = replace(self, forest=None, calibrator=None, by_cupboard=self._by_cupboard(earlier))
        x, offset, label = fresh._labelled(earlier)
        hits = float(label.sum())
        if len(earlier) >= self.spec.min_rows and min(hits, label.size - hits) >= 4 * MIN_EACH:
            rising = [int(name in ("horizon", "renewal", "cupboard")) for name in EXPANDED_FEATURES]
            text = grow(
                x, label, objective="binary", params=self.spec.lightgbm, names=EXPANDED_FEATURES,
                offset=offset, monotone=rising,
            )  # fmt: skip
            fresh = replace(fresh, forest=_checked(text))
        later_x, later_offset, later_label = fresh._labelled(later)
        return replace(fresh, calibrator=fit_calibrator(fresh._raw(later_x, later_offset), later_label))

    def _by_cupboard(self, rows: NeedRows) -> F64:
        """Return (2,) the parts of the cupboard that foretell items, and categories, best: by their log-loss."""
        best = np.zeros(2)
        for kind in range(2):
            own = rows.take(rows.x[:, IS_CATEGORY] == kind)
            if len(own) < self.spec.min_rows or np.isnan(own.x[:, CUPBOARD_AT]).all():
                continue
            losses = [replace(self, by_cupboard=np.full(2, part))._start_loss(own) for part in PARTS]
            best[kind] = PARTS[int(np.argmin(losses))]
        return best

    def _start_loss(self, rows: NeedRows) -> float:
        _, offset, label = self._labelled(rows)
        return float(np.logaddexp(0.0, np.where(label > 0.0, -offset, offset)).sum())

    def grid(self, features: F64) -> F64:
        """Return P(next purchase within each of `spec.horizons`), (n, len(spec.horizons)), rising along a row.

        Parameters
        ----------
        features
            (n, len(NEED_FEATURES)); rows of what was never bought (orders 0) come back NaN.
        """
        rows, x, offset = expand_known(features, self.days[1:], self.by_cupboard)
        grid = np.full((len(features), len(self.spec.horizons)), np.nan)
        grid[rows] = rising(offset, self.learned(x), len(self.spec.horizons), self.bend)
        return grid

    def learned(self, x: F64) -> F64:
        """Return (n,) what the forest adds to the logits of expanded rows, x (n, len(EXPANDED_FEATURES))."""
        return np.zeros(len(x)) if self.forest is None or not len(x) else self.forest.score(x)

    @property
    def bend(self) -> tuple[F64, F64]:
        """What probabilities are bent by, as `rising` takes it: knots, and what they become; empty: by nothing."""
        bend = STRAIGHT if self.calibrator is None else self.calibrator
        return bend.score, bend.probability

    def within(self, features: F64, horizons: Sequence[float]) -> F64:
        """Return P(next purchase within h days), (n, len(horizons)), for any horizons >= 0 in days."""
        return self.read(self.grid(features), horizons)

    def read(self, grid: F64, horizons: Sequence[float]) -> F64:
        """Return the same from what `grid` gave: linear in the cumulative hazard, beyond the grid at its mean rate."""
        return read_grid(grid, self.days, np.array([float(h) for h in horizons]))

    def days_until(self, features: F64) -> F64:
        """Return the median days to the next purchase, (n,), at most 365; NaN for what was never bought."""
        return self.median(self.grid(features))

    def median(self, grid: F64) -> F64:
        """Return the same from what `grid` gave."""
        return _median(grid, self.days)

    def to_files(self) -> dict[str, bytes]:
        """Return everything needed to build it again, by name: JSON, and LightGBM's own text."""
        spec = {**asdict(self.spec), "lightgbm": dict(self.spec.lightgbm)}
        files = {
            "need.json": json.dumps(
                {"features": NEED_FEATURES, "spec": spec, "by_cupboard": self.by_cupboard.tolist()}
            ).encode()
        }
        if self.forest is not None:
            files["need.txt"] = self.forest.text.encode()
        if self.calibrator is not None:
            files["need_calibrator.json"] = self.calibrator.to_json()
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "NeedModel":
        """Build what `to_files` gave; nothing in the files is run.

        Raises
        ------
        StalePlaybook
            If it was learned on other features than this version computes.
        """
        read = json.loads(files["need.json"])
        if tuple(read["features"]) != NEED_FEATURES:
            raise StalePlaybook("the need model was learned on other features; retrain")
        text, thresholds = files.get("need.txt"), files.get("need_calibrator.json")
        return cls(
            spec=NeedSpec.from_spec(read["spec"]),
            forest=None if text is None else _checked(text.decode()),
            by_cupboard=np.array(read["by_cupboard"]),
            calibrator=None if thresholds is None else Calibrator.from_json(thresholds),
        )

    def _raw(self, x: F64, offset: F64) -> F64:
        logit = offset if self.forest is None else offset + self.forest.score(x)
        return np.asarray(1.0 / (1.0 + np.exp(-logit)))

    def _labelled(self, rows: NeedRows) -> tuple[F64, F64, F64]:
        """Return (x, offset, label) for all rows and horizons whose answer had been seen: both kinds, or none."""
        horizons = np.asarray(self.spec.horizons)
        x, offset = expand(rows.x, horizons, self.by_cupboard)
        seen = (rows.seen[:, None] >= horizons[None, :]).ravel()
        label = (rows.days[:, None] <= horizons[None, :]).astype(np.float64).ravel()
        return x[seen], offset[seen], label[seen]


@compiled
def rising(offset: F64, learned: F64, steps: int, bend: tuple[F64, F64]) -> F64:
    """Return (n, steps) probabilities of n rows expanded to as many steps: bent, and rising along a row."""
    p = 1.0 / (1.0 + np.exp(-(offset + learned)))
    if bend[0].size:
        p = np.interp(p, bend[0], bend[1])
    out = np.empty((offset.size // steps, steps))
    for i in range(out.shape[0]):
        # Rounding aside it rises already; the running maximum makes it certain.
        highest = 0.0
        for step in range(steps):
            highest = max(highest, p[i * steps + step])
            out[i, step] = highest
    return out


@compiled
def _hazard(probability: float) -> float:
    return -math.log1p(-min(max(probability, 0.0), 1.0 - _FLOOR))


@compiled
def read_grid(grid: F64, knots: F64, asked: F64) -> F64:
    """Return `NeedModel.read`, (n, len(asked)); `knots` are `NeedModel.days`."""
    out = np.empty((grid.shape[0], asked.size))
    last = knots.size - 1
    for column in range(asked.size):
        right = 1
        while right < last and knots[right] < asked[column]:
            right += 1
        share = min((asked[column] - knots[right - 1]) / (knots[right] - knots[right - 1]), 1.0)
        beyond = max(asked[column] / knots[last], 1.0)
        for row in range(grid.shape[0]):
            if np.isnan(grid[row, 0]):
                out[row, column] = np.nan
                continue
            low = _hazard(grid[row, right - 2]) if right > 1 else 0.0
            high = _hazard(grid[row, right - 1])
            out[row, column] = -math.expm1(-(low + share * (high - low)) * beyond)
    return out


@compiled
def _median(grid: F64, knots: F64) -> F64:
    out = np.empty(grid.shape[0])
    half = math.log(2.0)
    for row in range(out.size):
        low, day = 0.0, 0.0
        out[row] = np.nan
        if np.isnan(grid[row, 0]):
            continue
        out[row] = max(knots[-1] * half / max(_hazard(grid[row, -1]), _FLOOR), knots[-1])
        for step in range(grid.shape[1]):
            high = _hazard(grid[row, step])
            if high >= half:
                out[row] = day + (half - low) / max(high - low, _FLOOR) * (knots[step + 1] - day)
                break
            low, day = high, knots[step + 1]
        out[row] = min(out[row], LONGEST)
    return out


def _checked(text: str) -> Scorer:
    return verified(text, np.empty((0, len(EXPANDED_FEATURES))))
