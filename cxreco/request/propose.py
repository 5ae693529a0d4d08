"""State and moment in, scored candidates out: recall once, score once, and let the four modes choose from it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import COACH, CURATE, RESPOND, Moment
from cxreco.recognise.market import Columns, Market, Wares
from cxreco.recognise.reading import seconds
from cxreco.recognise.state import State
from cxreco.request import automation, coaching, curation, desire
from cxreco.request.actions import Actions, Fitting
from cxreco.request.candidates import VALUE_COLUMN, Candidates
from cxreco.request.context import Context, Sight
from cxreco.request.cupboard import Cupboard, cupboard_rows
from cxreco.request.cupboard_tables import Tables
from cxreco.request.features import RANKER_COLUMN, ranker_rows
from cxreco.request.moment_codes import codes_of
from cxreco.request.need import NeedModel, read_grid, rising
from cxreco.request.need_features import expanded, need_rows
from cxreco.request.offers import room
from cxreco.request.ranker import ItemRanker, load_ranker
from cxreco.request.readings import read
from cxreco.request.recalling import recall
from cxreco.request.recalls import Recall, asked_of
from cxreco.request.slates import Facts, Sentences, at_hand, filled_slates
from cxreco.request.slot_features import places
from cxreco.request.value_features import moment_features, value_rows
from cxreco.stages import Stages, whole

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
I16 = NDArray[np.int16]
Bool = NDArray[np.bool_]
Records = NDArray[np.void]
# What `_seen` takes but the market, and what `_offered` gives.
Needs = tuple[I64, F64, F64, F64, tuple[F64, F64]]
Seen = tuple[tuple[Records, Records, F64], tuple[int, int, bool, int], tuple[I32, F64, F64, F64], Needs]
Offered = tuple[I16, I32, F64, F64, I32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestModels:
    """What `propose` needs to have learned or been told; `recall` says how widely to look."""

    ranker: ItemRanker
    need: NeedModel
    actions: Actions
    cupboard: Cupboard = field(default_factory=Cupboard)
    recall: Recall = field(default_factory=Recall)

    def to_files(self) -> dict[str, bytes]:
        """Return everything needed to build it again, by name."""
        own = {
            "actions.json": self.actions.spec.encode(), "recall.json": json.dumps(self.recall.to_spec()).encode(),
            "cupboard.json": self.cupboard.to_json(),
        }  # fmt: skip
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
            cupboard=Cupboard.from_json(files["cupboard.json"]),
            recall=Recall() if recall is None else Recall(**json.loads(recall)),
        )


def proposing(models: RequestModels, state: State, moment: Moment, market: Market) -> Stages[Candidates]:
    """Return everything that could be done for a customer at a moment, in the stages `recall`, `rank`, `need`, `offer`.

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
    there, seen = yield from _looking(models, state, moment, market)
    (mode, action), (slate, reason), score, x, anchors = _offered_at(
        seen,
        models.actions.fitting(moment),
        (state.categories, state.contacts),
        (moment_features(moment), seconds(moment.at), there),
        market.wares,
    )
    yield "offer"
    facts = Facts(
        codes=seen[2][0], x=seen[2][1], bought=seen[3][0], grid=partial(_grid, seen[3]), anchors=anchors, market=market
    )
    return Candidates(
        mode=mode,
        action=action,
        item=slate[:, 0].copy(),
        quantity=x[:, _QUANTITY].copy(),
        slate=slate,
        score=score,
        reason=reason,
        x=x,
        actions=models.actions.names,
        reasons=Sentences(models.actions, facts, models.need),
    )


propose = whole(proposing)


def context_of(models: RequestModels, state: State, moment: Moment, market: Market) -> Context:
    """Return the moment as columns: recalled, described and scored once, for all modes."""
    _, seen = whole(_looking)(models, state, moment, market)
    return Context(state=state, moment=moment, market=market, sight=_seen(*seen, market.wares))


def _looking(models: RequestModels, state: State, moment: Moment, market: Market) -> Stages[tuple[I32, Seen]]:
    """Return what is in the cart or looked at, and what `_seen` makes a sight of."""
    mc = codes_of(moment, market)
    there, found = asked_of(mc, market)
    need = models.need
    readings, codes, x, bought, need_x, offset = _described(
        (state.head, state.items, state.categories),
        (mc.item, mc.cart, mc.surface, mc.hour, mc.at, seconds(mc.at)),
        (there, found, market.search.tie),
        market.columns,
        (models.recall.counts, models.recall.most, (need.days, need.by_cupboard), models.cupboard.tables),
    )
    yield "recall"
    score = models.ranker.scores(x)
    yield "rank"
    seen = (
        (state.head, state.items, readings),
        (mc.at, mc.item, bool(moment.query), moment.max_items),
        (codes, x, score, models.ranker.buy(x, score)),
        (bought, offset, need.learned(need_x), need.days, need.bend),
    )
    yield "need"
    return there, seen


_AHEAD = (3.0, 7.0)
# An item is taken as still in the house until this share of its usual gap has passed.
_STILL_THERE = 0.2
_IN_CART, _DUE, _ORDERS = (RANKER_COLUMN[name] for name in ("in_cart", "item_due", "item_orders"))
_QUANTITY = VALUE_COLUMN["quantity"]


