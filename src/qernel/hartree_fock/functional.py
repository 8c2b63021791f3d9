"""The Hartree–Fock energy of Slater determinants in plane waves, and its Fock operator.

With orbitals φ_j of each spin, pair densities ρ_ij(q) = ∫ φ_i* φ_j e^{−iq·r} and n_q = Σ_j ρ_jj(q),

    E = Σ_j ⟨φ_j| −½∇² + V |φ_j⟩ + (U/2A) Σ_{q≠0} v_q [ |n_q|² − Σ_{ij, like spins} |ρ_ij(q)|² ] + ½ N U ξ.

Hartree and exchange terms use the same v_q on the same grid, so that no electron acts on itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy import fft, linalg

from qernel.hamiltonian.family import Hamiltonian
from qernel.hartree_fock.basis import PlaneWaves
from qernel.hartree_fock.classical import crystal_waves
from qernel.lattice import ComplexArray, FloatArray

_ROWS = 64
"""Plane waves on the grid at a time."""

Orbitals = list[ComplexArray]
"""Plane-wave amplitudes ``[n_s, n]`` of the occupied orbitals of each spin, orthonormal rows; up first."""


class Parts(NamedTuple):
    """Total energies in E0; ``moire`` is that of all one-body terms, ``interaction`` includes ½NUξ."""

    kinetic: float
    moire: float
    interaction: float

    @property
    def energy(self) -> float:
        """Their sum."""
        return self.kinetic + self.moire + self.interaction


@dataclass(frozen=True)
class MeanField:
    """The energy functional of one Hamiltonian of a family in one basis.

    Attributes:
        hamiltonian: the family.
        point: values of its parameters ``[p]``, λ first.
        basis: plane waves.
        real: orbitals are real functions (no twist): half the work, and what a real ansatz can start from.
    """

    hamiltonian: Hamiltonian
    point: npt.NDArray[np.float64]
    basis: PlaneWaves
    real: bool = False

    @property
    def counts(self) -> tuple[int, ...]:
        """Electrons of each spin that there is."""
        return tuple(count for count in self.hamiltonian.electrons if count)

    @cached_property
    def values(self) -> dict[str, float]:
        """Every number that the terms of the Hamiltonian read, at this point."""
        return self.hamiltonian.numbers(self.point)

    @property
    def uniform(self) -> bool:
        """Whether no potential varies in space, so that every translation leaves the Hamiltonian as it is."""
        return self.hamiltonian.uniform(self.values)

    @property
    def crystal_waves(self) -> FloatArray:
        """Wave vectors ``[k, 2]`` in 1/a_M of the classical crystal of this filling; none where any will do."""
        if self.uniform:
            return np.zeros((0, 2))
        return crystal_waves(self.hamiltonian, self.values)

    @cached_property
    def _moire(self) -> FloatArray:
        """The one-body terms on the grid."""
        return np.asarray(self.hamiltonian.one_body(jnp.asarray(self.basis.grid_points()), self.values))

    @cached_property
    def _coulomb(self) -> FloatArray:
        """(U/A) v_q on the grid, zero at q = 0 and where a grid of even size has only one of ±q."""
        q = np.linalg.norm(self.basis.grid_waves(), axis=-1)
        kernel = self.hamiltonian.interaction.fourier(q, self.values)
        for axis, size in enumerate(self.basis.grid):
            if size % 2 == 0:
                kernel[(slice(None),) * axis + (size // 2,)] = 0.0
        return kernel / self.hamiltonian.supercell.area

    @cached_property
    def _constant(self) -> float:
        """½ N U ξ."""
        return 0.5 * self.hamiltonian.count * float(self.hamiltonian.interaction.self_image(self.values))

    def _screened(
        self, density: FloatArray | ComplexArray, kernel: FloatArray | None = None
    ) -> FloatArray | ComplexArray:
        """∫ U v(r − r') n(r') d²r' of ``A·n`` on the grid ``[..., grid]``, or with another kernel on its own grid."""
        result: FloatArray | ComplexArray
        if np.iscomplexobj(density):
            kernel = self._coulomb if kernel is None else kernel
            result = fft.ifft2(fft.fft2(density, overwrite_x=True) * kernel, overwrite_x=True)
        else:
            half = self._coulomb[:, : self.basis.grid[1] // 2 + 1]
            result = fft.irfft2(fft.rfft2(density) * half, s=self.basis.grid)
        return result

    def on_grid(self, orbitals: Orbitals) -> list[FloatArray | ComplexArray]:
        """√A φ_j e^{−ik_t·r} on the grid, ``[n_s, grid]`` per spin."""
        values = [self.basis.to_grid(block) for block in orbitals]
        return [block.real.copy() for block in values] if self.real else list(values)

    def apply(self, orbitals: Orbitals) -> tuple[Parts, Orbitals]:
        """Energies of the determinant, and F φ_j within the basis for every occupied orbital.

        Args:
            orbitals: orthonormal amplitudes per spin.

        Returns:
            Total energies, and the gradient ∂E/∂φ_j* per spin, shaped like ``orbitals``.
        """
        waves = self.on_grid(orbitals)
        density = sum((np.abs(block) ** 2).sum(0) for block in waves)
        hartree = self._screened(np.asarray(density, dtype=float)).real
        size = density.size
        exchange = [self._exchange(block, on_grid) for block, on_grid in zip(orbitals, waves, strict=True)]
        kinetic = sum(float((np.abs(block) ** 2 @ self.basis.kinetic).sum()) for block in orbitals)
        moire = float((density * self._moire).sum()) / size
        interaction = 0.5 * float((density * hartree).sum()) / size
        for block, acted in zip(waves, exchange, strict=True):
            interaction += 0.5 * float(np.vdot(block, acted).real) / size
        potential = self._moire + hartree
        fock = [
            self.basis.kinetic * amplitudes + self.basis.from_grid(potential * block + acted)
            for amplitudes, block, acted in zip(orbitals, waves, exchange, strict=True)
        ]
        return Parts(kinetic, moire, interaction + self._constant), fock

    def _exchange(self, orbitals: ComplexArray, waves: FloatArray | ComplexArray) -> FloatArray | ComplexArray:
        """−Σ_j u_j(r) ∫ U v(r − r') u_j*(r') u_i(r') d²r' on the grid, ``[n_s, grid]``.

        With `PlaneWaves.folds` (m_1, m_2) u_i(r) = e^{iκ_i·r} p_i(r) is known from one part of the cell, the product of
        two has the momentum κ_i − κ_j, and its transform is one on that part: m_1 m_2 times fewer points.
        """
        parts, phases, kinds = self._folded(orbitals, waves)
        result = np.zeros_like(parts)
        for j, part in enumerate(parts):
            # Pairs with i ≥ j serve both orders: the potential of u_i* u_j is the conjugate.
            potential = self._screened(part.conj() * parts[j:], self._kernels(kinds[j:] - kinds[j]))
            result[j:] -= part * potential
            if j + 1 < len(parts):
                result[j] -= (parts[j + 1 :] * potential[1:].conj()).sum(0)
        return result if phases is None else np.tile(result, (1, *self.basis.folds)) * phases

    def _folded(
        self, orbitals: ComplexArray, waves: FloatArray | ComplexArray
    ) -> tuple[FloatArray | ComplexArray, ComplexArray | None, npt.NDArray[np.int64]]:
        """p_i on one part of the cell, e^{iκ_i·r} on the grid and κ_i; where nothing is folded u_i, None and 0."""
        if self.basis.folds == (1, 1):
            return waves, None, np.zeros((len(waves), 2), np.int64)
        kinds = self.basis.kinds_of(orbitals)
        rows, columns = (np.arange(size) / size for size in self.basis.grid)
        turns = kinds[:, :1, None] * rows[:, None] + kinds[:, 1:, None] * columns
        phases = np.exp(2j * np.pi * turns)
        first, second = (size // parts for size, parts in zip(self.basis.grid, self.basis.folds, strict=True))
        return (waves * phases.conj())[:, :first, :second].copy(), phases, kinds

    def _kernels(self, kinds: npt.NDArray[np.int64]) -> FloatArray | None:
        """(U/A) v at κ + mQ for every momentum κ ``[n, 2]`` and all Q of a part: ``[n, part]``."""
        if self.basis.folds == (1, 1):
            return None
        own = [
            (kinds[:, axis, None] + parts * np.arange(size // parts)) % size
            for axis, (size, parts) in enumerate(zip(self.basis.grid, self.basis.folds, strict=True))
        ]
        kernels: FloatArray = self._coulomb[own[0][:, :, None], own[1][:, None, :]]
        return kernels

    def fock(self, orbitals: Orbitals) -> list[ComplexArray]:
        """The Fock operator within the basis, Hermitian matrices ``[n, n]`` per spin: row G, column G'.

        Args:
            orbitals: the orthonormal occupied ones, per spin.
        """
        occupied = [self.basis.to_grid(block) for block in orbitals]
        density = sum((np.abs(block) ** 2).sum(0) for block in occupied)
        potential = self._moire + self._screened(np.asarray(density, dtype=float)).real
        size, found = len(self.basis.momenta), []
        for block in occupied:
            rows = []
            for first in range(0, size, _ROWS):
                waves = self.basis.to_grid(np.eye(size, dtype=complex)[first : first + _ROWS])
                acted = potential * waves
                for wave in block:
                    acted -= wave * self._screened(wave.conj() * waves)
                rows.append(self.basis.from_grid(acted))
            matrix = np.concatenate(rows).T + np.diag(self.basis.kinetic)
            found.append(0.5 * (matrix + matrix.conj().T))
        return found

    def density(self, orbitals: Orbitals) -> FloatArray:
        """Electrons per a_M² on the FFT grid, ``[grid]``; element (i, j) at r = (i/n₁)A_1 + (j/n₂)A_2."""
        total = sum((np.abs(block) ** 2).sum(0) for block in self.on_grid(orbitals))
        return np.asarray(total, dtype=float) / self.hamiltonian.supercell.area

    def structure(self, orbitals: Orbitals, wave: FloatArray) -> tuple[float, float] | None:
        """|⟨ρ_q⟩|² and ⟨|ρ_q|²⟩ with ρ_q = (1/N) Σ_i e^{iq·r_i}, by Wick's theorem.

        ⟨|Σ_i e^{iq·r_i}|²⟩ = N + |n_q|² − Σ_{ij, like spins} |⟨φ_i|e^{iq·r}|φ_j⟩|².

        Args:
            orbitals: orthonormal amplitudes per spin.
            wave: q ``[2]`` in 1/a_M.

        Returns:
            The two numbers, or None where q is no wave vector of the supercell.
        """
        turns = wave @ self.hamiltonian.supercell.vectors.T / (2 * np.pi)
        if np.abs(turns - np.rint(turns)).max() > 1e-6:
            return None
        row = {(i, j): index for index, (i, j) in enumerate(self.basis.turns.tolist())}
        i, j = np.rint(turns).astype(int).tolist()
        source = np.array([row.get((a - i, b - j), -1) for a, b in self.basis.turns.tolist()])
        count, harmonic, exchanged = self.hamiltonian.count, 0.0 + 0.0j, 0.0
        for block in orbitals:
            moved = np.where(source >= 0, block[:, source], 0.0)
            overlaps = block.conj() @ moved.T
            harmonic += np.trace(overlaps)
            exchanged += float((np.abs(overlaps) ** 2).sum())
        mean = float(np.abs(harmonic) ** 2)
        return mean / count**2, (count + mean - exchanged) / count**2

    def symmetrised(self, amplitudes: ComplexArray) -> ComplexArray:
        """The real part of functions, in plane waves, if orbitals are to be real; else the functions themselves."""
        if not self.real:
            return amplitudes
        return 0.5 * (amplitudes + amplitudes[:, self._partners].conj())

    @cached_property
    def _partners(self) -> npt.NDArray[np.int64]:
        return self.basis.partners


def orthonormal(blocks: Sequence[ComplexArray]) -> tuple[Orbitals, list[ComplexArray]]:
    """Rows made orthonormal, X → S^{−1/2} X, with the matrices S^{−1/2} of each block (Löwdin).

    Of all orthonormal sets with the same span this one is closest to the rows given.
    """
    orbitals, roots = [], []
    for block in blocks:
        values, vectors = linalg.eigh(block.conj() @ block.T)
        root = (vectors / np.sqrt(values)) @ vectors.conj().T
        roots.append(root)
        orbitals.append(root.conj() @ block)
    return orbitals, roots
