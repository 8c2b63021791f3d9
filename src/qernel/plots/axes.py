"""How figures name a parameter, and how they shade what a model was not trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qernel.along import LAM, Axis
from qernel.plots.style import BLUE, INK, SHADE, VERMILLION, FloatArray, literal
from qernel.structure import LIQUID, SOLID

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qernel.units import Laboratory

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
    unit = "" if axis.unit == "1" else f"  ({axis.unit})"
    meaning = "" if axis.meaning in ("", axis.symbol) else f"{literal(axis.meaning)}  "
    return f"{meaning}{symbol(axis)}{printed(unit)}"


def printed(text: str) -> str:
    """A name with its unit as labels show it: E0, a_M, ρ_K and χ_F are formulas."""
    shown = re.sub(r"a_M(\^2)?", r"$a_M\1$", literal(text).replace("E0", "$E_0$"))
    return shown.replace("⟨|ρ_K|²⟩", r"$\langle|\rho_K|^2\rangle$").replace("χ_F", r"$\chi_F$")


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


_TINTS = {LIQUID: BLUE, SOLID: VERMILLION}


def shade_phases(upper: Axes, lower: Axes, x: FloatArray, words: Sequence[str]) -> None:
    """A faint colour where liquid and crystal were sampled, with the word; what is undecided stays white.

    Args:
        upper: the panel with the words.
        lower: another panel with the same colours.
        x: values of the parameter, increasing ``[n]``; each stands for what is nearest to it.
        words: of `qernel.structure.PHASES` ``[n]``.
    """
    left, right = upper.get_xlim()
    edges = [left, *(0.5 * (x[1:] + x[:-1])).tolist(), right]
    start = 0
    for stop in range(1, len(words) + 1):
        if stop < len(words) and words[stop] == words[start]:
            continue
        low, high, word = edges[start], edges[stop], words[start]
        start = stop
        if word not in _TINTS:
            continue
        for axes in (upper, lower):
            axes.axvspan(low, high, color=_TINTS[word], alpha=0.07, linewidth=0, zorder=0.1)
        if high - low > 0.15 * (right - left):
            place: dict[str, Any] = {"transform": upper.get_xaxis_transform(), "ha": "center", "va": "bottom"}
            upper.text(0.5 * (low + high), 0.02, word, color=_TINTS[word], fontsize=8, **place)


def laboratory_axis(axes: Axes, axis: Axis, laboratory: Laboratory) -> None:
    """A scale above that says what a parameter is in the laboratory, at the ticks of its own scale."""
    left, right = axes.get_xlim()
    places = [float(tick) for tick in axes.get_xticks() if left <= tick <= right and (tick > 0 or axis.name != "U")]
    above = axes.secondary_xaxis("top")
    above.set_xticks(places, [f"{laboratory.convert(place):.3g}" for place in places])
    above.tick_params(direction="in", colors=INK)
    unit = f"  ({laboratory.unit})" if laboratory.unit else ""
    above.set_xlabel(f"{literal(laboratory.symbol or axis.symbol)}{unit}")
