"""Errors as RFC 9457 problem documents: what was wrong, in which field, and what to do."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from cxreco.edge.store import StoreUnavailable
from cxreco.errors import BadInput, Conflict, NotFound, StalePlaybook

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
log = logging.getLogger("cxreco.http")


class FieldError(BaseModel):
    """One field that was wrong."""

    field: str = Field(description="Path of the field, such as `events.3` or `cart.0`.", examples=["max_items"])
    reason: str


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(default="about:blank", description="A URI that names the kind of problem.")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What was wrong here, and what to do.")
    errors: list[FieldError] = Field(default=[], description="The fields that were wrong.")


def problem(
    status: int,
    detail: str,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem document."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    content = orjson.dumps({**body, "errors": list(errors)})
    return Response(content, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of problem documents."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


_STATUSES: Mapping[type[Exception], int] = {
    NotFound: 404, Conflict: 409, BadInput: 422, StalePlaybook: 503, StoreUnavailable: 503,
}  # fmt: skip


def install(app: FastAPI) -> None:
    """Have every error leave the application as a problem document."""
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    for kind in (*_STATUSES, Exception):
        app.add_exception_handler(kind, _ours)


def answer_to(error: Exception, scope: Scope) -> Response:
    """Return what is said of an error of ours, expected or not, at a request."""
    status = next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), None)
    if status is None:
        log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
        return problem(500, "an error of ours; it is in the server's log")
    errors = []
    if isinstance(error, BadInput) and error.where:
        errors = [{"field": error.where, "reason": error.reason}]
    headers = {"retry-after": str(RETRY_AFTER_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return problem(status, str(error), errors, headers)


async def _ours(request: Request, error: Exception) -> Response:
    return answer_to(error, request.scope)


async def _malformed(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [{"field": _path(one), "reason": _reason(one)} for one in found]
    first = errors[0] if errors else {"field": "body", "reason": "is malformed"}
    return problem(422, f"{first['field']}: {first['reason']}", errors)


def _path(error: Mapping[str, Any]) -> str:
    """Return where a field is, without the part of the request it came in unless that is all there is."""
    if error["type"] == "json_invalid":
        return "body"
    part, *inner = (str(step) for step in error["loc"])
    return ".".join(inner if part in ("body", "path", "query") else [part, *inner]) or "body"


def _reason(error: Mapping[str, Any]) -> str:
    """Return what was wrong, in words for whoever sent it: the checker's own, but where they speak of its insides."""
    if error["type"] == "json_invalid":
        return f"is not JSON: {error.get('ctx', {}).get('error', 'malformed')}, at character {error['loc'][-1]}"
    if tuple(error["loc"]) == ("body",) and error["type"] in ("model_attributes_type", "dict_type"):
        return "must be a JSON object; /docs shows one for each endpoint"
    return str(error["msg"]).removeprefix("Value error, ")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for nothing else)
    details = {
        404: f"there is nothing at {request.url.path}; the endpoints are listed under /docs",
        405: f"{request.method} is not possible here; use {(error.headers or {}).get('Allow', 'another method')}",
    }
    phrase = HTTPStatus(error.status_code).phrase
    detail = error.detail if error.detail != phrase else details.get(error.status_code, phrase)
    return problem(error.status_code, str(detail), headers=error.headers)
