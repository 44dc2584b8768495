"""The page's smallest parts: text that stays text, numbers for people, tables."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence

__all__ = ["details", "figures", "part", "seconds", "table", "text"]

_UNPRINTABLE = re.compile(
    "[\0-\b\v\f\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)
"""What HTML or UTF-8 does not allow, and marks that would turn the text around it."""

_LONGEST = 500


def text(given: object) -> str:
    """Anything as text of the page: never markup, never longer than a paragraph.

    >>> text("<b>7</b> & 9")
    '&lt;b&gt;7&lt;/b&gt; &amp; 9'
    """
    clean = _UNPRINTABLE.sub("�", str(given))
    if len(clean) > _LONGEST:
        clean = clean[: _LONGEST - 1] + "…"
    return html.escape(clean, quote=True)


def figures(value: float, digits: int = 4) -> str:
    """A number with so many significant digits.

    >>> figures(0.000123456), figures(1234567.0), figures(float("nan"))
    ('0.0001235', '1,234,567', '–')
    """
    if not math.isfinite(value):
        return "–"
    if value and not 1e-4 <= abs(value) < 1e9:
        mantissa, _, power = f"{value:.{max(digits - 2, 0)}e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(power)}"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def part(value: float, digits: int = 2) -> str:
    """A part of 1 as a percentage.

    >>> part(0.98765), part(float("nan"))
    ('98.77 %', '–')
    """
    return f"{value:.{digits}%}".replace("%", " %") if math.isfinite(value) else "–"


def seconds(value: float) -> str:
    """A time.

    >>> seconds(0.0123), seconds(75.0), seconds(7500.0)
    ('12 ms', '1 min 15 s', '2 h 5 min')
    """
    if not math.isfinite(value):
        return "–"
    if value < 1:
        return f"{value * 1000:.{0 if value >= 0.01 else 1}f} ms"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], name: str) -> str:
    """A table that scrolls where it is too wide; the first cell of a row names it."""
    columns = "".join(f'<th scope="col">{text(each)}</th>' for each in head)
    body = "".join(
        f'<tr><th scope="row">{text(first)}</th>'
        + "".join(f"<td>{text(each)}</td>" for each in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{text(name)}, scrolls"><table>'
        f'<caption class="unseen">{text(name)}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def details(summary: str, content: str) -> str:
    """What is folded away until it is asked for."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>"
