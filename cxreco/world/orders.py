"""What orders, returns, complaints and feelings do: to the customer, to the log, and to the books."""

from math import exp
from statistics import NormalDist

from cxreco.journey import DAY, HOUR, MICROS
from cxreco.world.ground import KEPT, SENT_BACK, Ground
from cxreco.world.ledger import Entry, Posting
from cxreco.world.moments import Line
from cxreco.world.people import HARM_AFTER, LEAST_REFILL

MINUTE = 60 * MICROS
COMPLAINT_MOOD = -0.10
SURVEYED, REVIEWED = 0.08, 0.06
_NORMAL = NormalDist()


def gain_of(ground: Ground, customer: int, line: Line) -> float:
    """Return what a bought line earns, expected over keeping and returning, goodwill included."""
    day, costs = ground.today(), ground.spec.costs
    back = float(day.returned[customer, line.item])
    kept = line.quantity * float(day.margin[line.item]) + costs.satisfaction * KEPT
    return (1.0 - back) * kept - back * (return_cost(ground, line) - costs.satisfaction * SENT_BACK)


def return_cost(ground: Ground, line: Line) -> float:
    """Return what a returned line costs besides its margin."""
    costs = ground.spec.costs
    return costs.returned + costs.resale * line.quantity * float(ground.today().price[line.item])


def meet_want(ground: Ground, customer: int, category: int, quantity: float) -> None:
    """Fill the cupboard: the want is met, and the visit planned for it does not take place."""
    mind, people = ground.mind, ground.people
    spread = float(people.irregular[customer]) if ground.staple[category] else 0.3
    luck = _NORMAL.inv_cdf(min(max(ground.u("refill", customer, category), 1e-9), 1.0 - 1e-9))
    lasts = quantity * float(people.days[customer, category]) * exp(spread * luck)
    mind.stock[customer, category] = max(float(mind.stock[customer, category]), 0.0) + max(lasts, LEAST_REFILL)
    mind.plan_at[customer, category] = 0


def feel(
    ground: Ground, customer: int, cause: tuple[int, str], *, mood: float = 0.0, trust: float = 0.0, worn: float = 0.0
) -> None:
    """Change satisfaction (felt in some days), trust and fatigue, and price the change as goodwill."""
    mind, costs = ground.mind, ground.spec.costs
    mind.pending[customer, HARM_AFTER - 1] += mood
    mind.trust[customer] = min(max(float(mind.trust[customer]) + trust, 0.0), 1.0)
    mind.fatigue[customer] += worn
    priced = costs.satisfaction * mood + costs.trust * trust - costs.fatigue * worn
    ground.ledger.post(Posting(Entry.GOODWILL, customer, cause[0], cause[0], cause[1], 0.0, priced))


def book(ground: Ground, kind: Entry, customer: int, at: int, cause: tuple[int, str], money: float) -> None:
    """Book money that falls due at `at`; `cause` is (origin, mode)."""
    ground.ledger.post(Posting(kind, customer, at, cause[0], cause[1], money, 0.0))


def complain(ground: Ground, customer: int, at: int, cause: tuple[int, str], decision_id: str | None) -> None:
    """Open a complaint, which is resolved some days later."""
    number = f"{ground.scribe.key}.{ground.people.ids[customer]}.k{ground.day}.{at % DAY}"
    fields = {"complaint_id": number, "decision_id": decision_id}
    ground.scribe.write("complaint_opened", customer, at, fields)
    wait = int((1.0 + 3.0 * ground.u("resolve", customer, 0)) * DAY)
    score = float(round(1 + 3 * ground.u("resolve", customer, min(1, len(ground.staple) - 1))))
    ground.scribe.write("complaint_resolved", customer, at + wait, {"complaint_id": number, "score": score})
    book(ground, Entry.COMPLAINT, customer, at, cause, -ground.spec.costs.complaint)
    feel(ground, customer, cause, mood=COMPLAINT_MOOD)


