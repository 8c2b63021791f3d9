"""What a report is made of."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qernel.files import read_bytes
from qernel.plots.style import rendered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PNG = b"\x89PNG\r\n\x1a\n"


class Table(NamedTuple):
    """A table of text; cells that start with ``!`` are marked as a warning."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class Image(NamedTuple):
    """A figure as a PNG in base64."""

    caption: str
    png: str


FINDING, NUMBERS, TRAINING, OTHER, ORIGIN = range(5)
"""Order of the sections: what follows from the numbers, the numbers, how they came about."""


class Section(NamedTuple):
    """A part of the report.

    Attributes:
        title: of it.
        tables: in it.
        images: in it.
        text: a configuration, folded.
        sentences: before the tables.
        verdict: what it says in one sentence; the first of the report opens it.
        rank: its place among the others.
    """

    title: str
    tables: Sequence[Table] = ()
    images: Sequence[Image] = ()
    text: str = ""
    sentences: Sequence[str] = ()
    verdict: str = ""
    rank: int = OTHER


def drawn(caption: str, figure: Figure) -> Image:
    """A figure made now."""
    return _image(caption, rendered(figure, "png", dpi=130))


def stored(figures: Mapping[Path, str], folder: Path) -> tuple[list[Image], list[str]]:
    """Figures that an earlier command wrote as PNG into a folder.

    Args:
        figures: their paths, each with a caption; those that are not there are passed over.
        folder: which they have to be in, whatever links say.

    Returns:
        The images, and a sentence about each file that is none or lies elsewhere: whatever it holds, it was not meant
        to be shown to the readers of a report.
    """
    images, sentences = [], []
    for path, caption in figures.items():
        if not (path.exists() or path.is_symlink()):
            continue
        content = read_bytes(path) if own(path, folder) else b""
        if content.startswith(_PNG):
            images.append(_image(caption, content))
        else:
            sentences.append(f"{path.name} is left out: it is no PNG image of this folder.")
    return images, sentences


def own(path: Path, folder: Path) -> bool:
    """Whether a path leads to a regular file inside a folder."""
    try:
        return path.is_file() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a circle of links
        return False


def _image(caption: str, content: bytes) -> Image:
    return Image(caption, base64.b64encode(content).decode("ascii"))
