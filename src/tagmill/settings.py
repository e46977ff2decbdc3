"""`tagmill.toml` and `TAGMILL_*` variables, read once into one frozen `Settings`.

Nothing else reads the environment. A variable overrides the file: `TAGMILL_DATABASE__URL` is
`url` in the section `[database]`.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from tagmill.errors import SettingsError

__all__ = [
    "PRODUCT_FIELDS",
    "SETTINGS_FILE",
    "CatalogSettings",
    "DatabaseSettings",
    "LanguageModelSettings",
    "PrivacySettings",
    "Settings",
    "TaggingSettings",
    "find_workspace",
    "interface_language",
    "load_settings",
]

SETTINGS_FILE = "tagmill.toml"
_PREFIX = "TAGMILL_"
# Read elsewhere or by tests and benchmarks; not settings of a workspace.
_NOT_SETTINGS = {"TAGMILL_BENCH_DATA", "TAGMILL_LANG", "TAGMILL_TEST_POSTGRES"}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _key(value: str | None, name: str, variable: str) -> str | None:
    """A key as it is sent: what reads it from a file leaves the end of the line."""
    key = None if value is None else value.strip()
    if key and not key.isprintable():
        raise SettingsError(
            f"setting '{name}' is more than one line, or has control characters. Give the key "
            f"alone in {variable}"
        )
    return key or None


class DatabaseSettings(_Section):
    """Where products, library, tags and runs live."""

    url: str = "sqlite:///tagmill.db"  # a relative SQLite path is relative to the workspace


class CatalogSettings(_Section):
    """How the user's columns become ours: `map.title = "product_name"`."""

    map: dict[str, str] = Field(default_factory=dict)


