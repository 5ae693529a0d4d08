"""Which playbook is live: an atomic pointer in the workspace, and the files that it names, checked byte for byte.

    home/champion.json            {"version", "sha256", "promoted_at", "previous"}
    home/playbooks/<version>/     the playbook's files and manifest.json, {"files": {name: sha256}}

The pointer's `sha256` is the manifest's. `challenger.json` is the same for the challenger. Serving needs nothing else.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from cxreco.errors import NotFound, StalePlaybook
from cxreco.respond.playbook import Playbook

CHAMPION, CHALLENGER = "champion", "challenger"
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What is live, since when, and what was before; `promoted_at` is ISO 8601."""

    version: str
    sha256: str
    promoted_at: str
    previous: str = ""


def read_pointer(home: Path, role: str = CHAMPION) -> Pointer | None:
    """Return the pointer of a role; None where nothing was promoted.

    Raises
    ------
    StalePlaybook
        If the file is there and cannot be read.
    """
    path = home / f"{role}.json"
    try:
        return Pointer(**orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, OSError) as error:
        raise StalePlaybook(f"{path} cannot be read: {error}") from error


def write_pointer(home: Path, pointer: Pointer, role: str = CHAMPION) -> None:
    """Put a pointer in place of the one before, in one step that survives a power cut."""
    write_whole(home / f"{role}.json", orjson.dumps(asdict(pointer), option=orjson.OPT_INDENT_2))


def remove_pointer(home: Path, role: str) -> None:
    """Leave a role vacant."""
    (home / f"{role}.json").unlink(missing_ok=True)


def manifest_of(files: Mapping[str, bytes]) -> bytes:
    """Return the manifest of a playbook: every file's name and SHA-256."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    return orjson.dumps({"files": hashes}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def check(files: Mapping[str, bytes], manifest: bytes, *, what: str) -> None:
    """Refuse files that are not, name by name and byte by byte, what the manifest says.

    Raises
    ------
    StalePlaybook
        Naming the first file that differs.
    """
    try:
        expected = dict(orjson.loads(manifest)["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise StalePlaybook(f"{what}: its manifest cannot be read") from error
    for name in sorted({*files, *expected}):
        if name not in files or name not in expected:
            raise StalePlaybook(f"{what}: {name} is {'missing' if name in expected else 'not in the manifest'}")
        if hashlib.sha256(files[name]).hexdigest() != expected[name]:
            raise StalePlaybook(f"{what}: {name} is not what was registered; restore it or promote another version")


def keep(home: Path, version: str, files: Mapping[str, bytes]) -> str:
    """Put a playbook's files under `home/playbooks`; returns the SHA-256 of the manifest."""
    folder = home / "playbooks" / version
    manifest = manifest_of(files)
    for name, content in {**files, MANIFEST: manifest}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            write_whole(path, content)
    return hashlib.sha256(manifest).hexdigest()


def kept_files(home: Path, version: str) -> tuple[dict[str, bytes], bytes]:
    """Return the files of a playbook and its manifest.

    Raises
    ------
    NotFound
        If the workspace has no such version.
    """
    folder = home / "playbooks" / version
    if not (folder / MANIFEST).is_file():
        raise NotFound(f"there is no playbook {version} under {home / 'playbooks'}")
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    manifest = found.pop(MANIFEST)
    return {name: content for name, content in found.items() if not name.endswith(PARTIAL)}, manifest


def trained_to(home: Path, version: str) -> int:
    """Return the end of the log that a playbook was learned from, microseconds; 0 where it is gone."""
    try:
        return int(orjson.loads((home / "playbooks" / version / "playbook.json").read_bytes())["trained_to"])
    except (OSError, KeyError, ValueError):
        return 0


def load_playbook(home: Path, version: str, sha256: str = "") -> Playbook:
    """Read a playbook from the workspace.

    Parameters
    ----------
    sha256
        Of the manifest, as the pointer says; empty: not checked against a pointer.

    Raises
    ------
    NotFound
        If there is no such version.
    StalePlaybook
        If a byte is not what was registered.
    """
    files, manifest = kept_files(home, version)
    if sha256 and hashlib.sha256(manifest).hexdigest() != sha256:
        raise StalePlaybook(f"playbook {version}: its manifest is not what the pointer names")
    check(files, manifest, what=f"playbook {version}")
    return Playbook.from_files(files)


class Watcher:
    """Looks at the pointers and hands over what changed; what cannot be read changes nothing, and is looked at again.

    Parameters
    ----------
    adopt
        Called with (role, playbook or None, pointer or None); a None playbook: vacant.
    refused
        Called with (role, reason) when a pointer names what cannot be used: the playbook before stays live.
    """

    def __init__(
        self,
        home: Path,
        adopt: Callable[[str, Playbook | None, Pointer | None], None],
        refused: Callable[[str, Exception], None],
    ) -> None:
        self._home = home
        self._adopt = adopt
        self._refused = refused
        self._seen: dict[str, object] = {}

    def look(self) -> None:
        """Look once."""
        for role in (CHAMPION, CHALLENGER):
            try:
                pointer = read_pointer(self._home, role)
                if pointer == self._seen.get(role):
                    continue
                playbook = None if pointer is None else load_playbook(self._home, pointer.version, pointer.sha256)
                self._adopt(role, playbook, pointer)
            except Exception as error:
                # Whatever is wrong with a new champion, the one before goes on.
                self._refused(role, error)
            else:
                self._seen[role] = pointer


PARTIAL = ".partial"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, and a power cut, sees the old one or the new one whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
