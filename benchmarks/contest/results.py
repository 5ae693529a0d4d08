"""The results of the contest as a file: a line a season, added as each ends, so that an interrupted run goes on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contest.ways import SETTINGS

KEY = ("world", "seed", "customers", "history", "weeks", "policy")
Row = Mapping[str, Any]


def read(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """Return what is said of the runs, and the seasons; nothing where there is no file yet."""
    if not path.exists():
        return {}, []
    saved = json.loads(path.read_text())
    return saved["about"], saved["seasons"]


def key_of(row: Row) -> tuple[Any, ...]:
    """Return what tells a season from others: its shop and its policy."""
    return tuple(row[name] for name in KEY)


def add(path: Path, about: Mapping[str, Any], row: Row) -> None:
    """Add a season, in place of an earlier one of the same key; the file is whole at any time."""
    _, rows = read(path)
    kept = [other for other in rows if key_of(other) != key_of(row)] + [row]
    kept.sort(key=key_of)
    lines = ",\n".join(json.dumps(other, separators=(",", ":")) for other in kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".partial")
    fresh.write_text(f'{{"about": {json.dumps(about)},\n"seasons": [\n{lines}\n]}}\n')
    fresh.replace(path)


def best_settings(rows: Sequence[Row]) -> dict[str, int]:
    """Return for each family the setting with the highest takings over the shops in which all of its settings played.

    Ties go to the first; a family of which no shop saw all settings is left out.
    """
    by_name: dict[str, dict[tuple[Any, ...], float]] = {}
    for row in rows:
        shop = key_of(row)[:-1]
        by_name.setdefault(row["policy"], {})[shop] = sum(row["money"]) / len(row["money"]) / row["weeks"]
    chosen = {}
    for family, tried in SETTINGS.items():
        names = [f"{family}@{k}" for k in range(len(tried))]
        shops = set.intersection(*(set(by_name.get(name, {})) for name in names))
        if shops:
            means = [sum(by_name[name][shop] for shop in shops) / len(shops) for name in names]
            chosen[family] = means.index(max(means))
    return chosen
