"""The composition root: what is plugged into what. `python serve.py` serves; so does `cxreco serve`."""

import os
import socket

import uvicorn
from fastapi import FastAPI

from cxreco.edge.api import create_app
from cxreco.edge.clock import now
from cxreco.edge.connection import Connection
from cxreco.edge.engine import Engine
from cxreco.edge.logs import log_as_json
from cxreco.edge.settings import Settings, load_settings
from cxreco.edge.stores import open_states, open_store
from cxreco.edge.tracing import tracing_of
from cxreco.errors import CxRecoError


def create() -> FastAPI:
    """Compose the application from the settings that hold here."""
    settings = load_settings()
    log_as_json(settings.log_level)
    store = open_store(settings, patience_s=settings.decide_deadline_ms / 1_000)
    return create_app(
        Engine(store, settings, clock=now, cache=open_states(settings, store), tracing=tracing_of(os.environ))
    )


def run(settings: Settings) -> None:
    """Serve until told to stop; every worker composes its own application from the same settings.

    Raises
    ------
    CxRecoError
        If the address cannot be listened on: said at once, before anything is loaded.
    """
    try:
        socket.create_server(
            (settings.host, settings.port), family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        ).close()
    except OSError as taken:
        why, where = str(taken.strerror).partition(" (")[0], f"{settings.host}:{settings.port}"
        raise CxRecoError(f"cannot listen on {where}: {why}; name another by --port or --host") from taken
    os.environ.update(settings.variables())
    uvicorn.run(
        "cxreco.serve:create",
        factory=True,
        http=Connection,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_level=settings.log_level,
        access_log=False,
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    run(load_settings())
