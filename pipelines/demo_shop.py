"""The demo on a real shop's log (UCI Online Retail): import, what it can support, the honest result, the champion.

The log holds orders and returns alone: no browsing, no decisions. So what can be proven on it is what the shop could
have foretold; which mode to choose stays the apprentice's belief until decisions are logged, and the demo says so.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cxreco.edge.champion import CHAMPION
from cxreco.edge.engine import Engine
from cxreco.edge.records import Json
from cxreco.edge.settings import Settings
from cxreco.edge.steps import wait
from cxreco.edge.stores import open_store
from cxreco.errors import BadInput
from cxreco.journey import DAY, HOUR, Arm, Mode, Moment, Surface
from cxreco.pipelines import shop_figures as figures
from cxreco.pipelines.check import findings_of
from cxreco.pipelines.decide import serving
from cxreco.pipelines.demo_shop_told import LATER_DAYS, Later, Metrics, lifetimes, replenishment, return_risk
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.ingest import imported
from cxreco.pipelines.retrain import turned
from cxreco.pipelines.season import branch, under
from cxreco.pipelines.shop_figures import RANKERS, TOP
from cxreco.pipelines.train import summary
from cxreco.pipelines.workspace import Workspace, opened, steps
from cxreco.repeat.intervals import spent
from cxreco.repeat.log import Log, market_at, published
from cxreco.repeat.promotion import PromotionRules
from cxreco.repeat.training import TrainingSpec, fit_request
from cxreco.request.propose import context_of
from cxreco.respond.playbook import Playbook
from cxreco.respond.worth import Worth

SHOP, ASKED = "online-retail", "online-retail-asked"
# Samples, said beside each figure: the whole run has minutes.
ORDERS, REGULARS, ASKS = 2_000, 200, 30
MOST_VALUE, MOST_ORDERS = 200.0, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Moments in which a mode is at home: its name, who is asked about, and what each moment is like."""

    mode: Mode
    title: str
    moments: Sequence[Moment]


def run(settings: Settings, data: Path, console: Console) -> int:
    """Run the demo on a file; 1 if a figure could not be measured, which does not stop the others.

    Raises
    ------
    BadInput
        If the file is not the UCI Online Retail log.
    """
    home = settings.home / SHOP
    measured: Metrics = {}
    with opened(settings.embedded().model_copy(update={"home": home})) as workspace:
        _import(workspace, data, console)
        console.print(escape("\n".join(findings_of(workspace).lines())), highlight=False)
        with steps(console) as step:
            later = later_of(workspace, gathered(workspace, step), step)
        pictures = home / "pictures"
        pictures.mkdir(parents=True, exist_ok=True)
        parts: tuple[tuple[str, Callable[[], Metrics]], ...] = (
            ("the next order", lambda: next_order(later, console)),
            ("replenishment", lambda: replenishment(later, pictures, console)),
            ("return risk", lambda: return_risk(workspace, later.log, pictures, console)),
            ("lifetimes", lambda: lifetimes(workspace, later, console)),
            ("the evidence that is needed", lambda: evidence(workspace, later.log, console)),
        )
        failed: list[str] = []
        with steps(console) as step:
            for name, part in parts:
                step(f"measuring {name}")
                failed += [] if _tried(name, part, measured, console) else [name]
        with steps(console) as step:
            turn = turned(workspace, step)
            step("logging the figures")
            _keep(workspace, turn.trial.version, measured, pictures)
        console.print(escape(summary(turn.trial, turn.playbook)), highlight=False)
        if turn.judgement is not None:
            console.print(escape(turn.judgement.words(workspace.settings.currency)), highlight=False)
        console.print(_policy_said(workspace, turn.playbook), highlight=False)
    if not _tried("decisions", lambda: _decisions(settings, home, console), measured, console):
        failed.append("decisions")
    console.print(f"pictures   {escape(str(pictures))}", highlight=False)
    for name, command in (("MLflow", "ui"), ("the API", "serve     then open http://127.0.0.1:8080/docs")):
        console.print(f"{name:<11}cxreco --home {escape(str(home))} {command}", highlight=False)
    return 1 if failed else 0


