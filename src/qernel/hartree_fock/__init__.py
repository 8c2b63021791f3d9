"""Unrestricted Hartree–Fock in plane waves: the lowest Slater determinants found; densities may break symmetry."""

from qernel.hartree_fock.basis import PlaneWaves
from qernel.hartree_fock.functional import MeanField, Parts
from qernel.hartree_fock.search import Branches, lowest, mean_field, search, transition
from qernel.hartree_fock.solution import Solution, carried, solve

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
