"""`tagmill recommend`, and what it knows of people: `events` and `user`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tagmill.cli.messages import say
from tagmill.cli.terminal import (
    AsJson,
    Query,
    Table,
    Workspace,
    note,
    open_workspace,
    print_json,
    print_table,
    write_beside,
)
from tagmill.errors import CatalogError, SearchError
from tagmill.settings import interface_language

events = typer.Typer(help="What people did with products.", no_args_is_help=True)
user = typer.Typer(help="What is known of a user.", no_args_is_help=True)


def recommend(
    user_id: Annotated[str | None, typer.Option("--user", help="For this user.")] = None,
    product: Annotated[str | None, typer.Option("--product", help="Beside this product.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 10,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TAG|NUMBER=LOW..HIGH", help="Nothing with this tag, or stock=..0; repeatable."
        ),
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Fit it anew first.")] = False,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Products for a user, or beside a product, each with why."""
    if (user_id is None) == (product is None):
        raise SearchError("Give one of: --user USER, --product PRODUCT")
    from tagmill.discover.reasons import reason_of
    from tagmill.discover.recommend import open_recommender

    with open_workspace(workspace) as (settings, store):
        language = settings.tagging.language
        shown_in = "" if language == "product" else language
        rules = settings.recommend
        recommender = open_recommender(
            store, settings.recommend_dir, exclude=rules.exclude, half_life=rules.half_life
        )
        if rebuild:
            recommender.rebuild()
        banned = exclude or ()
        if user_id is not None:
            found = recommender.for_user(user_id, limit=limit, exclude=banned, language=shown_in)
        else:
            found = recommender.beside(
                product or "", limit=limit, exclude=banned, language=shown_in
            )
    why = partial(reason_of, language=interface_language())
    if as_json:
        print_json([{**asdict(one), "why": {**asdict(one.why), "text": why(one)}} for one in found])
        return
    if not found:
        note(say("nothing_to_recommend"))
        return
    columns = [say("product"), say("title"), say("score"), say("why")]
    print_table(columns, [[one.id, one.title, one.score, why(one)] for one in found])


@events.command("import")
def import_events(
    source: Annotated[
        str, typer.Argument(help="CSV, JSON Lines or Parquet file, or a SQLAlchemy URL.")
    ],
    table: Table = None,
    query: Query = None,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Add events: user, product, kind (view, cart, purchase, like, dislike), at, and query.

    The query is the search that an event came from, if any; rows of the kind search are logged.
    """
    from tagmill.catalog.events import read_events
    from tagmill.discover import QueryParser, log_searches
    from tagmill.library.stored import load_library

    read = new = rejected = searches = after = 0
    reasons: list[dict[str, object]] = []
    parser: QueryParser | None = None
    with open_workspace(workspace) as (settings, store):
        for part in read_events(source, table, query):
            read += len(part.events)
            after += sum(event.query is not None for event in part.events)
            new += store.events.add(part.events)
            if part.searches:
                parser = parser or QueryParser(load_library(store))
                searches += log_searches(store, parser, part.searches)
            rejected += len(part.rejects)
            reasons += [{"line": r.line, "reason": r.reason, "row": r.row} for r in part.rejects]
    if as_json:
        counts = {"read": read, "new": new, "after_searches": after, "searches": searches}
        print_json({**counts, "rejected": rejected})
    else:
        counts = {"read": read, "new": new, "after": after, "searches": searches}
        typer.echo(say("events_read", **counts, rejected=rejected))
    base = settings.root / Path(source if "://" not in source else "events").name
    write_beside(base, "rejects", reasons, "rejects")


@events.command()
def add(
    user_id: Annotated[str, typer.Argument(metavar="USER")],
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="Its id.")],
    kind: Annotated[str, typer.Argument(help="view, cart, purchase, like or dislike.")] = "view",
    at: Annotated[str | None, typer.Option(help="When, ISO 8601 or seconds; else now.")] = None,
    query: Annotated[str, typer.Option(help="The search that it came from.")] = "",
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Add one event, as a shop's page would post it: it counts in the next recommendation."""
    from tagmill.catalog.events import event_of

    when = at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        event = event_of(user_id, product, kind, when, query)
    except ValueError as error:
        raise CatalogError(f"The event is not stored: {error}") from None
    with open_workspace(workspace) as (_, store):
        new = store.events.add([event])
        known = store.products.get(product) is not None
    if not known:
        note(say("event_product", product=product))
    if as_json:
        print_json({**asdict(event), "new": bool(new)})
    else:
        after = int(event.query is not None)
        typer.echo(say("events_read", read=1, new=new, after=after, searches=0, rejected=0))


@user.command()
def forget(
    user_id: Annotated[str, typer.Argument(metavar="USER")],
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Delete everything of a user: events, what was fitted with them, words they proposed."""
    from tagmill.discover.recommend import open_recommender
    from tagmill.people import forget_user

    with open_workspace(workspace) as (settings, store):
        gone = forget_user(store, open_recommender(store, settings.recommend_dir), user_id)
    if as_json:
        print_json({"user": user_id, "events": gone})
    else:
        key = "forgotten" if gone else "nothing_to_forget"
        typer.echo(say(key, user=user_id, count=gone))
    for path in sorted(settings.root.glob("*.rejects.jsonl")):
        if user_id in path.read_text("utf-8", "replace"):
            note(say("still_named", user=user_id, path=path))


@user.command()
def tags(
    user_id: Annotated[str, typer.Argument(metavar="USER")],
    product: Annotated[str, typer.Argument(metavar="PRODUCT")],
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 10,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """A product's tags in the order in which they speak to a user."""
    from tagmill.discover.recommend import open_recommender

    with open_workspace(workspace) as (settings, store):
        language = settings.tagging.language
        recommender = open_recommender(
            store, settings.recommend_dir, half_life=settings.recommend.half_life
        )
        found = recommender.personal_tags(
            user_id, product, language="" if language == "product" else language
        )[:limit]
    if as_json:
        print_json([asdict(one) for one in found])
        return
    columns = [say("tag"), say("probability"), say("affinity")]
    print_table(columns, [[one.tag, one.probability, one.affinity] for one in found])
