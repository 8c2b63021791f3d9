"""How many plane waves a configuration asks for: enough for its orbitals, and not more than can be handled."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from qernel.hamiltonian.parameters import Parameter
from qernel.hamiltonian.terms import parameters
from qernel.hamiltonian.terms.base import OneBody

if TYPE_CHECKING:
    from qernel.config.schema import Config

WAVES = 4
"""Plane waves for each electron: with fewer there is little to choose from, and symmetric states may be missing."""

MOST_WAVES = 200_000
"""Plane waves of orbitals in a supercell: 25 times those of the largest preset."""

MOST_GATE_WAVES = 2_000_000
"""Waves over which an interaction is summed, for every electron and configuration."""


def count(config: Config, cutoff: float) -> float:
    """About how many wave vectors of the supercell have ½k² up to a cut-off in E0."""
    from qernel.lattice import Supercell

    return Supercell(config.system.supercell, config.system.lattice).area * cutoff / (2 * math.pi)


def needed(config: Config, key: str) -> float:
    """The cut-off in E0 below which orbitals could not do what they are for.

    Bloch functions of free electrons are plane waves: those of the occupied levels are exact. In a potential V an
    electron of that energy has a kinetic energy of up to max(−V) more. Neither asks for more than `WAVES` an
    electron, which is also what Hartree–Fock needs: interactions make crystals where there is no potential.
    """
    import numpy as np

    from qernel.lattice import Supercell, lattice_points

    system, most = config.system, max(config.system.electrons)
    several = WAVES * most / count(config, 1.0)
    if key == "hf_cutoff":
        return several
    cell = Supercell(system.supercell, system.lattice)
    shift = np.asarray(system.reduced_twist) @ cell.reciprocal
    # A disc that holds N wave vectors around any point, and the shift besides.
    reach = math.sqrt(4 * math.pi * most / cell.area) + 2 * float(np.linalg.norm(cell.reciprocal, axis=1).sum())
    waves = lattice_points(cell.reciprocal, reach + float(np.linalg.norm(shift)))
    energies = 0.5 * ((waves + shift) ** 2).sum(1)
    occupied = waves[energies <= np.sort(energies)[most - 1] * (1 + 1e-9) + 1e-9]
    free = 0.5 * float((occupied**2).sum(1).max())
    return max(free, min(several, free + _depth(config)))


def _depth(config: Config) -> float:
    """−V at its deepest in E0, over the corners of the family."""
    ranges = config.family.ranges
    constants = {name: one.default for name, one in parameters().items() if one.default is not None}
    constants |= {name: value for name in parameters() if (value := config.system.constant(name)) is not None}
    corners = [constants | dict(zip(ranges, corner, strict=True)) for corner in product(*ranges.values())]
    terms = [term for term in config.system.terms if isinstance(term, OneBody)]
    return -min(sum(term.lower(corner) for term in terms) for corner in corners)


def reach_faults(config: Config, key: str, parameter: Parameter, smallest: float) -> Iterator[str]:
    """What is wrong with the smallest value of a parameter that decides how many waves are summed over.

    Args:
        config: gives the supercell.
        key: of the configuration that has the value.
        parameter: with `Parameter.reach`.
        smallest: its value.
    """
    # One of each ±q pair up to q = reach/value.
    found = 0.5 * count(config, 0.5 * (parameter.reach / smallest) ** 2)
    if found > MOST_GATE_WAVES:
        least = smallest * math.sqrt(found / MOST_GATE_WAVES)
        yield (
            f"{key} = {smallest:g} takes {found:.2g} waves in this supercell, more than "
            f"the {MOST_GATE_WAVES:,} supported: give at least {_rounded_up(least)}, or a smaller supercell"
        )


def cutoff_faults(config: Config, key: str) -> Iterator[str]:
    """What is wrong with a cut-off, ``bloch_cutoff`` or ``hf_cutoff``."""
    cutoff, most = getattr(config.model, key), max(config.system.electrons)
    found = count(config, cutoff)
    if found > MOST_WAVES:
        yield (
            f"model.{key} = {cutoff:g} keeps about {found:.2g} plane waves in this supercell, more than the "
            f"{MOST_WAVES:,} supported: give at most {MOST_WAVES / count(config, 1.0):.3g}, or a smaller supercell"
        )
        return
    least = needed(config, key)
    if cutoff < least * (1 - 1e-12):
        yield (
            f"model.{key} = {cutoff:g} keeps about {found:.0f} plane waves for {most} electrons of one spin: "
            f"give at least {_rounded_up(least)}"
        )


def _rounded_up(value: float) -> str:
    """At least a positive value, in two digits."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / step) * step:g}"
