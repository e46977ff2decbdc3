"""`tagmill search`: find products by words and tags."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from tagmill.cli.messages import say
from tagmill.cli.terminal import (
    AsJson,
    Workspace,
    counting,
    note,
    open_workspace,
    print_json,
    print_table,
)
from tagmill.errors import SearchError

if TYPE_CHECKING:
    from typer._click.core import Context

    from tagmill.discover import Hit, Search, SearchResult

_FACETS, _FACET_TAGS = 8, 6  # shown in the terminal; all in JSON


class SearchCommand(TyperCommand):
    """`-皮`, `-white` are words of the query: only `-w` itself is an option of one letter."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Keep the parser from taking such words apart, by a space before each."""
        options = {option for parameter in self.params for option in parameter.opts}
        words = (
            f" {word}" if re.match("-[^-]", word) and word not in options else word for word in args
        )
        return super().parse_args(ctx, list(words))


def search(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY",
            help="Words and tags in any language; -皮, 不要, without; 500ml以下.",
        ),
    ] = None,
    facet: Annotated[
        list[str] | None,
        typer.Option(metavar="FACET=TAG", help="Only these; several of a facet: any of them."),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range", metavar="NUMBER=LOW..HIGH", help="Only these: price=100..500, stock=1.. ."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(help="Products of a page.", min=1, max=1000)] = 20,
    sort: Annotated[
        str, typer.Option(help="relevance, newest, popular, id, or a number: price, -price.")
    ] = "relevance",
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="The next page: `next` of this one.")
    ] = None,
    match_any: Annotated[
        bool, typer.Option("--any", help="Products that match any part, not all of it.")
    ] = False,
    complete: Annotated[
        str | None, typer.Option(metavar="PREFIX", help="How a query that begins so goes on.")
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build the index anew.")] = False,
    log: Annotated[
        bool, typer.Option("--log/--no-log", help="Keep the query: it shows what tags are missing.")
    ] = True,
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Find products by words and tags, with facets and reasons."""
    query = " ".join(words or ()) if words or facet or ranges else None
    if [query is not None, complete is not None, rebuild].count(True) != 1:
        raise SearchError("Give one of: a QUERY, --complete PREFIX, --rebuild")
    from tagmill.discover import open_search
    from tagmill.discover.choices import chosen_facets, chosen_ranges
    from tagmill.workspace import unpublished

    with open_workspace(workspace) as (settings, store):
        language = settings.tagging.language
        language = "" if language == "product" else language
        engine = open_search(
            store, settings.search_dir, unpublished(store, settings.models_dir),
            settings.recommend.half_life,
        )  # fmt: skip
        if rebuild:
            _rebuild(engine, store.products.count(), as_json=as_json)
        elif complete is not None:
            _complete(engine, complete, min(limit, 10), language, as_json=as_json)
        else:
            result = engine.search(
                query or "", facets=chosen_facets(facet or ()),
                ranges=chosen_ranges(ranges or ()), limit=limit,
                sort=sort.strip(), after=after,
                match_any=match_any, language=language, log=log and after is None,
            )  # fmt: skip
            print_json(result.as_dict()) if as_json else _print(result)


def _rebuild(engine: Search, products: int, *, as_json: bool) -> None:
    with counting("indexing", products) as progress:
        view = engine.index.rebuild(progress)
    report = {"products": view.products, "cursor": view.cursor}
    print_json(report) if as_json else note(say("indexed", products=view.products))


def _complete(engine: Search, prefix: str, limit: int, language: str, *, as_json: bool) -> None:
    found = engine.complete(prefix, limit=limit, language=language)
    if as_json:
        print_json([vars(one) for one in found])
        return
    columns = [say("query"), say("products"), say("facet")]
    print_table(columns, [[one.text, one.products, one.facet] for one in found])


def _print(result: SearchResult) -> None:
    if result.did_you_mean:
        note(say("did_you_mean", query=result.did_you_mean))
    if not result.hits:
        note(say("nothing_found"))
        return
    note(say("found_relaxed" if result.relaxed else "found", total=result.total))
    columns = [say("product"), say("title"), say("score"), say("why")]
    print_table(columns, [[hit.id, hit.title, hit.score, _why(hit)] for hit in result.hits])
    rows = [
        [facet, "  ".join(f"{'✓' if c.chosen else ''}{c.name} {c.count:,}" for c in shown)]
        for facet, counts in list(result.facets.items())
        for shown in [[c for i, c in enumerate(counts) if i < _FACET_TAGS or c.chosen]]
    ]
    most = sorted(rows, key=lambda row: -max(c.count for c in result.facets[row[0]]))
    numbers = [[n, f"{r.least:,.12g} – {r.most:,.12g}"] for n, r in result.numbers.items()]
    print_table([say("facet"), say("products_of_tags")], most[:_FACETS] + numbers)
    if result.next:
        note(say("next_page", cursor=result.next))


def _why(hit: Hit) -> str:
    tags = [f"{tag['tag']} {tag['probability']:.2f}" for tag in hit.why.tags]
    words = ", ".join(f"“{word['word']}”" for word in hit.why.words)
    quantities = [f"{one['asked']}: {one['found']}" for one in hit.why.quantities]
    return " · ".join([*tags, *([words] if words else []), *quantities])
