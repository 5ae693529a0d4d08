"""A comparator in a process and an environment of its own: asked for probabilities, told rewards when they are ripe.

Run as `python peer_process.py SETUP`, a JSON object: `family`, `setting`, `names` and `groups` of the features, `seed`.
A message is one line of JSON; an `ask` is followed by its (n, d) float32 features in `bytes` bytes. Rewards are in
units of a usual order's margin, and told less the running mean of the same kind of moment: what customers would have
bought anyway is most of a reward, and no comparator should have to learn it by trying.
"""

import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
MODES = 5
DRAWS = 4_000


class Vowpal:
    """Vowpal Wabbit, `--cb_explore_adf`: one example a candidate, what they share on a line of its own."""

    def __init__(self, setup: dict[str, Any]) -> None:
        from vowpalwabbit import Workspace  # type: ignore[import-not-found,unused-ignore]

        names = setup["names"]
        self._groups = {key: [(i, f" {names[i]}:") for i in columns] for key, columns in setup["groups"].items()}
        self._vw = Workspace(f"{setup['setting']['args']} --random_seed {setup['seed']} --quiet")

    def ask(self, x: F32, modes: list[int], recipes: list[str]) -> tuple[F64, list[str]]:
        """Return probabilities of the candidates, and what is to be remembered of the moment."""
        rows = x.tolist()
        lines = [f"shared |m kind{self._told('m', rows[0])} |u{self._told('u', rows[0])}"]
        lines += [
            f"|a mode={mode} recipe={recipe} |c{self._told('c', row)}"
            for mode, recipe, row in zip(modes, recipes, rows, strict=True)
        ]
        p = np.maximum(np.array(self._vw.predict("\n".join(lines) + "\n"), dtype=np.float64), 0.0)
        return p / p.sum(), lines

    def learn(self, told: list[tuple[Any, int, float, float]]) -> None:
        """Learn from (what was remembered, chosen row, its probability, reward), one after another."""
        for lines, row, p, reward in told:
            own = lines.copy()
            own[1 + row] = f"0:{-reward:.5f}:{p:.6f} {own[1 + row]}"
            self._vw.learn("\n".join(own) + "\n")

    def _told(self, group: str, row: list[float]) -> str:
        return "".join(f"{name}{row[i]:.4g}" for i, name in self._groups[group] if row[i] != 0.0)


class Linear:
    """Disjoint linear models over the modes (MABWiser), each mode represented by its candidate with the best ranking.

    LinUCB takes the highest bound. Thompson sampling: the law of the scores is normal and independent between arms, so
    the probability that an arm's is highest is found from draws of the scores, and the choice drawn by it.
    """

    def __init__(self, setup: dict[str, Any]) -> None:
        from mabwiser.mab import MAB, LearningPolicy  # type: ignore[import-not-found,unused-ignore]

        self._alpha = setup["setting"]["alpha"]
        self._sampled = setup["family"] == "lints"
        policy = LearningPolicy.LinTS if self._sampled else LearningPolicy.LinUCB
        self._mab = MAB(list(range(MODES)), policy(alpha=self._alpha, l2_lambda=1.0), seed=setup["seed"])
        self._rng = np.random.default_rng(setup["seed"])
        self._rank = setup["names"].index("slate_buy")
        self._fitted = False

    def ask(self, x: F32, modes: list[int], recipes: list[str]) -> tuple[F64, tuple[F64, list[int]]]:
        """Return probabilities of the candidates, and what is to be remembered of the moment."""
        del recipes
        code = np.array(modes)
        # The first of the best of each mode, by how likely it is that something of the offer is bought soon.
        order = np.lexsort((np.arange(code.size), -x[:, self._rank]))
        stand = np.sort(order[np.unique(code[order], return_index=True)[1]])
        contexts = np.column_stack([np.ones(stand.size), x[stand].astype(np.float64)])
        p = np.zeros(code.size)
        p[stand] = self._law(contexts, code[stand]) if self._fitted else 1.0 / stand.size
        full = np.zeros((code.size, contexts.shape[1]))
        full[stand] = contexts
        return p, (full, modes)

    def learn(self, told: list[tuple[Any, int, float, float]]) -> None:
        """Learn from (what was remembered, chosen row, its probability, reward), all at once."""
        contexts = np.array([full[row] for (full, _), row, _, _ in told])
        arms = [modes[row] for (_, modes), row, _, _ in told]
        rewards = [reward for _, _, _, reward in told]
        (self._mab.partial_fit if self._fitted else self._mab.fit)(arms, rewards, contexts)
        self._fitted = True

    def _law(self, contexts: F64, arms: NDArray[np.int64]) -> F64:
        if not self._sampled:
            found = self._mab.predict_expectations(contexts)
            bounds = [row[int(arm)] for row, arm in zip(found if arms.size > 1 else [found], arms, strict=True)]
            taken: F64 = np.eye(arms.size)[int(np.argmax(bounds))]
            return taken
        models = [self._mab._imp.arm_to_model[int(arm)] for arm in arms]
        mean = np.array([x @ model.beta for x, model in zip(contexts, models, strict=True)])
        spread = np.array([np.sqrt(x @ model.A_inv @ x) for x, model in zip(contexts, models, strict=True)])
        drawn = mean + self._alpha * spread * self._rng.standard_normal((DRAWS, arms.size))
        return np.bincount(drawn.argmax(axis=1), minlength=arms.size) / DRAWS


class Means:
    """Running mean of the rewards of each kind of moment."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = {}

    def less(self, kind: str, reward: float) -> float:
        """Return a reward less the mean of those before it."""
        told = self._sums.setdefault(kind, [0.0, 0.0])
        mean = told[0] / max(told[1], 1.0)
        told[0] += reward
        told[1] += 1.0
        return reward - mean


def main() -> None:
    """Answer until the input ends."""
    setup = json.loads(sys.argv[1])
    peer = Linear(setup) if setup["family"] in ("linucb", "lints") else Vowpal(setup)
    means, moments = Means(), {}
    into, out = sys.stdin.buffer, sys.stdout.buffer
    while line := into.readline():
        said = json.loads(line)
        answer: Any = None
        if said["do"] == "ask":
            x = np.frombuffer(into.read(said["bytes"]), dtype=np.float32).reshape(len(said["modes"]), -1)
            p, remembered = peer.ask(x, said["modes"], said["recipes"])
            moments[said["key"]] = said["kind"], remembered
            answer = p.tolist()
        elif said["told"]:
            told = []
            for key, row, p, reward in said["told"]:
                kind, remembered = moments.pop(key)
                told.append((remembered, row, p, means.less(kind, reward)))
            peer.learn(told)
        out.write(json.dumps(answer).encode() + b"\n")
        out.flush()


if __name__ == "__main__":
    main()
