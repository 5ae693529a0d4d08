"""What a simulated shop is made of: numbers fixed before any engine is run, each with its reason.

None is fitted to what an engine does. Where a figure is a judgement, it is one a shopkeeper would nod at; the presets
move a few of them to make other shops. Before any engine was run, the pull of messages and the price of fatigue were
set so that in the default world each mode, and `hold`, is the best thing to do at one moment in twenty or more (for
somebody who knows everything, see `oracle.informed`): a world in which one mode always wins would teach nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from cxreco.errors import BadSpec
from cxreco.world.categories import FASHION, HOUSEHOLD, Category


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What things cost the shop, in money, all positive.

    All but the last three are booked as money. The last three price harm (or good) that outlasts the three days of a
    decision, in money per unit; they are booked as goodwill, apart from the takings.

    Attributes
    ----------
    returned, resale
        Handling and postage of a return, and the share of the price lost in selling it again, besides its margin.
    complaint
        Twenty minutes of a person, and a gesture.
    unsubscribe
        About a year of mailings that bring some 0.1 a week.
    contact
        Sending a message.
    cancelled
        Order stopped within its notice: a picker has been to the shelf.
    undone
        Order without a mandate: fetched back at the shop's cost.
    fatigue
        One unit takes a third off a typical customer's answer to the next message or two, each worth about 0.6.
    trust
        From 0 to 1: whether orders may be left to the shop (about a year of automatic orders, discounted).
    satisfaction
        From 0 to 1: how often the customer thinks of this shop over the next half year.
    """

    returned: float = 4.0
    resale: float = 0.1
    complaint: float = 12.0
    unsubscribe: float = 8.0
    contact: float = 0.05
    cancelled: float = 0.5
    undone: float = 5.0
    fatigue: float = 0.3
    trust: float = 6.0
    satisfaction: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSpec:
    """A simulated shop and its customers, before any dice are thrown.

    Attributes
    ----------
    history_days
        Days the shop has lived without an engine before one is asked; what `live_alone` is usually given.
    staples_used
        Share of the staple categories that a customer uses at all.
    memory
        Median chance per day to recognise an open need for a staple: most lists are made once or twice a week.
    elsewhere
        Chance per day that a need that has run out, unrecognised, is met at a corner shop.
    leave
        Mean chance that a visit without a purchase ends at a competitor.
    browse
        Median number of visits per day for pleasure (all occasional categories together).
    unseen
        Share of visits by a way that does not ask for decisions (phone, marketplace).
    togetherness
        Share of the needs of a customer that are recognised by a luck of the day that they have in common.
    known_staple, known_other
        Median chance that the customer knows exactly which item is wanted.
    outbound_every
        Days between the shop's opportunities to write to a customer.
    opens
        Median chance that an e-mail is opened by a rested customer.
    coach_pull, respond_pull, news_pull
        Chance that an opened nudge, quick reorder or slate is acted on, for an open need and a fitting item on top.
    backfire
        Multiplies the hazards of unsubscribing and complaining after a contact.
    tolerance
        Median fatigue at which answers fall to 1/e.
    trust, consent
        Mean trust in automation; share that consents to automatic execution.
    returns
        Multiplies the return rates of the categories.
    taste
        How far tastes differ (0: everyone likes the same).
    season, season_days
        Amplitude and period of the demand for occasional categories.
    out_of_stock, price_change
        Chance per item and day; a quarter of a year's prices move about once.
    drift_day
        Day on which tastes and trust change for good (None: never).
    days
        Days for which the catalogue's changes are laid out; after them it stands still.
    """

    name: str = "staples"
    customers: int = 500
    categories: tuple[Category, ...] = HOUSEHOLD
    items_per_category: int = 12
    history_days: int = 90
    staples_used: float = 0.55
    memory: float = 0.20
    elsewhere: float = 0.14
    leave: float = 0.40
    browse: float = 0.05
    unseen: float = 0.10
    togetherness: float = 0.4
    known_staple: float = 0.72
    known_other: float = 0.12
    outbound_every: float = 3.0
    opens: float = 0.40
    coach_pull: float = 0.45
    respond_pull: float = 0.30
    news_pull: float = 0.15
    backfire: float = 1.0
    tolerance: float = 2.2
    trust: float = 0.6
    consent: float = 0.35
    returns: float = 1.0
    taste: float = 1.3
    season: float = 0.15
    season_days: float = 365.0
    out_of_stock: float = 0.004
    price_change: float = 0.01
    drift_day: int | None = None
    days: int = 420
    costs: Costs = field(default_factory=Costs)

    def __post_init__(self) -> None:
        if self.customers < 1 or self.items_per_category < 2 or not self.categories:
            raise BadSpec("a world needs customers, categories and at least two items in each", where=self.name)
        for share in (
            "staples_used",
            "memory",
            "elsewhere",
            "leave",
            "unseen",
            "togetherness",
            "opens",
            "consent",
            "trust",
        ):
            if not 0.0 < getattr(self, share) < 1.0:
                raise BadSpec(f"must lie between 0 and 1, is {getattr(self, share)!r}", where=f"{self.name}.{share}")


_STAPLES = WorldSpec()

WORLDS: Mapping[str, WorldSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            _STAPLES,
            replace(_STAPLES, name="fashion", categories=FASHION, browse=0.16, known_other=0.10, taste=1.8),
            replace(_STAPLES, name="low_trust", trust=0.3, consent=0.08, tolerance=1.2, backfire=2.0),
            replace(_STAPLES, name="sparse", staples_used=0.25, browse=0.015, outbound_every=7.0, memory=0.12),
            replace(_STAPLES, name="seasonal", season=0.85, season_days=56.0, browse=0.12),
            replace(_STAPLES, name="drifting", drift_day=120),
            replace(_STAPLES, name="cold_start", history_days=0),
            replace(
                _STAPLES,
                name="adversarial",
                coach_pull=0.10,
                respond_pull=0.65,
                news_pull=0.08,
                backfire=5.0,
                known_staple=0.93,
            ),
        )
    }
)
