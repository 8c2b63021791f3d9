"""The figure of Hartree–Fock: energy branches and order parameter against a parameter of the family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qernel.along import LAM, Axis
from qernel.hartree_fock.search import Branches
from qernel.hartree_fock.solution import Solution
from qernel.plots import axes as parameters
from qernel.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows of each branch, as records have them."""

_LOOK = {
    "crystal": (style.VERMILLION, "s", "crystal"),
    "other": (style.BLUE, "o", "other order"),
    "symmetric": (style.INK, "x", "moiré symmetry imposed"),
    "liquid": (style.BLUE, "o", "liquid"),  # What records call the second that classify by K alone.
}


PANELS = ("energy", "excess", "order_parameter")
"""What can be drawn of the branches: energies per electron, the same above the lowest one, the order parameter."""


def branch_diagram(
    branches: Rows, *, along: Axis = LAM, crossing: float | None = None, title: str | None = None
) -> Figure:
    """Every panel of `PANELS`, one above the other; arguments as of `draw_branches`."""
    with style.style():
        figure: Figure = style.figure(4.8, 6.4)
        panels = figure.subplots(3, 1, sharex=True)
        for axes, what in zip(panels, PANELS, strict=True):
            draw_branches(axes, branches, what, along=along, crossing=crossing)
            axes.label_outer()
        panels[0].legend(loc="lower left")  # the one corner that is always empty
        panels[0].set_title(title or "")
        figure.align_ylabels(list(panels))
    return figure


def draw_branches(
    axes: Axes, branches: Rows, what: str, *, along: Axis = LAM, crossing: float | None = None, title: str = ""
) -> None:
    """A number of each branch against a parameter.

    Args:
        axes: drawn into.
        branches: rows of each branch: the parameter, ``energy`` per electron in E0, ``order_parameter``,
            ``broken_symmetry``.
        what: of `PANELS`; where K does not fit the supercell the order parameter is the largest |⟨ρ_q⟩|².
        along: the parameter.
        crossing: its value where the crystal becomes the lowest.
        title: what is shown, for instance the system.
    """
    held = any(row["order_parameter"] is not None for rows in branches.values() for row in rows)
    ground: dict[float, float] = {}
    for rows in branches.values():
        for row in rows:
            ground[row[along.name]] = min(row["energy"], ground.get(row[along.name], row["energy"]))
    named = what if held or what != "order_parameter" else "broken_symmetry"
    labels = {
        "energy": "energy per electron  ($E_0$)",
        "excess": "energy above the lowest\nper electron  ($E_0$)",
        "order_parameter": "$\\langle|\\rho_K|^2\\rangle$",
        "broken_symmetry": "largest $|\\langle\\rho_q\\rangle|^2$",
    }
    with style.style():
        for kind, rows in branches.items():
            color, marker, label = _LOOK[kind]
            values = [row["energy"] - ground[row[along.name]] if what == "excess" else row[named] for row in rows]
            look: dict[str, Any] = {"color": color, "marker": marker, "label": label, "linewidth": 0.8}
            axes.plot([row[along.name] for row in rows], values, **look)
        style.ticks(axes)
        if crossing is not None:
            axes.axvline(crossing, color=style.INK, linewidth=0.6, linestyle=":")
        if what != "energy":
            axes.set_ylim(bottom=0.0)
        axes.set_ylabel(labels[named])
        axes.set_xlabel(parameters.label(along))
        axes.set_title(title)


def shown(found: Sequence[Branches]) -> dict[str, Solution]:
    """The crystal and the other state whose density is drawn: where each wins by most, or loses by least."""
    chosen: dict[str, tuple[float, Solution]] = {}
    for branches in found:
        for kind in ("other", "crystal"):
            others = [state.energy for other, state in branches.items() if other != kind]
            if kind in branches:
                lead = min(others, default=0.0) - branches[kind].energy
                if kind not in chosen or lead > chosen[kind][0]:
                    chosen[kind] = (lead, branches[kind])
    return {kind: solution for kind, (_, solution) in chosen.items()}
