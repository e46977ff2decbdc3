"""Which column of a source each field of a product comes from."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tagmill.errors import CatalogError
from tagmill.records import PRODUCT_SCHEMA

__all__ = ["FIELDS", "Columns", "check_mapping", "choose_columns"]

FIELDS: tuple[str, ...] = tuple(PRODUCT_SCHEMA.names)
# `attributes.brand=brand_name`, `numbers.price=price`: one column, one attribute or number.
_NAMED = ("attributes", "numbers")

# What catalogues call these columns, most telling first; only used to suggest a --map.
_OFTEN_CALLED = {
    "id": (
        "product_id", "productid", "sku", "item_id", "itemid", "goods_id", "spu_id", "spu", "asin",
        "uuid", "key", "handle", "code", "编号", "商品编号", "商品id", "货号", "商品编码", "款号",
    ),
    "title": (
        "product_name", "product_title", "name", "product", "item_name", "productname",
        "display_name", "heading", "subject", "标题", "商品名称", "商品标题", "名称", "品名",
        "產品名稱", "商品名稱",
    ),
    "description": (
        "desc", "body", "body_html", "details", "text", "content", "描述", "商品描述", "详情",
    ),
}  # fmt: skip
_SHOWN_COLUMNS = 30


@dataclass(frozen=True)
class Columns:
    """A source's column for each field it has, and for each attribute and number with a column of
    its own."""

    fields: Mapping[str, str]
    attributes: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)

    @property
    def read(self) -> list[str]:
        """The columns that are read, each once."""
        named = (*self.attributes.values(), *self.numbers.values())
        return list(dict.fromkeys([*self.fields.values(), *named]))

    def given(self, present: Collection[str]) -> frozenset[str]:
        """The fields whose columns are present; `numbers.price` for one with its own column."""
        own = {
            f"{kind}.{name}": column
            for kind, columns in (("attributes", self.attributes), ("numbers", self.numbers))
            for name, column in columns.items()
        }
        return frozenset(
            ours for ours, column in {**self.fields, **own}.items() if column in present
        )


def check_mapping(mapping: Mapping[str, str]) -> None:
    """CatalogError where a mapping names no field of a product."""
    for ours in mapping:
        if ours in FIELDS or all(_named(ours)):
            continue
        nearest = difflib.get_close_matches(ours, FIELDS, n=1)
        hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
        raise CatalogError(
            f"A product has no field '{ours}' to map '{mapping[ours]}' to.{hint} "
            f"Fields: {', '.join(FIELDS)}, and attributes.NAME or numbers.NAME for one of them"
        )


def choose_columns(
    source: str,
    available: Sequence[str],
    mapping: Mapping[str, str],
    *,
    open_ended: bool = False,
    partial: bool = False,
    fix: tuple[str, str, str] = ("Map it with: ", "--map {field}={column}", " "),
) -> Columns:
    """The column of each field: the mapped one, or the one of the field's name in any case.

    `open_ended`: later rows may bring columns that `available` lacks (JSON Lines). `partial`: the
    rows may say something else of products that have their texts. Raises CatalogError where a
    mapped or a needed column is missing; `fix` is how that is mended: how it begins, what it says
    of each column, and what stands between.
    """
    check_mapping(mapping)
    _check_repeated(source, available, mapping)
    fields: dict[str, str] = {}
    named: dict[str, dict[str, str]] = {kind: {} for kind in _NAMED}
    for ours, theirs in mapping.items():
        column = _same_name(theirs, available) or (theirs if open_ended else None)
        if column is None:
            raise CatalogError(
                f"{source} has no column '{theirs}', which is mapped to {ours}. "
                f"Columns: {_listed(available)}",
                file=source,
            )
        kind, name = _named(ours)
        if name:
            named[kind][name] = column
        else:
            fields[ours] = column
    taken = {*fields.values(), *(column for names in named.values() for column in names.values())}
    for name in FIELDS:
        column = _same_name(name, available) or (name if open_ended else None)
        if name not in fields and column is not None and column not in taken:
            fields[name] = column
    says_else = any(named.values()) or any(
        fields[ours] in available for ours in fields if ours not in ("id", "title", "description")
    )
    _check_needed(source, available, fields, fix, textless=partial and says_else)
    return Columns(fields, **named)


def _named(ours: str) -> tuple[str, str]:
    """(attributes or numbers, the name) of what one column is mapped to; empty for a field."""
    kind, _, name = ours.partition(".")
    return (kind, name) if kind in _NAMED else ("", "")


def _check_needed(
    source: str,
    available: Sequence[str],
    fields: Mapping[str, str],
    fix: tuple[str, str, str],
    *,
    textless: bool,
) -> None:
    known = {column for column in fields.values() if column in available}
    free = [name for name in available if name not in known]
    missing: list[str] = []
    fixes: list[str] = []
    begins, each, between = fix
    texts = () if textless else (("title", "description"),)
    for needed, alternative in (("id", "id"), *texts):
        if fields.get(needed) in known or fields.get(alternative) in known:
            continue
        same = needed == alternative
        missing.append(f"'{needed}'" if same else f"'{needed}' or '{alternative}'")
        likely = _likely_column(needed, free)
        if likely is not None:
            free.remove(likely)
            fixes.append(each.format(field=needed, column=likely))
    if missing:
        hint = f". {begins}{between.join(fixes)}" if fixes else ""
        raise CatalogError(
            f"{source} has no column {', '.join(missing)}. Columns: {_listed(available)}{hint}",
            file=source,
        )


def _check_repeated(source: str, available: Sequence[str], mapping: Mapping[str, str]) -> None:
    wanted = {_plain(name) for name in (*FIELDS, *mapping.values())}
    for name, times in Counter(available).items():
        if times > 1 and _plain(name) in wanted:
            raise CatalogError(
                f"{source} has {times} columns named '{name}'. Rename all but one", file=source
            )


def _same_name(wanted: str, available: Sequence[str]) -> str | None:
    """The column of that name: exactly, or else in another case or with spaces around it."""
    if wanted in available:
        return wanted
    return next((name for name in available if _plain(name) == _plain(wanted)), None)


def _likely_column(needed: str, available: Sequence[str]) -> str | None:
    """The column that most likely is the needed one; None where none looks like it."""
    by_name = {_plain(name): name for name in available}
    for usual in _OFTEN_CALLED[needed]:
        if usual in by_name:
            return by_name[usual]
    usual_names = (needed, *_OFTEN_CALLED[needed])
    for plain, name in by_name.items():
        if len(needed) > 2 and needed in plain:
            return name
        if needed == "id" and plain.endswith(("_id", " id", "-id")):
            return name
    for usual in usual_names:
        close = difflib.get_close_matches(usual, list(by_name), n=1, cutoff=0.75)
        if close:
            return by_name[close[0]]
    return None


def _plain(name: str) -> str:
    return name.strip().casefold()


def _listed(columns: Sequence[str]) -> str:
    names = [name if name.strip() else "(no name)" for name in columns[:_SHOWN_COLUMNS]]
    more = len(columns) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
