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
"""Electrons from which on derivatives go by an electron's own 5K + 2 numbers, 22 directions in place of 2N.

Local energies when it was built, in ms a walker, so and by all coordinates: six electrons 0.91 and 0.41, 24 electrons
4.5 and 3.5, 54 electrons 12.1 and 18.7.
"""


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
        k, a = self.vicinity.scalars, self.potential.factors
        functions = self.vicinity(x)
        pairs = functions.chosen(slice(0, k))
        near = gathered(functions, carried=isinstance(positions, Jet))
        w = _shortened(_passed(pairs, _shortened(columns(near, k, 3 * k, (2, k)), -2)), -2)
        place: Any = positions.dense() if isinstance(positions, Jet) else positions
        numbers = concatenate([near, place])
        if isinstance(positions, Jet) and len(x) >= _MANY:
            scalars, vectors = own(self._alone, numbers)
            return Carried(scalars, vectors, own(self._slopes, place), w, pairs)
        scalars, vectors = (_electrons_first(part) for part in self._alone(_electrons_last(numbers)))
        last = vectors.shape[-1]
        vectors = [columns(vectors, 0, k, (k,)), w, columns(vectors, k, last, (last - k,))]
        if a:
            g, size = _electrons_first(self._slopes(_electrons_last(place))), w.shape[-1]
            crossed = summed(columns(g, 0, a, (a, 1)), columns(w, 0, size, (1, size)), -3)
            scalars = concatenate([scalars, _flat(crossed)])
        return Seen(scalars, concatenate(vectors), pairs)

    def _alone(self, numbers: Any) -> tuple[Any, Any]:
        """Invariants ``[f', N]`` and vectors ``[2, n', N]`` of what surrounds an electron and its place, ``[B, N]``."""
        k, a = self.vicinity.scalars, self.potential.factors
        s = bounded(_rows(numbers, 0, k) + jnp.asarray(-self.vicinity.mean, numbers.dtype)[:, None])
        v, t = (_shortened(_rows(numbers, m * k, (m + 2) * k, 2), -3) for m in (1, 3))
        turned = _shortened(_turned(t, v), -3)
        first, second = np.triu_indices(k)
        pairs = (np.arange(k)[:, None] * k + first).ravel()
        bent = summed(_picked(turned, pairs), _picked(v, np.tile(second, k)), -3)
        # Of the third order, and so without the long tails that would let few configurations decide an update.
        scalars = [s, _products(s), _products(v), _products(t), (1.0 / _MOST) * bent]
        vectors = [v, turned]
        if a:
            factors = self._factors(_rows(numbers, 5 * k, 5 * k + 2))
            c, g, h = (_rows(factors, 0, a), *(_rows(factors, m * a, (m + 2) * a, 2) for m in (1, 3)))
            scalars += [c, _products(c), _dots(c, s), _dots(g, v), _dots(h, t)]
            vectors += [g, _shortened(_turned(t, g), -3)]
        return _joined(scalars), _joined(vectors)

    def _slopes(self, place: Any) -> Any:
        """∇c_a of unit spread at places ``[2, N]``: ``[2, A, N]``."""
        a = self.potential.factors
        return _rows(self._factors(place), a, 3 * a, 2)

    def _factors(self, place: Any) -> Any:
        """c_a, ∇c_a and ∇∇c_a, each component of unit spread over the cell, at places ``[2, N]``: ``[5 A, N]``."""
        waves, weights, phases = self.potential
        angles = contract("gx,xn->gn", jnp.asarray(waves, place.dtype), place)
        angles = angles + jnp.asarray(phases, place.dtype)[:, None]
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
        tables = [jnp.asarray(np.stack(table), place.dtype) for table in (from_cos, from_sin)]
        return contract("fg,gn->fn", tables[0], cos) + contract("fg,gn->fn", tables[1], sin)


_MOST = 3.0
"""What invariants cannot exceed, in units of their spread among independent electrons."""


