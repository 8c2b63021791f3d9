"""Plane waves of the supercell below a kinetic cut-off, and the FFT grid that carries their products."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import fft

from qernel.lattice import ComplexArray, FloatArray, Supercell, lattice_points

OVERSAMPLING = 1.5
"""The grid carries wave vectors up to this multiple of the largest plane wave; 2 would be every product of two.

Products beyond fold back onto the grid. They are products of two amplitudes at the far end of the basis, so that
this changes energies by far less than the basis itself does (`tests/test_hartree_fock.py`).
"""


@dataclass(frozen=True)
class PlaneWaves:
    """The functions e^{i(G + k_t)·r}/√A with kinetic energy up to the cut-off.

    Attributes:
        supercell: the simulation cell.
        cutoff: largest kinetic energy ½|G + k_t|² in E0.
        twist_momentum: k_t in 1/a_M.
        oversampling: see `OVERSAMPLING`.
        folds: equal parts of each supercell vector that the grid can be cut into; `kinds` belong to these.
        turns: integer coordinates of G on the reciprocal vectors of the supercell, ``[n, 2]``.
        momenta: G + k_t, ``[n, 2]`` in 1/a_M.
        grid: points of the FFT grid along each supercell vector.
    """

    supercell: Supercell
    cutoff: float
    twist_momentum: tuple[float, float] = (0.0, 0.0)
    oversampling: float = OVERSAMPLING
    folds: tuple[int, int] = (1, 1)
    turns: npt.NDArray[np.int64] = field(init=False, repr=False, compare=False)
    momenta: FloatArray = field(init=False, repr=False, compare=False)
    grid: tuple[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shift, radius = np.asarray(self.twist_momentum), float(np.sqrt(2.0 * self.cutoff))
        waves = lattice_points(self.supercell.reciprocal, radius + float(np.linalg.norm(shift)))
        waves = waves[0.5 * ((waves + shift) ** 2).sum(1) <= self.cutoff * (1 + 1e-12)]
        turns = np.rint(waves @ self.supercell.vectors.T / (2 * np.pi)).astype(np.int64)
        reach = radius * np.linalg.norm(self.supercell.vectors, axis=1) / (2 * np.pi)
        least = [int(np.ceil(2 * self.oversampling * m)) + 1 for m in reach]
        sizes = [parts * fft.next_fast_len(-(-size // parts)) for size, parts in zip(least, self.folds, strict=True)]
        object.__setattr__(self, "turns", turns)
        object.__setattr__(self, "momenta", waves + shift)
        object.__setattr__(self, "grid", (sizes[0], sizes[1]))

    @property
    def kinetic(self) -> FloatArray:
        """½|G + k_t|² of every plane wave, ``[n]`` in E0."""
        energies: FloatArray = 0.5 * (self.momenta**2).sum(1)
        return energies

    @property
    def kinds(self) -> npt.NDArray[np.int64]:
        """Momentum of every plane wave for translations by A_i/m_i: ``turns`` modulo ``folds``, ``[n, 2]``."""
        return self.turns % np.array(self.folds)

    def kinds_of(self, orbitals: ComplexArray) -> npt.NDArray[np.int64]:
        """That of functions ``[m, n]`` which have one each, ``[m, 2]``."""
        return self.kinds[(np.abs(orbitals) ** 2).argmax(1)]

    @property
    def partners(self) -> npt.NDArray[np.int64]:
        """Index of −G for every G, ``[n]``; only without a twist."""
        row = {(i, j): index for index, (i, j) in enumerate(self.turns.tolist())}
        return np.array([row[-i, -j] for i, j in self.turns.tolist()])

    def to_grid(self, amplitudes: ComplexArray) -> ComplexArray:
        """Σ_G c_G e^{iG·r} on the grid: amplitudes ``[m, n]`` → ``[m, grid]``."""
        box = np.zeros((len(amplitudes), *self.grid), dtype=complex)
        box[:, self.turns[:, 0], self.turns[:, 1]] = amplitudes
        values: ComplexArray = fft.ifft2(box, norm="forward", overwrite_x=True)
        return values

    def from_grid(self, values: ComplexArray | FloatArray) -> ComplexArray:
        """The part of functions on the grid that lies in the basis: ``[m, grid]`` → ``[m, n]``."""
        box = fft.fft2(values, norm="forward")
        amplitudes: ComplexArray = box[:, self.turns[:, 0], self.turns[:, 1]]
        return amplitudes

    def grid_waves(self) -> FloatArray:
        """Wave vectors that the grid carries, ``[grid, 2]``, in the order of the FFT."""
        rows, columns = (np.fft.fftfreq(size, 1.0 / size) for size in self.grid)
        turns = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
        waves: FloatArray = turns @ self.supercell.reciprocal
        return waves

    def grid_points(self) -> FloatArray:
        """Positions of the grid points, ``[grid, 2]`` in a_M."""
        rows, columns = (np.arange(size) / size for size in self.grid)
        points: FloatArray = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1) @ self.supercell.vectors
        return points

    def embed(self, amplitudes: ComplexArray, smaller: PlaneWaves) -> ComplexArray:
        """Amplitudes ``[m, n']`` of another basis of the same cell, on this one; what does not fit is dropped."""
        row = {(i, j): index for index, (i, j) in enumerate(self.turns.tolist())}
        target = np.array([row.get((i, j), -1) for i, j in smaller.turns.tolist()])
        result = np.zeros((len(amplitudes), len(self.turns)), dtype=complex)
        result[:, target[target >= 0]] = amplitudes[:, target >= 0]
        return result
