"""Simulation cell in integers, Fourier coefficients of both potentials, Madelung constant. NumPy and SciPy only.

Written from the formulas, on purpose without importing qernel: results made with it are oracles for qernel.
Lengths in the moiré period a_M, energies in E0 = ħ²/(m a_M²).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import erfc

MOIRE = np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]])  # rows a_1, a_2
DEPTH, COUPLING, PHASE = 4.443709082419186, 10.623473362015782, np.pi / 4  # default material
CELLS = {"sqrt3": ((1, 1), (-1, 2)), "3x3": ((3, 0), (0, 3))}


@dataclass(frozen=True)
class Cell:
    """Periodic cell A_i = Σ_j S_ij a_j. A plane wave is an integer pair m, k = m·B with B_i·A_j = 2πδ_ij."""

    rows: tuple[tuple[int, int], tuple[int, int]]

    @cached_property
    def vectors(self) -> np.ndarray:
        """[2, 2], rows A_i."""
        return np.array(self.rows, float) @ MOIRE

    @cached_property
    def reciprocal(self) -> np.ndarray:
        """[2, 2], rows B_i."""
        return 2 * np.pi * np.linalg.inv(self.vectors).T

    @property
    def area(self) -> float:
        """Area of the cell."""
        return abs(np.linalg.det(self.vectors))

    @property
    def moire_cells(self) -> int:
        """Number of moiré cells."""
        return round(abs(np.linalg.det(np.array(self.rows, float))))

    def crystal_momentum(self, waves: np.ndarray) -> np.ndarray:
        """[..., 2] integers: κ·moire_cells mod moire_cells, for k = κ_1 b_1 + κ_2 b_2 with b_i·a_j = 2πδ_ij."""
        turns = waves @ self.reciprocal @ MOIRE.T / (2 * np.pi) * self.moire_cells
        return np.rint(turns).astype(int) % self.moire_cells

    def waves(self, cutoff: float) -> np.ndarray:
        """[n, 2] integer plane waves with k²/2 ≤ cutoff, lowest first."""
        reach = int(np.sqrt(2 * cutoff) * np.linalg.norm(self.vectors, axis=1).max() / (2 * np.pi)) + 1
        m = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), -1).reshape(-1, 2)
        kinetic = self.kinetic(m)
        m = m[kinetic <= cutoff]
        return m[np.lexsort((m[:, 1], m[:, 0], np.round(self.kinetic(m), 8)))]

    def kinetic(self, m: np.ndarray) -> np.ndarray:
        """k²/2 of integer waves [..., 2]."""
        return 0.5 * ((m @ self.reciprocal) ** 2).sum(-1)

    def coulomb(self, m: np.ndarray) -> np.ndarray:
        """2π/(A|q|) of integer waves [..., 2], zero at q = 0 (neutralising background)."""
        q = np.sqrt(2 * self.kinetic(m))
        return np.divide(2 * np.pi / self.area, q, out=np.zeros_like(q), where=q > 1e-12)

    @cached_property
    def moire_waves(self) -> np.ndarray:
        """[3, 2] integers of g_1 = (4π/√3)(0, 1) and its turns by 120° and 240°."""
        angle = np.pi / 2 + 2 * np.pi / 3 * np.arange(3)
        g = 4 * np.pi / np.sqrt(3) * np.stack([np.cos(angle), np.sin(angle)], -1)
        return np.rint(g @ self.vectors.T / (2 * np.pi)).astype(int)

    @cached_property
    def madelung(self) -> float:
        """ξ = lim_{r→0} [v(r) − 1/r] by Ewald summation."""
        eta = 2.0 / np.sqrt(self.area)
        m = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 2, indexing="ij"), -1).reshape(-1, 2)
        m = m[(m != 0).any(1)]
        r, q = np.linalg.norm(m @ self.vectors, axis=1), np.linalg.norm(m @ self.reciprocal, axis=1)
        waves = 2 * np.pi / self.area * (erfc(q / (2 * eta)) / q).sum()
        return (erfc(eta * r) / r).sum() + waves - 2 * np.sqrt(np.pi) / (self.area * eta) - 2 * eta / np.sqrt(np.pi)
