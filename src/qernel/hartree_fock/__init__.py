"""Unrestricted Hartree–Fock in plane waves: the lowest Slater determinants found; densities may break symmetry.

``qernel.hartree_fock("n6", [0.5, 1.0])`` is `qernel.measure.mean_field.hartree_fock`.
"""

from qernel.hartree_fock.basis import PlaneWaves
from qernel.hartree_fock.functional import MeanField, Parts
from qernel.hartree_fock.search import Branches, lowest, mean_field, search, transition
from qernel.hartree_fock.solution import Solution, carried, solve
from qernel.lazy import callable_as

__all__ = [
    "Branches",
    "MeanField",
    "Parts",
    "PlaneWaves",
    "Solution",
    "carried",
    "lowest",
    "mean_field",
    "search",
    "solve",
    "transition",
]

callable_as(__name__, "qernel.measure.mean_field", "hartree_fock")
