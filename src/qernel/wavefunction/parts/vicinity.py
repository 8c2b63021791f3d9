"""What surrounds an electron: smooth functions of the distances to all others, the same in every cell.

    s_k(i) = Σ_j b_k(r_ij),    v_k(i) = Σ_j d_ij b_k(r_ij)/σ_k,    t_k(i) = Σ_j (d_ij d_ij − r²/2) b_k(r_ij)/σ_k²,
    b_k(r) = exp(−r²/2σ_k²)(1 − r²/L²)³

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
    """b_k, d b_k and (d d − r²/2) b_k of all pairs, each in units of its spread among independent electrons.

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
    def _moments(self) -> tuple[FloatArray, FloatArray]:
        return _moments(self.hamiltonian.density, self.hamiltonian.density / self.kinds, self.length)

    def __call__(self, positions: Array) -> PairFunctions:
        """Of positions ``[N, 2]``: q b of all widths and kinds, for each q of `harmonics`.

        q is a harmonic polynomial of degree m: ∇(q b) = b ∇q + 2q b' d and ∇²(q b) = q ((4 + 4m) b' + 4r² b''), primes
        by r².
        """
        cell, dtype = self.hamiltonian.supercell, positions.dtype
        sigma = widths(self.hamiltonian.density)
        images = jnp.asarray(cell.images(self.length), dtype)
        nearest = displacement(positions[:, None, :] - positions[None, :, :], cell.vectors)
        d = nearest[..., None, :] + images
        square = (d**2).sum(-1)
        bump, first, second = (jnp.moveaxis(part, -1, 0) for part in bumps(square, sigma, self.length))
        along = jnp.moveaxis(d, -1, 0)
        count = self.hamiltonian.count
        apart = jnp.asarray(1.0 - np.eye(count), dtype)
        masks = [jnp.asarray(kind, dtype) for kind in kinds_of(self.hamiltonian)]
        spreads = jnp.asarray(self._moments[1], dtype)
        parts: list[tuple[Array, Array, Array]] = []
        for degree, polynomial, gradient in harmonics(along):
            slope = polynomial * 2.0 * first * along[:, None] + bump * gradient[:, None]
            curvature = polynomial * ((4.0 + 4.0 * degree) * first + 4.0 * square * second)
            unit = 1.0 / spreads[degree][:, None, None]
            value, slope, curvature = (part.sum(-1) * unit for part in (polynomial * bump, slope, curvature))
            # An electron is none of its own neighbours, but its images are; they never come closer.
            value = value - (1.0 - apart) * unit if degree == 0 else value
            parts += [(value * mask, slope * apart * mask, curvature * apart * mask) for mask in masks]
        values, slopes, curvatures = zip(*parts, strict=True)
        return PairFunctions(jnp.concatenate(values), jnp.concatenate(slopes, axis=1), jnp.concatenate(curvatures))


def harmonics(d: Array) -> list[tuple[int, Array, Array]]:
    """1; x, y; x² − y², 2xy: what does not change, vectors, and tensors under rotations of d ``[2, ...]``.

    Returns:
        (degree, polynomial ``[...]``, its gradient ``[2, ...]``) of each.
    """
    x, y = d
    one, nothing = jnp.ones_like(x), jnp.zeros_like(x)
    return [
        (0, one, jnp.stack([nothing, nothing])),
        (1, x, jnp.stack([one, nothing])),
        (1, y, jnp.stack([nothing, one])),
        (2, x**2 - y**2, jnp.stack([2.0 * x, -2.0 * y])),
        (2, 2.0 * x * y, jnp.stack([2.0 * y, 2.0 * x])),
    ]


@cache
def _moments(density: float, kind: float, length: float) -> tuple[FloatArray, FloatArray]:
    """Of independent electrons: mean of s_k over its spread ``[K]``, spreads of q b_k by the degree of q ``[3, K]``.

    Args:
        density: of all electrons in 1/a_M², which says how wide b_k are.
        kind: of one kind of neighbours.
        length: L in a_M.
    """
    r = (np.arange(4000) + 0.5) / 4000 * length
    sigma = widths(density)[:, None]
    bump = np.exp(-0.5 * (r / sigma) ** 2) * (1.0 - (r / length) ** 2) ** 3
    ring = 2.0 * np.pi * r * kind * (length / 4000)
    # Components of vectors and tensors have half the square of their lengths.
    squares = [(share * (r**degree * bump) ** 2 * ring).sum(1) for degree, share in ((0, 1.0), (1, 0.5), (2, 0.5))]
    spreads = np.sqrt(squares)
    return (bump * ring).sum(1) / spreads[0], spreads
