"""The specs under `models/`: the workspace's own copy where it has one, else the packaged default."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from cxreco.errors import BadSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Specs:
    """What a data scientist wrote, by file name without its ending.

    Attributes
    ----------
    tables
        The parsed files.
    sha256
        Of all names and bytes: two workspaces with the same specs agree.
    """

    tables: Mapping[str, Mapping[str, Any]]
    sha256: str

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        if name not in self.tables:
            raise BadSpec(
                f"there is no such spec; found: {', '.join(sorted(self.tables))}", where=f"models/{name}.toml"
            )
        return self.tables[name]


def load_specs(home: Path | None = None) -> Specs:
    """Read every spec; a file in `home/models` takes the place of the default of the same name.

    Raises
    ------
    BadSpec
        If a file is not TOML, naming it.
    """
    texts = dict(_defaults())
    if home is not None and (home / "models").is_dir():
        texts |= {path.name: path.read_bytes() for path in sorted((home / "models").glob("*.toml"))}
    digest = hashlib.sha256()
    tables = {}
    for name in sorted(texts):
        digest.update(name.encode() + b"\0" + texts[name] + b"\0")
        try:
            tables[name.removesuffix(".toml")] = tomllib.loads(texts[name].decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadSpec(f"not valid TOML: {error}", where=f"models/{name}") from error
    return Specs(tables=tables, sha256=digest.hexdigest())


def write_default_specs(home: Path) -> list[Path]:
    """Copy the default specs to `home/models` for editing, sparing files that are there; return what was written."""
    folder = home / "models"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in _defaults().items():
        if not (folder / name).exists():
            (folder / name).write_bytes(text)
            written.append(folder / name)
    return written


def _defaults() -> dict[str, bytes]:
    folder = resources.files("cxreco") / "models"
    if not folder.is_dir():
        raise BadSpec("the default specs are missing from the installation; install cxreco again", where=str(folder))
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(".toml")}
