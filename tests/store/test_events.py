"""Events are counted as they come; on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from tagmill.store import Store
from tagmill.store.events import Event


def test_new_events_are_counted(store: Store) -> None:
    found = [Event(f"u{i}", "p", "view", "2026-11-20T12:00:00Z") for i in range(3_000)]
    assert store.events.add(found) == 3_000
    assert store.events.add([*found[:5], Event("new", "p", "cart", "2026-11-20T12:00:00Z")]) == 1
    assert store.events.add(found) == 0
    assert store.events.state().added == 3_001


@pytest.mark.parametrize(("kind", "at"), [("foo", "2026-11-20T12:00:00Z"), ("view", "yesterday")])
def test_what_is_no_event(kind: Any, at: str) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=f"{kind if kind == 'foo' else at}"):
        Event("u", "p", kind, at)
