"""`tagmill serve`: search and recommendation over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tagmill.cli.messages import say
from tagmill.cli.terminal import Workspace, note, open_workspace
from tagmill.errors import MissingExtra


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port; 0: any free one.", min=0, max=65535)] = 8000,
    workspace: Workspace = Path("."),
) -> None:
    """Answer searches, recommendations and events over HTTP, and show a page of them.

    The page is at /, the API below /v1 (described in /openapi.json). Others than this machine
    need a key: TAGMILL_SERVE__KEY, sent as "Authorization: Bearer KEY".
    """
    try:
        from tagmill.serve import Shop, open_server
    except ImportError as error:
        raise MissingExtra("tagmill serve", str(error.name), "serve") from error

    with open_workspace(workspace) as (settings, store):
        shop = Shop(settings, store)
        try:
            server = open_server(shop, host, port, settings.serve.key)
            products = shop.prepare()
            note(say("serving", url=server.url, products=products))
            server.run()
        finally:
            shop.close()
