"""Runs in the environment of `obp`, not in cxreco's: values the arrays of a .npz and writes what `obp` says as JSON."""

import json
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np


def main() -> int:
    """Read IN.npz, write OUT.json: each estimate with `obp`'s bootstrap interval, and its own Bernoulli TS."""
    given, out = np.load(sys.argv[1]), Path(sys.argv[2])
    ope: Any = import_module("obp.ope")
    found: dict[str, Any] = {"versions": {name: version(name) for name in ("obp", "numpy", "scikit-learn", "torch")}}
    for log in json.loads(str(given["logs"])):
        item, target = given[f"{log}.item"], given[f"{log}.target"]
        feedback = {
            "n_rounds": item.size,
            "n_actions": target.shape[0],
            "action": item,
            "position": given[f"{log}.place"],
            "reward": given[f"{log}.click"],
            "pscore": given[f"{log}.propensity"],
            "action_context": None,
            "context": np.zeros((item.size, 1)),
        }
        q = np.repeat(given[f"{log}.q"][:, :, None], target.shape[1], axis=2)
        shown = np.broadcast_to(target, (item.size, *target.shape))
        switches = [float(threshold) for threshold in given[f"{log}.thresholds"]]
        estimators = [
            ope.InverseProbabilityWeighting(estimator_name="ips"),
            ope.SelfNormalizedInverseProbabilityWeighting(estimator_name="snips"),
            ope.DirectMethod(estimator_name="dm"),
            ope.DoublyRobust(estimator_name="dr"),
            *(ope.SwitchDoublyRobust(lambda_=s, estimator_name=f"switch_dr at {s:.6g}") for s in switches),
        ]
        meta = ope.OffPolicyEvaluation(bandit_feedback=feedback, ope_estimators=estimators)
        asked = {"action_dist": shown, "estimated_rewards_by_reg_model": q}
        found[log] = {
            "estimates": {name: float(value) for name, value in meta.estimate_policy_values(**asked).items()},
            "intervals": meta.estimate_intervals(**asked, n_bootstrap_samples=1_000, random_state=1),
        }
    policy: Any = import_module("obp.policy")
    thompson = policy.BernoulliTS(n_actions=34, len_list=3, is_zozotown_prior=True, campaign="men", random_state=1)
    found["bernoulli_ts"] = thompson.compute_batch_action_dist(n_sim=100_000, n_rounds=1)[0].tolist()
    out.write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