class LanguageModelSettings(_Section):
    """The large language model: a server, or a file for llama.cpp in this process."""

    base_url: str | None = None  # of an OpenAI-compatible server, with its /v1
    model: str | None = None  # as the server calls it; "scripted" without a server: the stand-in
    encoder: str | None = None  # model of the server for embeddings, if not `model`
    gguf: Path | None = None  # instead of a server; a relative path is relative to the workspace
    api_key: str | None = Field(default=None, repr=False)  # or TAGMILL_LLM__API_KEY
    profile: str = "product"  # article, reply, or a folder, relative to the workspace
    channel: str = ""  # where the descriptions will stand, such as "livestream"
    season: str = ""
    near_duplicates: bool = True  # take over answers about products of one family, where safe
    timeout: float = Field(default=60.0, gt=0)  # seconds for one request
    max_concurrency: int = Field(default=16, ge=1, le=1024)
    max_requests_per_minute: float | None = Field(default=None, gt=0)
    max_tokens_per_minute: float | None = Field(default=None, gt=0)
    # Money a million tokens, in any currency; cached input costs as input where not said.
    price_input: float = Field(default=0.0, ge=0)
    price_cached_input: float | None = Field(default=None, ge=0)
    price_output: float = Field(default=0.0, ge=0)
    budget: float | None = Field(default=None, ge=0)  # of one run, in that currency

    def cost_of(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> float:
        """Money for so many tokens; the cached ones are among the input."""
        cached = self.price_cached_input
        cached = self.price_input if cached is None else cached
        fresh = input_tokens - cached_tokens
        millions = fresh * self.price_input + cached_tokens * cached
        return (millions + output_tokens * self.price_output) / 1e6

    @field_validator("api_key")
    @classmethod
    def _stripped(cls, value: str | None) -> str | None:
        return _key(value, "llm.api_key", "TAGMILL_LLM__API_KEY")


class TaggingSettings(_Section):
    """What is published."""

    precision: float = Field(default=0.95, gt=0.5, lt=1.0)  # promised of the lane auto
    per_facet: bool = False  # promised of each facet by itself
    diverse: bool = False  # lists that cover facets instead of saying one thing twice
    broader: bool = False  # also the broader tags that narrower ones imply
    top_k: int = Field(default=10, ge=1, le=1000)  # tags kept per product
    language: Literal["product", "zh", "en"] | str = "product"  # of the tag names shown


class LibrarySettings(_Section):
    """What becomes of new names."""

    min_support: int = Field(default=2, ge=1)  # products or searches; below, nothing is shown
    auto_accept: bool = False  # by a rule, where people's decisions show that it is right
    auto_precision: float = Field(default=0.95, gt=0.5, lt=1.0)  # how often


class RecommendSettings(_Section):
    """What is recommended to whom."""

    # Tags (facet:name) and numbers (stock=..0) whose products are recommended to nobody.
    exclude: tuple[str, ...] = ()
    half_life: float = Field(default=60.0, gt=0)  # days after which an event counts half


class ServeSettings(_Section):
    """The service."""

    key: str | None = Field(default=None, repr=False)  # or TAGMILL_SERVE__KEY; callers send it

    @field_validator("key")
    @classmethod
    def _stripped(cls, value: str | None) -> str | None:
        key = _key(value, "serve.key", "TAGMILL_SERVE__KEY")
        if key and not key.isascii():
            raise SettingsError(
                "setting 'serve.key' has other characters than letters, digits and signs of ASCII, "
                "which no header can carry. Give another key in TAGMILL_SERVE__KEY"
            )
        return key


# Those of `records.PRODUCT_SCHEMA`, which would load pyarrow.
PRODUCT_FIELDS = (
    "id", "title", "description", "category", "attributes", "numbers", "image", "language", "tags",
)  # fmt: skip


class PrivacySettings(_Section):
    """What may leave the machine for a language model.

    An entry is a field of a product, or `attributes.供应商` for one attribute. Raises SettingsError
    for one that is neither.
    """

    send: tuple[str, ...] = ("title", "description", "category", "attributes")
    never: tuple[str, ...] = ()  # wins over `send`
    redact: bool = True  # personal data is replaced by placeholders
    offline: bool = False  # only models on this machine may be asked

    @field_validator("send", "never", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """A variable writes a list as `title,description`."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("send", "never")
    @classmethod
    def _known(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for entry in value:
            field, dot, attribute = entry.partition(".")
            if entry in PRODUCT_FIELDS or (field == "attributes" and attribute.strip()):
                continue
            nearest = difflib.get_close_matches(field, PRODUCT_FIELDS, n=1)
            hint = f"Did you mean '{nearest[0]}'? " if nearest and not dot else ""
            raise SettingsError(
                f"setting 'privacy.{info.field_name}' names '{entry}', which is no field of a "
                f"product. {hint}Write one of {', '.join(PRODUCT_FIELDS)}, or one attribute as "
                f"attributes.{attribute or entry}"
            )
        return value


class Settings(_Section):
    """Everything that can be set, with its default."""

    root: Path = Path(".")
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    catalog: CatalogSettings = Field(default_factory=CatalogSettings)
    tagging: TaggingSettings = Field(default_factory=TaggingSettings)
    library: LibrarySettings = Field(default_factory=LibrarySettings)
    recommend: RecommendSettings = Field(default_factory=RecommendSettings)
    llm: LanguageModelSettings = Field(default_factory=LanguageModelSettings)
    privacy: PrivacySettings = Field(default_factory=PrivacySettings)
    serve: ServeSettings = Field(default_factory=ServeSettings)

    @property
    def database_url(self) -> str:
        """The database URL, with a relative SQLite path made absolute."""
        prefix = "sqlite:///"
        url = self.database.url
        if url.startswith(prefix) and not url.startswith(prefix + "/") and url != prefix:
            return f"{prefix}{(self.root / url.removeprefix(prefix)).resolve()}"
        return url

    @property
    def models_dir(self) -> Path:
        """Where `tagmill train` puts its models."""
        return self.root / "models"

    @property
    def search_dir(self) -> Path:
        """Where the search index lies; it can be deleted, it is made again."""
        return self.root / "search"

    @property
    def recommend_dir(self) -> Path:
        """Where what recommendation fitted lies; it can be deleted, it is made again."""
        return self.root / "recommend"


def find_workspace(start: Path) -> Path:
    """The nearest folder from `start` upwards with a `tagmill.toml`; SettingsError if none."""
    for folder in (start, *start.resolve().parents):
        if (folder / SETTINGS_FILE).is_file():
            return folder.resolve()
    raise SettingsError(
        f"{start.resolve()} is not a tagmill workspace (no {SETTINGS_FILE} here or above). "
        "Make one with: tagmill init"
    )


def load_settings(root: Path | None) -> Settings:
    """Settings of the workspace at `root`; SettingsError names a wrong key and the nearest one.

    None: the defaults, under what the environment says.
    """
    path = (root or Path(".")) / SETTINGS_FILE
    values: dict[str, Any] = {} if root is None else _read(path)
    if "root" in values:
        raise SettingsError(f"{path}: 'root' cannot be set; it is the folder of the file")
    variables = _overlay_environment(values)
    try:
        return Settings(root=root or Path("."), **values)
    except (ValidationError, SettingsError) as error:  # a section's own check knows no file
        said = _explain(error) if isinstance(error, ValidationError) else str(error)
        source = variables.get(said.split("'")[1], path)
        raise SettingsError(f"{source}: {said}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path.parent} is not a tagmill workspace (no {SETTINGS_FILE}). Make one with: "
            "tagmill init"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


def _overlay_environment(values: dict[str, Any]) -> dict[str, str]:
    """Put what variables say into the values of the file; the variables by the setting's name."""
    variables: dict[str, str] = {}
    for variable, value in sorted(os.environ.items()):  # a section comes before what is in it
        if not variable.startswith(_PREFIX) or variable in _NOT_SETTINGS:
            continue
        *sections, key = variable.removeprefix(_PREFIX).lower().split("__")
        target: Any = values
        for section in sections:
            target = target.setdefault(section, {}) if isinstance(target, dict) else None
        if isinstance(target, dict):  # else the section is wrong, and will be named
            target[key] = value
            variables[".".join([*sections, key])] = variable
    return variables


def _explain(error: ValidationError) -> str:
    """The first thing that is wrong, with the nearest known key for an unknown one."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _known_keys(Settings)
        nearest = difflib.get_close_matches(where, known, n=1) or difflib.get_close_matches(
            where.split(".")[-1], known, n=1, cutoff=0.4
        )
        hint = f"Did you mean '{nearest[0]}'?" if nearest else f"Known: {', '.join(known)}."
        return f"unknown setting '{where}'. {hint}"
    return f"setting '{where}' is {first['input']!r}: {first['msg']}"


def _known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, info in model.model_fields.items():
        if name == "root":
            continue
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys.extend(_known_keys(kind, f"{prefix}{name}."))
        else:
            keys.append(f"{prefix}{name}")
    return keys


@cache
def interface_language() -> str:
    """`zh` or `en`: `TAGMILL_LANG`, else the terminal's locale."""
    for variable in ("TAGMILL_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"
