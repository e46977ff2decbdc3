"""A library as SKOS, the W3C's vocabulary for thesauri: Turtle or RDF/XML.

A facet is a concept scheme, a tag a concept in it: names are prefLabel (the canonical one without
a language), aliases altLabel, then definition, broader and exactMatch. What SKOS has no word for
(status, one value a product …) stands in properties of our own, so nothing is lost between two
libraries of ours. Of a stranger's file, labels, definitions, broader, exactMatch and schemes are
read (of two prefLabels in a language one is an alias), and what else it says is counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast, get_args
from urllib.parse import quote, unquote

from tagmill.errors import LibraryError, MissingExtra
from tagmill.library.names import language_code
from tagmill.library.vocabulary import Library
from tagmill.records import Facet, Tag, TagStatus, ValueKind, tag_id

__all__ = ["read_skos", "write_skos"]

_TAG, _FACET, _OWN = "urn:tagmill:tag:", "urn:tagmill:facet:", "urn:tagmill:terms#"
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:", re.I)
_NO_ADDRESS = re.compile(r"""[\x00-\x20<>"{}|\\^`%]""")
_OURS = {"zh-cn": "zh", "zh-hans": "zh", "zh-tw": "zh-Hant", "zh-hant": "zh-Hant"}


def write_skos(path: Path, library: Library) -> Counter[str]:
    """Write every tag and facet: RDF/XML for `.rdf` and `.xml`, else Turtle. Loses nothing.

    Raises MissingExtra without rdflib, LibraryError for a file that cannot be written.
    """
    rdf = _rdflib()
    graph = rdf.Graph()
    own = rdf.Namespace(_OWN)
    graph.bind("tagmill", own)
    for place, facet in enumerate(library.facets.values()):
        node = rdf.URIRef(_FACET + quote(facet.key, safe=""))
        graph.add((node, rdf.RDF.type, rdf.SKOS.ConceptScheme))
        graph.add((node, rdf.SKOS.prefLabel, rdf.Literal(facet.key)))
        _add(graph, node, own.place, [rdf.Literal(place)])
        _add(graph, node, rdf.SKOS.prefLabel, _labels(facet.names))
        _add(graph, node, rdf.SKOS.exactMatch, map(_node, facet.matches))
        _add(graph, node, own.onlyFor, [rdf.URIRef(_address(i)) for i in facet.only_for])
        _add(graph, node, own.single, [rdf.Literal(True)] if facet.single else [])
        kind = [] if facet.value_kind == "text" else [facet.value_kind]
        _add(graph, node, own.valueKind, map(rdf.Literal, kind))
        _add(graph, node, own.unit, map(rdf.Literal, [facet.unit] if facet.unit else []))
    for place, tag in enumerate(library.tags.values()):
        node = rdf.URIRef(_address(tag.id))
        graph.add((node, rdf.RDF.type, rdf.SKOS.Concept))
        graph.add((node, rdf.SKOS.inScheme, rdf.URIRef(_FACET + quote(tag.facet, safe=""))))
        graph.add((node, rdf.SKOS.prefLabel, rdf.Literal(tag.name)))
        _add(graph, node, own.place, [rdf.Literal(place)])
        _add(graph, node, rdf.SKOS.prefLabel, _labels(tag.names))
        _add(graph, node, rdf.SKOS.altLabel, map(rdf.Literal, tag.aliases))
        if len(tag.aliases) > 1:  # RDF knows no order
            _add(graph, node, own.aliases, [rdf.Literal("\n".join(tag.aliases))])
        about = [rdf.Literal(tag.description)] if tag.description else []
        _add(graph, node, rdf.SKOS.definition, about)
        _add(graph, node, rdf.SKOS.broader, [rdf.URIRef(_address(i)) for i in tag.broader])
        _add(graph, node, rdf.SKOS.exactMatch, map(_node, tag.matches))
        if len(tag.broader) > 1 or len(tag.matches) > 1:
            order = "\n".join([*tag.broader, "", *tag.matches])
            _add(graph, node, own.order, [rdf.Literal(order)])
        if tag.status != "active":
            _add(graph, node, own.status, [rdf.Literal(tag.status)])
        _add(graph, node, rdf.OWL.deprecated, [rdf.Literal(True)] * (tag.status == "retired"))
        into = [tag.merged_into] if tag.merged_into else []
        _add(graph, node, rdf.DCTERMS.isReplacedBy, [rdf.URIRef(_address(i)) for i in into])
        _add(graph, node, own.splitInto, [rdf.Literal("\n".join(tag.split_into))]
             if tag.split_into else [])  # fmt: skip
    written_as = "pretty-xml" if path.suffix in (".rdf", ".xml") else "turtle"
    unfinished = path.with_name(f"{path.name}.part")
    try:
        graph.serialize(unfinished, format=written_as, encoding="utf-8")
    except OSError as error:
        raise LibraryError(f"Cannot write '{path}': {error.strerror}") from error
    unfinished.replace(path)
    return Counter()


