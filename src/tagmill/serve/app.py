"""The HTTP API: which request calls what. Every answer is JSON, every error a problem document.

    request → Shop (search, recommendation, events) → the same values that `--json` prints

A caller shows the service's key, if it has one: `Authorization: Bearer KEY`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Body, Depends, FastAPI, Query, Request
from fastapi import Path as PathParameter
from fastapi.security import HTTPBearer
from pydantic import WithJsonSchema
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagmill import __version__
from tagmill.chinese import in_chinese
from tagmill.discover import Completion, SearchResult
from tagmill.discover.choices import chosen_facets, chosen_ranges
from tagmill.discover.reasons import reason_of
from tagmill.discover.recommend import PersonalTag
from tagmill.errors import CatalogError, SearchError
from tagmill.serve.problems import (
    add_problems,
    preferred_language,
    problem,
    speaks_chinese,
)
from tagmill.serve.shop import Shop
from tagmill.store.events import KINDS

__all__ = ["LOCAL_NAMES", "create_app"]

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_PAGE = Path(__file__).parent / "page"
_PAGE_PATHS = ("/", "/page.css", "/page.js")
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
    "base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_API_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language, Authorization",
}
_WITH_BODY = ("POST", "PUT", "PATCH")
_PORT = re.compile(r":\d*$")
_MOST_EVENTS = 10_000  # of a request
_MOST_BYTES = 8 * 1024 * 1024  # of its body
_WRITERS = 4  # requests that write at a time
Result = TypeVar("Result")


def create_app(shop: Shop, key: str | None = None, hosts: Sequence[str] = LOCAL_NAMES) -> FastAPI:
    """The service of a shop, for any ASGI server; who opened the shop closes it at the end.

    With a `key` every request but those for the page must show it. Without one only requests
    for one of the `hosts` are answered: what a web page elsewhere makes a browser ask is not.
    """
    app = FastAPI(
        title="tagmill", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.shop = shop
    app.state.writers = CapacityLimiter(_WRITERS)
    app.include_router(_api)
    app.include_router(_pages)
    add_problems(app)
    app.add_middleware(_Gate, key=key, hosts=hosts)
    return app


class _Gate:
    """Refuses, before anything of a request is read, who may not ask, and bodies that are too large
    or do not say how large they are."""

    def __init__(self, app: ASGIApp, key: str | None, hosts: Sequence[str]) -> None:
        self._app = app
        self._key = key
        self._hosts = [name.lower() for name in hosts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may be read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        is_page = scope["path"].removeprefix(scope.get("root_path", "")) in _PAGE_PATHS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_PAGE_HEADERS if is_page else _API_HEADERS)
            await send(message)

        refused = self._host_or_key(request.headers, is_page) or self._size(request)
        if refused is None:
            await self._app(scope, receive, send_with_headers)
            return
        wanted = {"WWW-Authenticate": "Bearer"} if refused[0] == HTTPStatus.UNAUTHORIZED else None
        await problem(request, *refused, headers=wanted)(scope, receive, send_with_headers)

    def _host_or_key(self, headers: Headers, is_page: bool) -> tuple[HTTPStatus, str] | None:
        host = _PORT.sub("", headers.get("host", "")).rstrip(".").lower()
        if self._key is None and host not in self._hosts:
            return HTTPStatus.MISDIRECTED_REQUEST, (
                f"Nothing is served by that name. Without a key it is {self._hosts[0]} only"
            )
        if is_page:
            return None
        if headers.get("sec-fetch-site") == "cross-site":
            return HTTPStatus.FORBIDDEN, (
                "Pages of other sites may not ask. Ask from the shop's own server"
            )
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        is_shown = scheme.lower() == "bearer" and self._key is not None
        if self._key is None or (
            is_shown and hmac.compare_digest(shown.strip().encode(), self._key.encode())
        ):
            return None
        return HTTPStatus.UNAUTHORIZED, "Send the service's key: Authorization: Bearer KEY"

    @staticmethod
    def _size(request: Request) -> tuple[HTTPStatus, str] | None:
        headers = request.headers
        length = headers.get("content-length")
        if "transfer-encoding" in headers or (length is None and request.method in _WITH_BODY):
            return HTTPStatus.LENGTH_REQUIRED, "The body has no Content-Length. Send it whole"
        if int(length or 0) > _MOST_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, (
                f"The body is larger than {_MOST_BYTES:,} bytes. Send it in parts"
            )
        return None


async def _shop(request: Request) -> Shop:  # async: what is not waits for a thread
    shop: Shop = request.app.state.shop
    return shop


async def _names(
    request: Request,
    shop: Annotated[Shop, Depends(_shop)],
    language: Annotated[
        str | None,
        Query(description="Of names and texts: zh, en; else Accept-Language, the workspace's."),
    ] = None,
) -> str:
    """The language of names of tags; "" for canonical ones."""
    if language is not None:
        return language
    return preferred_language(request) or shop.language


def _id(text: str) -> str:
    """A user or product as events name them."""
    return text.replace("\0", "").strip()


_PROBLEM: dict[str, Any] = {
    "description": "A problem document (RFC 9457)",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                },
            }
        }
    },
}
_api = APIRouter(
    generate_unique_id_function=lambda route: route.name,
    prefix="/v1",
    dependencies=[Depends(HTTPBearer(auto_error=False, description="With a key only."))],
    responses={code: _PROBLEM for code in ("default", 422)},
)
_pages = APIRouter(include_in_schema=False)

TheShop = Annotated[Shop, Depends(_shop)]
Language = Annotated[str, Depends(_names)]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]


@_api.get("/search")
def search(
    shop: TheShop,
    language: Language,
    q: Annotated[str, Query(description="Words and tags in any language.")] = "",
    facet: Annotated[list[str] | None, Query(description="FACET=TAG, several of one: any.")] = None,
    ranges: Annotated[
        list[str] | None, Query(alias="range", description="NUMBER=LOW..HIGH: price=100..500.")
    ] = None,
    limit: Limit = 20,
    sort: Annotated[
        str, Query(description="relevance, newest, popular, id, or a number: price, -price.")
    ] = "relevance",
    after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    match_any: Annotated[bool, Query(alias="any", description="Match any part.")] = False,
    log: Annotated[bool, Query(description="Keep the query: it shows what is missing.")] = True,
) -> SearchResult:
    """Products by words and tags: a page of them with reasons, the facets and numbers of all."""
    return shop.search.search(
        q, facets=chosen_facets(facet or ()), ranges=chosen_ranges(ranges or ()), limit=limit,
        sort=sort.strip(), after=after or None, match_any=match_any,
        language=language, log=log and not after and bool(q.strip()),
    )  # fmt: skip


@_api.get("/complete")
def complete(
    shop: TheShop,
    language: Language,
    q: Annotated[str, Query(description="How a query begins.")],
    limit: Annotated[int, Query(ge=1, le=50)] = 8,
) -> list[Completion]:
    """How a query that begins so goes on: tags first, then words of the products."""
    return shop.search.complete(q, limit=limit, language=language)


@dataclass(frozen=True)
class Reason:
    """Why a product is recommended: `text` for people, the rest for programs."""

    because: str
    title: str
    kind: str
    tags: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Recommended:
    """A product for somebody; scores compare within one list."""

    id: str
    title: str
    score: float
    why: Reason


@_api.get("/recommend")
def recommend(
    request: Request,
    shop: TheShop,
    language: Language,
    user: Annotated[str | None, Query(description="For this user.")] = None,
    product: Annotated[str | None, Query(description="Beside this product.")] = None,
    limit: Limit = 10,
    exclude: Annotated[
        list[str] | None, Query(description="Nothing with this tag, or stock=..0.")
    ] = None,
) -> list[Recommended]:
    """Products for a user, or beside a product, each with why."""
    if (user is None) == (product is None):
        raise SearchError("Give one of: user, product")
    banned, recommender = exclude or (), shop.recommender
    if user is not None:
        found = recommender.for_user(_id(user), limit=limit, exclude=banned, language=language)
    else:
        beside = _id(product or "")
        found = recommender.beside(beside, limit=limit, exclude=banned, language=language)
    spoken = "zh" if speaks_chinese(request) else "en"
    return [
        Recommended(
            one.id, one.title, one.score, Reason(**vars(one.why), text=reason_of(one, spoken))
        )
        for one in found
    ]


@_api.get("/tags")
def tags(
    shop: TheShop,
    language: Language,
    product: Annotated[str, Query(description="Its id.")],
    user: Annotated[str, Query(description="Whom they should speak to.")] = "",
    limit: Limit = 10,
) -> list[PersonalTag]:
    """A product's tags, most probable first, or for a user in the order in which they speak to
    them."""
    found = shop.recommender.personal_tags(_id(user), _id(product), language=language)
    return found[:limit]


@dataclass(frozen=True)
class NotTaken:
    """A row that was not stored: its place in the request, from 0, and why."""

    row: int
    reason: str


@dataclass(frozen=True)
class Taken:
    """How many events and searches were new, ids among them of products that there are not (yet),
    and the rows that were neither."""

    new: int
    searches: int
    unknown: list[str]
    rejected: list[NotTaken]


_EVENT = {
    "type": "object",
    "properties": {
        "user": {"type": "string"},
        "product": {"type": "string", "description": "Its id; none of the kind search."},
        "kind": {"enum": [*KINDS, "search"], "default": "view"},
        "at": {"type": "string", "description": "ISO 8601, or seconds since 1970; else now."},
        "query": {"type": "string", "description": "The search that it came from."},
    },
    "additionalProperties": False,
}
Events = Annotated[
    dict[str, Any] | list[Any],
    WithJsonSchema(
        {"anyOf": [_EVENT, {"type": "array", "items": _EVENT, "maxItems": _MOST_EVENTS}]}
    ),
    Body(examples=[[{"user": "lin", "product": "el-0028", "kind": "cart"}]]),
]


@_api.post("/events")
async def post_events(request: Request, shop: TheShop, rows: Events) -> Taken:
    """Store what people did, one event or a list: it counts in the next recommendation. A bad row
    stops no other."""
    listed = rows if isinstance(rows, list) else [rows]
    if len(listed) > _MOST_EVENTS:
        raise CatalogError(
            f"The request has {len(listed):,} events, more than {_MOST_EVENTS:,}. Send parts, or "
            "import a file with: tagmill events import"
        )
    done = await _writing(request, shop.post, listed)
    if done.rejects and not isinstance(rows, list):
        raise CatalogError(f"The event is not stored: {done.rejects[0].reason}")
    said = in_chinese if speaks_chinese(request) else str
    rejected = [NotTaken(one.line, said(one.reason)) for one in done.rejects]
    return Taken(done.new, done.searches, done.unknown, rejected)


@dataclass(frozen=True)
class Forgotten:
    """How many events of a user were deleted."""

    user: str
    events: int


@_api.delete("/users/{user:path}")
async def forget(
    request: Request, shop: TheShop, user: Annotated[str, PathParameter(min_length=1)]
) -> Forgotten:
    """Delete everything of a user: events, and what was fitted with them. Logged searches name
    nobody."""
    return Forgotten(_id(user), await _writing(request, shop.forget, _id(user)))


async def _writing(request: Request, work: Callable[..., Result], *given: object) -> Result:
    """What a function that writes returns. A few write at a time: others wait here, and not in the
    threads that searches need."""
    return await to_thread.run_sync(work, *given, limiter=request.app.state.writers)


@dataclass(frozen=True)
class Status:
    """Products that can be found, tags in the library, and the problem with taking in what changed
    lately, if there is one (stderr says more)."""

    products: int
    tags: int
    problem: bool


@_api.get("/status")
@_api.head("/status", include_in_schema=False)
def status(shop: TheShop) -> Status:
    """What there is, and whether all is well."""
    view = shop.search.index.view()
    return Status(view.products, len(view.library.tags), shop.problem is not None)


@_pages.get("/{name}")
@_pages.head("/{name}")
@_pages.get("/")
@_pages.head("/")
def page(name: str = "") -> Response:
    """The page to see search and recommendation by."""
    if f"/{name}" not in _PAGE_PATHS:
        raise HTTPException(404)
    return FileResponse(_PAGE / (name or "index.html"))
