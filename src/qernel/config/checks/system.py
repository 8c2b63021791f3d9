"""Relations between values of [system] and [family]."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from qernel.config import plane_waves
from qernel.config.checks.problem import CELL_KEYS, Problem, listed
from qernel.config.sections import MATERIAL_KEYS, RANGE_KEYS, REDUCED_KEYS

if TYPE_CHECKING:
    from qernel.config.schema import Config

MAX_FILLING = 2
"""Electrons per moiré cell beyond which the ansätze are not meant to work."""

MAX_ELECTRONS = 4000
"""Electrons whose pairs can still be listed."""


def cell(config: Config) -> Iterator[Problem]:
    """A supercell with an area, and electrons that it can hold."""
    system = config.system
    if system.cells == 0:
        matrix = [list(row) for row in system.supercell]
        yield Problem(
            ("system.supercell",),
            f"system.supercell = {matrix} has no area: its rows must be independent, e.g. supercell = [[3, 0], [0, 3]]",
        )
    elif system.count > MAX_FILLING * system.cells:
        yield Problem(
            ("system.electrons", "system.supercell"),
            f"system.electrons: {system.count} electrons on {system.cells} moiré cells (det of system.supercell) is "
            f"{system.count / system.cells:.3g} per cell, more than the {MAX_FILLING} supported: "
            f"use at most {MAX_FILLING * system.cells} electrons or a larger supercell",
        )
    elif system.count > MAX_ELECTRONS:
        yield Problem(
            ("system.electrons",),
            f"system.electrons: {system.count} electrons are more than the {MAX_ELECTRONS} supported: each interacts "
            "with all others, use fewer",
        )


def usable(config: Config) -> bool:
    """Whether `cell` has nothing to say."""
    return not any(cell(config))


def strengths(config: Config) -> Iterator[Problem]:
    """Depth and interaction in one kind of units, as a constant or a parameter."""
    system, family = config.system, config.family
    reduced = [key for key in REDUCED_KEYS if getattr(system, key) is not None]
    laboratory = [key for key in MATERIAL_KEYS if key in system.model_fields_set]
    keys = tuple(f"system.{key}" for key in (*REDUCED_KEYS, *MATERIAL_KEYS))
    if reduced and laboratory:
        yield Problem(
            keys,
            f"system: {listed(reduced)} (reduced units) and {listed(laboratory)} (laboratory units) exclude each "
            "other: give either V0 and U, or the material",
        )
    elif reduced == ["V0"] and family.U is None:
        yield Problem(
            (*keys, "family.U"), "system.V0 is given without U: add system.U in E0 a_M (or a family.U interval)"
        )
    elif reduced == ["U"] and family.U is None:
        yield Problem(
            keys, "system.U is given without V0: add system.V0 in E0, or set the strength by system.dielectric"
        )
    for key in RANGE_KEYS:
        if getattr(family, key) is not None and key in system.model_fields_set and getattr(system, key) is not None:
            yield Problem(
                (f"system.{key}", f"family.{key}"),
                f"system.{key} has no effect because family.{key} makes it a parameter: remove one of the two",
            )
    depth = system.depth_meV if system.material else system.V0
    if system.lattice != "triangular" and depth:
        yield Problem(
            (*keys, "system.lattice"),
            f"system.lattice = '{system.lattice}' does not fit the moiré potential, which is triangular: "
            "use lattice = 'triangular', or a uniform system with depth_meV = 0 (or V0 = 0)",
        )


def gates(config: Config) -> Iterator[Problem]:
    """Gates where the interaction has some, not too close for its sum over waves."""
    system, family = config.system, config.family
    if system.interaction == "coulomb":
        for section in ("system", "family"):
            if getattr(config, section).gate_distance is not None:
                yield Problem(
                    ("system.interaction", f"{section}.gate_distance"),
                    f"{section}.gate_distance has no effect on interaction = 'coulomb': remove it, "
                    "or use interaction = 'dual_gate' or 'single_gate'",
                )
    elif system.gate_distance is None and family.gate_distance is None:
        yield Problem(
            ("system.interaction", "system.gate_distance", "family.gate_distance"),
            f"system.interaction = '{system.interaction}' needs the distance to the gate in a_M: "
            "give e.g. gate_distance = 1.0",
        )
    else:
        section = "system" if family.gate_distance is None else "family"
        closest = family.gate_distance[0] if family.gate_distance else system.gate_distance
        for text in plane_waves.gate_faults(config, section, closest) if closest and usable(config) else ():
            yield Problem(("system.interaction", f"{section}.gate_distance", *CELL_KEYS), text)


def gaps(config: Config) -> Iterator[Problem]:
    """Gaps inside the range of λ, and a walker group for each part they leave."""
    gaps, (low, high), groups = config.family.gaps, config.family.lam, config.train.groups
    if not gaps:
        return
    shown = [list(gap) for gap in gaps]
    if gaps[0][0] <= low or gaps[-1][1] >= high:
        yield Problem(
            ("family.gaps", "family.lam"),
            f"family.gaps = {shown} must lie inside family.lam = {[low, high]}: to leave out an end of the range, "
            "give a smaller lam",
        )
    elif groups <= len(gaps):
        yield Problem(
            ("family.gaps", "train.groups"),
            f"train.groups = {groups} is less than the {len(gaps) + 1} parts that family.gaps = {shown} leaves of "
            f"family.lam: give e.g. groups = {2 * (len(gaps) + 1)}",
        )
