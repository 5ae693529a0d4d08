"""State and moment in, scored candidates out: recall once, score once, and let the four modes choose from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import MODE_CODE, Moment
from cxreco.recognise.market import Market
from cxreco.recognise.state import State
from cxreco.request import automation, coaching, curation, desire
from cxreco.request.actions import Actions
from cxreco.request.candidates import Candidates
from cxreco.request.context import Context, Proposal
from cxreco.request.features import RANKER_COLUMN, item_features
from cxreco.request.moment_codes import codes_of
from cxreco.request.need import NeedModel
from cxreco.request.need_features import item_need_features
from cxreco.request.ranker import ItemRanker, load_ranker
from cxreco.request.readings import readings_of
from cxreco.request.recalls import recall_all
from cxreco.request.slates import slates
from cxreco.request.value_features import value_features

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestModels:
    """What `propose` needs to have learned or been told."""

    ranker: ItemRanker
    need: NeedModel
    actions: Actions

    def to_files(self) -> dict[str, bytes]:
        """Return everything needed to build it again, by name."""
        return {**self.ranker.to_files(), **self.need.to_files(), "actions.json": self.actions.spec.encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "RequestModels":
        """Build what `to_files` gave; nothing in the files is run.

        Raises
        ------
        StalePlaybook
            If a model was learned on other features than this version computes.
        """
        return cls(
            ranker=load_ranker(files),
            need=NeedModel.from_files(files),
            actions=Actions.from_json(files["actions.json"].decode()),
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
    recalled = recall_all(state, mc, market)
    codes = recalled.codes
    x = item_features(state, mc, market, codes, recalled.scores, readings)
    score = models.ranker.scores(x)
    grid = models.need.grid(item_need_features(state, market, codes, moment.at, readings))
    within = np.nan_to_num(models.need.read(grid, (3.0, 7.0)))
    shelf = market.shelf
    buyable = shelf.available[codes] & ~np.isnan(shelf.price[codes])
    return Context(
        state=state,
        moment=moment,
        mc=mc,
        market=market,
        model=models.need,
        readings=readings,
        codes=codes,
        category=shelf.category[codes],
        x=x,
        score=score,
        buy=models.ranker.buy(x, score),
        grid=grid,
        need=within[:, 1],
        need_3=within[:, 0],
        offerable=buyable & (x[:, RANKER_COLUMN["in_cart"]] == 0.0) & ~_just_bought(x),
        buyable=buyable,
        ranked=np.lexsort((codes, -score)),
    )


# An item is taken as still in the house until this share of its usual gap has passed.
_STILL_THERE = 0.2


def _just_bought(x: NDArray[np.float64]) -> NDArray[np.bool_]:
    return x[:, RANKER_COLUMN["item_due"]] < _STILL_THERE


def _columns(actions: Actions, context: Context, proposals: Sequence[Proposal]) -> Candidates:
    mode = np.array(
        [0, *(MODE_CODE[actions.actions[proposal.action - 1].mode] for proposal in proposals)], dtype=np.int16
    )
    filled = slates(actions, context, proposals)
    return Candidates(
        mode=mode,
        action=np.array([0, *(proposal.action for proposal in proposals)], dtype=np.int16),
        item=np.array([-1, *(context.codes[proposal.slate[0]] for proposal in proposals)], dtype=np.int32),
        quantity=np.array([np.nan, *(proposal.quantity for proposal in proposals)]),
        slate=filled.item,
        score=filled.score,
        reason=filled.reason,
        x=value_features(context, mode, proposals),
        actions=actions.names,
        reasons=filled.reasons,
    )
