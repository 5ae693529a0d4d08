"""The HTTP contract, version 1: bytes in, bytes out; nothing blocks the loop but the work itself."""

import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, FastAPI, Path, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from cxreco import __version__
from cxreco.edge import customers, schemas
from cxreco.edge.background import Background
from cxreco.edge.champion import CHALLENGER, CHAMPION
from cxreco.edge.desk import DECISIONS, DESK, Desk, answer_of
from cxreco.edge.engine import Engine, Receipt
from cxreco.edge.explain import explained
from cxreco.edge.limits import Limits, Room
from cxreco.edge.problems import RETRY_AFTER_S, Problem, install, problem, responses
from cxreco.edge.steps import awaited
from cxreco.recognise.contract import write_time

JSON = "application/json"
WRITE = responses(413, 415, 422, 429, 503)
CUSTOMERS = "/v1/customers/"
CustomerId = Annotated[schemas.PathId, Path(description="The customer, under any id they are known by.")]


class _OrjsonRequest(Request):
    """A request whose JSON is read by orjson: faster, and strict where Python's own is lenient (NaN, surrogates)."""

    async def json(self) -> Any:  # noqa: ANN401 (JSON)
        return orjson.loads(await self.body())


class _Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await handle(_OrjsonRequest(request.scope, request.receive))

        return handler


class _App(FastAPI):
    """An application with `Limits` in front of it."""

    front: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http" and scope["path"].startswith(CUSTOMERS):
            scope = {**scope, "path": schemas.path_of(scope.get("raw_path") or b"", scope["path"])}
        await self.front(scope, receive, send)


def create_app(engine: Engine, *, background: bool = True) -> FastAPI:
    """Return the application around an engine; it closes the engine's store when it ends.

    Parameters
    ----------
    background
        Whether it looks for new champions and publishes population statistics by itself.
    """
    room = Room(engine.settings.max_in_flight)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        threads = Background(engine) if background else None
        if threads is not None:
            await run_in_threadpool(threads.start)
        # What is here now stays: the collector need not look through it while customers wait.
        gc.collect()
        gc.freeze()
        # For connections that know it (`connection`); a traced request goes the long way, which its span surrounds.
        yield {} if engine.tracing.on else {DESK: Desk(engine, room)}
        gc.unfreeze()
        if threads is not None:
            await run_in_threadpool(threads.stop)
        await run_in_threadpool(engine.store.close)
        engine.states.close()

    app = _App(
        title="cxreco",
        version=__version__,
        summary="Chooses the mode and the next-best action for every moment of a customer's journey.",
        lifespan=lifespan,
        separate_input_output_schemas=False,
    )
    for router in (_deciding(engine), _feeding(engine), _customers(engine), _watching(engine)):
        # Not included as routers: those are matched once more inside, at every request.
        app.router.routes.extend(router.routes)
    install(app)
    app.front = Limits(
        super(_App, app).__call__,
        metrics=engine.metrics,
        tracing=engine.tracing,
        room=room,
    )
    _document_problems(app)
    return app


def _feeding(engine: Engine) -> APIRouter:
    router = APIRouter(route_class=_Route, tags=["feed"])

    @router.put("/v1/items", response_model=schemas.ReceiptOut, responses=WRITE)
    async def put_items(body: schemas.ItemsIn) -> Response:
        """Take in versions of items."""
        if refused := _too_much(engine, body.items):
            return refused
        return _receipt(await awaited(engine.putting_items(body.items)))

    @router.post("/v1/events", response_model=schemas.ReceiptOut, responses=WRITE)
    async def post_events(body: schemas.EventsIn) -> Response:
        """Take in events; when this answers, what it accepted survives a power cut."""
        if refused := _too_much(engine, body.events):
            return refused
        return _receipt(await awaited(engine.ingesting(body.events)))

    return router


