"""The tables, as the migrations leave them; what each column means stands in its comment.

Products, library and runs are rows that change; `changes`, `assignments`, `verdicts`,
`library_changes` and `library_entries` are only ever added to. There are no foreign keys between
them: every row is written by this package, in one transaction with what it refers to, and checking
them would halve the speed of COPY.
"""

from __future__ import annotations

import sqlalchemy as sa

__all__ = [
    "LONGEST_QUERY",
    "VERSION_TABLE",
    "answers",
    "assignments",
    "calls",
    "changes",
    "counters",
    "descriptions",
    "facets",
    "imported_rows",
    "library_changes",
    "library_entries",
    "meta",
    "metadata",
    "products",
    "proposal_support",
    "proposals",
    "replies",
    "runs",
    "searches",
    "tag_names",
    "tags",
    "verdicts",
]

VERSION_TABLE = "tagmill_version"
LONGEST_QUERY = 1000  # characters of what was searched that are kept

metadata = sa.MetaData()

# The same order on every database: that of the bytes.
_Id = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# On SQLite only INTEGER is the row's own number.
_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Json = sa.JSON(none_as_null=True)

products = sa.Table(
    "products",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("gone", sa.Boolean, nullable=False),  # no longer in the catalogue
    sa.Column("snapshot", _Number),  # seq of the `tagged` change whose assignments are current
    sa.Column("last_change", _Number),  # seq of its newest change; null: never had any output
    sa.Column("text_change", _Number),  # seq of the newest change to what search reads of it
    sa.Column("content_hash", sa.Text, nullable=False),  # of its text fields
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("category", sa.Text),
    sa.Column("attributes", _Json),  # [[name, value], …]: a name may occur again
    sa.Column("numbers", _Json),  # likewise; no part of the content
    sa.Column("image", sa.Text),
    sa.Column("language", sa.Text),
    sa.Column("tags", _Json),  # what a person gave, ["facet:name"]; null: nobody judged it
    sa.Column("first_seen", sa.Text, nullable=False),  # times are UTC, ISO 8601
    sa.Column("updated", sa.Text, nullable=False),
    sa.Index("products_last_change", "last_change"),
    sa.Index("products_text_change", "text_change"),
)

changes = sa.Table(
    "changes",
    metadata,
    sa.Column("seq", _Number, primary_key=True, autoincrement=False),
    sa.Column("product_id", _Id, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # tagged undone verdict gone back updated
    sa.Column("run_id", sa.Integer),
    sa.Column("content_hash", sa.Text),  # the product's, when it was tagged or changed
    sa.Column("snapshot", _Number),  # current after this change
    sa.Column("previous", _Number),  # current before it
    sa.Column("at", sa.Text, nullable=False),
)

assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("seq", _Number, primary_key=True, autoincrement=False),  # of its `tagged` change
    sa.Column("rank", sa.Integer, primary_key=True, autoincrement=False),  # from 0
    sa.Column("tag_id", sa.Text, nullable=False),
    sa.Column("probability", sa.Double, nullable=False),  # in [0, 1]
    sa.Column("lane", sa.Text, nullable=False),  # auto | review
    sa.Column("calibration", sa.Text, nullable=False),  # fitted | prior
    sa.Column("origin", sa.Text, nullable=False),  # lexicon, model …
    sa.Column("evidence", _Json),  # [{field, start, end, text}]; null: ungrounded
    sqlite_with_rowid=False,
)

verdicts = sa.Table(
    "verdicts",
    metadata,
    sa.Column("id", _Number, primary_key=True),  # the latest of a pair counts
    sa.Column("product_id", _Id, nullable=False),
    sa.Column("tag_id", sa.Text, nullable=False),
    sa.Column("accepted", sa.Boolean),  # null: what was decided is taken back
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),  # of the product that was judged
    sa.Column("at", sa.Text, nullable=False),
    sa.Index("verdicts_pair", "product_id", "tag_id", "id"),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),  # tag, import …
    sa.Column("status", sa.Text, nullable=False),  # running finished undone failed
    sa.Column("signature", sa.Text, nullable=False),  # what its result depends on
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("library_version", sa.BigInteger, nullable=False),
    sa.Column("library_change", sa.BigInteger),  # that it was made for; null: none
    # The library version up to which nothing changed for the products whose tags are its.
    sa.Column("valid_to", sa.BigInteger, nullable=False),
    sa.Column("settings", _Json, nullable=False),
    sa.Column("counts", _Json, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("finished", sa.Text),
)

replies = sa.Table(
    "replies",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),  # hash of all that decides the reply
    sa.Column("stage", sa.Text, nullable=False),  # propose, verify, describe …
    sa.Column("reply", _Json, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)

descriptions = sa.Table(
    "descriptions",
    metadata,
    sa.Column("product_id", _Id, primary_key=True),
    sa.Column("language", sa.Text, primary_key=True),  # zh or en
    sa.Column("text", sa.Text, nullable=False),  # the sentences that the source supports
    sa.Column("sentences", _Json, nullable=False),  # all, with evidence and flags
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("prompt", sa.Text, nullable=False),  # version of the prompt file
    sa.Column("at", sa.Text, nullable=False),
)

answers = sa.Table(
    "answers",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),  # hash of product, tag, model and prompt
    sa.Column("answer", _Json, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)

