"""What a check finds."""

from __future__ import annotations

from typing import NamedTuple

CELL_KEYS = ("system.electrons", "system.supercell", "system.lattice")
"""Keys of the electrons and their cell."""


class Problem(NamedTuple):
    """One problem and the keys (``section.key``) it depends on."""

    keys: tuple[str, ...]
    text: str


def listed(names: list[str]) -> str:
    """Names with commas."""
    return ", ".join(names)


def round_up(value: int, multiple: int) -> int:
    """The next multiple."""
    return -(-value // multiple) * multiple
