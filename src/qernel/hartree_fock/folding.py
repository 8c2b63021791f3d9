"""Determinants that a part of the supercell repeats: orbitals with a momentum, and exchange on that part alone.

A crystal is the same in every part A_1/m_1 × A_2/m_2 of the supercell that is a period of it. Then the space of its
orbitals is invariant under these translations, and spanned by functions that each have a momentum κ: the energy is the
same, and exchange costs m_1 m_2 times less (`MeanField`).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import gcd

import numpy as np

from qernel.hartree_fock.basis import PlaneWaves
from qernel.hartree_fock.functional import MeanField, Orbitals
from qernel.lattice import ComplexArray

_WHOLE = 1e-3
"""By how much the weight of a function in one momentum may differ from all or nothing."""


def folded(field: MeanField, orbitals: Orbitals) -> tuple[MeanField, Orbitals]:
    """The same determinant by functions with a momentum, in a functional that uses it, if there is more than one part.

    Args:
        field: the functional.
        orbitals: orthonormal amplitudes per spin on its basis.

    Returns:
        Both as they were given where no part of the cell repeats.
    """
    for folds in _parts(field):
        basis = replace(field.basis, folds=folds)
        found = [_with_momenta(block, basis) for block in orbitals]
        if all(len(own) == len(block) for own, block in zip(found, orbitals, strict=True)):
            return replace(field, basis=basis, real=False), found
    return field, orbitals


def unfolded(field: MeanField, orbitals: Orbitals) -> Orbitals | None:
    """The same determinant in the functional ``field``: by real functions if that is of real ones.

    The Hamiltonian is real without a twist: with a function of momentum κ its conjugate belongs to a determinant that
    began as one of real functions. None if it does not.
    """
    if not field.real:
        return orbitals
    found = []
    for block in orbitals:
        parts = np.concatenate([field.symmetrised(block), field.symmetrised(1j * block)])
        # Orthonormal combinations with real weights, of which half are zero.
        weights, functions = np.linalg.svd(parts.view(float), full_matrices=False)[1:]
        if weights[len(block)] > _WHOLE * weights[0]:
            return None
        found.append(functions[: len(block)].copy().view(complex))
    return found


def most_parts(field: MeanField) -> tuple[int, int]:
    """In how many parts the moiré lattice cuts the vectors of the supercell."""
    return next(iter(_parts(field)), (1, 1))


def _parts(field: MeanField) -> list[tuple[int, int]]:
    """Numbers of parts along both vectors that are moiré lattice vectors long, most parts first."""
    rows = field.hamiltonian.supercell.reduced.tolist()
    each = [[m for m in range(1, gcd(*row) + 1) if gcd(*row) % m == 0] for row in rows]
    return sorted(((a, b) for a, b in product(*each) if a * b > 1), key=lambda folds: -folds[0] * folds[1])


def _with_momenta(block: ComplexArray, basis: PlaneWaves) -> ComplexArray:
    """Functions with a momentum each that lie in the span of rows ``[N, n]``: N of them if the span is invariant."""
    kinds = basis.kinds @ np.array([basis.folds[1], 1])
    found = []
    for kind in range(basis.folds[0] * basis.folds[1]):
        own = kinds == kind
        weights, functions = np.linalg.svd(block[:, own], full_matrices=False)[1:]
        if np.any(np.minimum(weights, np.abs(1.0 - weights)) > _WHOLE):
            return block[:0]
        rows = np.zeros((int((weights > 0.5).sum()), block.shape[1]), complex)
        rows[:, own] = functions[: len(rows)]
        found.append(rows)
    return np.concatenate(found)