calls = sa.Table(
    "calls",
    metadata,
    sa.Column("id", _Number, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),  # that it was sent to; empty: this process
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("subject", _Id, nullable=False),  # the product's id
    sa.Column("key", sa.Text, nullable=False),  # of its reply
    sa.Column("sent", sa.Text, nullable=False),  # the part of the prompt with the product
    sa.Column("outcome", sa.Text, nullable=False),  # empty: answered; else why not
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("cached_tokens", sa.BigInteger, nullable=False),  # of the input
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.Double, nullable=False),
    sa.Index("calls_subject", "subject"),
)

searches = sa.Table(
    "searches",
    metadata,
    sa.Column("id", _Number, primary_key=True),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("tags", _Json, nullable=False),  # ids of the tags it named
    sa.Column("words", _Json, nullable=False),  # its other words
    sa.Column("results", sa.BigInteger),  # how many products were found; null: not known
    sa.Column("at", sa.Text, nullable=False),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", _Number, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False),  # as other systems call them
    sa.Column("product_id", sa.Text, nullable=False),  # may come before the product does
    sa.Column("kind", sa.Text, nullable=False),  # view cart purchase like dislike
    sa.Column("at", sa.Text, nullable=False),  # when it was done
    sa.Column("query", sa.Text),  # the search that it came from
    sa.UniqueConstraint("user_id", "product_id", "kind", "at", name="events_once"),
    sa.Index("events_user", "user_id", "at"),
)
_clicked = events.c.query.is_not(None)
sa.Index("events_query", events.c.id, sqlite_where=_clicked, postgresql_where=_clicked)

facets = sa.Table(
    "facets",
    metadata,
    sa.Column("key", _Id, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),  # the order they came in
    sa.Column("names", _Json, nullable=False),  # {language: name}
    sa.Column("single", sa.Boolean, nullable=False),  # one value a product
    sa.Column("only_for", _Json, nullable=False),  # [tag id]: only for products with one of them
    sa.Column("value_kind", sa.Text, nullable=False),  # text number range
    sa.Column("unit", sa.Text, nullable=False),  # that numbers are compared in
    sa.Column("matches", _Json, nullable=False),  # [URI] of it elsewhere
)

tags = sa.Table(
    "tags",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("facet", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("names", _Json, nullable=False),
    sa.Column("aliases", _Json, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),  # proposed active retired
    sa.Column("merged_into", sa.Text),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("broader", _Json, nullable=False),  # [tag id] that it implies
    sa.Column("matches", _Json, nullable=False),  # [URI] of it elsewhere
    sa.Column("split_into", _Json, nullable=False),  # [tag id]
)

tag_names = sa.Table(
    "tag_names",
    metadata,
    sa.Column("normal_form", sa.Text, primary_key=True),  # two tags of a facet share none
    sa.Column("facet", sa.Text, primary_key=True),
    sa.Column("tag_id", sa.Text, nullable=False),
    sa.Index("tag_names_tag", "tag_id"),
)

library_changes = sa.Table(
    "library_changes",
    metadata,
    sa.Column("version", _Number, primary_key=True, autoincrement=False),  # the library's
    sa.Column("kind", sa.Text, nullable=False),  # add, alias, merge, import, undo …
    sa.Column("undoes", _Number),  # version of the change that it takes back
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)

library_entries = sa.Table(
    "library_entries",
    metadata,
    sa.Column("version", _Number, primary_key=True, autoincrement=False),  # of its change
    sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),  # from 0
    sa.Column("tag_id", sa.Text),  # null: a facet changed
    sa.Column("before", _Json),  # null: it was not there
    sa.Column("after", _Json),  # null: it is no longer there
    sa.Index("library_entries_tag", "tag_id"),
)

proposals = sa.Table(
    "proposals",
    metadata,
    sa.Column("id", _Number, primary_key=True),
    sa.Column("facet", sa.Text, nullable=False),  # suggested; may be no facet of the library
    sa.Column("normal_form", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # as it was first written
    sa.Column("status", sa.Text, nullable=False),  # open accepted merged rejected
    sa.Column("tag_id", sa.Text),  # that it became, or was merged into
    sa.Column("change", sa.BigInteger),  # of the library, by which it did
    sa.Column("searches", sa.BigInteger, nullable=False),  # queries that named it
    sa.Column("by_rule", sa.Boolean, nullable=False),  # not a person decided
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("first_seen", sa.Text, nullable=False),
    sa.Column("decided", sa.Text),  # when
    sa.UniqueConstraint("facet", "normal_form", name="proposals_name"),
)

proposal_support = sa.Table(
    "proposal_support",
    metadata,
    sa.Column("proposal_id", _Number, primary_key=True, autoincrement=False),
    sa.Column("product_id", _Id, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),  # llm, extractor, person …
    sa.Column("evidence", _Json),  # {field, start, end, text}; null: ungrounded
    sa.Column("at", sa.Text, nullable=False),
)

# Of files; a row goes once something else changes its tag, so what is here would change nothing.
imported_rows = sa.Table(
    "imported_rows",
    metadata,
    sa.Column("digest", sa.BigInteger, nullable=False),  # of the row's cells and its header
    sa.Column("tag_id", _Id, nullable=False),
    sa.Index("imported_rows_tag", "tag_id"),
)

# Rows are locked and counted up in the writer's transaction: order of commit is order of seq.
counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
