"""The model registry on MLflow: every playbook that was trained, what it measured, and which one is live.

Used by pipelines and the command line; serving reads the champion pointer alone (`champion.py`), which is the truth:
the registry's aliases follow it, and `reconcile` puts them right after a crash in between.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cxreco.edge.champion import (
    CHALLENGER,
    CHAMPION,
    MANIFEST,
    Pointer,
    check,
    keep,
    manifest_of,
    read_pointer,
    remove_pointer,
    write_pointer,
)
from cxreco.errors import NotFound, StalePlaybook
from cxreco.recognise.contract import write_time
from cxreco.respond.playbook import Playbook, version_of

MODEL = "cxreco"
PREVIOUS = "previous"
FOLDER = "playbook"
TAG = "cxreco.version"
# MLflow takes so many metrics or parameters a call, and parameters of so many characters.
BATCH, LONGEST = 100, 500


class Registry:
    """The registered playbooks of a workspace: MLflow on `home/mlflow.db`, artifacts in `home/mlflow-artifacts`.

    Versions are the playbooks' own (the hash of their files); MLflow's numbers are kept beside them.

    Parameters
    ----------
    home
        The workspace.
    clock
        Returns now, microseconds.
    experiment
        MLflow experiment that runs without one are logged to.
    """

    def __init__(self, home: Path, clock: Callable[[], int], experiment: str = "cxreco") -> None:
        # Its bars for every handful of small files would drown what a command says.
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        import mlflow

        # It tells at length how it makes its tables; what goes wrong still comes as an error.
        for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking", "mlflow.store.model_registry"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.home = home
        self._clock = clock
        home.mkdir(parents=True, exist_ok=True)
        self.uri = f"sqlite:///{(home / 'mlflow.db').resolve()}"
        self._mlflow = mlflow
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        self._client: Any = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        self.experiment_id = self._experiment(experiment)

    def save(
        self,
        files: Mapping[str, bytes],
        *,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        artifacts: Mapping[str, bytes] | None = None,
        run_name: str = "train",
        run_id: str = "",
    ) -> str:
        """Register a playbook with what was measured of it; returns its version.

        Parameters
        ----------
        files
            What `Playbook.to_files` returned.
        artifacts
            Other files to keep with the run, by path.
        run_id
            A run to log to; empty: a new one.

        The same playbook again is logged to its run, not registered twice.
        """
        version = version_of(files)
        run = run_id or self._client.create_run(self.experiment_id, run_name=run_name).info.run_id
        self._log(run, metrics or {}, params or {}, {**(tags or {}), TAG: version})
        self._keep(run, {**(artifacts or {})})
        if self._number(version) is None:
            self._keep(run, {f"{FOLDER}/{name}": content for name, content in files.items()})
            self._keep(run, {f"{FOLDER}/{MANIFEST}": manifest_of(files)})
            self._register(run, version)
        if not run_id:
            self._client.set_terminated(run)
        return version

    def note(
        self, version: str, *, tags: Mapping[str, str] | None = None, artifacts: Mapping[str, bytes] | None = None
    ) -> None:
        """Add to the run in which a playbook was registered.

        Raises
        ------
        NotFound
            If there is no such version.
        """
        run = self._run(version)
        self._log(run, {}, {}, tags or {})
        self._keep(run, artifacts or {})

    def artifact(self, version: str, path: str) -> bytes | None:
        """Return a file of the run in which a playbook was registered; None where it has none of that name.

        Raises
        ------
        NotFound
            If there is no such version.
        """
        run = self._run(version)
        folder = path.rpartition("/")[0]
        if path not in {found.path for found in self._client.list_artifacts(run, folder or None)}:
            return None
        with tempfile.TemporaryDirectory() as scratch:
            return Path(self._client.download_artifacts(run, path, scratch)).read_bytes()

    def load(self, version: str) -> dict[str, bytes]:
        """Return the files of a registered playbook.

        Raises
        ------
        NotFound
            If there is no such version.
        StalePlaybook
            If a byte differs from what was registered.
        """
        run = self._run(version)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(self._client.download_artifacts(run, FOLDER, scratch))
            files = {
                path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
            }
        manifest = files.pop(MANIFEST, b"")
        check(files, manifest, what=f"playbook {version} in the registry")
        if version_of(files) != version:
            raise StalePlaybook(f"playbook {version} in the registry: its files are those of {version_of(files)}")
        return files

    def playbook(self, version: str) -> Playbook:
        """Return a registered playbook, checked."""
        return Playbook.from_files(self.load(version))

    def versions(self) -> list[str]:
        """Return the registered versions, oldest first."""
        found = self._client.search_model_versions(f"name='{MODEL}'")
        return [row.tags.get(TAG, "") for row in sorted(found, key=lambda row: int(row.version))]

    def live(self, role: str = CHAMPION) -> Pointer | None:
        """Return what is live in a role."""
        return read_pointer(self.home, role)

    def promote(self, version: str) -> Pointer:
        """Make a registered playbook the champion; running servers pick it up within seconds.

        Raises
        ------
        NotFound, StalePlaybook
            As `load`; what was live stays live.
        """
        before = read_pointer(self.home)
        if before is not None and before.version == version:
            self.reconcile()
            return before
        pointer = self._pointed(version, previous=before.version if before else "")
        write_pointer(self.home, pointer)
        challenger = read_pointer(self.home, CHALLENGER)
        if challenger is not None and challenger.version == version:
            remove_pointer(self.home, CHALLENGER)
        self.reconcile()
        return pointer

    def challenge(self, version: str | None) -> Pointer | None:
        """Give a registered playbook the challenger's customers; None: nobody."""
        pointer = None if version is None else self._pointed(version, previous="")
        if pointer is None:
            remove_pointer(self.home, CHALLENGER)
        else:
            write_pointer(self.home, pointer, CHALLENGER)
        self.reconcile()
        return pointer

    def rollback(self) -> Pointer:
        """Make the previous champion live again; done twice, it is undone.

        Raises
        ------
        NotFound
            If there is no previous champion.
        """
        now = read_pointer(self.home)
        if now is None or not now.previous:
            raise NotFound("there is no previous champion to go back to")
        pointer = self._pointed(now.previous, previous=now.version)
        write_pointer(self.home, pointer)
        self.reconcile()
        return pointer

    def reconcile(self) -> dict[str, str]:
        """Make the registry's aliases say what the pointers say; returns them."""
        champion, challenger = read_pointer(self.home), read_pointer(self.home, CHALLENGER)
        wanted = {
            CHAMPION: champion.version if champion else "",
            PREVIOUS: champion.previous if champion else "",
            CHALLENGER: challenger.version if challenger else "",
        }
        for alias, version in wanted.items():
            number = self._number(version) if version else None
            if number is not None:
                self._client.set_registered_model_alias(MODEL, alias, number)
            elif self._known():
                self._client.delete_registered_model_alias(MODEL, alias)
        return {alias: version for alias, version in wanted.items() if version}

    def _pointed(self, version: str, *, previous: str) -> Pointer:
        files = self.load(version)
        Playbook.from_files(files)
        sha256 = keep(self.home, version, files)
        return Pointer(version=version, sha256=sha256, promoted_at=write_time(self._clock()), previous=previous)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = (self.home / "mlflow-artifacts").resolve().as_uri()
        return str(self._client.create_experiment(name, artifact_location=place))

    def _run(self, version: str) -> str:
        """Return the run in which a playbook was registered."""
        number = self._number(version)
        if number is None:
            raise NotFound(
                f"there is no playbook {version} in the registry; known: {', '.join(self.versions()) or 'none'}"
            )
        return str(self._client.get_model_version(MODEL, number).run_id)

    def _log(
        self, run: str, metrics: Mapping[str, float], params: Mapping[str, object], tags: Mapping[str, str]
    ) -> None:
        """Log to a run, many at a time: one by one, a spec would take seconds."""
        from mlflow.entities import Metric, Param, RunTag

        at = self._clock() // 1_000
        rows: list[tuple[str, Any]] = [
            *(("metrics", Metric(name, float(value), at, 0)) for name, value in metrics.items()),
            *(("params", Param(name, str(value)[:LONGEST])) for name, value in params.items()),
            *(("tags", RunTag(name, value)) for name, value in tags.items()),
        ]
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            kinds = {kind: [row for kept, row in part if kept == kind] for kind in ("metrics", "params", "tags")}
            self._client.log_batch(run, **kinds)

    def _keep(self, run: str, files: Mapping[str, bytes]) -> None:
        """Log files as artifacts of a run, under their own paths."""
        with tempfile.TemporaryDirectory() as scratch:
            for name, content in files.items():
                path = Path(scratch) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            if files:
                self._client.log_artifacts(run, scratch)

    def _register(self, run: str, version: str) -> None:
        if not self._known():
            self._client.create_registered_model(MODEL, description="Playbooks: all that is needed to decide.")
        source = f"{self._client.get_run(run).info.artifact_uri}/{FOLDER}"
        self._client.create_model_version(MODEL, source=source, run_id=run, tags={TAG: version})

    def _known(self) -> bool:
        return bool(self._client.search_registered_models(f"name='{MODEL}'"))

    def _number(self, version: str) -> str | None:
        """Return MLflow's number of a playbook's version."""
        found = self._client.search_model_versions(f"name='{MODEL}' AND tag.`{TAG}`='{version}'")
        return str(found[0].version) if found else None
