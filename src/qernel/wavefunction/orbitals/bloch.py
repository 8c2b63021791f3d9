"""One-body Bloch functions as the orbitals of a wavefunction: exact where electrons do not interact."""

from __future__ import annotations

from typing import Any, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.bands import one_body_bands
from qernel.hamiltonian.family import Hamiltonian
from qernel.hamiltonian.grid import steps
from qernel.lattice import FloatArray, Integers, Supercell, lattice_points
from qernel.wavefunction.orbitals.base import Choice, spin_blocks
from qernel.wavefunction.orbitals.chebyshev import Series
from qernel.wavefunction.orbitals.plane_waves import PlaneWaveOrbitals
from qernel.wavefunction.orbitals.waves import Turns


class BlochOrbitals(PlaneWaveOrbitals):
    """One-body Bloch functions at the point of the family, as trainable plane-wave amplitudes.

    Fitted to the exact bands at the start; where the bare bands are the answer (U = 0), so is this. Real ansätze use
    the real and imaginary parts of time-reversal pairs.
    """

    amplitudes: list[Array]
    series: Series = eqx.field(static=True)
    complex: bool = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    dressed: Choice = eqx.field(static=True)

    def __init__(self, series: Series, *, cutoff: float, complex: bool, dtype: Any, dressed: Choice = (True,)):
        self.series, self.complex, self.cutoff, self.dressed = series, complex, cutoff, dressed
        shape = (series.terms, 2, len(self._waves))
        blocks = spin_blocks(series.hamiltonian.electrons)
        self.amplitudes = [jnp.zeros((*shape, stop - start), dtype) for start, stop in blocks]

    @classmethod
    def of(cls, model: Any, hamiltonian: Hamiltonian, free: Choice, *, complex: bool, dtype: Any) -> Self:
        """See `Orbitals.of`."""
        read = {parameter.name for term in hamiltonian.potentials for parameter in term.parameters}
        orders = dict.fromkeys(read, model.bloch_order_others) | {"lam": model.bloch_order}
        series = Series.following(hamiltonian, orders)
        return cls(series, cutoff=model.bloch_cutoff, complex=complex, dtype=dtype, dressed=free)

    def started(self) -> Self:
        """The same with amplitudes from the bands at the nodes of the series."""
        amplitudes = [
            jnp.asarray(fit_bands(self.series, table.shape[-1], self._waves, self.complex), table.dtype)
            for table in self.amplitudes
        ]
        return eqx.tree_at(lambda orbitals: orbitals.amplitudes, self, amplitudes)

    @property
    def _waves(self) -> FloatArray:
        """Supercell reciprocal vectors kept, ``[n, 2]``: all of them, since orbitals sit at any momentum."""
        return lattice_points(self.hamiltonian.supercell.reciprocal, float(np.sqrt(2.0 * self.cutoff)))

    @property
    def turns(self) -> Turns:
        """See `PlaneWaveOrbitals.turns`."""
        return np.array(_turns(self.hamiltonian.supercell, self._waves))


def fit_bands(series: Series, states: int, waves: FloatArray, complex: bool) -> FloatArray:
    """Coefficients ``[terms, 2, waves, states]`` of the lowest one-body states at every point of a family.

    Neighbouring points are aligned by the orthogonal Procrustes rotation of the *occupied subspace*, which
    leaves the determinant unchanged and makes the amplitudes smooth even where bands cross inside it.
    """
    points, hamiltonian = series.nodes, series.hamiltonian
    tables = {0: _occupied(hamiltonian, points[0], states, waves, complex, None)}
    for node, before in steps(series.orders):
        table = _occupied(hamiltonian, points[node], states, waves, complex, tables[before])
        u, _, v = np.linalg.svd(table.conj().T @ tables[before])
        tables[node] = table @ (u @ v)
    fitted = series.fit(np.stack([tables[node] for node in range(series.terms)]))
    if complex:
        return np.stack([fitted.real, fitted.imag], axis=1)
    half = len(waves)
    return np.stack([fitted[:, :half], fitted[:, half:]], axis=1)


