"""Ui: MLflow's own pages over the workspace's registry."""

import os
import sys
from typing import NoReturn

from rich.console import Console

from cxreco.edge.clock import now
from cxreco.edge.settings import Settings
from cxreco.pipelines.workspace import there

# Looking needs one worker and none of the job runners that MLflow starts by default, and no word of its insides.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "PYTHONWARNINGS": "ignore",
}


def run(settings: Settings, host: str, port: int, console: Console) -> NoReturn:
    """Become MLflow's server, so that whoever stops this process stops it.

    Raises
    ------
    NotFound
        If there is no workspace.
    """
    home = there(settings).home
    where = f"http://{host}:{port}"
    console.print(
        f"MLflow will be on {where} once it has started, within half a minute; Ctrl-C stops it",
        highlight=False,
        soft_wrap=True,
    )
    console.print("runs named train: explanations, repeat loop, results; models: who is champion", highlight=False)
    sys.stdout.flush()
    # Imported late, for it takes seconds: where to look is said at once.
    from cxreco.edge.registry import Registry

    registry = Registry(home, now)
    registry.reconcile()
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", registry.uri]
    options = [
        "--registry-store-uri",
        registry.uri,
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
        "--uvicorn-opts",
        "--log-level warning",
    ]
    os.execve(sys.executable, [*command, *options], {**os.environ, **QUIET})
