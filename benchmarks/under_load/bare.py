"""The floor: a FastAPI handler with the same body in and the same bytes out, and nothing in between."""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response

from cxreco.edge.schemas import DecisionIn


def create(reply: bytes) -> FastAPI:
    """Return the application."""
    app = FastAPI()

    @app.post("/v1/decisions")
    async def decide(body: DecisionIn) -> Response:
        return Response(reply, media_type="application/json")

    @app.get("/healthz")
    async def healthz() -> Response:
        return Response(b"{}", media_type="application/json")

    return app


if __name__ == "__main__":
    uvicorn.run(
        create(Path(sys.argv[1]).read_bytes()), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning",
        access_log=False,
    )  # fmt: skip