def _deciding(engine: Engine) -> APIRouter:
    router = APIRouter(route_class=_Route, tags=["decide"])

    @router.post(DECISIONS, response_model=schemas.DecisionOut, responses=responses(409, 413, 415, 422, 429, 503))
    async def decide(body: schemas.DecisionIn) -> Response:
        """Choose the mode and the next-best action for a moment."""
        deadline_s = engine.settings.decide_deadline_ms / 1_000
        record = await awaited(engine.deciding(body.ask(engine.clock())), deadline_s=deadline_s)
        return _json(answer_of(engine, record, explain=body.explain))

    @router.get("/v1/decisions/{decision_id}", response_model=schemas.RecordOut, responses=responses(404, 422, 503))
    async def decision(decision_id: Annotated[str, Path(max_length=256)]) -> Response:
        """Return the whole record of a decision, and why."""
        record, seen = engine.decision(decision_id)
        return _json({**record, "explain": explained(record, seen)})

    @router.get("/v1/policy", response_model=schemas.LivePolicyOut)
    async def policy() -> Response:
        """Return which champion is live, and since when."""
        champion, pointer = engine.playbooks.get(CHAMPION), engine.pointers.get(CHAMPION)
        challenger = engine.playbooks.get(CHALLENGER)
        return _json(
            {
                "name": champion.name if champion else None,
                "version": champion.version if champion else None,
                "since": pointer.promoted_at if pointer else None,
                "previous": (pointer.previous or None) if pointer else None,
                "decisions": champion.decisions if champion else None,
                "challenger": challenger.version if challenger else None,
                "arms": {arm.value: share for arm, share in engine.settings.arms.items()},
            }
        )

    return router


def _customers(engine: Engine) -> APIRouter:
    router = APIRouter(route_class=_Route, tags=["customers"], prefix=CUSTOMERS + "{customer_id}")

    @router.get("", response_model=schemas.CustomerOut, responses=responses(404, 422, 503))
    async def customer(customer_id: CustomerId) -> Response:
        """Return what is known, the journey so far, how each mode stands."""
        return _json(customers.customer(engine, customer_id))

    @router.put("/consent", response_model=schemas.ConsentOut, responses=responses(413, 415, 422, 429, 503))
    async def consent(customer_id: CustomerId, body: schemas.ConsentIn) -> Response:
        """Record a consent given or withdrawn."""
        said = {
            "purpose": body.purpose,
            "granted": body.granted,
            "limits": None if body.limits is None else body.limits.model_dump(exclude_none=True),
            "occurred_at": None if body.occurred_at is None else write_time(body.occurred_at),
        }
        return _json(await awaited(engine.consenting(customer_id, said)))

    @router.get("/export", response_model=schemas.ExportOut, responses=responses(404, 422, 503))
    async def export(customer_id: CustomerId) -> Response:
        """Return everything that is kept about the customer."""
        return _json(await run_in_threadpool(customers.export, engine, customer_id))

    @router.delete("", status_code=204, response_class=Response, responses=responses(422, 503))
    async def forget(customer_id: CustomerId) -> Response:
        """Erase the customer, under all names, everywhere."""
        await awaited(engine.forgetting(customer_id))
        return Response(status_code=204)

    return router


def _watching(engine: Engine) -> APIRouter:
    router = APIRouter(route_class=_Route, tags=["watch"])

    @router.get("/healthz", response_model=schemas.HealthOut)
    async def healthz() -> Response:
        """Say that the process lives."""
        return _json({"status": "ok"})

    @router.get("/readyz", response_model=schemas.ReadyOut, responses=responses(503))
    async def readyz() -> Response:
        """Say whether a champion is loaded and warm, and the stores are reachable."""
        if reasons := engine.unready:
            return problem(503, "; ".join(reasons), headers={"retry-after": str(RETRY_AFTER_S)})
        return _json({"status": "ready", "champion": engine.playbooks[CHAMPION].version})

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Return the meters in Prometheus' text format."""
        engine.metrics.pending.set(engine.store.pending())
        return Response(engine.metrics.page(), media_type=CONTENT_TYPE_LATEST)

    return router


def _json(body: object) -> Response:
    return Response(orjson.dumps(body), media_type=JSON)


def _receipt(receipt: Receipt) -> Response:
    rejected = [{"index": row.index, "reason": row.reason} for row in receipt.rejected]
    return _json({"accepted": receipt.accepted, "duplicates": receipt.duplicates, "rejected": rejected})


def _too_much(engine: Engine, rows: list[Any]) -> Response | None:
    if len(rows) > schemas.MAX_ROWS:
        return problem(413, f"a call may have {schemas.MAX_ROWS} rows, this one has {len(rows)}; send several")
    if engine.store.pending() > engine.settings.max_pending:
        after = {"retry-after": str(RETRY_AFTER_S)}
        return problem(429, "more rows wait for the disk than may wait; send them again in a moment", headers=after)
    return None


def _document_problems(app: FastAPI) -> None:
    """Put the problem document into OpenAPI, in place of FastAPI's own shape of errors."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            parts = document["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):
                parts.pop(name, None)
            shape = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            parts |= shape.pop("$defs")
            parts["Problem"] = shape
        return app.openapi_schema or document

    app.openapi = openapi  # type: ignore[method-assign]
