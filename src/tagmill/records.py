"""The values that travel between stages.

A batch of products is an Arrow record batch of `PRODUCT_SCHEMA`; what a tagger says of it is
`Scores`, a sparse matrix with named axes; what leaves the pipeline is an Arrow record batch of
`TAGGED_SCHEMA`. One product is a batch of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if TYPE_CHECKING:
    from scipy import sparse  # a fifth of a second, which no command needs that scores nothing

__all__ = [
    "EVIDENCE_TYPE",
    "LANES",
    "PRODUCT_SCHEMA",
    "TAGGED_SCHEMA",
    "Candidate",
    "Facet",
    "Lane",
    "ModelCall",
    "Proposer",
    "Reply",
    "Scores",
    "Span",
    "Tag",
    "TagStatus",
    "Tagger",
    "ValueKind",
    "parse_tag",
    "parse_tag_cell",
    "tag_id",
    "tag_text",
    "write_tag_cell",
]

Lane = Literal["auto", "review", "rejected"]
LANES: tuple[Lane, ...] = ("auto", "review", "rejected")
TagStatus = Literal["proposed", "active", "retired"]
ValueKind = Literal["text", "number", "range"]

PRODUCT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("description", pa.string()),
        pa.field("category", pa.string()),
        pa.field("attributes", pa.map_(pa.string(), pa.string())),
        # Price, stock, rating: what changes often, is searched and sorted by, and says nothing of
        # what a product is. No text: it is neither tagged nor sent, nor makes a product tagged
        # again. A name may occur again: the prices of its variants.
        pa.field("numbers", pa.map_(pa.string(), pa.float64())),
        pa.field("image", pa.string()),
        pa.field("language", pa.string()),  # zh-Hans, zh-Hant, en, other, or what the user gave
        # Tags a person gave, written `facet:name`. Null: nobody judged the product;
        # an empty list: somebody did, and no tag applies.
        pa.field("tags", pa.list_(pa.string())),
    ]
)

EVIDENCE_TYPE = pa.struct(
    [
        pa.field("field", pa.string(), nullable=False),  # title, description, attributes.颜色 …
        pa.field("start", pa.int32(), nullable=False),  # character offsets into that field's text
        pa.field("end", pa.int32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)

TAGGED_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field(
            "tags",  # descending by probability
            pa.list_(
                pa.struct(
                    [
                        pa.field("id", pa.string(), nullable=False),
                        pa.field("facet", pa.string(), nullable=False),
                        pa.field("name", pa.string(), nullable=False),
                        pa.field("probability", pa.float32(), nullable=False),
                        pa.field("calibration", pa.string(), nullable=False),  # fitted | prior
                        pa.field("lane", pa.string(), nullable=False),
                        pa.field("evidence", pa.list_(EVIDENCE_TYPE)),  # null: ungrounded
                    ]
                )
            ),
            nullable=False,
        ),
    ]
)


@dataclass(frozen=True, slots=True)
class Facet:
    """A group of tags: its key, as tags are written, and its name per language.

    A `single` facet has one value a product (性别). One that is `only_for` some tags (ids, mostly
    of categories) is left out of products that are of another tag of their facet: 袖长 only for
    服装. `value_kind` says what its names are: text, or numbers and ranges, compared by what they
    measure; a bare number is one of `unit`.
    `matches` are what other vocabularies call it (URIs).
    """

    key: str
    names: Mapping[str, str] = field(default_factory=dict)
    single: bool = False
    only_for: tuple[str, ...] = ()
    value_kind: ValueKind = "text"
    unit: str = ""
    matches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tag:
    """One canonical entry of the library.

    `id` is minted from the `facet:name` the tag was created with and stays through renames;
    `name` is the canonical name, `names` its name per language (`zh`, `en`, …). `broader` are the
    ids of the tags that it implies, `matches` what other vocabularies call it (URIs). A retired
    tag may have been `merged_into` another, or `split_into` several (ids).
    """

    id: str
    facet: str
    name: str
    names: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    description: str = ""
    status: TagStatus = "active"
    merged_into: str | None = None
    broader: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    split_into: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The tag as it is written: `facet:name`."""
        return tag_text(self.facet, self.name)

    def name_in(self, language: str | None) -> str:
        """The name in a language (`zh-Hant` falls back to `zh`), or the canonical one."""
        return name_in(self.names, self.name, language)


def name_in(names: Mapping[str, str], canonical: str, language: str | None) -> str:
    """The entry of `names` for a language or its primary subtag, or else `canonical`."""
    if not language:
        return canonical
    return names.get(language) or names.get(language.split("-")[0]) or canonical


