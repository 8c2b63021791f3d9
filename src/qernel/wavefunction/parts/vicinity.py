"""What surrounds an electron: smooth functions of the distances to all others, the same in every cell.

    s_k(i) = Σ_j b_k(r_ij),    v_k(i) = Σ_j d_ij b_k(r_ij)/σ_k,    b_k(r) = exp(−r²/2σ_k²)(1 − r²/L²)³

Where the range L is longer than the inscribed radius of a supercell, the sums go over the images of all electrons, its
own too: an electron of a crystal sees the same crystal in every cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.pairs import PairFunctions
from qernel.lattice import FloatArray, displacement
from qernel.wavefunction.parts.radial import bumps

WIDTHS = (0.26, 0.44, 0.70, 1.14)
"""σ_k over the mean distance n^(−1/2) of electrons: the same functions of the neighbourhood at every density."""


def widths(density: float) -> FloatArray:
    """σ_k in a_M at a density in 1/a_M²."""
    return np.asarray(WIDTHS) / np.sqrt(density)


def kinds_of(hamiltonian: Hamiltonian) -> list[npt.NDArray[np.bool_]]:
    """Which pairs are like, an electron and itself too, and where there are two spin species unlike ones ``[N, N]``."""
    up, down = hamiltonian.electrons
    spin = np.arange(up + down) >= up
    same = spin[:, None] == spin[None, :]
    return [same, ~same] if down else [same]


@dataclass(frozen=True)
class Vicinity:
    """The functions b_k and d b_k/σ_k of all pairs, each in units of its spread among independent electrons.

    Attributes:
        hamiltonian: electrons and supercell.
        length: L in a_M.
    """

    hamiltonian: Hamiltonian
    length: float

    @property
    def kinds(self) -> int:
        """Kinds of neighbours: like, and where there are two spin species unlike ones."""
        return 2 if self.hamiltonian.electrons[1] else 1

    @property
    def scalars(self) -> int:
        """Number of functions b_k, for all kinds of neighbours."""
        return len(WIDTHS) * self.kinds

    @property
    def mean(self) -> FloatArray:
        """Σ_j b_k of independent electrons, in units of its spread ``[scalars]``."""
        return np.tile(self._moments[0], self.kinds)

    @property
    def _moments(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        return _moments(self.hamiltonian.density, self.hamiltonian.density / self.kinds, self.length)

    def __call__(self, positions: Array) -> PairFunctions:
        """Of positions ``[N, 2]``: b of all widths and kinds, then the x components of d b/σ, then the y components.

        ∇b = 2b'd, ∇²b = 4b' + 4r²b'', ∇²(d b) = d (8b' + 4r²b''), primes by r².
        """
        cell, dtype = self.hamiltonian.supercell, positions.dtype
        sigma = widths(self.hamiltonian.density)
        images = jnp.asarray(cell.images(self.length), dtype)
        nearest = displacement(positions[:, None, :] - positions[None, :, :], cell.vectors)
        d = nearest[..., None, :] + images
        square = (d**2).sum(-1)
        bump, first, second = (jnp.moveaxis(part, -1, 0) for part in bumps(square, sigma, self.length))
        bend = 4.0 * square * second
        along = jnp.moveaxis(d, -1, 0)
        flat = [(bump, 2.0 * first * along[:, None], 4.0 * first + bend)]
        for axis in (0, 1):
            slope = 2.0 * first * along[:, None] * along[axis]
            flat.append((along[axis] * bump, slope.at[axis].add(bump), along[axis] * (8.0 * first + bend)))
        count = self.hamiltonian.count
        apart = jnp.asarray(1.0 - np.eye(count), dtype)
        masks = [jnp.asarray(kind, dtype) for kind in kinds_of(self.hamiltonian)]
        _, spread, vector = (jnp.asarray(part, dtype) for part in self._moments)
        parts: list[tuple[Array, Array, Array]] = []
        for index, (value, slope, curvature) in enumerate(flat):
            unit = (1.0 / spread if index == 0 else 1.0 / vector)[:, None, None]
            value, slope, curvature = (part.sum(-1) * unit for part in (value, slope, curvature))
            # An electron is none of its own neighbours, but its images are; they never come closer.
            value = value - (1.0 - apart) * unit if index == 0 else value * apart
            parts += [(value * mask, slope * apart * mask, curvature * apart * mask) for mask in masks]
        values, slopes, curvatures = zip(*parts, strict=True)
        return PairFunctions(jnp.concatenate(values), jnp.concatenate(slopes, axis=1), jnp.concatenate(curvatures))


@cache
def _moments(density: float, kind: float, length: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean of s_k over its spread, its spread, and that of a component of d b_k, for independent electrons ``[K]``.

    Args:
        density: of all electrons in 1/a_M², which says how wide b_k are.
        kind: of one kind of neighbours.
        length: L in a_M.
    """
    r = (np.arange(4000) + 0.5) / 4000 * length
    sigma = widths(density)[:, None]
    bump = np.exp(-0.5 * (r / sigma) ** 2) * (1.0 - (r / length) ** 2) ** 3
    ring = 2.0 * np.pi * r * kind * (length / 4000)
    spread = np.sqrt((bump**2 * ring).sum(1))
    return (bump * ring).sum(1) / spread, spread, np.sqrt((0.5 * (r * bump) ** 2 * ring).sum(1))
