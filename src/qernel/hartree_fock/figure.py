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
    from matplotlib.figure import Figure

_LOOK = {
    "crystal": (style.VERMILLION, "s", "crystal"),
    "other": (style.BLUE, "o", "other order"),
    "symmetric": (style.INK, "x", "moiré symmetry imposed"),
    "liquid": (style.BLUE, "o", "liquid"),  # What records call the second that classify by K alone.
}


def branch_diagram(
    branches: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    along: Axis = LAM,
    crossing: float | None = None,
    title: str | None = None,
) -> Figure:
    """Energies relative to the lowest state, energy of the lowest state, and order parameter, against a parameter.

    Args:
        branches: rows of each branch: the parameter, ``energy`` per electron in E0, ``order_parameter``,
            ``broken_symmetry``.
        along: the parameter.
        crossing: its value where the crystal becomes the lowest.
        title: what the figure shows, for instance the system.
    """
    held = any(row["order_parameter"] is not None for rows in branches.values() for row in rows)
    measure = "order_parameter" if held else "broken_symmetry"
    ground: dict[float, float] = {}
    for rows in branches.values():
        for row in rows:
            ground[row[along.name]] = min(row["energy"], ground.get(row[along.name], row["energy"]))
    with style.style():
        figure: Figure = style.figure(4.8, 6.4)
        energy, excess, order = figure.subplots(3, 1, sharex=True)
        energy.plot(sorted(ground), [ground[lam] for lam in sorted(ground)], color=style.INK, marker=".")
        for kind, rows in branches.items():
            color, marker, label = _LOOK[kind]
            look = {"color": color, "marker": marker, "label": label, "linewidth": 0.8}
            lam = [row[along.name] for row in rows]
            excess.plot(lam, [row["energy"] - ground[row[along.name]] for row in rows], **look)
            order.plot(lam, [row[measure] for row in rows], **look)
        for axes in (energy, excess, order):
            style.ticks(axes)
            if crossing is not None:
                axes.axvline(crossing, color=style.INK, linewidth=0.6, linestyle=":")
        energy.set_ylabel("lowest energy per\nelectron  ($E_0$)")
        excess.set_ylabel("energy above it  ($E_0$)")
        excess.set_ylim(bottom=0.0)
        order.set_ylabel("$\\langle|\\rho_K|^2\\rangle$" if held else "largest $|\\langle\\rho_q\\rangle|^2$")
        order.set_ylim(bottom=0.0)
        order.set_xlabel(parameters.label(along))
        energy.legend(*excess.get_legend_handles_labels(), loc="lower left")  # the one corner that is always empty
        if title is not None:
            energy.set_title(title)
        figure.align_ylabels([energy, excess, order])
    return figure


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
