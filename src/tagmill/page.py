"""What self-contained HTML pages share: their look, the frame around a body, tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

__all__ = ["number", "page", "table"]

_STYLE = """
:root{--ink:#1c2430;--soft:#667085;--line:#e4e7ec;--paper:#fff;--wash:#f7f8fa;--main:#1f6feb;
--second:#b54708}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#98a2b3;--line:#2d3540;
--paper:#14181f;--wash:#1b212a;--main:#6ea8fe;--second:#fdb022}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1080px;padding:32px 24px;color:var(--ink);
background:var(--paper);font:15px/1.5 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",
sans-serif}h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 8px}
p{color:var(--soft);margin:4px 0 12px;max-width:72ch}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:20px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{font-weight:600;text-align:left;color:var(--soft);font-size:13px}
th,td{padding:5px 10px 5px 0;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right}.scroll{overflow-x:auto}
.card{background:var(--wash);border-radius:10px;padding:14px 18px}.card h3{margin:0 0 6px;
font-size:15px}svg{width:100%;height:auto}svg text{fill:var(--soft);font-size:12px}
.axis{stroke:var(--line)}.ideal{stroke:var(--soft);stroke-dasharray:4 4;fill:none}
.curve{stroke:var(--main);stroke-width:2;fill:none}.dot{fill:var(--main)}
.promise{stroke:var(--second);stroke-dasharray:2 3}
"""


def page(title: str, body: str, language: str = "en") -> str:
    """A whole page; `body` is HTML."""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def number(value: float | int | None) -> str:
    """A number as people read it; – for none."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table whose first text columns stand left and numbers right."""

    def cell(kind: str, value: object) -> str:
        if isinstance(value, str):
            return f"<{kind}>{escape(value)}</{kind}>"
        return f'<{kind} class="n">{number(value)}</{kind}>'  # type: ignore[arg-type]

    sample = rows[0] if rows else [""] * len(head)
    header = "".join(
        f"<th>{escape(name)}</th>"
        if isinstance(value, str)
        else f'<th class="n">{escape(name)}</th>'
        for name, value in zip(head, sample, strict=True)
    )
    body = "".join(f"<tr>{''.join(cell('td', value) for value in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{header}</tr>{body}</table></div>'
