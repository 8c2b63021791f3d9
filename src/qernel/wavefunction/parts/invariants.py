"""What a network may see of a configuration: numbers that all symmetries of the Hamiltonian leave as they are.

Each electron i has the one-body factors c_a(r_i) of `many_body.Potential`, what surrounds it (`vicinity`), s_k and v_k,
and products of these. Translations by the moiré lattice, rotations and reflections of the potential and the exchange
of electrons change none of them but by the order of the electrons; nothing knows where the origin is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet, columns, concatenate, contract, pointwise
from qernel.laplacian.pairs import PairFunctions, gathered
from qernel.wavefunction.parts.many_body import Potential, potential_of
from qernel.wavefunction.parts.vicinity import Vicinity


class Seen(NamedTuple):
    """One configuration as a network sees it.

    Attributes:
        scalars: invariants of every electron ``[N, f]``.
        vectors: v_k and ∇c_a of every electron ``[N, 2, K + A]``, which rotate with the configuration.
        pairs: the scalar functions of all pairs (`Vicinity`).
    """

    scalars: Any
    vectors: Any
    pairs: PairFunctions


@dataclass(frozen=True)
class Invariants:
    """Invariants up to the third order in the distances of electrons.

    Attributes:
        hamiltonian: the system.
        length: range of the functions of the distances in a_M.
    """

    hamiltonian: Hamiltonian
    length: float

    @property
    def vicinity(self) -> Vicinity:
        """The functions of the distances."""
        return Vicinity(self.hamiltonian, self.length)

    @property
    def potential(self) -> Potential:
        """The shape of the one-body terms."""
        return potential_of(self.hamiltonian)

    @property
    def count(self) -> int:
        """Number f of invariants of an electron."""
        k, a = self.vicinity.scalars, self.potential.factors
        return a + k + a * (a + 1) // 2 + k * (k + 1) + 2 * a * k

    @property
    def vectors(self) -> int:
        """Number of vectors of an electron."""
        return self.vicinity.scalars + self.potential.factors

    def __call__(self, positions: Array | Jet) -> Seen:
        """Of positions ``[N, 2]`` in a_M, or of their seed jet."""
        carried = isinstance(positions, Jet)
        x = positions.value if isinstance(positions, Jet) else positions
        k, a = self.vicinity.scalars, self.potential.factors
        functions = self.vicinity(x)
        near = gathered(functions, carried=carried)
        s = bounded(columns(near, 0, k, (k,)) + jnp.asarray(-self.vicinity.mean, x.dtype))
        v = _shortened(columns(near, k, 3 * k, (2, k)))
        scalars, vectors = [s], [v]
        if a:
            factors = self._factors(positions)
            c, gradients = columns(factors, 0, a, (a,)), columns(factors, a, 3 * a, (2, a))
            scalars = [c, s, _products(c, c), _outer(c, s), _dots(gradients, v)]
            vectors.append(gradients)
        scalars += [_products(s, s), _summed(_products(v, v))]
        return Seen(concatenate(scalars), concatenate(vectors), functions.chosen(slice(0, k)))

    def _factors(self, positions: Array | Jet) -> Any:
        """c_a and the components of ∇c_a, each of unit spread over the cell: ``[N, 3 A]``, local."""
        waves, weights, phases = self.potential
        spread = np.sqrt(0.5 * (weights**2).sum())
        slope = np.sqrt(0.25 * ((weights[:, None] * waves) ** 2).sum())
        angles = contract("nx,xg->ng", positions, jnp.asarray(waves.T, positions.dtype))
        angles = angles + jnp.asarray(phases, positions.dtype)
        even, odd, nothing = weights / spread, weights / slope, np.zeros_like(weights)
        # ∇ cos = −g sin, ∇ sin = g cos.
        from_cos = np.stack([even, nothing, *(part for g in waves.T for part in (nothing, odd * g))], axis=1)
        from_sin = np.stack([nothing, even, *(part for g in waves.T for part in (-odd * g, nothing))], axis=1)
        cos, sin = pointwise(jnp.cos, angles), pointwise(jnp.sin, angles)
        tables = [jnp.asarray(table, positions.dtype) for table in (from_cos, from_sin)]
        return contract("ng,gf->nf", cos, tables[0]) + contract("ng,gf->nf", sin, tables[1])


_MOST = 3.0
"""What invariants cannot exceed, in units of their spread among independent electrons."""


def bounded(x: Any) -> Any:
    """x/(1 + x²/c²)^½: itself where it is small, within ±c where electrons crowd.

    Without it products in log ψ grow without bound there, and chains that start spread over the cell do not come back.
    """
    return pointwise(lambda y: y * jax.lax.rsqrt(1.0 + (y / _MOST) ** 2), x)


def _shortened(v: Any) -> Any:
    """The same for the lengths of vectors ``[N, 2, m]``."""
    factor = pointwise(lambda y: jax.lax.rsqrt(1.0 + y / _MOST**2), _summed(v * v))
    return v * columns(factor, 0, v.shape[-1], (1, v.shape[-1]))


def _picked(x: Any, index: np.ndarray) -> Any:
    """Entries of the last axis."""
    return Jet(x.data[..., index], x.owners) if isinstance(x, Jet) else x[..., index]


def _products(a: Any, b: Any) -> Any:
    """a_k a_l for k ≤ l."""
    k, m = np.triu_indices(a.shape[-1])
    return _picked(a, k) * _picked(b, m)


def _summed(x: Any) -> Any:
    """The sum over the components of ``[N, 2, m]``."""
    if isinstance(x, Jet):
        return Jet(x.data.sum(-2), x.owners)
    return x.sum(-2)


def _outer(a: Any, b: Any) -> Any:
    """a_k b_l, the second index fastest."""
    k, m = np.divmod(np.arange(a.shape[-1] * b.shape[-1]), b.shape[-1])
    return _picked(a, k) * _picked(b, m)


def _dots(a: Any, b: Any) -> Any:
    """a_k·b_l of vectors ``[N, 2, m]``."""
    return _summed(_outer(a, b))
