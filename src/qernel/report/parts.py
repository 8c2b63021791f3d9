"""What a report is made of."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qernel.plots.style import rendered

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Table(NamedTuple):
    """A table of text; cells that start with ``!`` are marked as a warning."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class Image(NamedTuple):
    """A figure as a PNG in base64."""

    caption: str
    png: str


class Section(NamedTuple):
    """A part of the report."""

    title: str
    tables: Sequence[Table] = ()
    images: Sequence[Image] = ()
    text: str = ""
    sentences: Sequence[str] = ()


def drawn(caption: str, figure: Figure) -> Image:
    """A figure made now."""
    return _image(caption, rendered(figure, "png", dpi=130))


def stored(caption: str, path: Path) -> Image:
    """A figure that an earlier command wrote as PNG."""
    return _image(caption, path.read_bytes())


def _image(caption: str, content: bytes) -> Image:
    return Image(caption, base64.b64encode(content).decode("ascii"))
