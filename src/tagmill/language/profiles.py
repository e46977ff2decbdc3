"""What a row of the catalogue is: a product, an article, a voice assistant's reply, or one's own.

A profile is a folder: `profile.toml` says what a row is called, which of its fields stand in
prompts under which labels, and its facets; beside it stand the prompts, `STAGE.LANGUAGE.txt` (see
`prompts.py`), and where wanted a starter library. Each shipped one is a folder of `prompts/`; a
user's own is given by its path.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagmill.errors import SettingsError

__all__ = ["LANGUAGES", "Profile", "open_profile", "profile_folder", "shipped_profiles"]

LANGUAGES = ("zh", "en")  # of prompts
_SHIPPED = Path(__file__).parent / "prompts"
_FILE = "profile.toml"
_KEYS = ("name", "library", "row", "fields", "facets")
_FIELDS = ("title", "description", "category", "attributes")  # text that evidence is looked for in
_PRODUCTS = "product"  # the profile whose library is `data/starter`


@dataclass(frozen=True, eq=False)
class Profile:
    """What rows of a kind are called; names and labels are by language, zh and en."""

    name: str
    folder: Path
    row: Mapping[str, str]
    fields: Mapping[str, Mapping[str, str]]  # of a product → label, in the order of the prompts
    facets: Mapping[str, Mapping[str, str]]  # key → name
    library: Path | None = None  # CSV file of its starter library; None: that of products

    def facet_names(self, language: str) -> str:
        """The names of its facets in a language, as prompts list them."""
        return ("、" if language == "zh" else ", ").join(
            names[language] for names in self.facets.values()
        )


def shipped_profiles() -> list[str]:
    """The names of the profiles that come with tagmill."""
    return sorted(path.parent.name for path in _SHIPPED.glob(f"*/{_FILE}"))


def profile_folder(name: str, root: Path = Path(".")) -> Path:
    """The folder of a shipped profile, or of a user's own, relative to `root`."""
    return _SHIPPED / name if name in shipped_profiles() else root / name


def open_profile(name: str | Path) -> Profile:
    """The profile of that name, or in that folder. SettingsError where it is none, or wrong."""
    folder = profile_folder(str(name))
    path = folder / _FILE
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        if folder.is_dir():
            raise SettingsError(
                f"'{name}' is no profile: {path} is missing. Copy it from {_SHIPPED / _PRODUCTS}, "
                "and change it"
            ) from None
        shipped = shipped_profiles()
        raise SettingsError(
            f"'{name}' is no profile: {path} is missing. {_nearest(folder.name, shipped)}Shipped: "
            f"{', '.join(shipped)}; or a folder"
        ) from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
    _check_known(path, "key", values, _KEYS)
    fields = _named(path, values, "fields")
    _check_known(path, "field", fields, _FIELDS)
    if not fields:
        raise SettingsError(
            f"{path} names no field. Write [fields] with one of {', '.join(_FIELDS)}"
        )
    own_name = values.get("name", folder.resolve().name)
    if not isinstance(own_name, str) or not own_name.strip():
        raise SettingsError(f"{path}: name is {own_name!r}, not a word")
    row = _names(path, "row", values.get("row"))
    facets = _named(path, values, "facets")
    if wrong := next((key for key in facets if ":" in key or not key.strip()), None):
        raise SettingsError(f"{path}: a facet cannot be called '{wrong}': a colon ends its name")
    return Profile(own_name, folder, row, fields, facets, _library(path, values.get("library")))


def _library(path: Path, value: object) -> Path | None:
    """The file that `library` means: one of the folder, or a shipped profile's."""
    if value is None or value == _PRODUCTS:
        return None
    if isinstance(value, str) and value in shipped_profiles():
        return open_profile(value).library
    file = path.parent / str(value)
    if not isinstance(value, str) or not file.is_file():
        raise SettingsError(
            f"{path}: library is {value!r}, which is no CSV file of {path.parent} and no shipped "
            f"profile ({', '.join(shipped_profiles())})"
        )
    return file


def _named(path: Path, values: Mapping[str, Any], key: str) -> dict[str, dict[str, str]]:
    """A table whose entries have a name in each language."""
    table = values.get(key, {})
    if not isinstance(table, Mapping):
        raise SettingsError(f"{path}: {key} is {table!r}. Write a table [{key}]")
    return {name: _names(path, f"{key}.{name}", entry) for name, entry in table.items()}


def _names(path: Path, what: str, entry: object) -> dict[str, str]:
    """The names of one thing, one for each of `LANGUAGES`."""
    names = entry if isinstance(entry, Mapping) else {}
    for language in LANGUAGES:
        name = names.get(language)
        if not isinstance(name, str) or not name.strip() or "\n" in name:
            raise SettingsError(
                f"{path}: {what} has no name in '{language}'. Write: "
                f'{what} = {{ zh = "…", en = "…" }}'
            )
    _check_known(path, f"language of {what}", names, LANGUAGES)
    return {language: names[language].strip() for language in LANGUAGES}


def _check_known(path: Path, what: str, given: Iterable[str], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise SettingsError(
                f"{path}: unknown {what} '{name}'. {_nearest(name, known)}Known: {', '.join(known)}"
            )


def _nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean '{nearest[0]}'? " if nearest else ""
