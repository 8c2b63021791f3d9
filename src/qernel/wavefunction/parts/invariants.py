"""What a network may see of a configuration: numbers that all symmetries of the Hamiltonian leave as they are.

Each electron i has the one-body factors c_a(r_i) of `many_body.Potential`, what surrounds it (`vicinity`), s_k, v_k and
t_k, what surrounds its neighbours, w_kl = Σ_j b_k(r_ij) v_l(j), and products of these. Translations by the moiré
lattice, rotations and reflections of the potential and the exchange of electrons change none of them but by the order
of the electrons; nothing knows where the origin is.

All but w_kl are functions of 5K + 2 numbers of the electron: what surrounds it, and its place. Of many electrons they
are differentiated by these numbers (`laplacian.own`), of few by the coordinates of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet, columns, concatenate, contract, pointwise
from qernel.laplacian.own import Own, own
from qernel.laplacian.pairs import PairFunctions, gathered, messages
from qernel.laplacian.short import summed
from qernel.wavefunction.parts.many_body import Potential, potential_of
from qernel.wavefunction.parts.vicinity import Vicinity

_MANY = 32
"""Electrons from which on derivatives go by an electron's own 5K + 2 numbers: 22 directions in place of 2N."""


class Seen(NamedTuple):
    """One configuration as a network sees it.

    Attributes:
        scalars: invariants of every electron ``[N, f]``.
        vectors: v_k, w_kl, t_k·v_l, ∇c_a and t_k·∇c_a of every electron ``[N, 2, n]``; they rotate with the
            configuration.
        pairs: the scalar functions of all pairs (`Vicinity`).
    """

    scalars: Any
    vectors: Any
    pairs: PairFunctions

    def read(self, weights: Array) -> Any:
        """The invariants times weights ``[f, c]``: ``[N, c]``."""
        return contract("nf,fc->nc", self.scalars, weights)

    def along(self, features: Any, weights: Array, bias: Array) -> Any:
        """The sum of the vectors, each times what features ``[N, c]`` say with weights ``[c, n]``: ``[N, 2]``."""
        return contract("nxv,nv->nx", self.vectors, contract("nc,cv->nv", features, weights) + bias)


class Carried(NamedTuple):
    """The same with derivatives, none of an invariant or vector before it is read.

    Attributes:
        scalars: invariants that the electron's own numbers decide, ``[N, f']``.
        vectors: all but w_kl, ``[N, 2, n']``.
        slopes: ∇c_a ``[N, 2, A]`` as functions of the place; their products with w_kl are the other invariants.
        passed: w_kl ``[N, 2, k l]``, a dense jet.
        pairs: the scalar functions of all pairs.
    """

    scalars: Own
    vectors: Own
    slopes: Own
    passed: Jet
    pairs: PairFunctions

    def read(self, weights: Array) -> Jet:
        """See `Seen.read`: Σ_a ∇c_a·w_kl with weights is w_kl times functions of the place."""
        directions, messages = self.passed.shape[1:]
        alone, crossed = jnp.split(weights, [self.scalars.functions.value.shape[-1]])
        found = self.scalars.mapped(lambda part: part @ alone).carried()
        if not crossed.size:
            return found
        crossed = crossed.reshape(-1, messages, crossed.shape[-1])

        def folded(part: Array) -> Array:
            product = jnp.einsum("...nxa,amc->...ncxm", part, crossed)
            return product.reshape(*product.shape[:-2], directions * messages)

        return found + self.slopes.mapped(folded).weighted(_flat(self.passed))

    def along(self, features: Jet, weights: Array, bias: Array) -> Jet:
        """See `Seen.along`."""
        first, last = len(self.pairs.values), len(self.pairs.values) + self.passed.shape[-1]
        passed = np.isin(np.arange(len(bias)), np.arange(first, last))
        heard = contract("nc,cv->nv", features, weights[:, passed]) + bias[passed]
        moved = summed(self.passed, columns(heard, 0, heard.shape[-1], (1, heard.shape[-1])), -1)
        # Weights belong to the vectors: amounts of these need no derivatives.
        others, constant = weights[:, ~passed], bias[~passed]
        moved = moved + self.vectors.mapped(lambda part: part @ others.T).weighted(features)
        found: Jet = moved + self.vectors.mapped(lambda part: part @ constant).carried()
        return found


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
        pairs = k * (k + 1) // 2
        alone = a + a * (a + 1) // 2 + 3 * a * k + a * k * k
        return k + 3 * pairs + k * pairs + alone

    @property
    def vectors(self) -> int:
        """Number of vectors of an electron."""
        k, a = self.vicinity.scalars, self.potential.factors
        return k + 2 * k * k + a + a * k

    def __call__(self, positions: Array | Jet) -> Seen | Carried:
        """Of positions ``[N, 2]`` in a_M, or of their seed jet."""
        x = positions.value if isinstance(positions, Jet) else positions
        k = self.vicinity.scalars
        functions = self.vicinity(x)
        pairs = functions.chosen(slice(0, k))
        near = gathered(functions, carried=isinstance(positions, Jet))
        w = _shortened(_passed(pairs, _shortened(columns(near, k, 3 * k, (2, k)))))
        if isinstance(positions, Jet) and len(x) >= _MANY:
            place = positions.dense()
            numbers = concatenate([near, place])
            scalars, vectors = own(lambda b: self._alone(b[:, : 5 * k], b[:, 5 * k :]), numbers)
            return Carried(scalars, vectors, own(self._slopes, place), w, pairs)
        scalars, vectors = self._alone(near, positions)
        last = vectors.shape[-1]
        v, others = columns(vectors, 0, k, (k,)), columns(vectors, k, last, (last - k,))
        return Seen(concatenate([scalars, _dots(self._slopes(positions), w)]), concatenate([v, w, others]), pairs)

    def _alone(self, near: Any, place: Any) -> tuple[Any, Any]:
        """Invariants ``[N, f']`` and vectors ``[N, 2, n']`` of what is near, ``[N, 5 K]``, and of the place."""
        k, a = self.vicinity.scalars, self.potential.factors
        s = bounded(columns(near, 0, k, (k,)) + jnp.asarray(-self.vicinity.mean, near.dtype))
        v, t = (_shortened(columns(near, m * k, (m + 2) * k, (2, k))) for m in (1, 3))
        turned = _shortened(_turned(t, v))
        first, second = np.triu_indices(k)
        bent = _summed(_picked(turned, (np.arange(k)[:, None] * k + first).ravel()) * _picked(v, np.tile(second, k)))
        # Of the third order, and so without the long tails that would let few configurations decide an update.
        bent = (1.0 / _MOST) * bent
        scalars = [s, _products(s, s), _summed(_products(v, v)), _summed(_products(t, t)), bent]
        vectors = [v, turned]
        if a:
            factors = self._factors(place)
            c = columns(factors, 0, a, (a,))
            g, h = (columns(factors, m * a, (m + 2) * a, (2, a)) for m in (1, 3))
            scalars += [c, _products(c, c), _outer(c, s), _dots(g, v), _dots(h, t)]
            vectors += [g, _shortened(_turned(t, g))]
        return concatenate(scalars), concatenate(vectors)

    def _slopes(self, place: Any) -> Any:
        """∇c_a of unit spread at places ``[N, 2]``: ``[N, 2, A]``."""
        a = self.potential.factors
        return columns(self._factors(place), a, 3 * a, (2, a))

    def _factors(self, positions: Any) -> Any:
        """c_a and the components of ∇c_a and ∇∇c_a, each of unit spread over the cell: ``[N, 5 A]``, local."""
        waves, weights, phases = self.potential
        angles = contract("nx,xg->ng", positions, jnp.asarray(waves.T, positions.dtype))
        angles = angles + jnp.asarray(phases, positions.dtype)
        lengths = np.linalg.norm(waves, axis=1)
        flat, slope, bend = (
            np.sqrt(share * (weights**2 * lengths**m).sum()) for m, share in ((0, 0.5), (2, 0.25), (4, 0.25))
        )
        even, nothing = weights / flat, np.zeros_like(weights)
        from_cos, from_sin = [even, nothing], [nothing, even]
        # ∇ cos = −g sin, ∇ sin = g cos.
        for g in waves.T:
            from_cos += [nothing, g * weights / slope]
            from_sin += [-g * weights / slope, nothing]
        for gg in (waves[:, 0] ** 2 - waves[:, 1] ** 2, 2.0 * waves[:, 0] * waves[:, 1]):
            from_cos += [-gg * weights / bend, nothing]
            from_sin += [nothing, -gg * weights / bend]
        cos, sin = pointwise(jnp.cos, angles), pointwise(jnp.sin, angles)
        tables = [jnp.asarray(np.stack(table, axis=1), positions.dtype) for table in (from_cos, from_sin)]
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
    return _reshaped(x, lambda data: data[..., index])


