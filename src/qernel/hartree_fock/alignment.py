"""Orbitals of one determinant mixed among themselves, to be closest to those of another one."""

from __future__ import annotations

import numpy as np

from qernel.lattice import ComplexArray, FloatArray


def nearest(
    orbitals: ComplexArray, target: ComplexArray, *, weights: FloatArray | None = None, real: bool = False
) -> tuple[ComplexArray, float]:
    """Orthogonal Procrustes (Schönemann, Psychometrika 31, 1966): the determinant stays, up to its phase.

    Args:
        orbitals: amplitudes ``[n, waves]`` of orthonormal orbitals.
        target: those of other ones, on the same waves.
        weights: mean square of each wave ``[waves]``; 1 if not given.
        real: whether only rotations with real entries are of use.

    Returns:
        The mixed orbitals ``[n, waves]``, and log|⟨Φ_target|Φ⟩| of the two determinants.
    """
    overlap = (orbitals.conj() if weights is None else orbitals.conj() * weights) @ target.T
    u, sizes, v = np.linalg.svd(overlap.real if real else overlap)
    with np.errstate(divide="ignore"):
        return (u @ v).T @ orbitals, float(np.log(sizes).sum())
