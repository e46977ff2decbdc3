import re

import pytest

from tagmill.library import Library, starter_library

CHINESE = re.compile("[\u3400-\u9fff]")


@pytest.fixture(scope="module")
def library() -> Library:
    return starter_library()


def test_size(library: Library) -> None:
    assert len(library.facets) >= 12
    assert len(library.active()) >= 800
    assert sum(len(tag.aliases) for tag in library.active()) >= 1500


def test_every_tag_and_facet_has_both_languages(library: Library) -> None:
    for tag in library.active():
        assert tag.names["zh"] == tag.name, tag
        assert tag.names["en"].strip(), tag
        assert not CHINESE.search(tag.names["en"]), tag
    for facet in library.facets.values():
        assert facet.names["zh"] == facet.key
        assert facet.names["en"].strip(), facet
        assert not CHINESE.search(facet.names["en"]), facet


def test_no_spelling_is_given_twice_in_a_facet(library: Library) -> None:
    owners: dict[tuple[str, str], str] = {}
    for tag in library.active():
        forms = {library.form(name) for name in library.names_of(tag)}
        for form in forms:
            assert form, tag
            assert owners.setdefault((tag.facet, form), tag.id) == tag.id, (tag, form)
        own = [library.form(name) for name in (tag.name, *tag.aliases)]
        assert len(own) == len(set(own)), f"{tag.text} lists a spelling twice"


def test_every_tag_is_found_by_each_of_its_names(library: Library) -> None:
    for tag in library.active():
        facet = library.facets[tag.facet]
        assert library.find(tag.text) == tag
        assert library.find(f"{facet.names['en']}:{tag.names['en']}") == tag
        for alias in tag.aliases:
            assert library.find(f"{tag.facet}:{alias}") == tag


def test_worked_example_can_be_tagged(library: Library) -> None:
    for name in ("高清电视", "4K电视", "HDR电视", "液晶电视", "大屏电视"):
        assert library.resolve(name).facet == "品类"
