"""Ewald sums of interactions that are mixtures of Gaussians, for any values of their parameters.

An interaction of two charges in empty space is written as

    v_∞(r) = (2/√π) ∫₀^∞ s(u) e^{−u²r²} du,        v_∞(q) = 2√π ∫₀^∞ s(u) e^{−q²/4u²} du/u²,

with a weight s(u), 1 for 1/r. Cut at the splitting parameter η, the narrow Gaussians u > η make a part S(r) that has
died out at r = 6.2/η, and the wide ones a smooth part L whose Fourier components have died out at q = 12.4 η, whatever
s is:

    v(r) = Σ_R S(r + R) + (1/A) Σ_{q≠0} L(q) cos q·r − S(q = 0)/A,    S(r) = v_∞(r) − L(r).

So an interaction needs v_∞(r) in closed form and s(u). L(r) is a polynomial in r² between 0 and 6.2/η, and it, L(q) and
S(q = 0) are linear in s at fixed nodes: parameters enter through s alone, and may be traced.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.polynomial import chebyshev, legendre

from qernel.hamiltonian.ewald import REACH, half_waves, pair_waves, usual_splitting
from qernel.lattice import FloatArray, Supercell, displacement, lattice_points

if TYPE_CHECKING:
    from qernel.hamiltonian.parameters import Constants
    from qernel.hamiltonian.terms.base import Values
    from qernel.hamiltonian.terms.gaussian import GaussianPair

_DEPTH, _ORDER = 24, 14
"""Panels of the integrals over u, each half as long as the next, and Gauss points in each: s may vary at any scale of u
from 1e-7 η to 1e7 η."""

_DEGREE = 44
"""Of the polynomial for L(r): 2e-16 is left of e^{−38 y} on [0, 1]."""


class Nodes(NamedTuple):
    """Points of (0, 1], dense at 0, and their weights in an integral over it, ``[m]`` each."""

    points: FloatArray
    weights: FloatArray


def graded_nodes() -> Nodes:
    """Gauss–Legendre points on the panels (2^{−k−1}, 2^{−k}) of (0, 1]."""
    x, w = legendre.leggauss(_ORDER)
    edges = np.concatenate([[0.0], 2.0 ** -np.arange(_DEPTH, -1, -1.0)])
    low, length = edges[:-1, None], np.diff(edges)[:, None]
    return Nodes((low + length * (x + 1) / 2).ravel(), (length * w / 2).ravel())


def clenshaw(x: Array, coefficients: Array) -> Array:
    """Σ_k c_k T_k(x) for x ``[...]`` and coefficients ``[k]``."""
    after, now = jnp.zeros_like(x), jnp.zeros_like(x)
    for k in range(len(coefficients) - 1, 0, -1):
        now, after = 2.0 * x * now - after + coefficients[k], now
    return x * now - after + coefficients[0]


def _typed(values: Values, dtype: Any) -> dict[str, Any]:
    """Traced values in the precision of what they are combined with; numbers are as precise as asked for anyway."""
    return {
        name: value.astype(dtype) if isinstance(value, jax.core.Tracer) else value for name, value in values.items()
    }


@lru_cache(maxsize=4096)
def lower_bound(term: GaussianPair, values: Constants, density: float) -> float:
    """What (Σ_{i<j} v + ½Nξ)/N cannot be below: −½[L(0) + n S(q=0)] and half of `GaussianPair.own`, in 1/a_M.

    S ≥ 0 and L(q) ≥ 0 for weights s ≥ 0: pairs cannot gain more from L than ½N L(0), nor more from S than its
    background. The largest of these bounds is that of η = √(πn), for every s.

    Args:
        term: the interaction.
        values: of its parameters but its strength.
        density: n, electrons per a_M².
    """
    eta = np.sqrt(np.pi * density)
    points, weights = graded_nodes()
    wide = eta * (np.asarray(term.weight(jnp.asarray(eta * points), values)) @ weights)
    narrow = np.asarray(term.weight(jnp.asarray(eta / points), values)) @ weights / eta
    total = 2.0 / np.sqrt(np.pi) * wide + density * 2.0 * np.sqrt(np.pi) * narrow
    return float(0.5 * (np.asarray(term.own(values)) - total))


@dataclass(frozen=True)
class PeriodicMixture:
    """v(r) of one supercell, with its self-image constant ξ = lim_{r→0} [v(r) − v_∞(r)] + `GaussianPair.own`.

    Attributes:
        supercell: the simulation cell.
        term: the interaction.
        splitting: η in 1/a_M; results do not depend on it.
    """

    supercell: Supercell
    term: GaussianPair
    splitting: float | None = None

    @property
    def _eta(self) -> float:
        return self.splitting or usual_splitting(self.supercell)

    @property
    def _cut(self) -> float:
        """Where S(r) has died out, in a_M."""
        return REACH / self._eta

    @cached_property
    def _images(self) -> FloatArray:
        return self.supercell.images(self._cut)

    @cached_property
    def _distances(self) -> FloatArray:
        """|R| up to where S has died out, 0 first."""
        distance = np.linalg.norm(lattice_points(self.supercell.vectors, self._cut), axis=1)
        return distance[distance < self._cut]

    @cached_property
    def _waves(self) -> FloatArray:
        """One of each pair ±q, ``[n, 2]``."""
        return half_waves(self.supercell, 2.0 * self._eta * REACH)

    @cached_property
    def _wide(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Nodes u < η, and what takes s there to 2L(q)/A ``[n, m]``, coefficients of L(r) ``[k, m]`` and Σ_R L(R)."""
        points, weights = graded_nodes()
        u = self._eta * points
        q = np.linalg.norm(self._waves, axis=1)
        # e^{−q²/4u²}/u² is below e^{−400} where its exponent is cut.
        gaussians = np.exp(-np.minimum(q[:, None] ** 2 / (4 * u**2), 700.0)) / u**2
        waves = 4.0 * np.sqrt(np.pi) / self.supercell.area * self._eta * weights * gaussians
        square = 0.5 * (chebyshev.chebpts1(_DEGREE) + 1.0) * self._cut**2
        samples = 2.0 / np.sqrt(np.pi) * self._eta * weights * np.exp(-square[:, None] * u**2)
        polynomial = chebyshev.chebfit(chebyshev.chebpts1(_DEGREE), samples, _DEGREE - 1)
        lattice = np.exp(-(self._distances[:, None] ** 2) * u**2).sum(0)
        return u, waves, polynomial, 2.0 / np.sqrt(np.pi) * self._eta * weights * lattice

    @cached_property
    def _narrow(self) -> tuple[FloatArray, FloatArray]:
        """Nodes u > η, and what takes s there to S(q = 0)/A."""
        points, weights = graded_nodes()
        return self._eta / points, 2.0 * np.sqrt(np.pi) / (self._eta * self.supercell.area) * weights

    def _pieces(self, values: Values) -> tuple[Array, Array, Array, Array]:
        """2L(q)/A of every wave, coefficients of L(r), Σ_R L(R) and S(q = 0)/A, in double precision."""
        u, waves, polynomial, lattice = self._wide
        nodes, background = self._narrow
        values = _typed(values, np.float64)
        wide, narrow = (self.term.weight(jnp.asarray(points), values) for points in (u, nodes))
        return (
            jnp.asarray(waves) @ wide,
            jnp.asarray(polynomial) @ wide,
            jnp.asarray(lattice) @ wide,
            jnp.asarray(background) @ narrow,
        )

    def _real_space(self, r: Array, polynomial: Array, values: Values) -> Array:
        """Σ over images of S for displacements ``[..., 2]`` folded into the cell."""
        square = ((r[..., None, :] + jnp.asarray(self._images, r.dtype)) ** 2).sum(-1)
        inside = square < self._cut**2
        safe = jnp.where(inside, square, 0.5 * self._cut**2)
        smooth = clenshaw(2.0 / self._cut**2 * safe - 1.0, polynomial.astype(r.dtype))
        radial = self.term.radial(jnp.sqrt(safe), _typed(values, r.dtype))
        return jnp.where(inside, radial - smooth, 0.0).sum(-1)

    def __call__(self, difference: Array, values: Values) -> Array:
        """v(r_i − r_j) ``[...]`` in 1/a_M for differences ``[..., 2]``."""
        dtype = difference.dtype
        waves, polynomial, _, background = self._pieces(values)
        r = displacement(difference, self.supercell.vectors)
        phases = r @ jnp.asarray(self._waves.T, dtype)
        long = jnp.cos(phases) @ waves.astype(dtype) - background.astype(dtype)
        return self._real_space(r, polynomial, values) + long

    def energy(self, positions: Array, values: Values) -> Array:
        """Σ_{i<j} v(r_i − r_j) of a configuration ``[N, 2]`` in 1/a_M."""
        n, dtype = positions.shape[0], positions.dtype
        waves, polynomial, _, background = self._pieces(values)
        i, j = np.triu_indices(n, 1)
        near = self._real_space(displacement(positions[i] - positions[j], self.supercell.vectors), polynomial, values)
        long = pair_waves(positions, self._waves) @ waves.astype(dtype) - background.astype(dtype) * (n * (n - 1) // 2)
        return near.sum() + long

    def fourier(self, q: FloatArray, values: Values) -> FloatArray:
        """v_∞(q) in a_M for wave numbers ``[...]`` in 1/a_M: A times the components of v, 0 at q = 0."""
        safe = np.where(q > 0, q, 1.0)
        components: FloatArray = np.where(q > 0, np.asarray(self.term.transform(jnp.asarray(safe), values)), 0.0)
        return components

    def self_image(self, values: Values) -> Array:
        """ξ in 1/a_M: Σ_{R≠0} S(R) + (1/A) Σ_{q≠0} L(q) − S(q = 0)/A − L(r = 0), and what is an electron's own."""
        values = _typed(values, np.float64)
        waves, _, smooth, background = self._pieces(values)
        # As constants they would lead XLA to rewrite polynomials of a few numbers in circles, and to complain.
        inside = jax.lax.optimization_barrier(jnp.asarray(self._distances[1:]))
        near = self.term.radial(inside, values).sum()
        return jnp.asarray(near + waves.sum() - background - smooth + self.term.own(values))

    def require(self, values: Values) -> None:
        """Nothing is refused: the sums converge for all values."""
