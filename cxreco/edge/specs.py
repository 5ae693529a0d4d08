"""The specs under `models/`: the workspace's own copy where it has one, else the packaged default."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from cxreco.errors import BadSpec

NUMBER = r"[-+]?[\d_]*\.?[\d_]+(?:[eE][-+]?\d+)?"  # of TOML, but for the other bases, inf and nan


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
        If a file is not TOML or has a name that no spec has, naming it.
    """
    texts = dict(_defaults())
    if home is not None and (home / "models").is_dir():
        own = {path.name: path.read_bytes() for path in sorted((home / "models").glob("*.toml"))}
        if strangers := sorted(set(own) - set(texts)):
            known = ", ".join(sorted(texts))
            raise BadSpec(f"nobody reads a spec of that name; known: {known}", where=f"models/{strangers[0]}")
        texts |= own
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


def set_number(home: Path, name: str, key: str, value: float) -> None:
    """Set one number in the workspace's own copy of a spec; every other line and every comment stays as it is.

    Parameters
    ----------
    home
        The workspace; where it has no copy of the spec yet, it gets one.
    name
        The spec, without `.toml`.
    key
        What stands before the `=`, in any of the file's tables.
    value
        The new number.

    Raises
    ------
    BadSpec
        If there is no such spec, or not exactly one line in it that sets this key to a number.
    """
    path = home / "models" / f"{name}.toml"
    if not path.exists():
        default = _defaults().get(path.name)
        if default is None:
            raise BadSpec("there is no such spec", where=str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(default)
    line = re.compile(rf"^({re.escape(key)}[ \t]*=[ \t]*){NUMBER}(?=[ \t]*(?:#|$))", flags=re.MULTILINE)
    text, count = line.subn(lambda found: f"{found[1]}{value}", path.read_text())
    if count != 1:
        raise BadSpec(f"has {count} lines that set {key} to a number; exactly one is needed", where=str(path))
    path.write_text(text)


def _defaults() -> dict[str, bytes]:
    folder = resources.files("cxreco") / "models"
    if not folder.is_dir():
        raise BadSpec("the default specs are missing from the installation; install cxreco again", where=str(folder))
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(".toml")}
