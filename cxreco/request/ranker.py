"""Which item would they buy: LightGBM over all recalls, learned within past moments, and what its score is worth.

`scores` order the items of one moment (lambdarank: Burges, MSR-TR-2010-82); `buy` turns them into probabilities, by a
logistic over the score, its share within the moment, and what is known of the customer, bent to later moments by
isotonic regression. `Blend` does the same without having learned anything.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadSpec, StalePlaybook
from cxreco.request.features import RANKER_COLUMN, RANKER_FEATURES
from cxreco.request.forest import Scorer, verified
from cxreco.request.growing import check_parameters, grow
from cxreco.request.odds import WIDTH, Odds, evidence, odds_of

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class ItemRanker(Protocol):
    """Orders the items of a moment and says how likely each is bought."""

    def scores(self, x: F64) -> F64:
        """Return (n,) scores of the items of one moment, x (n, len(RANKER_FEATURES)); higher is better."""

    def buy(self, x: F64, scores: F64) -> F64:
        """Return (n,) calibrated probabilities that each is bought soon, given its scores at the same moment."""

    def to_files(self) -> dict[str, bytes]:
        """Return everything needed to build it again, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerRows:
    """What a ranker is learned from: the candidates of past moments, a group a moment.

    Attributes
    ----------
    x
        (n, len(RANKER_FEATURES)) as of the moment.
    y
        (n,) 1 where the item was bought in the order that followed, else 0.
    code
        (n,) the items.
    group
        (g,) how many rows each moment has, in order.
    at, customer
        (g,) when, microseconds, and who.
    missed
        (g,) items bought that no recall had named.
    early
        (g,) the order came days or weeks later: what it teaches is an order of items, not how likely each is soon.
    masked
        (g,) the customer's history was hidden: what it teaches is an order of items for strangers, not how likely a
        stranger buys, for those who do have a history buy otherwise.
    """

    x: F64
    y: F64
    code: NDArray[np.int32]
    group: I64
    at: I64
    customer: I64
    missed: I64
    early: NDArray[np.bool_]
    masked: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.group.size)

    def take(self, groups: I64) -> "RankerRows":
        """Return the groups of an index, in its order."""
        starts = np.cumsum(self.group) - self.group
        spans = [np.arange(starts[g], starts[g] + self.group[g]) for g in groups]
        rows = np.concatenate([np.empty(0, np.int64), *spans])
        return RankerRows(
            x=self.x[rows], y=self.y[rows], code=self.code[rows], group=self.group[groups], at=self.at[groups],
            customer=self.customer[groups], missed=self.missed[groups], early=self.early[groups],
            masked=self.masked[groups],
        )  # fmt: skip

    def as_served(self) -> "RankerRows":
        """Return the moments as serving meets them: just before the order, with all that was known of the customer."""
        return self.take(np.flatnonzero(~self.early & ~self.masked))


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerSpec:
    """What `models/ranker.toml` sets.

    Attributes
    ----------
    later_share
        Share of the moments, the latest, kept for calibration.
    min_moments
        With fewer moments that ended in an order, the blend stands alone.
    most_negatives
        Of what was not bought at a moment, so many at most are learned from, drawn at random; 0: all.
    lightgbm
        Parameters of LightGBM; `rounds` is the number of trees.
    """

    later_share: float = 0.25
    min_moments: int = 60
    most_negatives: int = 60
    lightgbm: Mapping[str, float] = field(
        default_factory=lambda: {
            "rounds": 300,
            "num_leaves": 15,
            "learning_rate": 0.03,
            "min_data_in_leaf": 200,
            "lambda_l2": 5.0,
            "feature_fraction": 0.7,
            "lambdarank_truncation_level": 20,
        }
    )

    def __post_init__(self) -> None:
        if not 0.0 < self.later_share < 1.0:
            raise BadSpec("must be inside (0, 1)", where="ranker.later_share")
        check_parameters(self.lightgbm, "ranker.lightgbm")

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "RankerSpec":
        """Read the contents of `models/ranker.toml`.

        Raises
        ------
        BadSpec
            Naming the key that cannot be used.
        """
        unknown = set(spec) - {f.name for f in fields(cls)}
        if unknown:
            raise BadSpec("unknown key", where=f"ranker.{min(unknown)}")
        return cls(**spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranker:
    """The learned ranker."""

    forest: Scorer
    odds: Odds

    def scores(self, x: F64) -> F64:
        """Return (n,) scores of the items of one moment; higher is better."""
        return self.forest.score(x)

    def buy(self, x: F64, scores: F64) -> F64:
        """Return (n,) calibrated probabilities that each is bought soon."""
        return self.odds.probability(x, scores)

    def to_files(self) -> dict[str, bytes]:
        """Return everything needed to build it again, by name: JSON, and LightGBM's own text."""
        return {
            "ranker.json": _header("lightgbm"),
            "ranker.txt": self.forest.text.encode(),
            "ranker_odds.json": self.odds.to_json(),
        }


# The blend's belief that a sign of interest ends in a purchase soon, for a sign at full strength.
_BLEND = (
    ("item_cart", 0.35),
    ("item_viewed_7", 0.06),
    ("recall_cf", 0.03),
    ("recall_copurchase", 0.04),
    ("recall_query", 0.25),
    ("popularity_share", 0.5),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """The ranker before anything was learned: own rhythm, frequency, signs of interest and popularity, noisy-or.

    Attributes
    ----------
    odds
        Fitted where there was enough for that; None: the blend's own probability.
    """

    odds: Odds | None = None

    def scores(self, x: F64) -> F64:
        """Return (n,) log-odds of the items of one moment."""
        not_bought = 1.0 - np.nan_to_num(x[:, RANKER_COLUMN["item_renewal_7"]])
        # The share of the customer's orders that held it, faded to the last weeks: what they buy every time.
        often = np.nan_to_num(x[:, RANKER_COLUMN["item_share"]]) * np.exp2(
            -np.nan_to_num(x[:, RANKER_COLUMN["item_days_since"]]) / 60.0
        )
        not_bought *= 1.0 - 0.3 * np.clip(often, 0.0, 1.0)
        for name, belief in _BLEND:
            sign = np.clip(np.nan_to_num(x[:, RANKER_COLUMN[name]]), 0.0, 1.0)
            not_bought *= 1.0 - belief * sign
        p = np.clip(1.0 - not_bought, 1e-6, 1.0 - 1e-6)
        return np.asarray(np.log(p / (1.0 - p)))

    def buy(self, x: F64, scores: F64) -> F64:
        """Return (n,) probabilities that each is bought soon."""
        if self.odds is not None:
            return self.odds.probability(x, scores)
        return np.asarray(1.0 / (1.0 + np.exp(-scores)))

    def to_files(self) -> dict[str, bytes]:
        """Return everything needed to build it again, by name."""
        files = {"ranker.json": _header("blend")}
        return files if self.odds is None else {**files, "ranker_odds.json": self.odds.to_json()}


def fit_ranker(rows: RankerRows, spec: RankerSpec) -> ItemRanker:
    """Learn the order of items from all moments, and what a score is worth from the later ones.

    The worth is read off a sister that learned from the earlier moments alone: scores of moments that a forest was
    grown on are too sure of themselves. With too few moments the blend is returned.
    """
    served = rows.as_served()
    order = np.argsort(rows.at, kind="stable")
    cut = round(len(rows) * (1.0 - spec.later_share))
    earlier, later = _useful(rows.take(order[:cut])), rows.take(order[cut:])
    if len(earlier) < spec.min_moments:
        return Blend(odds=fit_odds(served, Blend()))
    sister = _grown(earlier, spec)
    odds = fit_odds(later.as_served(), sister) or fit_odds(served, sister)
    if odds is None:
        return Blend()
    return Ranker(forest=_grown(_useful(rows), spec).forest, odds=odds)


def _useful(rows: RankerRows) -> RankerRows:
    """Return the moments at which something recalled was bought: the others put nothing before anything."""
    return rows.take(np.flatnonzero(_bought(rows) > 0))


def _grown(rows: RankerRows, spec: RankerSpec) -> Ranker:
    x, y, group = _thinned(rows, spec.most_negatives)
    text = grow(x, y, objective="lambdarank", params=spec.lightgbm, names=RANKER_FEATURES, group=group)
    return Ranker(forest=_checked(text), odds=Odds(weight=np.zeros(WIDTH), intercept=0.0))


def fit_odds(rows: RankerRows, ranker: ItemRanker) -> Odds | None:
    """Fit what the scores of `ranker` are worth; None where purchases are too rare to tell."""
    ends = np.cumsum(rows.group)
    spans = [slice(end - size, end) for end, size in zip(ends.tolist(), rows.group.tolist(), strict=True)]
    seen = [evidence(rows.x[span], ranker.scores(rows.x[span])) for span in spans]
    return odds_of(np.concatenate([np.empty((0, WIDTH)), *seen]), rows.y)


def load_ranker(files: Mapping[str, bytes]) -> ItemRanker:
    """Build what `to_files` gave; nothing in the files is run.

    Raises
    ------
    StalePlaybook
        If it was learned on other features than this version computes.
    """
    read = json.loads(files["ranker.json"])
    if tuple(read["features"]) != RANKER_FEATURES:
        raise StalePlaybook("the ranker was learned on other features; retrain")
    body = files.get("ranker_odds.json")
    odds = None if body is None else Odds.from_json(body)
    if read["kind"] == "blend":
        return Blend(odds=odds)
    if odds is None:
        raise StalePlaybook("the ranker came without its odds")
    return Ranker(forest=_checked(files["ranker.txt"].decode()), odds=odds)


def _header(kind: str) -> bytes:
    return json.dumps({"kind": kind, "features": RANKER_FEATURES}).encode()


def _checked(text: str) -> Scorer:
    return verified(text, np.empty((0, len(RANKER_FEATURES))))


def _thinned(rows: RankerRows, most: int) -> tuple[F64, F64, I64]:
    """Return (x, y, group) with all that was bought and at most `most` of the rest of each moment."""
    if most <= 0:
        return rows.x, rows.y, rows.group
    owner = np.repeat(np.arange(len(rows)), rows.group)
    # What was bought comes first within its moment, the rest in random order: then a moment keeps its first rows.
    order = np.lexsort((np.random.default_rng(len(rows)).random(rows.y.size), -rows.y, owner))
    place = np.arange(order.size) - np.repeat(np.cumsum(rows.group) - rows.group, rows.group)
    keep = order[place < np.repeat(_bought(rows).astype(np.int64) + most, rows.group)]
    kept = np.sort(keep)
    return rows.x[kept], rows.y[kept], np.bincount(owner[kept], minlength=len(rows))


def _bought(rows: RankerRows) -> F64:
    if not len(rows):
        return np.zeros(0)
    sums = np.concatenate(([0.0], np.cumsum(rows.y)))
    ends = np.cumsum(rows.group)
    return np.asarray(sums[ends] - sums[ends - rows.group])
