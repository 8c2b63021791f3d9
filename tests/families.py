"""Families of Hamiltonians for tests: the moiré potential and an interaction, by the names of their numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jax import Array

from qernel.hamiltonian.bands import Bands, potential_bands
from qernel.hamiltonian.family import Hamiltonian
from qernel.hamiltonian.terms import interactions, parameters
from qernel.hamiltonian.terms.base import Kernel
from qernel.hamiltonian.terms.coulomb import Coulomb
from qernel.hamiltonian.terms.moire import Moire
from qernel.lattice import FloatArray, Supercell


def family(supercell: Supercell, electrons: tuple[int, int], **numbers: Any) -> Hamiltonian:
    """Moiré potential and Coulomb interaction; numbers as in `changed`."""
    bare = Hamiltonian(supercell, electrons, (Moire(), Coulomb()), {"V0": 0.0, "U": 0.0})
    return changed(bare, **numbers)


def changed(base: Hamiltonian, **changes: Any) -> Hamiltonian:
    """A family with other constants (by name), another ``interaction`` (by name), or other attributes."""
    terms = changes.pop("terms", base.terms)
    if "interaction" in changes:
        terms = (*base.potentials, interactions()[changes.pop("interaction")]())
    read = {parameter.name for term in terms for parameter in term.parameters} | {"lam"}
    given = {name: changes.pop(name) for name in parameters() if name in changes}
    constants = {name: value for name, value in {**base.constants, **given}.items() if name in read}
    return replace(base, terms=terms, constants=constants, **changes)


def moire_bands(cell: Supercell, depth: float, phase: float, states: int, **settings: Any) -> Bands:
    """The lowest states of −½∇² + depth · w(r) with φ = ``phase`` in radians."""
    values = {"lam": 1.0, "V0": depth, "phase_deg": float(np.rad2deg(phase))}
    return potential_bands(cell, Moire().components(values), states, **settings)


@dataclass(frozen=True)
class AtGate:
    """A kernel whose only number is a gate distance, or none."""

    kernel: Kernel

    def __call__(self, difference: Array, gate: Any = 1.0) -> Array:
        return self.kernel(difference, {"gate_distance": gate})

    def energy(self, positions: Array, gate: Any = 1.0) -> Array:
        return self.kernel.energy(positions, {"gate_distance": gate})

    def fourier(self, q: FloatArray, gate: float = 1.0) -> FloatArray:
        return self.kernel.fourier(q, {"gate_distance": gate})

    def self_image(self, gate: Any = 1.0) -> Array:
        return self.kernel.self_image({"gate_distance": gate})


def kernel(supercell: Supercell, name: str = "coulomb", closest: float | None = None) -> AtGate:
    """v of an interaction by name, for gates from ``closest`` on."""
    intervals = {} if closest is None else {"gate_distance": (closest, closest)}
    return AtGate(interactions()[name]().on(supercell, intervals))