def _occupied(
    hamiltonian: Hamiltonian,
    point: FloatArray,
    states: int,
    waves: FloatArray,
    complex: bool,
    previous: np.ndarray | None,
) -> np.ndarray:
    """Orthonormal amplitudes of the lowest one-body states on the wave list.

    Where the highest level is only partly filled, the states chosen from it are those closest to
    ``previous``: any other choice would jump between neighbouring points, and no polynomial could follow.

    Returns:
        Complex: ``[waves, states]``. Real: cos rows above sin rows, ``[2 waves, states]``.
    """
    cell, shift = hamiltonian.supercell, hamiltonian.twist_momentum
    cutoff = max(400.0, float((waves**2).sum(1).max()))
    bands = one_body_bands(hamiltonian, point, states + _SPARE, cutoff=cutoff)
    row = {turns: index for index, turns in enumerate(_turns(cell, waves))}
    mirrors = np.array([] if complex else [row[-i, -j] for i, j in row], dtype=np.int64)
    table = np.zeros((len(waves), len(bands.energies)), dtype=np.complex128)
    for state, (block, coefficients) in enumerate(zip(bands.waves, bands.coefficients, strict=True)):
        for turns, coefficient in zip(_turns(cell, block - shift), coefficients, strict=True):
            if turns in row:
                table[row[turns], state] = coefficient
    chosen = np.zeros((len(table) if complex else 2 * len(table), 0))
    for level in np.split(np.arange(len(bands.energies)), np.flatnonzero(np.diff(bands.energies) > 1e-7) + 1):
        if chosen.shape[1] == states:  # the levels above may have nothing within the waves
            break
        block = table[:, level] if complex else _real_states(table[:, level], mirrors)
        missing = states - chosen.shape[1]
        if missing < block.shape[1] and previous is not None:
            block = block @ np.linalg.svd(block.conj().T @ previous)[0]
        chosen = np.concatenate([chosen, block[:, :missing]], axis=1)
    return chosen


_SPARE = 12
"""States computed beyond the occupied ones, so that the highest level is complete: 12 is the largest degeneracy."""


def _turns(cell: Supercell, waves: FloatArray) -> list[tuple[int, int]]:
    """Integer coordinates of reciprocal vectors of the supercell."""
    return [(i, j) for i, j in np.rint(waves @ cell.vectors.T / (2 * np.pi)).astype(int).tolist()]


def _real_states(level: np.ndarray, mirrors: Integers) -> FloatArray:
    """Orthonormal real states ``[2 waves, n]`` of one level, out of the parts of its complex ones ``[waves, n]``.

    ``mirrors`` has the index of −G for every wave G ``[waves]``.
    """
    # e^{iG·r} = cos + i sin: the real and imaginary parts of each state are real solutions too.
    cos_sin = np.concatenate([level, 1j * level])
    candidates = _fold(np.stack([cos_sin.real, cos_sin.imag], axis=-1).reshape(len(cos_sin), -1), mirrors)
    chosen: list[np.ndarray] = []
    for column in candidates.T:
        residual = column.copy()
        for previous in chosen:
            residual -= previous * (previous @ residual)
        norm = np.linalg.norm(residual)
        if norm > 1e-3 * max(float(np.linalg.norm(column)), 1e-30) and norm > 1e-6:
            chosen.append(residual / norm)
        if len(chosen) == level.shape[1]:
            break
    return np.stack(chosen, axis=1)


def _fold(table: FloatArray, mirrors: Integers) -> FloatArray:
    """Move the amplitude of −G, at ``mirrors``, onto G (cos adds, sin subtracts), keeping one of each pair.

    cos is even and sin odd in G: without this, copies of one function would look independent.
    """
    half = len(mirrors)
    folded = table.copy()
    own = np.arange(half)
    later, alone = own[mirrors < own], own[mirrors == own]
    kept = mirrors[later]
    folded[kept] += folded[later]
    folded[half + kept] -= folded[half + later]
    folded[later] = folded[half + later] = folded[half + alone] = 0.0
    return folded
