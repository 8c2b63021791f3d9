"""Which ansätze and which orbitals there are, and where each lives.

A new one is a file, and a line here. The configuration reads this: it imports nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qernel.wavefunction.base import Builder
    from qernel.wavefunction.orbitals.base import Orbitals

ANSATZE = {
    "qernel": "qernel.wavefunction.ansatz.qernel:Qernel",
    "lem": "qernel.wavefunction.ansatz.lem:Lem",
    "psiformer": "qernel.wavefunction.ansatz.psiformer:PsiFormer",
    "slater": "qernel.wavefunction.ansatz.slater:Slater",
    "slater_jastrow": "qernel.wavefunction.ansatz.slater_jastrow:SlaterJastrow",
}
"""By name in ``[model] ansatz``: subclasses of `Wavefunction` taking ``(model, hamiltonian, *, rng, dtype)``."""

UNIVERSAL = ("lem", "slater_jastrow")
"""Those whose weights belong to no number of electrons, supercell or twist."""

PHASES, BY_PHASE = ("liquid", "crystal"), ("lem",)
"""Phases that determinants are prepared for, and the ansätze of which those of one can be taken alone."""

ORBITALS = {
    "bloch": "qernel.wavefunction.orbitals.bloch:BlochOrbitals",
    "hartree_fock": "qernel.wavefunction.orbitals.hartree_fock:HartreeFockOrbitals",
}
"""By name in ``[model] orbitals``, where "network" stands for none: subclasses of `Orbitals`."""

_SEEDS = {"crystal": "qernel.wavefunction.orbitals.crystal:CrystalOrbitals"}
"""Orbitals that a key of their own adds to those."""


def ansatz_named(name: str) -> Builder:
    """The class of an ansatz."""
    found: Builder = _find(ANSATZE[name])
    return found


def orbitals_named(name: str) -> type[Orbitals]:
    """The class of a kind of orbitals."""
    found: type[Orbitals] = _find((ORBITALS | _SEEDS)[name])
    return found


def _find(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