@dataclass(frozen=True)
class Scores:
    """What one tagger says of a batch: a sparse matrix that carries its own axes.

    `product_ids` (n,) and `tag_ids` (m,) are object arrays of str, `values` is csr (n, m) float32;
    an absent entry means "nothing said". With `calibrated`, values are probabilities in [0, 1].
    """

    product_ids: npt.NDArray[np.object_]
    tag_ids: npt.NDArray[np.object_]
    values: sparse.csr_array
    calibrated: bool = False


@dataclass(frozen=True)
class Span:
    """A place in a field of a product, in characters; evidence once it is stored."""

    field: str  # title, description, attributes.颜色 …
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Candidate:
    """A name that a proposer reads out of a product; the library makes a tag or a proposal of it.

    `score` is a calibrated probability where the proposer has one, None where it has not.
    """

    row: int  # of the product in its batch
    facet: str
    name: str
    score: float | None
    evidence: Span | None  # None: ungrounded


@dataclass(frozen=True)
class Reply:
    """An answer of a large language model. `logprobs`: of each token its alternatives, ln P by
    text; empty where the server gives none. Not `complete`: it was longer than allowed."""

    text: str
    logprobs: tuple[Mapping[str, float], ...] = ()
    input_tokens: int = 0
    cached_tokens: int = 0  # of the input, read from the server's prefix cache
    output_tokens: int = 0
    complete: bool = True


@dataclass(frozen=True)
class ModelCall:
    """What the audit keeps of one request to a large language model."""

    key: str  # its reply is stored under
    stage: str  # propose, verify, describe …
    subject: str  # the product's id
    model: str
    host: str  # it was sent to; empty: it stayed in this process
    sent: str  # the part of the prompt with the product, as it was sent
    outcome: str  # empty: answered; else why not
    input_tokens: int
    cached_tokens: int  # of the input
    output_tokens: int
    cost: float
    at: str = ""  # when: UTC, ISO 8601; given when it is stored


class Tagger(Protocol):
    """Scores known tags for products (closed vocabulary)."""

    def score(self, batch: pa.RecordBatch) -> Scores:
        """Scores of a batch of `PRODUCT_SCHEMA`, one row a product, in the batch's order."""
        ...


class Proposer(Protocol):
    """Writes tag names with evidence (open vocabulary)."""

    def propose(self, batch: pa.RecordBatch) -> list[Candidate]:
        """Names for products of a batch of `PRODUCT_SCHEMA` that are not in the library, by row."""
        ...


def tag_text(facet: str, name: str) -> str:
    """`facet:name`, or only the name for a tag without a facet."""
    if facet or ":" in name:
        return f"{facet}:{name}"
    return name


def parse_tag(text: str) -> tuple[str, str]:
    """(facet, name) of a written tag, split at the first colon; no colon means no facet.

    Raises ValueError where the name is empty.
    """
    facet, colon, name = text.partition(":")
    if not colon:
        facet, name = "", text
    facet, name = facet.strip(), name.strip()
    if not name:
        raise ValueError(f"'{text}' names no tag: write facet:name")
    return facet, name


def tag_id(facet: str, name: str) -> str:
    """The id minted for a new tag: 16 hex digits of the SHA-256 of its written form."""
    return hashlib.sha256(tag_text(facet, name).encode()).hexdigest()[:16]


def parse_tag_cell(cell: str) -> list[str]:
    r"""Written tags of one CSV cell: separated by `|`; `\|` and `\:` stand for themselves.

    An escaped colon does not separate facet from name, so `a\:b` is the plain name `a:b`,
    written `:a:b`.
    """
    if not cell:
        return []
    if "\\" not in cell:
        return [text for part in cell.split("|") if (text := part.strip())]
    tags: list[str] = []
    text, plain_colon, separated, position = "", False, False, 0
    for position in range(len(cell) + 1):
        character = cell[position] if position < len(cell) else "|"
        escaped = position > 0 and cell[position - 1] == "\\" and position < len(cell)
        if character == "|" and not escaped:
            text = text.strip()
            if text:
                tags.append(f":{text}" if plain_colon and not separated else text)
            text, plain_colon, separated = "", False, False
        elif escaped and character in "|:":
            text = text[:-1] + character
            plain_colon = plain_colon or (character == ":" and not separated)
        else:
            separated = separated or character == ":"
            text += character
    return tags


def write_tag_cell(tags: list[str]) -> str:
    r"""The CSV cell that `parse_tag_cell` reads back to `tags`."""
    cells = []
    for text in tags:
        facet, name = parse_tag(text)
        name = name.replace("|", "\\|")
        if facet:
            cells.append(f"{facet.replace('|', chr(92) + '|')}:{name}")
        else:
            cells.append(name.replace(":", "\\:"))
    return "|".join(cells)
