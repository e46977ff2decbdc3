"""E-mail addresses and chat accounts in a text.

Every function takes a text folded by `redaction.legible` and gives `(start, end)` pairs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["emails", "qq_accounts", "wechat_accounts"]

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+'-])[A-Za-z0-9_](?:[A-Za-z0-9._%+'-]{0,62}[A-Za-z0-9_+-])?"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,5}"
    r"(?!(?:png|jpe?g|gif|webp|svg|css|js|bmp|pdf)(?![A-Za-z]))[A-Za-z]{2,24}(?![A-Za-z0-9-])",
    re.IGNORECASE,
)


def emails(text: str) -> Iterator[tuple[int, int]]:
    """E-mail addresses; `icon@2x.png` is a file."""
    for match in _EMAIL.finditer(text):
        yield match.span()


_WECHAT = re.compile(
    r"(?:(?P<cue>(?<!qq/)微\s?信|[薇威徽]信|加微|薇(?=[❤♥]|心?\s?:)[❤♥]?心?|[+加]\s?我?v|(?<![A-Za-z])(?:v信|weixin))"
    r"|(?<![A-Za-z0-9-])(?P<latin>vx|wx|wechat))"
    r"(?P<id>[\s-]?(?:账?号|id|no\.?)(?![A-Za-z])|同号)?(?P<colon>\s*(?:[:是为]|is\s)\s*)?\s*"
    r"(?P<account>[A-Za-z][A-Za-z0-9_-]{5,19}|[1-9]\d{5,10})(?![A-Za-z0-9@])",
    re.IGNORECASE,
)
_NO_ACCOUNT = re.compile(
    r"wechat|weixin|alipay|support|available|payment|official|scan|login|program|whatsapp|welcome"
    r"|contact|customer|service|please|number",
    re.IGNORECASE,
)


def wechat_accounts(text: str) -> Iterator[tuple[int, int]]:
    """WeChat accounts after 微信, 微信号, 加V, VX, `WeChat ID`."""
    for match in _WECHAT.finditer(text):
        account = match["account"]
        told = match["id"] or match["colon"]
        # `VX dress168` may be a model, `微信 dress168` is none.
        by_form = re.search(r"[0-9_]", account) and (
            match["cue"] or match["latin"].lower()[0] == "w"
        )
        numeric = account.isdigit()
        if (told or (by_form and not numeric)) and not _NO_ACCOUNT.match(account):
            yield match.span("account")


_QQ = re.compile(
    r"(?:(?<![A-Za-z])q ?q(?:/微信)?|扣扣|[+加]\s?q|(?<![A-Za-z])q(?=群))"
    r"(?P<told>\s?(?:[\u4e00-\u9fff]{0,4}群号?|号码?))?"
    r"(?P<colon>\s*[:是为]\s*)?\s*(?P<account>[1-9]\d{4,10})(?![0-9A-Za-z.])",
    re.IGNORECASE,
)


def qq_accounts(text: str) -> Iterator[tuple[int, int]]:
    """QQ numbers of people and groups, of 5 to 11 digits after QQ or 扣扣."""
    for match in _QQ.finditer(text):
        if match["told"] or match["colon"] or len(match["account"]) >= 6:
            yield match.span("account")
