"""The forms in which names are compared: two tags of a facet share none.

Every name has its normal form. In a facet whose names are quantities it has what it measures as
well: 500ml is found as 0.5 升, and no other tag of the facet may be called so.
"""

from __future__ import annotations

from tagmill.errors import TagConflict
from tagmill.quantities import Quantity, quantity_of, read_quantity
from tagmill.records import Facet, Tag
from tagmill.text import normal_form

__all__ = ["MEASURE", "facet_conflict", "name_conflict", "name_forms", "plain_forms"]

MEASURE = "="  # before what a name measures; no normal form begins so


def name_forms(name: str, facet: Facet | None) -> tuple[str, ...]:
    """The forms of a name in a facet, its normal form first."""
    return _forms(name, quantity_of(name, facet))


def plain_forms(name: str) -> tuple[str, ...]:
    """The forms that a name may have in any facet, its normal form first."""
    return _forms(name, read_quantity(name))


def name_conflict(tag: Tag, name: str, form: str, other: str, other_id: str) -> TagConflict:
    """That a name of a tag has a form which another tag of its facet (`facet:name`) has."""
    if form.startswith(MEASURE):
        return TagConflict(
            f"'{tag.text}' and '{other}' (id {other_id}) are the same quantity ('{name}'): the "
            f"names of the facet '{tag.facet}' are quantities. Keep one, or merge them; for all "
            "such pairs see: tagmill library duplicates"
        )
    return TagConflict(
        f"'{tag.text}' and '{other}' (id {other_id}) would both be called '{name}' in the facet "
        f"'{tag.facet}'. Rename one, or merge them"
    )


def facet_conflict(owner: str, key: str, name: str) -> TagConflict:
    """That a name of a facet is one of another facet, both by key."""
    return TagConflict(
        f"Facets '{owner}' and '{key}' are both called '{name}'. Use one key for both, or another "
        "name"
    )


def _forms(name: str, quantity: Quantity | None) -> tuple[str, ...]:
    form = normal_form(name)
    return (form,) if quantity is None else (form, f"{MEASURE}{quantity.key}")
