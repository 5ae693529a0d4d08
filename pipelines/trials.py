"""Trials: what became of each challenger, one small file each, so that judging goes on where it stopped."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from cxreco.edge.champion import write_whole
from cxreco.errors import NotFound
from cxreco.repeat.chain import Chain

FOLDER = "trials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One challenger and its judgement.

    Attributes
    ----------
    version
        The playbook that would be promoted, fitted on everything.
    judged
        The same fit without the evaluation days, which are what it is judged on.
    cut
        Where those days begin, microseconds.
    position, spec
        What it was trained from; the same of both is the same challenger.
    spent
        Whether its judgement used up one of the attempts at a change.
    promoted
        Whether it went live.
    chain
        What refreshes add up to since a policy last won as a change, up to this one once it is promoted.
    reasons
        Of the verdict; empty before.
    rolled_back
        Why it was rolled back for harm, once live; empty: it was not.
    """

    number: int
    version: str
    judged: str
    cut: int
    position: int
    spec: str
    chain: Chain = field(default_factory=Chain)
    spent: bool = False
    promoted: bool = False
    reasons: tuple[str, ...] = ()
    rolled_back: str = ""


class Trials:
    """The trials of a workspace, in order."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER

    def all(self) -> list[Trial]:
        """Return them, oldest first."""
        found = [orjson.loads(path.read_bytes()) for path in sorted(self._folder.glob("*.json"))]
        return [_trial(fields) for fields in found]

    def latest(self) -> Trial:
        """Return the latest.

        Raises
        ------
        NotFound
            If there is none.
        """
        trials = self.all()
        if not trials:
            raise NotFound("nothing was trained yet: run `cxreco train`")
        return trials[-1]

    def of(self, version: str) -> Trial | None:
        """Return the latest trial of a playbook."""
        return next((trial for trial in reversed(self.all()) if trial.version == version), None)

    def keep(self, trial: Trial) -> Trial:
        """Keep a trial, in place of its earlier self; number 0 is given the next one."""
        if trial.number == 0:
            trial = replace(trial, number=1 + max((other.number for other in self.all()), default=0))
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._folder / f"{trial.number:06d}.json", orjson.dumps(asdict(trial), option=orjson.OPT_INDENT_2))
        return trial

    def attempts(self) -> int:
        """Return how many judgements of changes were spent so far."""
        return sum(trial.spent for trial in self.all())


def _trial(fields: Mapping[str, Any]) -> Trial:
    # Before there was a chain, a trial named the policy that refreshes were held to instead.
    kept = {name: value for name, value in fields.items() if name != "anchor"}
    return Trial(**kept | {"reasons": tuple(fields["reasons"]), "chain": Chain(**fields.get("chain", {}))})


def flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Return nested tables as one, keys joined by dots; a list of tables is told apart by their `id` or place."""
    found: dict[str, object] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple) and value and all(isinstance(each, Mapping) for each in value):
            rows = {str(row.get("id", n)): {k: v for k, v in row.items() if k != "id"} for n, row in enumerate(value)}
            found |= flat(rows, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