@compiled
def _described(
    customer: tuple[Records, Records, Records],
    moment: tuple[int, I32, int, int, int, int],
    asked: tuple[I32, tuple[I32, F64], F64],
    m: Columns,
    how: tuple[I64, int, tuple[F64, F64], Tables],
) -> tuple[F64, I32, F64, I64, F64, F64]:
    """Return the customer's readings, the recalled codes and what the ranker sees of them; then what need is asked of.

    Most items were never bought: of those there is nothing to say about when they are needed again. So the rest are
    the positions of those that were, and what the need model sees of them: rows for its forest, and their offsets.

    Parameters
    ----------
    customer
        Records of the state, with room to spare.
    how
        The sizes of the recalls, the most items together, the days of the need model and how far it asks the cupboard,
        and the cupboard's tables.
    """
    head, items, categories = _in_use(customer)
    at_s = moment[5]
    readings = read(head, items, at_s)
    codes, _, scores = recall(items, at_s, asked[0], asked[1], asked[2], m, how[0], how[1])
    known = (items, categories, readings, cupboard_rows(categories, at_s, how[3]))
    x = ranker_rows(known, moment, codes, scores, m)
    bought = np.flatnonzero(x[:, _ORDERS] >= 1.0)
    need_x, offset = expanded(need_rows(known, codes[bought], at_s, m), how[2][0][1:], how[2][1])
    return readings, codes, x, bought, need_x, offset


@compiled
def _in_use(customer: tuple[Records, Records, Records]) -> tuple[Records, Records, Records]:
    """Return the head, and of the records of items and categories those in use: `State.item_slots`, without Python."""
    head, items, categories = customer
    return head, items[: head[0].items], categories[: head[0].categories]


@compiled
def _grid(needs: Needs) -> F64:
    """Return (bought, horizons) when each item that was ever bought is needed again."""
    _, offset, learned, days, bend = needs
    return rising(offset, learned, days.size - 1, bend)


@compiled
def _seen(
    customer: tuple[Records, Records, F64],
    moment: tuple[int, int, bool, int],
    items: tuple[I32, F64, F64, F64],
    need: Needs,
    m: Wares,
) -> Sight:
    """Return the moment as the sources see it.

    Parameters
    ----------
    customer
        Head, items with room to spare, readings.
    need
        Which items were ever bought; of each and horizon the offset and what was learned; the days, and the bend.
    """
    head, slots, readings = customer
    codes, x, score, buy = items
    bought, days, own = need[0], need[3], _grid(need)
    n = codes.size
    grid = np.full((n, days.size - 1), np.nan)
    soon = np.zeros((2, n))
    ahead = read_grid(own, days, np.array(_AHEAD))
    for i in range(bought.size):
        grid[bought[i]] = own[i]
        soon[0, bought[i]], soon[1, bought[i]] = ahead[i, 0], ahead[i, 1]
    category = np.empty(n, np.int32)
    for i in range(n):
        category[i] = m.category[codes[i]]
    offerable, buyable, units = _offerable(x, codes, slots[: head[0].items], m)
    # Codes ascend, so that the smaller is first among equals.
    ranked = np.argsort(-score, kind="mergesort")
    return Sight(
        codes, category, x, score, buy, grid, days, soon[1], soon[0], units, offerable, buyable, ranked, readings,
        moment[0], moment[1], moment[2], moment[3],
    )  # fmt: skip


@compiled
def _offerable(x: F64, codes: I32, slots: Records, m: Wares) -> tuple[Bool, Bool, F64]:
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


@compiled
def _offered_at(
    seen: Seen, fitting: Fitting, customer: tuple[Records, Records], moment: tuple[F64, int, I32], m: Wares
) -> Offered:
    """Return what is offered on the sight, which stays in compiled code: each array that comes back costs a call.

    `customer` is the records of categories and contacts, with room to spare.
    """
    head, items = seen[0][0], seen[0][1]
    categories, contacts = customer[0][: head[0].categories], customer[1][: head[0].contacts]
    sight = _seen(seen[0], seen[1], seen[2], seen[3], m)
    return _offered(sight, fitting, (head, categories, contacts, items[: head[0].items]), moment, m)


@compiled
def _offered(
    s: Sight,
    fitting: Fitting,
    customer: tuple[Records, Records, Records, Records],
    moment: tuple[F64, int, I32],
    m: Wares,
) -> Offered:
    """Return the columns of the candidates: mode and action, slate and reason, score, value features; `hold` first.

    And what their reasons may name. `moment` is its features, its seconds, and what is in the cart or looked at.
    """
    head, categories, contacts, slots = customer
    anchors = at_hand(moment[2], slots, m)
    offers = room(int(fitting.rows.sum()), s.most)
    for k in range(fitting.action.size):
        mode, recipe, params = fitting.mode[k], fitting.recipe[k], fitting.params[k]
        if mode == RESPOND:
            desire.propose(s, fitting.action[k], recipe, params, offers)
        elif mode == CURATE:
            curation.propose(s, categories, m.category, fitting.action[k], recipe, params, offers)
        elif mode == COACH:
            coaching.propose(s, m.restocked_at, fitting.action[k], recipe, params, offers)
        else:
            automation.propose(s, fitting.action[k], params, offers)
    n = offers.n[0]
    what = np.zeros((2, 1 + n), np.int16)
    what[0, 1:], what[1, 1:] = offers.mode[:n], offers.action[:n]
    slates, score = filled_slates(s, offers, fitting, anchors, m)
    x = value_rows(s, offers, (head, categories, contacts), moment[:2], m)
    return what, slates, score, x, anchors
