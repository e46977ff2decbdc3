from collections.abc import Iterator
from pathlib import Path

import numba
import pytest

from tagmill import kernels
from tagmill.kernels import kernel


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    kernels._folder.cache_clear()
    yield
    kernels._folder.cache_clear()


def _twice(x: int) -> int:
    return 2 * x


def test_a_kernel_is_kept_under_the_name_of_all_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    compiled = kernel(_twice)
    assert compiled(21) == 42
    (folder,) = tmp_path.iterdir()
    assert folder.name == kernels._folder().name  # type: ignore[union-attr]
    assert list(folder.rglob("*.nbc"))
    assert kernel(_twice)(4) == 8
    again = kernel(_twice)
    again(4)
    assert sum(again.stats.cache_hits.values()) == 1
    assert str(tmp_path) == numba.config.CACHE_DIR  # type: ignore[attr-defined]


def test_another_source_is_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    before = kernels._folder()
    kernels._folder.cache_clear()
    monkeypatch.setattr(kernels, "_SOURCES", ("tagging",))
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    after = kernels._folder()
    assert before is not None
    assert after is not None
    assert before.parent == after.parent
    assert before != after


def test_a_read_only_installation_uses_the_users_cache_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = Path.mkdir

    def refuse(path: Path, *arguments: object, **options: object) -> None:
        if "__pycache__" in path.parts or "locked" in path.parts:
            raise PermissionError(13, "Permission denied")
        mkdir(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert kernels._folder().parent == tmp_path / ".cache" / "tagmill"  # type: ignore[union-attr]
    kernels._folder.cache_clear()
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "locked")
    with pytest.warns(UserWarning, match="cannot keep its compiled kernels.*NUMBA_CACHE_DIR"):
        assert kernels._folder() is None
    assert kernel(_twice)(21) == 42
