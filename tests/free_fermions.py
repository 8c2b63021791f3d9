"""Exact, independent samples of a Slater determinant, and its amplitude: the oracle of the observables.

The orbitals are orthonormal, so |det φ_j(r_i)|²/N! is a projection determinantal process and can be drawn electron by
electron (Hough, Krishnapur, Peres and Virág, Probability Surveys 3, 206 (2006)). NumPy only: nothing of what is tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qernel.hamiltonian.family import Hamiltonian
from qernel.observables import Samples

Orbitals = Callable[[np.ndarray], np.ndarray]
"""Values ``[..., n]`` of n orthonormal orbitals at positions ``[..., 2]``."""


def plane_wave_orbitals(k: np.ndarray, area: float) -> Orbitals:
    """e^{ik·r}/√A for momenta ``[n, 2]``."""
    return lambda r: np.exp(1j * r @ k.T) / np.sqrt(area)


def draw(
    rng: np.random.Generator, orbitals: Orbitals, count: int, vectors: np.ndarray, shape: tuple[int, ...], top: float
) -> np.ndarray:
    """Independent configurations ``[*shape, count, 2]`` of the determinant of ``count`` orbitals.

    Args:
        rng: random numbers.
        orbitals: orthonormal on the cell.
        count: how many there are.
        vectors: the cell.
        shape: of the batch.
        top: upper bound of the density Σ_j |φ_j(r)|².
    """
    total = int(np.prod(shape))
    x = np.zeros((total, count, 2))
    projector = np.broadcast_to(np.eye(count, dtype=complex), (total, count, count)).copy()
    for electron in range(count):
        waiting = np.arange(total)
        while waiting.size:
            r = rng.uniform(size=(waiting.size, 2)) @ vectors
            phi = orbitals(r)
            density = np.einsum("bj,bjk,bk->b", phi.conj(), projector[waiting], phi).real
            accepted = rng.uniform(size=waiting.size) * top < density
            x[waiting[accepted], electron] = r[accepted]
            waiting = waiting[~accepted]
        phi = orbitals(x[:, electron])
        direction = np.einsum("bjk,bk->bj", projector, phi)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        projector -= direction[:, :, None] * direction[:, None, :].conj()
    return x.reshape(*shape, count, 2)


@dataclass
class Determinants:
    """Amplitude Π_σ det φ_j(r_i), one determinant per spin."""

    orbitals: list[Orbitals]
    counts: tuple[int, ...]

    def log_psi(self, positions: Any) -> tuple[np.ndarray, np.ndarray]:
        """Sign 1 and the complex logarithm."""
        x, start, log = np.asarray(positions), 0, 0j
        for phi, n in zip(self.orbitals, self.counts, strict=True):
            sign, modulus = np.linalg.slogdet(phi(x[..., start : start + n, :]))
            log, start = log + modulus + np.log(sign), start + n
        return np.ones(x.shape[:-2]), np.asarray(log)

    def log_psi_gradient(self, positions: Any) -> np.ndarray:
        """It depends on no parameter."""
        return np.zeros((*np.asarray(positions).shape[:-2], 1), dtype=complex)


def free_gas(family: Hamiltonian, momenta: list[np.ndarray], shape: tuple[int, int], seed: int) -> Samples:
    """Exact samples ``[*shape]`` of plane-wave determinants with the given momenta for each spin."""
    rng = np.random.default_rng(seed)
    cell = family.supercell
    orbitals = [plane_wave_orbitals(k, cell.area) for k in momenta]
    parts = [
        draw(rng, phi, len(k), cell.vectors, shape, top=len(k) / cell.area)
        for phi, k in zip(orbitals, momenta, strict=True)
    ]
    psi = Determinants(orbitals, tuple(len(k) for k in momenta))
    return Samples(np.concatenate(parts, axis=2), family, np.array([1.0]), psi=psi, seed=seed)