def place_order(
    ground: Ground,
    customer: int,
    at: int,
    lines: list[Line],
    cause: tuple[int, str],
    decision_id: str | None,
) -> str:
    """Place an order of lines that are wanted: wants are met, some lines will come back. Return its id."""
    order_id = write_order(ground, customer, at, lines, cause, decision_id)
    mood = 0.0
    for line in lines:
        back = ground.u("returned", customer, line.category) < ground.today().returned[customer, line.item]
        mood += SENT_BACK if back else KEPT
        if back:
            send_back(ground, customer, at, [line], cause, order_id)
        meet_want(ground, customer, line.category, line.quantity)
    feel(ground, customer, cause, mood=mood)
    _afterthoughts(ground, customer, at, lines, order_id)
    return order_id


def write_order(
    ground: Ground,
    customer: int,
    at: int,
    lines: list[Line],
    cause: tuple[int, str],
    decision_id: str | None,
) -> str:
    """Log and book an order and its delivery, and return its id; what it means to the customer is not settled here."""
    shop, day = ground.shop, ground.today()
    order_id = ground.scribe.order_id(customer)
    rows = [
        {
            "item_id": shop.ids[line.item],
            "quantity": line.quantity,
            "price": float(day.price[line.item]),
            "margin": float(day.margin[line.item]),
        }
        for line in lines
    ]
    fields = {"order_id": order_id, "items": rows, "currency": "EUR", "decision_id": decision_id}
    ground.scribe.write("order_completed", customer, at, fields)
    book(ground, Entry.ORDER, customer, at, cause, sum(line.quantity * float(day.margin[line.item]) for line in lines))
    luck = ground.u("carrier", customer, lines[0].category)
    ground.scribe.write("order_shipped", customer, at + 20 * HOUR, {"order_id": order_id})
    ground.scribe.write("order_delivered", customer, at + int((30.0 + 36.0 * luck) * HOUR), {"order_id": order_id})
    return order_id


def send_back(ground: Ground, customer: int, at: int, lines: list[Line], cause: tuple[int, str], order_id: str) -> None:
    """Return lines of an order placed at `at`, four to ten days later."""
    later = at + int((4.0 + 6.0 * ground.u("sent back", customer, lines[0].category)) * DAY)
    shop, day = ground.shop, ground.today()
    rows = [{"item_id": shop.ids[ln.item], "quantity": ln.quantity, "price": float(day.price[ln.item])} for ln in lines]
    ground.scribe.write("order_returned", customer, later, {"order_id": order_id, "items": rows})
    lost = sum(ln.quantity * float(day.margin[ln.item]) + return_cost(ground, ln) for ln in lines)
    book(ground, Entry.RETURN, customer, later, cause, -lost)


def _afterthoughts(ground: Ground, customer: int, at: int, lines: list[Line], order_id: str) -> None:
    """Answer a survey or review an item now and then; for the log only."""
    line = lines[0]
    fit = float(ground.today().taste.fit[customer, line.item])
    mood = float(ground.mind.satisfaction[customer])
    luck = ground.u("survey", customer, line.category)
    if luck < SURVEYED:
        nps = luck < 0.5 * SURVEYED
        spread = 4.0 * (ground.u("score", customer, line.category) - 0.5)
        score = min(max(round(10.0 * (0.6 * mood + 0.4 * fit) + spread), 0), 10)
        fields = {
            "instrument": "nps" if nps else "csat",
            "score": float(score if nps else 1 + round(0.4 * score)),
            "order_id": order_id,
        }
        ground.scribe.write("survey_answered", customer, at + 3 * DAY, fields)
    if ground.u("review", customer, line.category) < REVIEWED:
        rating = min(max(round(1.5 + 3.5 * fit + 1.5 * (ground.u("score", customer, line.category) - 0.5)), 1), 5)
        fields = {"item_id": ground.shop.ids[line.item], "rating": float(rating)}
        ground.scribe.write("review_posted", customer, at + 5 * DAY, fields)