def _import(workspace: Workspace, data: Path, console: Console) -> None:
    try:
        report = imported(workspace, "online-retail", data, None, console)
    except BadInput as wrong:
        raise BadInput(
            f"is not the UCI Online Retail log that this demo reads: {wrong.reason}", where=str(data)
        ) from None
    console.print(escape("\n".join(report.lines())), highlight=False)
    if not report.n_events:
        raise BadInput("is not the UCI Online Retail log that this demo reads: it holds no order", where=str(data))


def _policy_said(workspace: Workspace, playbook: Playbook) -> str:
    if not playbook.apprentice:
        return f"The mode policy learned from {playbook.decisions:,} answered decisions."
    days = TrainingSpec.from_spec(workspace.specs["training"]).later_days
    return (
        "The mode policy is still the apprentice: no decision was logged and answered here yet, so it chooses modes\n"
        "by the beliefs in models/value.toml. Rankers and replenishment are learned from this log, and what customers\n"
        f"do by themselves from its last {days:g} days."
    )


def _tried(name: str, part: Callable[[], Metrics], measured: Metrics, console: Console) -> bool:
    """Add what a part measured; what goes wrong in it is one line, and the other parts go on."""
    try:
        measured.update(part())
    except Exception as error:
        console.print(f"[red]{name}: not shown, {escape(str(error) or type(error).__name__)}[/red]", highlight=False)
        return False
    return True


def later_of(workspace: Workspace, log: Log, step: Callable[[str], None]) -> Later:
    """Train on what came before the last four weeks, as if they had not been."""
    cut = log.now - LATER_DAYS * DAY
    past = figures.cut_log(log, cut)
    if past.ticks.size == 0:
        raise BadInput(f"the log is shorter than the {LATER_DAYS} days that the result is measured on", where="log")
    spec = TrainingSpec.from_spec(workspace.specs["training"])
    step("publishing populations, without the last four weeks")
    training = published(past, since=cut - int(spec.window_days * DAY), every_days=spec.publish_every_days)
    models = fit_request(training, workspace.specs.tables, until=cut, step=step)
    return Later(log=log, cut=cut, market=market_at(past, cut), models=models)


def next_order(later: Later, console: Console) -> Metrics:
    """Print how well the next order of each customer was foretold, against personal and global frequency."""
    metrics: Metrics = {}
    for known, who in ((True, "who had ordered before"), (False, "who had not")):
        found = figures.next_orders(later.models, later.log, later.market, later.cut, known=known, most=ORDERS)
        if not len(found):
            continue
        title = f"The first order in the last {LATER_DAYS} days of {len(found):,} customers {who} (95 % intervals)"
        console.print(title, highlight=False)
        table = Table("ranked by", f"Recall@{TOP}", f"NDCG@{TOP}")
        short = "next" if known else "first"
        for name in RANKERS:
            row = [figures.mean_of(scores[name]) for scores in (found.recall, found.ndcg)]
            table.add_row(name, *(str(figure) for figure in row))
            for measure, figure in zip(("recall", "ndcg"), row, strict=True):
                metrics[f"shop.{short}_order.{measure}_at_{TOP}.{name}"] = figure.value
        best = [found.best(scores) for scores in (found.recall, found.ndcg)]
        apart = [
            figures.mean_of(scores["cxreco"] - scores[name])
            for scores, name in zip((found.recall, found.ndcg), best, strict=True)
        ]
        table.add_row("difference", *(f"{figure} over {name}" for figure, name in zip(apart, best, strict=True)))
        metrics |= {f"shop.{short}_order.{m}_gain": f.value for m, f in zip(("recall", "ndcg"), apart, strict=True)}
        console.print(table)
    return metrics


