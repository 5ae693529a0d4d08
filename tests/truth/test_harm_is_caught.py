"""The watch as a statistician would test it: a healthy champion stays, one that does harm is caught within weeks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cxreco.errors import BadInput
from cxreco.repeat.estimators import estimates
from cxreco.repeat.evaluation import Report
from cxreco.repeat.harm import watch
from cxreco.repeat.promotion import PromotionRules
from cxreco.repeat.support import Logged, SupportRules, support_of

RULES = PromotionRules()
SIMS, WEEKS, A_WEEK, PER = 60, 8, 300, 6
# Two actions: leave be, and write. The predecessor writes seldom, the champion more often.
BEFORE, NOW = np.array([0.75, 0.25]), np.array([0.35, 0.65])


def season(seed, *, annoys, costs=0.0):
    """Eight weeks under the champion; a letter drives some away with this chance, and may cost money."""
    rng = np.random.default_rng(seed)
    n = WEEKS * A_WEEK
    customer = rng.integers(0, n // PER, n)
    action = (rng.random(n) < NOW[1]).astype(int)
    touchy = rng.beta(1.0, 3.0, n // PER)[customer] * 4.0
    left = (rng.random(n) < np.clip(0.01 + annoys * action * touchy, 0.0, 1.0)) * 1.0
    money = (rng.random(n) < 0.2) * rng.lognormal(2.0, 0.8, n) - costs * action
    return action, customer, money, left


def report(name, policy, rows, weeks):
    action, customer, money, left = (column[: weeks * A_WEEK] for column in rows)
    n = action.size
    log = Logged(
        reward=money, propensity=NOW[action], target=policy[action], clusters=customer, q=np.full(n, 1.5),
        q_target=np.full(n, 1.5),
    )  # fmt: skip
    support, plain = support_of(log, SupportRules()), replace(log, q=None, q_target=None)
    harms = {"unsubscribed": replace(plain, reward=left), "complained": replace(plain, reward=np.zeros(n))}
    return Report(
        name=name, support=support, estimates=() if support.reasons else estimates(log), rows=pd.DataFrame(),
        money=log, harms=harms, contact=np.full(n, policy[1]), exposure=np.empty((n, 0)), groups=(),
        decision_id=np.arange(n),
    )  # fmt: skip


def looks(seed, **harm):
    """Return what each weekly look found to be evidently worse."""
    rows = season(seed, **harm)
    for weeks in range(1, WEEKS + 1):
        yield watch(report("champion", NOW, rows, weeks), report("predecessor", BEFORE, rows, weeks), RULES)


def alarmed(seed, **harm):
    return any(each.harm for each in looks(seed, **harm))


def test_a_champion_that_does_no_harm_is_rolled_back_in_under_five_percent_however_often_one_looks():
    assert sum(alarmed(seed, annoys=0.0) for seed in range(SIMS)) <= 0.05 * SIMS


def test_one_that_drives_customers_away_is_caught_and_named():
    found = [next((look for look in looks(seed, annoys=0.06) if look.harm), None) for seed in range(20)]
    caught = [look for look in found if look is not None]
    assert len(caught) >= 0.9 * 20
    assert all([each.name for each in look.harm] == ["unsubscribed"] for look in caught)
    assert "unsubscribes: +" in caught[0].harm[0].words()


def test_one_that_loses_money_is_caught():
    caught = [
        any("money" in [h.name for h in look.harm] for look in looks(seed, annoys=0.0, costs=3.0)) for seed in range(20)
    ]
    assert sum(caught) >= 0.9 * 20


def test_a_bad_month_for_everybody_blames_nobody():
    """Everyone unsubscribes five times as often, whatever was done: before against after would have blamed it."""

    def alarm(seed):
        action, customer, money, left = season(seed, annoys=0.0)
        left = np.maximum(left, np.random.default_rng(seed).random(left.size) < 0.05)
        rows = (action, customer, money, left)
        return any(
            watch(report("champion", NOW, rows, weeks), report("predecessor", BEFORE, rows, weeks), RULES).harm
            for weeks in (2, 4, 8)
        )

    assert sum(alarm(seed) for seed in range(SIMS)) <= 0.05 * SIMS


def test_too_little_says_so_and_other_decisions_cannot_be_paired():
    rows = season(0, annoys=0.0)
    short = tuple(column[:40] for column in rows)
    few = watch(report("champion", NOW, short, 1), report("predecessor", BEFORE, short, 1), RULES)
    assert few.harm == () and "too early to tell" in few.reason
    with pytest.raises(BadInput, match="paired"):
        watch(report("champion", NOW, rows, 1), report("predecessor", BEFORE, rows, 2), RULES)
