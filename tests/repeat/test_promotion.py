"""The gate's reasons, its announced N, and that it keeps its error."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from cxreco.errors import BadInput, BadSpec
from cxreco.repeat.chain import Chain
from cxreco.repeat.estimators import estimates
from cxreco.repeat.evaluation import Report
from cxreco.repeat.promotion import PromotionRules, judge
from cxreco.repeat.support import Logged, SupportRules, support_of

SPEC = Path(__file__).parents[2] / "models" / "promotion.toml"
RULES = PromotionRules()
MU = np.array([0.5, 0.3, 0.2])


def report(name, policy, seed=0, n=3_000, lift=0.0, harm=0.0, rules=SupportRules(), contact=0.1, groups=()):
    """A policy over three actions that earn 1, 1 + lift, 1 - lift; harm is the excess of complaints of action 1."""
    rng = np.random.default_rng(seed)
    action = rng.choice(3, size=n, p=MU)
    mean = np.array([1.0, 1.0 + lift, 1.0 - lift])
    reward = rng.exponential(mean[action] / 0.4) * (rng.random(n) < 0.4)
    money = Logged(
        reward=reward, propensity=MU[action], target=policy[action], clusters=np.arange(n) // 3,
        q=np.ones(n), q_target=np.ones(n),
    )  # fmt: skip
    support = support_of(money, rules)
    plain = replace(money, q=None, q_target=None)
    complained = (rng.random(n) < 0.02 + harm * (action == 1)) * 1.0
    exposure = np.tile(np.array([share for _, share in groups]), (n, 1))
    return Report(
        name=name, support=support, estimates=() if support.reasons else estimates(money), rows=pd.DataFrame(),
        money=money, harms={"complained": replace(plain, reward=complained)}, contact=np.full(n, contact),
        exposure=exposure, groups=tuple(group for group, _ in groups), decision_id=np.arange(n),
    )  # fmt: skip


BETTER = np.array([0.2, 0.7, 0.1])


def pair(policy=BETTER, **more):
    return report("champion", MU, **more), report("challenger", policy, **more)


def test_the_spec_in_the_repository_reads():
    spec = tomllib.loads(SPEC.read_text())
    rules = PromotionRules.from_spec(spec)
    said = {name: share for name, share in spec["guardrails"].items() if name != "confidence"}
    assert dict(rules.slack) == dict(PromotionRules().slack) | said
    for table in ("change", "refresh"):
        assert {name: getattr(rules, name, value) for name, value in spec[table].items()} == spec[table]


@pytest.mark.parametrize(
    "spec",
    [{"chnage": {}}, {"change": {"beta": 1}}, {"change": {"alpha": "x"}}, {"change": {"alpha": 2}}, {"refresh": 1},
     {"refresh": {"margin_share": 0}}],
)  # fmt: skip
def test_a_wrong_spec_is_refused(spec):
    with pytest.raises(BadSpec):
        PromotionRules.from_spec(spec)


def test_a_clearly_better_change_is_promoted_and_spends_an_attempt():
    verdict = judge(*pair(lift=0.8), RULES, kind="change")
    assert verdict.promote
    assert verdict.spent
    assert verdict.needed is None
    assert all(check.passed for check in verdict.checks)


def test_a_change_that_is_only_as_good_is_told_how_many_more_decisions():
    verdict = judge(*pair(lift=0.0, n=900), RULES, kind="change")
    assert not verdict.promote
    assert verdict.needed > 0
    assert verdict.reasons[0].startswith("not enough evidence yet: about ")


def test_a_change_that_is_evidently_worse_is_not_told_to_wait():
    verdict = judge(*pair(policy=np.array([0.2, 0.1, 0.7]), lift=0.8), RULES, kind="change")
    assert not verdict.promote
    assert verdict.needed is None


def test_a_change_that_decides_exactly_alike_is_not_told_to_wait():
    verdict = judge(*pair(policy=MU), RULES, kind="change")
    assert not verdict.promote
    assert verdict.needed is None
    assert judge(*pair(policy=MU), RULES, kind="refresh").promote


def test_later_attempts_need_more():
    champion, challenger = pair(lift=0.3)
    lows = [judge(champion, challenger, RULES, kind="change", attempt=k).difference.low for k in (1, 2, 5)]
    assert lows[0] > lows[1] > lows[2]


def test_a_refresh_that_decides_alike_passes_on_little_data_and_one_that_is_worse_does_not():
    alike = 0.98 * MU + 0.02 * BETTER
    assert judge(*pair(policy=alike, n=600), RULES, kind="refresh").promote
    worse = judge(*pair(policy=np.array([0.2, 0.1, 0.7]), lift=0.8), RULES, kind="refresh")
    assert not worse.promote
    assert not worse.spent


def test_what_refreshes_add_up_to_stops_them_from_drifting_downhill():
    champion, challenger = pair(policy=np.array([0.49, 0.29, 0.22]), lift=0.5)
    fallen = Chain(gain=-1.0, variance=0.01, links=12)
    assert judge(champion, challenger, RULES, kind="refresh", since=Chain()).promote
    held = judge(champion, challenger, RULES, kind="refresh", since=fallen)
    assert not held.promote and not held.undecided
    assert [check.name for check in held.checks if not check.passed] == ["chain of refreshes"]
    unsure = Chain(gain=-1.0, variance=1.0, links=12)
    assert judge(champion, challenger, RULES, kind="refresh", since=unsure).promote
    better = judge(*pair(lift=0.8), RULES, kind="change", since=fallen)
    assert better.promote, "a change is not held to what came before it"


@given(gains=st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=30), alpha=st.floats(0.001, 0.2))
def test_a_chain_is_the_sum_of_its_links_and_its_bound_lies_above_it(gains, alpha):
    apart = judge(*pair(n=600), RULES, kind="refresh").difference
    chain = Chain()
    for gain in gains:
        chain = chain.longer(replace(apart, value=gain, stderr=0.1))
    assert chain.gain == pytest.approx(sum(gains))
    assert chain.variance == pytest.approx(0.01 * len(gains))
    assert chain.most(alpha) > chain.gain + 0.1 * len(gains) ** 0.5 * norm.ppf(1.0 - alpha)


def test_thin_support_is_said_with_the_number_it_takes_and_spends_nothing():
    verdict = judge(*pair(n=80, policy=np.array([0.02, 0.03, 0.95])), RULES, kind="change")
    assert not verdict.promote
    assert not verdict.spent
    assert verdict.needed is not None
    assert any("does not support challenger" in reason for reason in verdict.reasons)


def test_a_better_earner_that_does_harm_is_stopped():
    verdict = judge(*pair(lift=0.8, harm=0.10), RULES, kind="change")
    assert [check.name for check in verdict.checks if not check.passed] == ["complained"]
    assert "complained" in verdict.reasons[0]


def test_contacts_exposure_and_latency_are_guarded():
    champion = report("champion", MU, lift=0.8, contact=0.1, groups=(("new", 0.3), ("old", 0.6), ("tiny", 0.01)))
    challenger = report("challenger", BETTER, lift=0.8, contact=0.2, groups=(("new", 0.1), ("old", 0.8)))
    verdict = judge(champion, challenger, RULES, kind="change", latency_ms=(2.0, 3.0))
    assert [c.name for c in verdict.checks if not c.passed] == ["contact", "exposure of new", "latency"]
    assert not verdict.promote


def test_reports_on_different_decisions_are_not_compared():
    champion, challenger = pair(n=100)
    with pytest.raises(BadInput, match="different decisions"):
        judge(champion, replace(challenger, decision_id=challenger.decision_id + 1), RULES, kind="change")


def test_undecided_is_who_lacks_evidence_and_shows_nothing_worse():
    few = judge(*pair(n=120, lift=0.3), RULES, kind="change")
    assert not few.promote and few.undecided
    worse = judge(*pair(policy=np.array([0.2, 0.1, 0.7]), lift=0.8, n=6_000), RULES, kind="change")
    assert not worse.promote and worse.needed is None and not worse.undecided
    harmful = judge(*pair(lift=0.5, harm=0.5), RULES, kind="change")
    assert not harmful.promote and not harmful.undecided
    better = judge(*pair(lift=0.8, n=6_000), RULES, kind="change")
    assert better.promote and not better.undecided