def evidence(workspace: Workspace, log: Log, console: Console) -> Metrics:
    """Print how many logged decisions the first off-policy comparison needs."""
    spec = TrainingSpec.from_spec(workspace.specs["training"])
    worth = Worth.from_spec(workspace.specs["reward"])
    rules = PromotionRules.from_spec(workspace.specs["promotion"])
    found = figures.evidence_needed(log, worth, rules, since=log.now - int(spec.later_days * DAY))
    if found.decisions is None:
        raise BadInput("nothing was earned after the sampled moments")
    mean, spread, effect = (f"{money:.2f}" for money in (found.mean, found.spread, found.effect))
    error, share = f"{spent(rules.alpha, 1):.3f}", f"{rules.effect_share:.0%}"
    moments, customers = f"{found.moments:,}", f"{found.customers:,}"
    said = (
        f"the first off-policy comparison needs about {found.decisions:,} logged decisions. How this was computed:",
        f"  a customer earns {mean} of margin in the {worth.order_days:g} days after a moment, standard deviation",
        f"  {spread} ({moments} moments of this log's last weeks, one a week for each of {customers} customers).",
        f"  {effect} of it, the {share} of models/promotion.toml, is to be seen with one-sided error {error}",
        f"  (a first attempt's part of {rules.alpha:g}) and power {rules.power:g}, with customers as clusters.",
        "  Every decision is taken as fully telling: where the two policies differ much, it takes more.",
    )
    console.print("\n".join(said), highlight=False)
    return {"shop.evidence.decisions_needed": float(found.decisions), "shop.evidence.money_a_moment": found.mean}


def _keep(workspace: Workspace, version: str, measured: Metrics, pictures: Path) -> None:
    """Log the figures to a run of their own, beside the playbook that they speak for."""
    registry = workspace.registry
    artifacts = {f"pictures/{path.name}": path.read_bytes() for path in sorted(pictures.glob("*.png"))}
    finite = {name: value for name, value in measured.items() if np.isfinite(value)}
    registry.save(registry.load(version), metrics=finite, artifacts=artifacts, run_name="later weeks of a real shop")


