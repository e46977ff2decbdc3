"""The HTTP API: which request calls what. Every answer is JSON, every error a problem document.

    request → Shop (search, recommendation, events) → the same values that `--json` prints

A caller shows the service's key, if it has one: `Authorization: Bearer KEY`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI, Query, Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tagmill.chinese import in_chinese
from tagmill.discover import Completion, SearchResult
from tagmill.discover.choices import chosen_facets, chosen_ranges
from tagmill.discover.reasons import reason_of
from tagmill.discover.recommend import PersonalTag
from tagmill.errors import CatalogError, SearchError
from tagmill.serve.problems import add_problems, problem, speaks_chinese
from tagmill.serve.shop import Shop

__all__ = ["create_app"]

_PAGE = Path(__file__).parent / "page"
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
    "base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_PORT = re.compile(r":\d*$")
_MOST_EVENTS = 10_000  # of a request
_MOST_BYTES = 16 * 1024 * 1024  # of its body


def create_app(shop: Shop, key: str | None = None, hosts: Sequence[str] | None = None) -> FastAPI:
    """The service of a shop, for any ASGI server.

    With a `key` every request but that for the page must show it; with `hosts` requests for other
    names are refused (what a web page elsewhere makes a browser on this machine ask).
    """
    app = FastAPI(title="tagmill", docs_url=None, redoc_url=None)
    app.state.shop, app.state.key = shop, key
    app.include_router(_api)
    app.include_router(_pages)
    add_problems(app)
    app.add_middleware(_Gate, hosts=hosts)
    return app


class _Gate:
    """Refuses requests for another host, and bodies that are too large or do not say how large."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may be read."""
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await problem(Request(scope), *refusal)(scope, receive, send)

    def _refusal(self, headers: Headers) -> tuple[HTTPStatus, str] | None:
        host = _PORT.sub("", headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            return HTTPStatus.MISDIRECTED_REQUEST, (
                f"Nothing is served as '{host}'. Without a key this is {self._hosts[0]} only"
            )
        if "transfer-encoding" in headers:
            return HTTPStatus.LENGTH_REQUIRED, "The body has no Content-Length. Send it whole"
        if int(headers.get("content-length", "0")) > _MOST_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, (
                f"The body is larger than {_MOST_BYTES:,} bytes. Send it in parts"
            )
        return None


def _shop(request: Request) -> Shop:
    shop: Shop = request.app.state.shop
    return shop


def _authorised(request: Request) -> None:
    """Raises HTTPException where the key is not shown."""
    key: str | None = request.app.state.key
    shown = request.headers.get("authorization", "")
    if key is not None and not hmac.compare_digest(shown.encode(), f"Bearer {key}".encode()):
        raise HTTPException(
            401, "Send the service's key: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"}
        )


_api = APIRouter(prefix="/v1", dependencies=[Depends(_authorised)])
_pages = APIRouter(include_in_schema=False)

TheShop = Annotated[Shop, Depends(_shop)]
Language = Annotated[
    str | None, Query(description="Of names of tags and of texts: zh, en; else the workspace's.")
]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]


@_api.get("/search")
def search(
    shop: TheShop,
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
    language: Language = None,
) -> SearchResult:
    """Products by words and tags: a page of them with reasons, the facets and numbers of all."""
    return shop.search.search(
        q, facets=chosen_facets(facet or ()), ranges=chosen_ranges(ranges or ()), limit=limit,
        sort=sort.strip(), after=after or None, match_any=match_any,
        language=shop.language if language is None else language, log=log and not after,
    )  # fmt: skip


@_api.get("/complete")
def complete(
    shop: TheShop,
    q: Annotated[str, Query(description="How a query begins.")],
    limit: Annotated[int, Query(ge=1, le=50)] = 8,
    language: Language = None,
) -> list[Completion]:
    """How a query that begins so goes on: tags first, then words of the products."""
    return shop.search.complete(
        q, limit=limit, language=shop.language if language is None else language
    )


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
    user: Annotated[str | None, Query(description="For this user.")] = None,
    product: Annotated[str | None, Query(description="Beside this product.")] = None,
    limit: Limit = 10,
    exclude: Annotated[
        list[str] | None, Query(description="Nothing with this tag, or stock=..0.")
    ] = None,
    language: Language = None,
) -> list[Recommended]:
    """Products for a user, or beside a product, each with why."""
    if (user is None) == (product is None):
        raise SearchError("Give one of: user, product")
    names = shop.language if language is None else language
    banned, recommender = exclude or (), shop.recommender
    if user is not None:
        found = recommender.for_user(user, limit=limit, exclude=banned, language=names)
    else:
        found = recommender.beside(product or "", limit=limit, exclude=banned, language=names)
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
    product: Annotated[str, Query(description="Its id.")],
    user: Annotated[str, Query(description="Whom they should speak to.")] = "",
    limit: Limit = 10,
    language: Language = None,
) -> list[PersonalTag]:
    """A product's tags, most probable first, or for a user in the order in which they speak to
    them."""
    names = shop.language if language is None else language
    return shop.recommender.personal_tags(user, product, language=names)[:limit]


@dataclass(frozen=True)
class NotTaken:
    """A row that was not stored: its place in the request, from 0, and why."""

    row: int
    reason: str


@dataclass(frozen=True)
class Posted:
    """How many events and searches were new, and the rows that were neither."""

    new: int
    searches: int
    rejected: list[NotTaken]


@_api.post("/events")
def post_events(
    request: Request,
    shop: TheShop,
    rows: Annotated[
        dict[str, Any] | list[Any],
        Body(
            description="One event or a list: user, product, kind (view, cart, purchase, like, "
            "dislike), at (ISO 8601 or seconds; else now), query (the search it came from); of "
            "the kind search only query.",
            examples=[{"user": "lin", "product": "el-0028", "kind": "cart"}],
        ),
    ],
) -> Posted:
    """Store what people did: it counts in the next recommendation. A bad row stops no other."""
    listed = rows if isinstance(rows, list) else [rows]
    if len(listed) > _MOST_EVENTS:
        raise CatalogError(
            f"The request has {len(listed):,} events, more than {_MOST_EVENTS:,}. Send parts, or "
            "import a file with: tagmill events import"
        )
    new, searches, rejects = shop.post(listed)
    if rejects and not isinstance(rows, list):
        raise CatalogError(f"The event is not stored: {rejects[0].reason}")
    said = in_chinese if speaks_chinese(request) else str
    return Posted(new, searches, [NotTaken(one.line, said(one.reason)) for one in rejects])


@dataclass(frozen=True)
class Forgotten:
    """How many events of a user were deleted."""

    user: str
    events: int


@_api.delete("/users/{user:path}")
def forget(shop: TheShop, user: str) -> Forgotten:
    """Delete everything of a user: events, what was fitted with them, words searched for."""
    return Forgotten(user, shop.forget(user))


@_api.get("/status")
def status(shop: TheShop) -> dict[str, int]:
    """What there is: products that can be found, tags in the library, events ever stored."""
    view = shop.search.index.view()
    return {
        "products": view.products,
        "tags": len(view.library.tags),
        "events": shop.store.events.state().added,
    }


@_pages.get("/")
@_pages.get("/{name}.css")
@_pages.get("/{name}.js")
def page(request: Request) -> Response:
    """The page to see search and recommendation by."""
    file = _PAGE / (request.url.path.removeprefix("/") or "index.html")
    if file.name not in {path.name for path in _PAGE.iterdir()}:
        raise HTTPException(404)
    return FileResponse(file, headers=_PAGE_HEADERS)
