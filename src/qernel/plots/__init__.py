"""Figures: one module each, one style, all of them drawn again from stored data (`kinds`).

Every function returns a `matplotlib.figure.Figure` made without pyplot. Matplotlib is imported on first use.
"""

from __future__ import annotations

from qernel.lazy import exports

_PUBLIC = {
    "density_map": "qernel.plots.density",
    "draw": "qernel.plots.kinds",
    "phase_diagram": "qernel.plots.energies",
    "phase_map": "qernel.plots.over_two",
    "save": "qernel.plots.style",
    "transition_figure": "qernel.plots.transition",
    "training_curves": "qernel.plots.convergence",
    "versus_lam": "qernel.plots.curves",
}

__all__ = [*_PUBLIC]

__getattr__ = exports(__name__, _PUBLIC)