def read_skos(
    path: Path, language: str, category: str
) -> tuple[list[Tag], list[Facet], Counter[str]]:
    """Tags, facets, and how many statements of which property could not be held.

    The canonical name is the label without a language, else in `language`, English, any. A
    concept of no scheme is of the facet `category`.
    """
    rdf = _rdflib()
    graph = rdf.Graph()
    try:
        graph.parse(path, format="xml" if path.suffix in (".rdf", ".xml") else "turtle")
    except OSError as error:
        raise LibraryError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # rdflib's parsers raise what they like
        why = str(error).splitlines()[0]
        raise LibraryError(f"{path} is neither Turtle nor RDF/XML: {why}") from error
    reader = _Reader(graph, language, category)
    facets = [reader.facet(node) for node in reader.sorted(rdf.SKOS.ConceptScheme)]
    tags = [reader.tag(node) for node in reader.sorted(rdf.SKOS.Concept)]
    if not tags:
        raise LibraryError(f"{path} holds no skos:Concept")
    return tags, facets, reader.lost


class _Reader:
    """Concepts and schemes of a graph as tags and facets."""

    def __init__(  # rdflib may be missing, so its types are not named
        self,
        graph: Any,  # noqa: ANN401
        language: str,
        category: str,
    ) -> None:
        self._graph, self._category = graph, category
        self._canonical = ("", language, _code(language), "en")  # languages of it, the best first
        self._rdf = _rdflib()
        self._own = self._rdf.Namespace(_OWN)
        self._keys: dict[Any, str] = {}
        self.lost: Counter[str] = Counter()
        rdf, skos, own = self._rdf, self._rdf.SKOS, self._own
        self._held = {
            rdf.RDF.type, rdf.OWL.deprecated, rdf.DCTERMS.isReplacedBy, own.place, own.aliases,
            own.order, own.status, own.splitInto, own.onlyFor, own.single, own.valueKind, own.unit,
            skos.inScheme, skos.prefLabel, skos.altLabel, skos.hiddenLabel, skos.definition,
            skos.broader, skos.exactMatch, skos.narrower, skos.topConceptOf, skos.hasTopConcept,
        }  # fmt: skip

    def sorted(self, kind: Any) -> list[Any]:  # noqa: ANN401
        """The nodes of a type: in our order where the file says it, else by address."""

        def key(node: Any) -> tuple[int, str]:  # noqa: ANN401
            place = self._graph.value(node, self._own.place)
            return (2**62 if place is None else int(place), str(node))

        return sorted(set(self._graph.subjects(self._rdf.RDF.type, kind)), key=key)

    def facet(self, node: Any) -> Facet:  # noqa: ANN401
        """A scheme as a facet."""
        name, names, others = self._names(node)
        self.lost["names of schemes"] += len(others)
        key = unquote(str(node).removeprefix(_FACET)) if str(node).startswith(_FACET) else name
        self._keys[node] = key
        value, own = self._graph.value, self._own
        return Facet(
            key,
            names,
            single=value(node, own.single) is not None,
            only_for=tuple(sorted(map(_id, self._graph.objects(node, own.onlyFor)))),
            value_kind=cast("ValueKind", str(value(node, own.valueKind) or "text")),
            unit=str(value(node, own.unit) or ""),
            matches=self._matches(node, _FACET),
        )

    def tag(self, node: Any) -> Tag:  # noqa: ANN401
        """A concept as a tag."""
        rdf, value = self._rdf, self._graph.value
        name, names, aliases = self._names(node)
        scheme = value(node, rdf.SKOS.inScheme) or value(node, rdf.SKOS.topConceptOf)
        facet = self._keys.get(scheme, self._category)
        written = str(value(node, self._own.aliases) or "")
        broader = [self._reference(other) for other in self._graph.objects(node, rdf.SKOS.broader)]
        broader += [self._reference(o) for o in self._graph.subjects(rdf.SKOS.narrower, node)]
        matches = self._matches(node, _TAG)
        order = str(value(node, self._own.order) or "").split("\n")
        status = self._status(node)
        into = value(node, rdf.DCTERMS.isReplacedBy)
        if into is not None and status != "retired":
            self.lost["isReplacedBy"] += 1
            into = None
        return Tag(
            self._reference(node),
            facet,
            name,
            names,
            _in_order(dict.fromkeys(aliases), written.split("\n")),
            self._definition(node),
            status,
            None if into is None else self._reference(into),
            _in_order(dict.fromkeys(broader), order),
            _in_order(matches, order),
            tuple(filter(None, str(value(node, self._own.splitInto) or "").split("\n"))),
        )

    def _status(self, node: Any) -> TagStatus:  # noqa: ANN401
        written = str(self._graph.value(node, self._own.status) or "active")
        status = next((one for one in get_args(TagStatus) if one == written), None)
        if status is None:
            known = ", ".join(get_args(TagStatus))
            raise LibraryError(f"{node}: status '{written}' is not one of {known}")
        deprecated = self._graph.value(node, self._rdf.OWL.deprecated)
        if deprecated is not None and not str(node).startswith(_TAG):
            return "retired"
        return cast("TagStatus", status)

    def _reference(self, node: Any) -> str:  # noqa: ANN401
        """The id of a concept: ours, or minted from its address."""
        text = str(node)
        return _id(text) if text.startswith(_TAG) else tag_id("", text)

    def _names(self, node: Any) -> tuple[str, dict[str, str], list[str]]:  # noqa: ANN401
        """Canonical name, names by language, aliases."""
        skos = self._rdf.SKOS
        by_language: dict[str, str] = {}
        others = [
            label for kind in (skos.altLabel, skos.hiddenLabel)
            for label in self._graph.objects(node, kind)
        ]  # fmt: skip
        ours = str(node).startswith((_TAG, _FACET))
        for label in sorted(self._graph.objects(node, skos.prefLabel), key=_exact_first):
            theirs = label.language or ""  # as it is where we wrote it, or have a name in ours
            code = theirs if ours or _code(theirs) in by_language else _code(theirs)
            if code in by_language:
                others.append(label)
            else:
                by_language[code] = str(label)
        for predicate in set(self._graph.predicates(node)) - self._held:
            name = str(predicate).rpartition("#")[2].rpartition("/")[2]
            self.lost[name] += len(list(self._graph.objects(node, predicate)))
        self.lost["languages of aliases"] += sum(bool(label.language) for label in others)
        if not by_language:
            by_language = {"": str(node).rpartition("/")[2].rpartition("#")[2]}
        first = next((c for c in self._canonical if c in by_language),
                     next(iter(by_language)))  # fmt: skip
        names = {code: name for code, name in by_language.items() if code}
        return by_language[first], names, [str(label) for label in others]

    def _definition(self, node: Any) -> str:  # noqa: ANN401
        found = {
            _code(text.language): str(text)
            for text in self._graph.objects(node, self._rdf.SKOS.definition)
        }
        if not found:
            return ""
        self.lost["definitions in other languages"] += len(found) - 1
        first = next((code for code in self._canonical if code in found),
                     next(iter(found)))  # fmt: skip
        return found[first]

    def _matches(self, node: Any, prefix: str) -> tuple[str, ...]:  # noqa: ANN401
        """What it is called elsewhere, its own address where that is a stranger's."""
        found = [str(other) for other in self._graph.objects(node, self._rdf.SKOS.exactMatch)]
        own = [] if str(node).startswith(prefix) else [str(node)]
        return tuple(dict.fromkeys([*own, *sorted(found)]))