def bounded(x: Any) -> Any:
    """x/(1 + x²/c²)^½: itself where it is small, within ±c where electrons crowd.

    Without it products in log ψ grow without bound there, and chains that start spread over the cell do not come back.
    """
    return pointwise(lambda y: y * jax.lax.rsqrt(1.0 + (y / _MOST) ** 2), x)


def _shortened(v: Any, axis: int) -> Any:
    """The same for the lengths of vectors whose components are along an axis, counted from the last."""
    factor = pointwise(lambda y: jax.lax.rsqrt(1.0 + y / _MOST**2), summed(v, v, axis))
    return v * _reshaped(factor, lambda data: jnp.expand_dims(data, axis))


def _passed(pairs: PairFunctions, v: Any) -> Any:
    """Σ_j b_k(r_ij) v_l(j) of vectors ``[N, 2, m]``, as ``[N, 2, k m]``."""
    heard = messages(pairs, _flat(v))
    size = v.shape[-1]

    def change(data: Array) -> Array:
        parts = data.reshape(*data.shape[:-1], 2, size)
        return jnp.moveaxis(parts, -2, -3).reshape(*data.shape[:-2], 2, -1)

    return _reshaped(heard, change)


def _products(a: Any) -> Any:
    """a_k·a_l for k ≤ l, of numbers ``[m, N]`` or vectors ``[2, m, N]``."""
    k, m = np.triu_indices(a.shape[-2])
    first, second = _picked(a, k), _picked(a, m)
    return first * second if len(a.shape) == 2 else summed(first, second, -3)


def _dots(a: Any, b: Any) -> Any:
    """a_k·b_l of numbers ``[m, N]`` or vectors ``[2, m, N]``, the second index fastest."""
    first, second = _reshaped(a, lambda data: data[..., :, None, :]), _reshaped(b, lambda data: data[..., None, :, :])
    product = first * second if len(a.shape) == 2 else summed(first, second, -4)
    return _reshaped(product, lambda data: data.reshape(*data.shape[:-3], -1, data.shape[-1]))


def _turned(t: Any, v: Any) -> Any:
    """t_k·v_l of tensors and vectors ``[2, m, N]``, as ``[2, k l, N]``, the second index fastest."""
    turn = jnp.asarray([1.0, -1.0], t.dtype)[:, None, None]
    quarter = _reshaped(t, lambda data: jnp.flip(data, -3) * turn)
    return _joined([_dots(t, v), _dots(quarter, v)], jnp.stack, -3)


def _rows(x: Any, start: int, stop: int, components: int = 0) -> Any:
    """Some of the rows of ``[f, N]``: ``[m, N]``, or ``[components, m, N]``."""
    shape = (components, (stop - start) // components) if components else (stop - start,)
    return _reshaped(x, lambda data: data[..., start:stop, :].reshape(*data.shape[:-2], *shape, data.shape[-1]))


def _picked(x: Any, index: np.ndarray) -> Any:
    """Rows of ``[..., m, N]``."""
    return _reshaped(x, lambda data: data[..., index, :])


def _joined(parts: list[Any], join: Callable[..., Array] = jnp.concatenate, axis: int = -2) -> Any:
    """What is ``[..., m, N]`` one after the other."""
    if isinstance(parts[0], Jet):
        return Jet(join([part.data for part in parts], axis=axis))
    return join(parts, axis=axis)


def _electrons_last(x: Any) -> Any:
    """``[N, B]`` → ``[B, N]``."""
    return _reshaped(x, lambda data: jnp.swapaxes(data, -1, -2))


def _electrons_first(x: Any) -> Any:
    """``[..., N]`` → ``[N, ...]``."""
    rank = len(x.shape)
    return _reshaped(x, lambda data: jnp.moveaxis(data, -1, -rank))


def _flat(v: Any) -> Any:
    """Vectors ``[N, 2, m]`` as ``[N, 2 m]``."""
    return _reshaped(v, lambda data: data.reshape(*data.shape[:-2], -1))


def _reshaped(x: Any, change: Callable[[Array], Array]) -> Any:
    """The same linear change of everything that x carries."""
    return Jet(change(x.data), x.owners) if isinstance(x, Jet) else change(x)