def _decisions(settings: Settings, home: Path, console: Console) -> Metrics:
    """Ask the champion about real customers, in a copy of the workspace: what is said there never happened here."""
    copy = under(settings, branch(home, settings.home / ASKED), Arm.CHAMPION)
    with closing(open_store(copy)) as store:
        latest = max(row.at for rows in store.scan(max(store.position() - 1_000, 0)) for row in rows)
        at = (latest // DAY + 1) * DAY + 10 * HOUR
        with steps(console) as step:
            step("loading the champion and publishing the day")
            engine = serving(Engine(store, copy, clock=lambda: at))
            step(f"looking for needs due among {REGULARS} regulars")
            due = _due(engine, at)
        console.print(
            f"\nDecisions for real customers, the morning after the log ends, in a copy: {escape(str(copy.home))}",
            highlight=False,
        )
        ids = engine.shop.codes.item_ids
        titles = dict(zip(ids, engine.shop.catalogue.shelf(at).titles, strict=False))
        for scene in scenes(due, at, titles):
            if scene.mode is Mode.AUTOMATE:
                _consent(engine, scene)
            _show(scene, [engine.decide(moment) for moment in scene.moments], titles, console)
        console.print(f"each in full: cxreco --home {escape(str(copy.home))} why DECISION_ID", highlight=False)
    return {}


def scenes(due: Sequence[tuple[str, str]], at: int, titles: dict[str, str]) -> Iterator[Scene]:
    """Yield moments in which each mode is at home, for regulars of the shop; see `_due`."""
    by_name = [name for name, _ in sorted(due)][:ASKS]
    usual = dict(due)
    for mode, title, names, about in (
        (Mode.RESPOND, "they search for what they buy most", by_name, Surface.SEARCH),
        (Mode.CURATE, "they open the home page", by_name, Surface.HOME),
        (Mode.COACH, "the shop may write to those whose need is most due", [name for name, _ in due][:ASKS], None),
        (Mode.AUTOMATE, "the same, after consent to automatic orders", [name for name, _ in due][:ASKS], None),
    ):
        surface = about or Surface.OUTBOUND
        moments = [
            Moment(
                customer_id=name,
                at=at,
                surface=surface,
                channel="email" if about is None else "onsite",
                query=titles[usual[name]] if about is Surface.SEARCH else "",
            )
            for name in names
        ]
        yield Scene(mode=mode, title=title, moments=moments)


def _due(engine: Engine, at: int) -> list[tuple[str, str]]:
    """Return (customer, item bought most often) of frequent recent customers, the most due need first."""
    orders: Counter[str] = Counter()
    for rows in engine.store.scan(kinds=["order_completed"]):
        orders.update(row.customer_id for row in rows if row.at > at - 180 * DAY)
    market, _ = engine.markets.at(at)
    models = engine.playbooks[CHAMPION].request
    found: list[tuple[float, str, str]] = []
    for name, _ in sorted(orders.items(), key=lambda pair: (-pair[1], pair[0]))[:REGULARS]:
        state = engine.states.of(name).state
        sight = context_of(models, state, Moment(customer_id=name, at=at, surface=Surface.OUTBOUND), market).sight
        slots = state.item_slots
        favourite = int(slots["key"][int(np.argmax(slots["orders"]))])
        found.append((-float(sight.need.max(initial=0.0)), name, market.codes.item_ids[favourite]))
    return [(name, item) for _, name, item in sorted(found)]


def _consent(engine: Engine, scene: Scene) -> None:
    limits = {"max_order_value": MOST_VALUE, "max_orders_per_month": MOST_ORDERS}
    body = {"purpose": "automatic_execution", "granted": True, "limits": limits}
    for moment in scene.moments:
        wait(engine.consenting(moment.customer_id, body))


def _show(scene: Scene, records: Sequence[Json], titles: dict[str, str], console: Console) -> None:
    chosen = Counter(str(record["mode"]) for record in records)
    mix = ", ".join(f"{mode} {count}" for mode, count in chosen.most_common())
    console.print(f"\n[bold]{scene.mode}[/bold]: {scene.title}", highlight=False)
    if scene.mode is Mode.AUTOMATE:
        console.print(
            f"  in the copy alone their consent was recorded: {MOST_VALUE:.0f} an order, {MOST_ORDERS} orders a month",
            highlight=False,
        )
    console.print(f"  {len(records)} customers asked about: {mix}", highlight=False)
    told = next((record for record in records if record["mode"] == scene.mode), None)
    lines = _refused(scene.mode, records, titles) if told is None else _told(told, titles)
    for line in lines:
        console.print("  " + escape(line), highlight=False)


def _told(record: Json, titles: dict[str, str]) -> Iterator[str]:
    asked = f', searching "{record["moment"]["query"].lower()}"' if record["moment"]["query"] else ""
    action, propensity = record["action"]["action_id"], record["propensity"]["joint"]
    yield f"customer {record['customer_id']}{asked}: {action}, decision {record['decision_id']}"
    yield f"  worth {record['expected_value']:+.2f} over hold, drawn with probability {propensity:.3f}"
    for item in record["items"][:3]:
        why = item["reason"] or "ranked by what this customer and others like them buy"
        yield f"  {item['position'] + 1}. {titles[item['item_id']]} ({item['score']:.1%} to be bought soon): {why}"
    if order := record["action"]["parameters"].get("order"):
        yield f"  the order: {order}, by {record['action']['parameters']['rung']}"


def _refused(mode: Mode, records: Sequence[Json], titles: dict[str, str]) -> Iterator[str]:
    """Say why a mode was never chosen: what the guardrails refused, and what was admitted and lost."""
    refusals = [refusal for record in records for refusal in record["refusals"] if refusal["mode"] == mode]
    admitted = sum(str(mode) in map(str, record["candidates"]["modes"]) for record in records)
    if not refusals and not admitted:
        yield "no such action fits any of these customers now"
    for (guardrail, reason), count in Counter((r["guardrail"], r["reason"]) for r in refusals).most_common():
        example = next(titles[r["item_id"]] for r in refusals if (r["guardrail"], r["reason"]) == (guardrail, reason))
        yield f"refused {count} times by the guardrail {guardrail}: {reason} (such as {example})"
    if admitted:
        yield f"admitted for {admitted} of them, and not drawn: something else was worth more"
