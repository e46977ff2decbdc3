"""What of a product may leave the machine, and whether a call may at all."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from tagmill.errors import Offline
from tagmill.language.redaction import Vault, redact
from tagmill.records import PRODUCT_SCHEMA
from tagmill.settings import PrivacySettings

__all__ = [
    "check_online",
    "is_on_this_machine",
    "neighbour_tags_to_send",
    "text_to_send",
    "what_may_leave",
]

_TEXTS = ("title", "description", "category")


def what_may_leave(
    product: Mapping[str, Any], settings: PrivacySettings
) -> tuple[dict[str, Any], Vault]:
    """The part of a product that may be sent, and the vault that turns a reply back.

    `product` has fields of `PRODUCT_SCHEMA`, its attributes as pairs; so has the result. A field
    that is not a product's stays here. Text is redacted unless the settings say otherwise: the
    model's words and quotes go through `vault.restore` before they are compared or stored.
    """
    vault = Vault()
    send, never = _names(settings.send), _names(settings.never)
    leaving: dict[str, Any] = {}
    for field in PRODUCT_SCHEMA.names:
        value = product.get(field)
        if field not in product or field in never:
            continue
        if field == "attributes":
            pairs = [
                (name, text)
                for name, text in value or ()
                if _attribute_may_leave(name, send, never)
            ]
            if pairs or "attributes" in send:
                leaving[field] = _redacted_pairs(pairs, vault) if settings.redact else pairs
        elif field in send:
            leaving[field] = _redacted(field, value, vault) if settings.redact else value
    return leaving, vault


def text_to_send(text: str, settings: PrivacySettings | None, vault: Vault) -> str:
    """A text that is no product's, such as a tag's name, without its personal data, which `vault`
    keeps; as it is where it stays on this machine (no settings)."""
    return redact(text, vault) if settings is not None and settings.redact else text


def neighbour_tags_to_send(
    names: Sequence[str], settings: PrivacySettings, vault: Vault
) -> list[str]:
    """Names of other products' tags as they may stand beside a product whose personal data `vault`
    holds; none where tags may never leave."""
    if "tags" in _names(settings.never):
        return []
    return [text_to_send(name, settings, vault) for name in names]


def check_online(settings: PrivacySettings, url: str, model: str = "") -> None:
    """Raise Offline where the settings forbid a call to `url`; ask before a byte is sent.

    Whoever sends must not follow redirects or use a proxy: they would lead elsewhere.
    """
    if settings.offline and not is_on_this_machine(url):
        asked = f"{model} at {url}" if model else url
        raise Offline(
            f"{asked} is not on this machine, and privacy.offline is true. Use a model on this "
            "machine (http://localhost:…), or set offline = false in [privacy] of tagmill.toml",
            model=model,
        )


def is_on_this_machine(url: str) -> bool:
    """Whether a URL leads to this machine: localhost, a loopback address or a Unix socket."""
    # Programs disagree on where the host begins in such a URL.
    if re.search(r"[\\\s\x00-\x1f]", url):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if re.fullmatch(r"unix|http\+unix|https\+unix", parts.scheme):
        return True
    if parts.scheme not in ("http", "https") or not host:
        return False
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _names(entries: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_folded(entry) for entry in entries)


def _folded(name: str) -> str:
    """The form in which two ways to write an attribute's name are one."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _attribute_may_leave(name: str, send: frozenset[str], never: frozenset[str]) -> bool:
    entry = f"attributes.{_folded(name)}"
    return entry not in never and ("attributes" in send or entry in send)


def _redacted(field: str, value: Any, vault: Vault) -> Any:  # noqa: ANN401
    """A field without personal data; id, image and language are not text."""
    if field == "tags" and value is not None:
        return [redact(tag, vault) for tag in value]
    return redact(value, vault) if field in _TEXTS and value is not None else value


def _redacted_pairs(
    pairs: list[tuple[str, str | None]], vault: Vault
) -> list[tuple[str, str | None]]:
    # 收货人=张伟: only the attribute's name says that the value is a person's.
    return [
        (redact(name, vault), None if text is None else redact(text, vault, name))
        for name, text in pairs
    ]
