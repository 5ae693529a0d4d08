"""From the log to a playbook: what the items teach, what undisturbed customers teach, what answers teach."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.declared import declared
from cxreco.errors import BadSpec
from cxreco.journey import AUTOMATE, DAY, HOUR
from cxreco.recognise.undated import PLACE, PLACE_DAYS
from cxreco.repeat.history import Revisited, Yardstick, revisit
from cxreco.repeat.lifetime_log import fit_still_worth, lifetime_report
from cxreco.repeat.lift_training import LiftRules
from cxreco.repeat.log import Log, published
from cxreco.repeat.messages import messages_of
from cxreco.repeat.return_risk import returns_of, returns_show
from cxreco.repeat.reward import outcomes_of
from cxreco.repeat.soon import Soon, outbound_of
from cxreco.repeat.value_training import ANSWERED, Answers, ValueSpec, fit_value
from cxreco.request.actions import Actions
from cxreco.request.candidates import VALUE_COLUMN
from cxreco.request.cupboard import Cupboard
from cxreco.request.cupboard_fitting import fit_cupboard
from cxreco.request.need import NeedModel
from cxreco.request.propose import RequestModels
from cxreco.request.ranker import RankerSpec, fit_ranker
from cxreco.request.training_rows import TrainingLog, need_rows, ranker_rows
from cxreco.respond.guardrails import Guardrails
from cxreco.respond.ladder import Evidence, climb
from cxreco.respond.playbook import Playbook, sealed
from cxreco.respond.policy import Policy
from cxreco.respond.value import ValueModel
from cxreco.respond.worth import Worth

F64 = NDArray[np.float64]
Specs = Mapping[str, Mapping[str, Any]]
Step = Callable[[str], None]
# Specs whose change makes a challenger a change; with the same ones it is a refresh.
DECIDING = ("actions", "guardrails", "need", "policy", "ranker", "reward", "training", "value")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """`models/training.toml`, read."""

    later_days: float = 63.0
    window_days: float = 182.0
    publish_every_days: int = 14
    window_places: int = 8
    ranker_moments: int = 8_000
    early_share: float = 0.5
    masked_share: float = 0.0
    need_rows: int = 40_000
    revisited: int = 4_000
    shadow_days: float = 28.0
    evaluation_days: float = 7.0
    seed: int = 7

    def __post_init__(self) -> None:
        for name in ("later_days", "window_days", "shadow_days", "evaluation_days"):
            declared(getattr(self, name), f"training.{name}", above=True)
        for name in ("publish_every_days", "window_places"):
            declared(getattr(self, name), f"training.{name}", least=1.0, whole=True)
        for name in ("ranker_moments", "need_rows", "revisited", "seed"):
            declared(getattr(self, name), f"training.{name}", whole=True)
        for name in ("early_share", "masked_share"):
            declared(getattr(self, name), f"training.{name}", most=1.0)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "TrainingSpec":
        """Read `models/training.toml`; an unknown key is an error that names it."""
        unknown = set(spec) - {f.name for f in fields(cls)}
        if unknown:
            raise BadSpec(f"unknown keys {sorted(unknown)}", where="training.toml")
        return cls(**spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """All that one pass over the log taught, from which playbooks are fitted cheaply, as of any later instant.

    Attributes
    ----------
    since
        The request models learned on what happened before; everything else on what came after.
    live
        The same request models, learned on the whole log: what goes live. The others foretell days that they have not
        seen, and that is what the value heads are taught by and twins are judged by.
    """

    log: Log
    specs: Specs
    since: int
    training: TrainingLog
    request: RequestModels
    live: RequestModels
    revisited: Revisited
    worth: Worth


def learn(log: Log, specs: Specs, *, step: Step = lambda _: None) -> Lessons:
    """Read the log once: fit rankers and replenishment, and revisit what undisturbed customers did.

    Parameters
    ----------
    specs
        The tables under `models/`, by name.
    step
        Told what is being done, for progress.
    """
    spec = TrainingSpec.from_spec(specs["training"])
    worth = Worth.from_spec(specs["reward"])
    # With less than twice the later days of history, half of it is the past and half is later.
    since = max(log.now - int(spec.later_days * DAY), (log.start + log.now) // 2)
    step("publishing populations")
    training = _published(log, spec)
    request = fit_request(
        training, specs, until=since, dated=log.dated, step=lambda what: step(f"{what}, on the earlier days")
    )
    live = fit_request(training, specs, until=log.now, dated=log.dated, step=lambda what: step(f"{what}, on all days"))
    step("revisiting undisturbed moments")
    soon = ValueSpec.from_spec(specs["value"]).soon
    yardstick = Yardstick(worth=worth, soon=soon, shadow_days=spec.shadow_days)
    revisited = revisit(log, training, request, yardstick, since=since, most=spec.revisited, seed=spec.seed)
    return Lessons(
        log=log, specs=specs, since=since, training=training, request=request, live=live, revisited=revisited,
        worth=worth,
    )  # fmt: skip


def _published(log: Log, spec: TrainingSpec) -> TrainingLog:
    """Return the log with its markets: every other week over the window, or one a place where there are no dates."""
    if log.dated:
        return published(log, since=log.now - int(spec.window_days * DAY), every_days=spec.publish_every_days)
    return published(log, since=log.now - spec.window_places * PLACE, every_days=PLACE_DAYS)


def fit_request(
    training: TrainingLog, specs: Specs, *, until: int, dated: bool = True, step: Step = lambda _: None
) -> RequestModels:
    """Fit the item ranker and the replenishment model on what happened before `until`.

    Without dates there is no time between one order and the next, and nothing is learned from instants in it.
    """
    spec = TrainingSpec.from_spec(specs["training"])
    step("learning when a need returns")
    cupboard = fit_cupboard(training.ticks, until=until, seed=spec.seed) if dated else Cupboard()
    training = replace(training, cupboard=cupboard.tables)
    need = NeedModel.from_spec(specs["need"]).fit(need_rows(training, until=until, most=spec.need_rows, seed=spec.seed))
    step("learning which item comes next")
    early = spec.early_share if dated else 0.0
    rows = ranker_rows(
        training, until=until, most=spec.ranker_moments, early_share=early, masked_share=spec.masked_share,
        seed=spec.seed,
    )  # fmt: skip
    ranker = fit_ranker(rows, RankerSpec.from_spec(specs["ranker"]))
    return RequestModels(ranker=ranker, need=need, cupboard=cupboard, actions=Actions.from_spec(specs["actions"]))


def fit_playbook(lessons: Lessons, *, salt: str, until: int | None = None) -> Playbook:
    """Fit the value heads, the policy and the trust ladder on what was known by `until` (None: by now).

    Parameters
    ----------
    salt
        Secret seed of the draws.
    """
    as_of = lessons.log.now if until is None else until
    specs, worth = lessons.specs, lessons.worth
    spec = ValueSpec.from_spec(specs["value"])
    guardrails = Guardrails.from_spec(specs["guardrails"])
    notice = guardrails.bar.notice_hours * HOUR
    answers, placed = answers_of(lessons.log, worth, spec.soon, as_of=as_of, lift=spec.lift, notice=notice)
    undisturbed = lessons.revisited.undisturbed.before(as_of - worth.order_window)
    returns = returns_of(lessons.log.ticks, worth, as_of=as_of)
    value = replace(
        fit_value(spec, worth, undisturbed, answers, returns=returns),
        still_worth=fit_still_worth(lessons.log.ticks, as_of, worth.lifetime_days),
    )
    usual = max(value.basket.usual, 1e-6)
    return sealed(
        Playbook(
            name=str(specs["policy"].get("name", "connected")),
            salt=salt,
            trained_to=as_of,
            position=lessons.log.position,
            decisions=len(answers),
            spec=spec_hash(specs),
            request=lessons.live if until is None else lessons.request,
            value=value,
            policy=Policy.from_spec(specs["policy"]).after(len(answers), usual),
            guardrails=guardrails,
            ladder=climb(guardrails.bar, lessons.revisited.shadow, placed),
            report=_report(lessons, value, len(answers), as_of),
        )
    )


def answers_of(
    log: Log, worth: Worth, soon: Soon, *, as_of: int, lift: LiftRules | None = None, notice: int = DAY
) -> tuple[Answers, Evidence]:
    """Return what followed the decisions made before `as_of`, as was known then, and the orders placed among them.

    Parameters
    ----------
    lift
        Which messages count in the trial of them; None: it is not looked at.
    notice
        From the decision on an order to the order, microseconds.
    """
    made = log.decisions.decisions["at"].to_numpy(np.int64) < as_of
    decisions = log.decisions.take(made)
    frame = decisions.decisions
    at = frame["at"].to_numpy(np.int64)
    customer = log.code_of(list(frame["customer_id"]))
    outcomes = outcomes_of(frame, log.ticks, customer=customer, worth=worth, as_of=as_of, order=log.order)
    known = log.ticks[log.ticks["at"] <= as_of]
    came_soon, margin_soon = soon.after(frame, known, customer, worth.margin_share)
    heads = {name: outcomes.head(name) for name in ANSWERED}
    heads["order"] = came_soon, at + soon.window(outbound_of(frame)) <= as_of
    # To wait out the whole window would let a bad habit run for a month; to wait less than returns take would count
    # those on their way as right. What comes later still counts when it comes.
    heads["wrong"] = heads["wrong"][0], at + notice + returns_show(known, worth, as_of=as_of) <= as_of
    rows = np.argsort(at, kind="stable")
    rows = rows[heads["order"][1][rows]]
    x = decisions.x.astype(np.float64)
    over = outcomes.frame["ripe_order"].to_numpy(np.bool_)[rows]
    answers = Answers(
        x=x[decisions.chosen_rows[rows]],
        hold_x=x[decisions.starts[rows]],
        mode=frame["mode"].to_numpy(np.int16)[rows],
        contact=outcomes.frame["contact"].to_numpy(np.float64)[rows] > 0,
        outcomes={name: outcome[rows] for name, (outcome, _) in heads.items()},
        ripe={name: ripe[rows] for name, (_, ripe) in heads.items()},
        stopped=outcomes.frame["stopped"].to_numpy(np.float64)[rows],
        ordered=outcomes.frame["ordered"].to_numpy(np.float64)[rows],
        window_over=over,
        margin=np.where(over, outcomes.frame["margin"].to_numpy(np.float64)[rows], 0.0),
        margin_soon=margin_soon[rows],
        at=at[rows],
        messages=None
        if lift is None
        else messages_of(
            decisions,
            *heads["order"],
            outcomes.frame["money"].to_numpy(np.float64),
            least=lift.least_chance,
            seed=lift.seed,
        ),
    )
    return answers, _placed(log, answers, list(frame["item_id"].iloc[rows]), worth)


def _placed(log: Log, answers: Answers, item_ids: list[str], worth: Worth) -> Evidence:
    """Return the orders that the shop placed and that are settled."""
    rows = np.flatnonzero((answers.mode == AUTOMATE) & answers.ripe["wrong"])
    if rows.size == 0:
        return Evidence.none()
    shelf = log.catalogue.shelf(log.now)
    items = np.array([log.codes.item_code(item_ids[row]) for row in rows])
    units = np.nan_to_num(answers.x[rows, VALUE_COLUMN["quantity"]], nan=1.0)
    price = np.nan_to_num(answers.x[rows, VALUE_COLUMN["item_price"]]) * units
    return Evidence(
        category=[shelf.category_names[shelf.category[item]] for item in items],
        certainty=np.nan_to_num(answers.x[rows, VALUE_COLUMN["certainty"]]),
        wrong=answers.outcomes["wrong"][rows] > 0,
        gain=np.nan_to_num(answers.x[rows, VALUE_COLUMN["item_margin"]]) * units,
        loss=np.where(answers.stopped[rows] > 0, worth.cancel_handling, worth.return_cost(price))
        + worth.complaint * answers.outcomes["complained"][rows],
    )


def spec_hash(specs: Specs) -> str:
    """Return what names the deciding specs together."""
    text = json.dumps({name: specs[name] for name in DECIDING}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _report(lessons: Lessons, value: ValueModel, decisions: int, as_of: int) -> dict[str, float]:
    told = {name: head.report for name, head in value.heads.items()} | {"lift": value.lift.report}
    report = {f"{name}.{key}": float(number) for name, of in told.items() for key, number in of.items()}
    report |= {"wrong.stopped": value.stopped, "wrong.disputed": value.disputed}
    report |= lifetime_report(lessons.log.ticks, as_of, lessons.worth)
    habits = lessons.live.cupboard.habits
    report |= {f"cupboard.{name}": number for name, number in ({} if habits is None else asdict(habits)).items()}
    shadow = lessons.revisited.shadow
    return report | {
        "decisions": float(decisions),
        "undisturbed": float(lessons.revisited.undisturbed.at.size),
        "shadow_orders": float(len(shadow.category)),
        "shadow_wrong_share": float(shadow.wrong.mean()) if shadow.wrong.size else float("nan"),
    }
