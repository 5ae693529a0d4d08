"""The composition root: what is plugged into what. `python serve.py` serves; so does `cxreco serve`."""

import logging
import os

import uvicorn
from fastapi import FastAPI

from cxreco.edge.api import create_app
from cxreco.edge.clock import now
from cxreco.edge.engine import Engine
from cxreco.edge.settings import Settings, load_settings
from cxreco.edge.sqlite_store import SqliteStore


def create() -> FastAPI:
    """Compose the application from the settings that hold here."""
    settings = load_settings()
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    store = SqliteStore(settings.home / "log.db", relaxed=settings.durability == "relaxed")
    return create_app(Engine(store, settings, clock=now))


def run(settings: Settings) -> None:
    """Serve until told to stop; every worker composes its own application from the same settings."""
    os.environ.update(settings.variables())
    uvicorn.run(
        "cxreco.serve:create",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_level=settings.log_level,
        access_log=False,
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    run(load_settings())
