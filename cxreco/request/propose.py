"""State and moment in, scored candidates out: recall once, score once, and let the four modes choose from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import Moment
from cxreco.recognise.market import Columns, Market
from cxreco.recognise.state import State
from cxreco.request import automation, coaching, curation, desire
from cxreco.request.actions import Actions
from cxreco.request.candidates import VALUE_COLUMN, Candidates
from cxreco.request.context import Context, Proposal
from cxreco.request.features import RANKER_COLUMN, item_features
from cxreco.request.moment_codes import codes_of
from cxreco.request.need import NeedModel
from cxreco.request.need_features import item_need_features
from cxreco.request.ranker import ItemRanker, load_ranker
from cxreco.request.readings import readings_of
from cxreco.request.recalls import Recall, recall_all
from cxreco.request.slates import slates
from cxreco.request.slot_features import places
from cxreco.request.value_features import value_features

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestModels:
    """What `propose` needs to have learned or been told; `recall` says how widely to look."""

    ranker: ItemRanker
    need: NeedModel
    actions: Actions
    recall: Recall = field(default_factory=Recall)

    def to_files(self) -> dict[str, bytes]:
        """Return everything needed to build it again, by name."""
        own = {"actions.json": self.actions.spec.encode(), "recall.json": json.dumps(self.recall.to_spec()).encode()}
        return {**self.ranker.to_files(), **self.need.to_files(), **own}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "RequestModels":
        """Build what `to_files` gave; nothing in the files is run.

        Raises
        ------
        StalePlaybook
            If a model was learned on other features than this version computes.
        """
        recall = files.get("recall.json")
        return cls(
            ranker=load_ranker(files),
            need=NeedModel.from_files(files),
            actions=Actions.from_json(files["actions.json"].decode()),
            recall=Recall() if recall is None else Recall(**json.loads(recall)),
        )


def propose(models: RequestModels, state: State, moment: Moment, market: Market) -> Candidates:
    """Return everything that could be done for a customer at a moment, `hold` first.

    Parameters
    ----------
    models
        The ranker, the need model and the named actions.
    state
        Of the customer, as of the moment.
    moment
        Where, when and what the customer does.
    market
        What is true for all customers: the shelf and what was published of the population.

    Returns
    -------
    Candidates
        Only items that can be bought, none twice in a slate; the same input gives the same output to the bit.
    """
    context = context_of(models, state, moment, market)
    fitting = models.actions.fitting(moment)
    proposals: list[Proposal] = []
    for source in (desire, curation, coaching, automation):
        proposals.extend(source.propose(context, fitting))
    return _columns(models.actions, context, proposals)


def context_of(models: RequestModels, state: State, moment: Moment, market: Market) -> Context:
    """Return the moment as columns: recalled, described and scored once, for all modes."""
    mc = codes_of(moment, market)
    readings = readings_of(state, moment.at)
    recalled = recall_all(state, mc, market, models.recall)
    codes = recalled.codes
    x = item_features(state, mc, market, codes, recalled.scores, readings)
    score = models.ranker.scores(x)
    columns = market.columns
    # Most items were never bought: of those there is nothing to say about when they are needed again.
    bought = np.flatnonzero(x[:, _ORDERS] >= 1.0)
    own = models.need.grid(item_need_features(state, market, codes[bought], moment.at, readings))
    grid = np.full((codes.size, own.shape[1]), np.nan)
    grid[bought] = own
    need = np.zeros((2, codes.size))
    need[:, bought] = models.need.read(own, _AHEAD).T
    offerable, buyable, units = _offerable(x, codes, state.item_slots, columns)
    return Context(
        state=state,
        moment=moment,
        mc=mc,
        market=market,
        model=models.need,
        readings=readings,
        codes=codes,
        category=columns.category[codes],
        x=x,
        score=score,
        buy=models.ranker.buy(x, score),
        grid=grid,
        need=need[1],
        need_3=need[0],
        units=units,
        offerable=offerable,
        buyable=buyable,
        # Codes ascend, so that the smaller is first among equals.
        ranked=np.argsort(-score, kind="stable"),
    )


_AHEAD = (3.0, 7.0)
# An item is taken as still in the house until this share of its usual gap has passed.
_STILL_THERE = 0.2
_IN_CART, _DUE, _ORDERS = (RANKER_COLUMN[name] for name in ("in_cart", "item_due", "item_orders"))


@compiled
def _offerable(x: F64, codes: I32, slots: NDArray[np.void], m: Columns) -> tuple[Bool, Bool, F64]:
    """Return what may be offered, what may be bought, and in what quantity; (n,) each."""
    offerable, buyable = np.empty(codes.size, np.bool_), np.empty(codes.size, np.bool_)
    units = np.ones(codes.size)
    place = places(slots, codes)
    for row in range(codes.size):
        buyable[row] = m.buyable[codes[row]]
        just_bought = x[row, _DUE] < _STILL_THERE
        offerable[row] = buyable[row] and x[row, _IN_CART] == 0.0 and not just_bought
        if place[row] >= 0 and slots[place[row]].quantity_mean >= 1.0:
            units[row] = np.rint(slots[place[row]].quantity_mean)
    return offerable, buyable, units


def _columns(actions: Actions, context: Context, proposals: Sequence[Proposal]) -> Candidates:
    own = [proposal.action for proposal in proposals]
    action = np.array([0, *own], dtype=np.int16)
    mode = actions.modes[action]
    size = np.array([proposal.slate.size for proposal in proposals], dtype=np.int64)
    flat = np.concatenate([_NOWHERE, *(proposal.slate for proposal in proposals)])
    filled = slates(actions, context, proposals, flat, size)
    x = value_features(context, mode, proposals, flat, size)
    return Candidates(
        mode=mode,
        action=action,
        item=np.ascontiguousarray(filled.item[:, 0]),
        quantity=x[:, VALUE_COLUMN["quantity"]].copy(),
        slate=filled.item,
        score=filled.score,
        reason=filled.reason,
        x=x,
        actions=actions.names,
        reasons=filled.reasons,
    )


_NOWHERE = np.empty(0, dtype=np.int64)
