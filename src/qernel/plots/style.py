"""One style for all figures, and how they are made and saved.

Figures are made without pyplot: nothing global is touched, no window opens, and a figure shows itself in a notebook.
Matplotlib is imported on first use.
"""

from __future__ import annotations

import functools
import io
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]

# Okabe and Ito's palette: told apart with any colour vision; blue prints darker than vermillion.
BLUE, VERMILLION, INK, SHADE = "#0072B2", "#D55E00", "#222222", "#ECECEC"
PALETTE = (BLUE, VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""For things that have names: colour and shape change together, and of unequal number, so that pairs repeat late."""

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with Matplotlib: the same figure on every machine
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.formatter.useoffset": False,
    "axes.ymargin": 0.08,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.framealpha": 1.0,
    "legend.edgecolor": "none",
    "lines.linewidth": 1.1,
    "lines.markersize": 4.5,
    "errorbar.capsize": 2.0,
    "savefig.dpi": 200.0,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.06,
    "figure.dpi": 110.0,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "qernel",
}


_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}
FORMATS = (*_METADATA,)
"""What figures can be written as: pixels, and two vector formats in which text stays text."""


def save(fig: Figure, path_without_suffix: str | Path, formats: Sequence[str] = ("png", "pdf")) -> tuple[Path, ...]:
    """Write ``fig``, byte for byte the same for the same figure and Matplotlib version.

    Args:
        fig: any Matplotlib figure.
        path_without_suffix: where to, without ``.png``; dots in the name are kept (``density-1.05``).
            Missing folders are made.
        formats: of `FORMATS`.

    Returns:
        The paths, in the order of ``formats``.
    """
    base = Path(path_without_suffix)
    base.parent.mkdir(parents=True, exist_ok=True)
    paths = tuple(base.with_name(f"{base.name}.{form}") for form in formats)
    for path, form in zip(paths, formats, strict=True):
        path.write_bytes(rendered(fig, form))
    return paths


def rendered(fig: Figure, form: str, **options: Any) -> bytes:
    """A figure as the content of a file, with nothing in it that changes from one time to the next.

    Args:
        fig: any Matplotlib figure.
        form: of `FORMATS`.
        options: of Matplotlib's ``savefig``.
    """
    # It warns of the dates in the fonts that are put into a PDF, of which nobody can do anything.
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    buffer = io.BytesIO()
    with style():
        fig.savefig(buffer, format=form, metadata=_METADATA[form], **options)
    return buffer.getvalue()


def style() -> AbstractContextManager[None]:
    """Our settings on top of Matplotlib's defaults, undone on leaving; the user's own are set aside."""
    import matplotlib

    settings: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_STYLE}
    del settings["backend"]
    return matplotlib.rc_context(settings)


@functools.cache
def _figure_class() -> Any:
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        """A figure that Jupyter displays without pyplot's help."""

        def _repr_png_(self) -> bytes:
            return rendered(self, "png")

    return NotebookFigure


@functools.cache
def _axes_class() -> Any:
    from matplotlib.axes import Axes

    class NotebookAxes(Axes):
        """Axes that Jupyter displays as their figure."""

        def _repr_png_(self) -> bytes:
            return rendered(cast("Figure", self.figure), "png")

    return NotebookAxes


def axes_of(given: Axes | None, width: float, height: float, layout: str = "constrained") -> Axes:
    """Axes to draw into: those that are given, else those of an empty figure of the given size in inches."""
    if given is not None:
        return given
    with style():
        found: Axes = figure(width, height, layout).add_subplot(axes_class=_axes_class())
    return found


def figure(width: float, height: float, layout: str = "constrained") -> Any:
    """An empty figure of the given size in inches."""
    return _figure_class()(figsize=(width, height), layout=layout)


def literal(text: str) -> str:
    """A name as labels and titles show it: no formula begins in it, and every character is one the font has."""
    shown = "".join(" " if ord(c) < 32 or 127 <= ord(c) < 160 else c if ord(c) in _glyphs() else "\ufffd" for c in text)
    return (" " if shown.startswith("_") else "") + shown.replace("$", r"\$")


@functools.cache
def _glyphs() -> frozenset[int]:
    from matplotlib import font_manager

    found = font_manager.findfont(_STYLE["font.family"])
    return frozenset(font_manager.get_font(found).get_charmap())


def equal_columns(**columns: Any) -> dict[str, FloatArray]:
    """The columns as float arrays of one common length."""
    arrays = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    lengths = {name: array.shape for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or next(iter(arrays.values())).ndim != 1:
        raise ValueError(f"columns must all have shape [n], got {lengths}")
    if next(iter(arrays.values())).size == 0:
        raise ValueError("there is nothing to draw: the columns are empty")
    return arrays


def sequential() -> Any:
    """Viridis without its last, lightest part, in which lines fade on white paper."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0.0, 0.92, 256)))


def ticks(axes: Axes, *, right: bool = True) -> None:
    """Ticks on all sides, at most six of them along y."""
    from matplotlib.ticker import MaxNLocator

    axes.tick_params(top=True, right=right)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))


def widened(values: FloatArray) -> tuple[float, float]:
    """Smallest and largest value, kept apart."""
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)
