"""Text for people: tables, durations and sizes."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence


def describe(electrons: tuple[int, int], cells: int) -> str:
    """The system in a few words.

    >>> describe((6, 0), 9), describe((1, 1), 1)
    ('6 electrons on 9 moiré cells', '1 up and 1 down electron on 1 moiré cell')
    """
    up, down = electrons
    count = f"{up} electron{'s' * (up != 1)}" if not down else f"{up} up and {down} down electron{'s' * (down != 1)}"
    return f"{count} on {cells} moiré cell{'s' * (cells != 1)}"


def closest(name: str, options: Iterable[str], cutoff: float = 0.65) -> str | None:
    """The option that a misspelt name most likely meant; None if none is near.

    >>> closest("obsrve", ["query", "observe"]), closest("x", ["query"])
    ('observe', None)
    """
    import difflib

    if len(name) > 60:
        return None
    folded = {option.lower(): option for option in options}
    found = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def meant(name: str, options: Iterable[str]) -> str:
    """A question to end a refusal of an unknown name with; empty if no option is near.

    >>> meant("densty", ["density", "energy"])
    '; did you mean density?'
    """
    found = closest(name, options)
    return f"; did you mean {found}?" if found else ""


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, aligned to the right; a last column aligned to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)


def typeset(text: str) -> str:
    """Text as HTML, with units and symbols as they are printed.

    >>> typeset("-17.64 E0 at λ_c < 1")
    '−17.64 <i>E</i><sub>0</sub> at λ<sub>c</sub> &lt; 1'
    >>> typeset("⟨λV0 Σw⟩/N in E_0")
    '⟨λ<i>V</i><sub>0</sub> Σw⟩/N in <i>E</i><sub>0</sub>'
    >>> typeset("<|rho_K|^2>, rho_K = (1/N) sum_i exp(iK.r_i)")
    '⟨|ρ<sub>K</sub>|<sup>2</sup>⟩, ρ<sub>K</sub> = (1/N) Σ<sub>i</sub> exp(iK·r<sub>i</sub>)'
    """
    shown = html.escape(text)
    for pattern, printed in _PRINTED:
        shown = pattern.sub(printed, shown)
    return shown


_PRINTED = tuple(
    (re.compile(pattern), printed)
    for pattern, printed in (
        (r"(?<![\w.)])-(?=[\d.])", "−"),
        (r"&lt;(\|[^|&]+\|\^2)&gt;", r"⟨\1⟩"),
        (r"\brho_", "ρ_"),
        (r"\bhbar\b", "ħ"),
        (r"\bsum_(\w)\b", r"Σ<sub>\1</sub>"),
        (r"\bexp\(iK\.r_(\w)\)", r"exp(iK·r<sub>\1</sub>)"),
        (r"\b(\d[\d.]*(?:\(\d+\))?)e-0?(\d+)\b", "\\1·10<sup>−\\2</sup>"),
        (r"\b(\d[\d.]*(?:\(\d+\))?)e\+?0?(\d+)\b", r"\1·10<sup>\2</sup>"),
        (r"(?<![A-Za-z0-9_])([EV])_?0(?!\w|\.\d)", r"<i>\1</i><sub>0</sub>"),
        (r"\ba_M(?![A-Za-z0-9_])", "<i>a</i><sub>M</sub>"),
        (r"\b(\w+)_(c|K|q|t)\b", r"\1<sub>\2</sub>"),
        (r"(?<=\S)\^(\d)\b", r"<sup>\1</sup>"),
    )
)
"""What is printed otherwise than typed: minus signs, powers of ten, subscripts."""


def html_table(rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """Rows of cells as an HTML table, the first one its head; for notebooks."""
    head = "".join(f"<th>{typeset(cell)}</th>" for cell in rows[0])
    lines = "".join(f"<tr>{''.join(f'<td>{typeset(cell)}</td>' for cell in row)}</tr>" for row in rows[1:])
    above = f"<caption>{typeset(caption)}</caption>" if caption else ""
    return f"<table>{above}<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def html_facts(title: str, facts: Sequence[tuple[str, str]]) -> str:
    """Names with what belongs to each as an HTML table; for notebooks."""
    lines = "".join(f"<tr><th>{typeset(name)}</th><td>{typeset(value)}</td></tr>" for name, value in facts)
    above = f"<caption>{typeset(title)}</caption>" if title else ""
    return f"<table>{above}<tbody>{lines}</tbody></table>"


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(8.2), duration(75), duration(7260), duration(400000)
    ('8 s', '1 min 15 s', '2 h 01 min', '4 d 15 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(count: float) -> str:
    """A number of bytes for people.

    >>> size(512), size(1.5e6), size(2.34e10)
    ('512 B', '1.5 MB', '23 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
