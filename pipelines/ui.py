"""Ui: MLflow's own pages over the workspace's registry."""

import os
import sys
from typing import NoReturn

from rich.console import Console

from cxreco.edge.clock import now
from cxreco.edge.registry import Registry
from cxreco.edge.settings import Settings


def run(settings: Settings, host: str, port: int, console: Console) -> NoReturn:
    """Become MLflow's server, so that whoever stops this process stops it."""
    registry = Registry(settings.home, now)
    registry.reconcile()
    console.print(f"MLflow on http://{host}:{port}, stop with Ctrl-C", highlight=False)
    sys.stdout.flush()
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", registry.uri]
    # Looking needs one worker and none of the job runners that MLflow starts by default.
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    options = ["--host", host, "--port", str(port), "--workers", "1"]
    os.execve(sys.executable, [*command, *options], {**os.environ, **quiet})
