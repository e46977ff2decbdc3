"""Errors as problem documents (RFC 9457), in the language of the request."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from tagmill.chinese import in_chinese
from tagmill.errors import SettingsError, StoreError, TaggerError, TagmillError, UnknownProduct

__all__ = ["add_problems", "preferred_language", "problem", "speaks_chinese"]

_log = logging.getLogger("tagmill")
# The first that an error is one of.
_STATUS: Mapping[type[TagmillError], HTTPStatus] = {
    UnknownProduct: HTTPStatus.NOT_FOUND,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    SettingsError: HTTPStatus.INTERNAL_SERVER_ERROR,
    TaggerError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def add_problems(app: FastAPI) -> None:
    """Have an app answer every error of ours, and of the request's form, with its document."""

    async def refused(request: Request, error: Exception) -> JSONResponse:
        found = (status for kind, status in _STATUS.items() if isinstance(error, kind))
        status, said = next(found, HTTPStatus.BAD_REQUEST), str(error)
        if isinstance(error, StoreError):  # it names the database, which is no caller's business
            _log.warning("%s", error)
            said = (
                "The database cannot be used now; what the service wrote to stderr says why. "
                "Try again"
            )
        return problem(request, status, said, type(error))

    async def malformed(request: Request, error: Exception) -> JSONResponse:
        wrong = error.errors() if isinstance(error, RequestValidationError) else []
        said = "; ".join(f"{_place(one['loc'])}: {one['msg']}" for one in wrong)
        if any(one["loc"][0] == "body" for one in wrong):
            said = "The body is no JSON object or list. Send it as Content-Type: application/json"
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, said, type(error))

    async def not_served(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        status, said, headers = HTTPStatus(error.status_code), error.detail, error.headers
        if status == HTTPStatus.NOT_FOUND and said == status.phrase:
            said = "There is nothing here. See: /openapi.json"
        return problem(request, status, said, headers=headers)

    async def failed(request: Request, error: Exception) -> JSONResponse:
        said = "This should not happen; what the service wrote to stderr says why. Report it"
        return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, said, type(error))

    app.add_exception_handler(TagmillError, refused)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, not_served)
    app.add_exception_handler(Exception, failed)


def speaks_chinese(request: Request) -> bool:
    """Whether a request wants Chinese: by `language`, else by `Accept-Language`."""
    asked = request.query_params.get("language") or preferred_language(request)
    return asked.lower().startswith("zh")


def preferred_language(request: Request) -> str:
    """`zh` or `en`, which `Accept-Language` has more of; "" for neither."""
    best, most = "", 0.0
    for entry in request.headers.get("accept-language", "").lower().split(","):
        tag, _, weight = entry.partition(";q=")
        language = tag.strip().partition("-")[0]
        quality = float(weight) if re.fullmatch(r"[01](\.\d{0,3})?", weight) else 1.0
        if language in ("zh", "en") and quality > most:
            best, most = language, quality
    return best


def problem(
    request: Request,
    status: HTTPStatus,
    said: str,
    kind: type[Exception] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The document of what went wrong; without a `kind` the status says it all."""
    document: dict[str, Any] = {
        "type": f"urn:tagmill:{kind.__name__}" if kind else "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": in_chinese(said) if speaks_chinese(request) else said,
    }
    return JSONResponse(
        document, status, dict(headers or {}), media_type="application/problem+json"
    )


def _place(location: tuple[str | int, ...]) -> str:
    """`query.limit` as people know it: limit."""
    return ".".join(str(part) for part in location[1:]) or str(location[0])
