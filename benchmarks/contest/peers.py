"""Comparators as the contest sees them: an environment made once, a process each season, a desk between it and us."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from apart.environment import python_with
from numpy.typing import NDArray

from contest.sights import NAMES, groups, sight
from contest.ways import Way
from cxreco.errors import CxRecoError
from cxreco.request.candidates import VALUE_COLUMN, Candidates

F64 = NDArray[np.float64]
PACKAGES = ("vowpalwabbit==9.11.9", "mabwiser==2.7.4", "numpy>=2,<3")
PROGRAM = Path(__file__).with_name("peer_process.py")


def environment() -> Path:
    """Return the Python of the comparators' environment, which is made in the user's cache where it is missing.

    Raises
    ------
    NotFound
        If it cannot be made: without a network, or without wheels for this Python.
    """
    return python_with(PACKAGES, "contest")


class Desk:
    """Between the engine's decisions and a comparator: asks it, remembers what was taken, tells it what came of it.

    Parameters
    ----------
    scale
        Money that counts as one.
    """

    def __init__(self, way: Way, *, seed: int, scale: float) -> None:
        setup = {
            "family": way.family, "setting": dict(way.setting or {}), "names": NAMES, "groups": groups(), "seed": seed,
        }  # fmt: skip
        self._process = subprocess.Popen(
            [str(environment()), str(PROGRAM), json.dumps(setup)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._scale = scale
        self._key = 0
        self._taken: dict[str, tuple[int, int, float]] = {}
        self.facing: Candidates | None = None

    def law(self) -> F64:
        """Return (n,) the comparator's probabilities of the candidates that are faced."""
        candidates = self.facing
        if candidates is None:
            raise CxRecoError("there is nothing to choose from")
        x = sight(candidates)
        first = candidates.x[0]
        asked = max(first[VALUE_COLUMN["has_query"]], first[VALUE_COLUMN["has_item"]])
        self._key += 1
        head = {
            "do": "ask", "key": self._key, "bytes": x.nbytes, "modes": candidates.mode.tolist(),
            "recipes": [candidates.actions[int(action)] for action in candidates.action],
            "kind": f"{first[VALUE_COLUMN['on_outbound']]:.0f}{asked:.0f}{first[VALUE_COLUMN['cart_size']] > 0}",
        }  # fmt: skip
        p = np.array(self._said(head, x.tobytes()), dtype=np.float64)
        if p.shape != candidates.mode.shape or not np.isfinite(p).all():
            raise CxRecoError(f"the comparator gave no probabilities: {p}")
        # Text and single precision leave a rest: what is logged sums to one.
        return np.asarray(p / p.sum(), dtype=np.float64)

    def took(self, decision_id: str, row: int, p: float) -> None:
        """Remember which candidate was drawn, and how probable it was."""
        self._taken[decision_id] = self._key, row, p

    def tell(self, ripe: Sequence[tuple[str, float]]) -> None:
        """Tell the comparator what decisions earned, in order."""
        told = [(*self._taken.pop(decision_id), money / self._scale) for decision_id, money in ripe]
        self._said({"do": "learn", "told": told})

    def close(self) -> None:
        """End the comparator's process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _said(self, head: dict[str, Any], body: bytes = b"") -> Any:  # noqa: ANN401 (JSON)
        into, out = self._process.stdin, self._process.stdout
        if into is None or out is None:
            raise CxRecoError("the comparator has no pipes")
        into.write(json.dumps(head).encode() + b"\n" + body)
        into.flush()
        line = out.readline()
        if not line:
            raise CxRecoError(f"the comparator ended with {self._process.wait()}")
        return json.loads(line)
