"""`cxreco ui` says at once where it will be, then becomes MLflow's server, quietly."""

import os
import sys

import pytest
from rich.console import Console

from cxreco.edge.settings import Settings
from cxreco.pipelines import ui


def test_the_address_is_said_before_anything_slow_begins(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "log.db").touch()
    told: list[str] = []

    class Registry:
        """Stands where MLflow would be imported: by then the address must be on the screen."""

        uri = "sqlite:///mlflow.db"

        def __init__(self, *_: object) -> None:
            told.append(capsys.readouterr().out)

        def reconcile(self) -> None:
            told.append("reconciled")

    def become(path: str, command: list[str], environment: dict[str, str]) -> None:
        told.extend([path, " ".join(command), environment["MLFLOW_LOGGING_LEVEL"]])
        raise SystemExit

    monkeypatch.setattr("cxreco.edge.registry.Registry", Registry)
    monkeypatch.setattr(os, "execve", become)
    with pytest.raises(SystemExit):
        ui.run(Settings(home=tmp_path), "127.0.0.1", 5055, Console(width=200))
    said, reconciled, path, command, level = told
    assert "http://127.0.0.1:5055" in said.splitlines()[0]
    assert (reconciled, path, level) == ("reconciled", sys.executable, "WARNING")
    assert "mlflow ui" in command and "--port 5055" in command and "--log-level warning" in command