def _in_order(values: Iterable[str], order: list[str]) -> tuple[str, ...]:
    place = {value: i for i, value in enumerate(order)}
    return tuple(sorted(values, key=lambda value: (place.get(value, len(place)), value)))


def _address(tag_id: str) -> str:
    return _TAG + _NO_ADDRESS.sub(lambda found: quote(found[0]), tag_id)


def _id(node: object) -> str:
    return unquote(str(node).removeprefix(_TAG))


def _exact_first(label: Any) -> tuple[bool, str, str]:  # noqa: ANN401
    """The order of labels: before zh-CN, which is zh to us, zh."""
    language = label.language or ""
    return _code(language) != language, language, str(label)


def _code(language: str | None) -> str:
    return _OURS.get((language or "").lower(), language or "")


def _labels(names: Mapping[str, str]) -> list[Any]:
    return [_rdflib().Literal(name, lang=language_code(code)) for code, name in names.items()]


def _node(match: str) -> Any:  # noqa: ANN401
    rdf = _rdflib()
    # A scheme has no underscore: RDF/XML would take google_product_category:1 for a file's name.
    is_address = _ADDRESS.match(match) and not set(match) & set(' <>"{}|\\^`\n')
    return rdf.URIRef(match) if is_address else rdf.Literal(match)


def _add(graph: Any, node: Any, predicate: Any, values: Iterable[Any]) -> None:  # noqa: ANN401
    for value in values:
        graph.add((node, predicate, value))


def _rdflib() -> Any:  # noqa: ANN401
    try:
        import rdflib
    except ImportError as error:
        raise MissingExtra("SKOS", "rdflib", "exchange") from error
    return rdflib
