"""A model at λ it was not trained on, beside models that were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qernel.along import LAM
from qernel.plots.axes import label
from qernel.plots.comparison import logarithmic
from qernel.plots.style import MARKERS, PALETTE, SHADE, FloatArray, figure, style, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]]
"""Values ``[n]`` and one standard error of each, by name."""


def interpolation_panels(
    lam: npt.ArrayLike,
    excess: Curves,
    differences: Curves,
    order: Curves,
    *,
    trained: Sequence[tuple[float, float]],
    below: str,
    title: str = "",
) -> Figure:
    """Excess energy, difference of densities and order parameter against λ, one above the other.

    Grey is what the model with gaps was not trained on. Energies and differences have logarithmic axes: what is not
    positive is drawn as its upper end, a hollow triangle. The order parameter has a panel where it is known.

    Args:
        lam: moiré depths ``[n]`` in units of V0, increasing.
        excess: energy per electron above the reference in E0, by model.
        differences: squared difference of densities over the squared mean density, by pair of models.
        order: ⟨|ρ_K|²⟩, by model; NaN where K does not fit the cell.
        trained: intervals of λ, in increasing order.
        below: what the reference is.
        title: what was compared.
    """
    x = np.asarray(lam, dtype=np.float64)
    known = all(np.isfinite(np.asarray(values, dtype=np.float64)).all() for values, _ in order.values())
    with style():
        fig: Figure = figure(4.8, 6.6 if known else 4.8)
        panels = fig.subplots(3 if known else 2, 1, sharex=True)
        margin = 0.04 * float(np.ptp(x)) or 0.05
        left, right = float(x[0]) - margin, float(x[-1]) + margin
        for axes in panels:
            _shade(axes, left, right, trained)
        for axes, curves in zip(panels, (excess, differences), strict=False):
            axes.set_yscale("log", nonpositive="clip")
            for index, (name, columns) in enumerate(curves.items()):
                # Pairs have colours of their own: they are other things than models.
                number = index if curves is excess else len(excess) + index
                y, error = (np.asarray(column, dtype=np.float64) for column in columns)
                logarithmic(axes, x, y, error, label=name, **_shape(number))
            axes.tick_params(top=True, right=True, which="both")
            axes.legend()
        panels[0].set_title(title)
        panels[0].set_ylabel(f"energy above {below}\nper electron  ($E_0$)")
        panels[1].set_ylabel(r"$\langle (n-n')^2\rangle\, /\, \bar n^2$")
        if known:
            for index, (name, (values, bars)) in enumerate(order.items()):
                panels[2].errorbar(x, values, bars, label=name, linewidth=0.9, markersize=4.0, **_shape(index))
            panels[2].set_ylabel(r"$\langle |\rho_K|^2\rangle$")
            ticks(panels[2])
        panels[-1].set_xlabel(label(LAM))
        panels[-1].set_xlim(left, right)
        fig.align_ylabels(list(panels))
    return fig


def _shape(index: int) -> dict[str, Any]:
    return {"color": PALETTE[index % len(PALETTE)], "marker": MARKERS[index % len(MARKERS)]}


def _shade(axes: Axes, left: float, right: float, trained: Sequence[tuple[float, float]]) -> None:
    ends: FloatArray = np.array([left, *(end for part in trained for end in part), right])
    for low, high in zip(ends[::2], ends[1::2], strict=True):
        if high > low:
            axes.axvspan(float(low), float(high), color=SHADE, linewidth=0, zorder=0)