def _products(a: Any, b: Any) -> Any:
    """a_k a_l for k ≤ l."""
    k, m = np.triu_indices(a.shape[-1])
    return _picked(a, k) * _picked(b, m)


def _summed(x: Any) -> Any:
    """The sum over the components of ``[N, 2, m]``."""
    return _reshaped(x, lambda data: data.sum(-2))


def _outer(a: Any, b: Any) -> Any:
    """a_k b_l, the second index fastest."""
    k, m = np.divmod(np.arange(a.shape[-1] * b.shape[-1]), b.shape[-1])
    return _picked(a, k) * _picked(b, m)


def _reshaped(x: Any, change: Callable[[Array], Array]) -> Any:
    """The same change of the shape of everything that x carries."""
    return Jet(change(x.data), x.owners) if isinstance(x, Jet) else change(x)


def _components(x: Any) -> tuple[Any, Any]:
    """Both components of ``[N, 2, m]``."""
    return _reshaped(x, lambda data: data[..., 0, :]), _reshaped(x, lambda data: data[..., 1, :])


def _turned(t: Any, v: Any) -> Any:
    """t_k·v_l of tensors and vectors ``[N, 2, m]``, as ``[N, 2, k l]``, the second index fastest."""
    (even, odd), (x, y) = (_components(part) for part in (t, v))
    both = concatenate([_outer(even, x) + _outer(odd, y), _outer(odd, x) + (-1.0) * _outer(even, y)])
    return columns(both, 0, both.shape[-1], (2, both.shape[-1] // 2))


def _passed(pairs: PairFunctions, v: Any) -> Any:
    """Σ_j b_k(r_ij) v_l(j) of vectors ``[N, 2, m]``, as ``[N, 2, k m]``."""
    heard = messages(pairs, _flat(v))
    size = v.shape[-1]

    def change(data: Array) -> Array:
        parts = data.reshape(*data.shape[:-1], 2, size)
        return jnp.moveaxis(parts, -2, -3).reshape(*data.shape[:-2], 2, -1)

    return _reshaped(heard, change)


def _dots(a: Any, b: Any) -> Any:
    """a_k·b_l of vectors ``[N, 2, m]``."""
    return _summed(_outer(a, b))


def _flat(v: Any) -> Any:
    """Vectors ``[N, 2, m]`` as ``[N, 2 m]``."""
    return _reshaped(v, lambda data: data.reshape(*data.shape[:-2], -1))
