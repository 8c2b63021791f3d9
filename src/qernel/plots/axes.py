"""How figures name a parameter, and how they shade what a model was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qernel.along import LAM, Axis
from qernel.plots.style import SHADE, literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREEK = {"λ": "\\lambda", "φ": "\\varphi", "κ": "\\kappa", "ε": "\\varepsilon", "θ": "\\theta"}


def symbol(axis: Axis) -> str:
    """The symbol of a parameter as a formula, where it is one letter."""
    if axis.symbol in _GREEK or (len(axis.symbol) == 1 and axis.symbol.isascii() and axis.symbol.isalpha()):
        return f"${_GREEK.get(axis.symbol, axis.symbol)}$"
    return literal(axis.symbol)


def label(axis: Axis) -> str:
    """What stands at an axis: meaning, symbol and unit."""
    if axis.name == LAM.name:
        return "moiré depth  $\\lambda = V/V_0$"
    unit = "" if axis.unit == "1" else f"  ({literal(axis.unit)})"
    meaning = "" if axis.meaning in ("", axis.symbol) else f"{literal(axis.meaning)}  "
    return f"{meaning}{symbol(axis)}{unit.replace('E0', '$E_0$').replace('a_M', '$a_M$')}"


def at(axis: Axis, value: float) -> str:
    """A value of a parameter, as titles show it."""
    name = symbol(axis)
    return f"{name[:-1]} = {value:g}$" if name.endswith("$") else f"{name} = {value:g}"


def critical(axis: Axis) -> str:
    """The symbol of the place of a transition along a parameter, inside a formula."""
    name = symbol(axis)
    return f"{name[1:-1]}_c" if name.endswith("$") else f"\\mathrm{{{axis.symbol}}}_c"


def shade_untrained(
    axes: Axes, ends: tuple[float, float], trained: tuple[float, float], gaps: Sequence[tuple[float, float]]
) -> None:
    """Grey from the ends of a horizontal axis to what was trained, and over the gaps in it.

    Args:
        axes: with a parameter along x.
        ends: of the axis.
        trained: smallest and largest value of the training.
        gaps: intervals inside that were left out.
    """
    (left, right), (low, high) = ends, trained
    for start, stop in [(left, low), *gaps, (high, right)]:
        if max(start, left) < min(stop, right):
            axes.axvspan(max(start, left), min(stop, right), color=SHADE, linewidth=0, zorder=0)
