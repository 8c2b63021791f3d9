"""Forward Laplacian: value, all first derivatives and the Laplacian propagated together.

A `Jet` carries an intermediate quantity y(x) of a wavefunction together with ∂y/∂x_t for every
electron coordinate x_t and Δy = Σ_t ∂²y/∂x_t². Every rule below is the chain rule for one kind of
operation, so that a wavefunction written with these functions gets its exact Laplacian in one
forward sweep (Li et al., arXiv:2307.08214). All functions accept plain arrays as well, so the same
code evaluates log ψ alone.

Until electrons first meet, what belongs to electron i depends on r_i alone: such a *local* jet keeps two
derivatives in place of 2N, and every rule keeps it local as long as it can. Rules that exploit more structure
live beside this module: `qernel.laplacian.attention` and `qernel.laplacian.determinant`.

Adding a layer: compose it from `contract` (weights), `pointwise`, `softmax`, ``+`` and ``*``; `linear` and
`general` take any linear or any smooth function, at the price of the structure: slower, but always right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

Owners: TypeAlias = tuple[int, int]
"""(first, total): row i of a local jet belongs to electron first + i of total."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Jet:
    """Value, T first derivatives and Laplacian stacked along axis 0: ``data[T + 2, ...]``.

    One stacked array rather than three, because a linear layer is then a single matrix product.

    Attributes:
        data: the stack. T = 2N, derivatives ordered (electron, component); in a local jet T = 2.
        owners: None, or for a local jet the electrons along axis 0 of the value. The derivatives are then
            those with respect to the two coordinates of the electron's own position; all others vanish.
    """

    data: Array
    owners: Owners | None = field(default=None, metadata={"static": True})

    @property
    def value(self) -> Array:
        """The quantity itself, ``[...]``."""
        return self.data[0]

    @property
    def jacobian(self) -> Array:
        """First derivatives, ``[T, ...]``."""
        return self.data[1:-1]

    @property
    def laplacian(self) -> Array:
        """Σ_t ∂²/∂x_t², ``[...]``."""
        return self.data[-1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self.data.shape[1:]

    @property
    def dtype(self) -> Any:
        """Element type."""
        return self.data.dtype

    def dense(self) -> Jet:
        """The same quantity with all 2N derivatives."""
        if self.owners is None:
            return self
        own = owned(self.owners, self.shape[0]).astype(self.dtype)
        own = own.reshape(own.shape[0], 1, own.shape[1], *(1,) * (len(self.shape) - 1))
        jacobian = (own * self.jacobian).reshape(2 * own.shape[0], *self.shape)
        return from_parts(self.value, jacobian, self.laplacian)

    def __add__(self, other: Operand) -> Jet:
        a, b = _matched(self, other)
        if isinstance(b, Jet):
            return Jet(_align(a, b) + _align(b, a), a.owners)
        value = a.value + b
        aligned = _align(a, value)
        if value.dtype == a.dtype and aligned.shape[1:] == value.shape:
            # Only the value changes: overwriting one row in place spares a copy of all derivatives.
            return Jet(jax.lax.dynamic_update_slice_in_dim(aligned, value[None], 0, 0), a.owners)
        return from_parts(value, aligned[1:-1], aligned[-1], a.owners)

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Jet:
        return self + (-1.0) * other

    def __mul__(self, other: Operand) -> Jet:
        left, right = _matched(self, other)
        if not isinstance(right, Jet):
            factor = jnp.asarray(right)
            return Jet(_align(left, factor) * factor, left.owners)
        a, b = Jet(_align(left, right)), Jet(_align(right, left))
        return from_parts(
            a.value * b.value,
            a.jacobian * b.value + a.value * b.jacobian,
            a.laplacian * b.value + a.value * b.laplacian + 2.0 * (a.jacobian * b.jacobian).sum(0),
            left.owners,
        )

    __rmul__ = __mul__

    def __getitem__(self, index: Any) -> Jet:
        picked: Jet = linear(lambda row: row[index], self)
        return picked


Operand: TypeAlias = "Jet | Array | float"


def owned(owners: Owners, count: int) -> Array:
    """``[total, count]``: whether row i of a local jet belongs to an electron."""
    first, total = owners
    return jnp.arange(total)[:, None] == first + jnp.arange(count)


def _matched(a: Jet, b: Operand) -> tuple[Jet, Operand]:
    """Both operands of an elementwise operation, made dense unless the result is local as well."""
    if a.owners is None and not (isinstance(b, Jet) and b.owners):
        return a, b
    if isinstance(b, Jet):
        same = a.owners == b.owners and len(a.shape) == len(b.shape)
        return (a, b) if same else (a.dense(), b.dense())
    shape = jnp.shape(b)
    inner = len(shape) < len(a.shape) or (len(shape) == len(a.shape) and shape[0] in (1, a.shape[0]))
    return (a if inner else a.dense()), b


def from_parts(value: Array, jacobian: Array, laplacian: Array, owners: Owners | None = None) -> Jet:
    """The jet of a value ``[...]``, its derivatives ``[T, ...]`` and Laplacian ``[...]``, broadcast to each other."""
    shape = jnp.broadcast_shapes(value.shape, jacobian.shape[1:])
    value = jnp.broadcast_to(value, shape)
    jacobian = jnp.broadcast_to(jacobian, (len(jacobian), *shape))
    laplacian = jnp.broadcast_to(laplacian, shape)
    return Jet(jnp.concatenate([value[None], jacobian, laplacian[None]]), owners)


def _align(a: Jet, b: Jet | Array) -> Array:
    """``a.data`` with singleton axes inserted so that values broadcast against those of ``b``."""
    missing = max(len(b.shape) - len(a.shape), 0)
    return a.data.reshape(a.data.shape[:1] + (1,) * missing + a.shape)


def seed(positions: Array) -> Jet:
    """The identity jet of a configuration ``[N, 2]``: local, because r_i depends on r_i only."""
    unit = jnp.broadcast_to(jnp.eye(2, dtype=positions.dtype)[:, None, :], (2, *positions.shape))
    return from_parts(positions, unit, jnp.zeros_like(positions), (0, len(positions)))


def electrons(x: Operand, start: int, stop: int) -> Any:
    """The part of a quantity ``[N, ...]`` that belongs to electrons ``start`` to ``stop``."""
    if not isinstance(x, Jet):
        return jnp.asarray(x)[start:stop]
    owners = None if x.owners is None else (x.owners[0] + start, x.owners[1])
    return Jet(x.data[:, start:stop], owners)


def columns(x: Operand, start: int, stop: int, shape: tuple[int, ...]) -> Any:
    """Part of the last axis of a quantity ``[N, ..., c]``, reshaped to ``[N, ..., *shape]``."""
    if not isinstance(x, Jet):
        x = jnp.asarray(x)
        return x[..., start:stop].reshape(*x.shape[:-1], *shape)
    return Jet(x.data[..., start:stop].reshape(*x.data.shape[:-1], *shape), x.owners)


def linear(function: Callable[[Array], Array], x: Operand) -> Any:
    """Apply any linear, homogeneous map (sum, reshape, index, …) to a quantity."""
    if isinstance(x, Jet):
        return Jet(jax.vmap(function)(x.dense().data))
    return function(jnp.asarray(x))


def pointwise(function: Callable[[Array], Array], x: Operand) -> Any:
    """Apply a twice-differentiable elementwise function: Δf = f' Δx + f'' Σ_t (∂_t x)²."""
    if not isinstance(x, Jet):
        return function(jnp.asarray(x))
    value, slope, curvature = to_second_order(function, x.value)
    squares = (x.jacobian * x.jacobian).sum(0)
    return from_parts(value, slope * x.jacobian, slope * x.laplacian + curvature * squares, x.owners)


def to_second_order(function: Callable[[Array], Array], x: Array) -> tuple[Array, Array, Array]:
    """An elementwise function, its derivative and its second derivative at each element."""

    def first(y: Array) -> tuple[Array, Array]:
        return jax.jvp(function, (y,), (jnp.ones_like(y),))

    (value, slope), (_, curvature) = jax.jvp(first, (x,), (jnp.ones_like(x),))
    return value, slope, curvature


def contract(subscripts: str, a: Operand, b: Operand) -> Any:
    """Einstein summation of two quantities, either of which may be constant.

    A local quantity stays local if its electron index, the first, is also the first of the result.

    Args:
        subscripts: two-operand specification such as ``"ihd,jhd->hij"``; the letter ``t`` is reserved.
        a: first operand.
        b: second operand.

    Returns:
        A `Jet` if either operand is one, else an array.
    """
    inputs, out = subscripts.split("->")
    left, right = inputs.split(",")
    if isinstance(a, Jet) and isinstance(b, Jet):
        if a.owners != b.owners or not (a.owners and left[:1] == right[:1] == out[:1]):
            a, b = a.dense(), b.dense()
        value = jnp.einsum(subscripts, a.value, b.value)
        from_a = jnp.einsum(f"t{left},{right}->t{out}", a.data[1:], b.value)
        from_b = jnp.einsum(f"{left},t{right}->t{out}", a.value, b.data[1:])
        cross = jnp.einsum(f"t{left},t{right}->{out}", a.jacobian, b.jacobian)
        both = from_a + from_b
        return from_parts(value, both[:-1], both[-1] + 2.0 * cross, a.owners)
    if isinstance(a, Jet):
        a = a if left[:1] == out[:1] else a.dense()
        return Jet(jnp.einsum(f"t{left},{right}->t{out}", a.data, b), a.owners)
    if isinstance(b, Jet):
        b = b if right[:1] == out[:1] else b.dense()
        return Jet(jnp.einsum(f"{left},t{right}->t{out}", a, b.data), b.owners)
    return jnp.einsum(subscripts, a, b)


def softmax(x: Operand) -> Any:
    """Softmax over the last axis.

    With w the weights and s the scores, ∂w = w(∂s − ⟨∂s⟩) and Δw = w(t − ⟨t⟩) where
    t = Δs + Σ_t (∂_t s − ⟨∂_t s⟩)² and ⟨·⟩ averages with weight w.
    """
    if not isinstance(x, Jet):
        return jax.nn.softmax(x, axis=-1)
    x = x if len(x.shape) > 1 else x.dense()
    weights = jax.nn.softmax(x.value, axis=-1)
    centred = x.jacobian - (weights * x.jacobian).sum(-1, keepdims=True)
    drift = x.laplacian + (centred * centred).sum(0)
    mean = (weights * drift).sum(-1, keepdims=True)
    return from_parts(weights, weights * centred, weights * (drift - mean), x.owners)


def general(function: Callable[[Array], Array], x: Operand) -> Any:
    """Any twice-differentiable function of one quantity, by nested forward differentiation.

    The fallback for a layer without a rule: Δf = f'·Δx + Σ_t f''[∂_t x, ∂_t x].
    """
    if not isinstance(x, Jet):
        return function(jnp.asarray(x))
    x = x.dense()
    point = x.value

    def along(direction: Array) -> tuple[Array, Array]:
        def derivative(y: Array) -> Array:
            return jax.jvp(function, (y,), (direction,))[1]

        return jax.jvp(derivative, (point,), (direction,))

    first, second = jax.vmap(along)(x.jacobian)
    value, drift = jax.jvp(function, (point,), (x.laplacian,))
    return from_parts(value, first, drift + second.sum(0))


def concatenate(parts: list[Any]) -> Any:
    """Join quantities along their last axis; constants join with zero derivatives."""
    reference = next((p for p in parts if isinstance(p, Jet)), None)
    if reference is None:
        return jnp.concatenate(parts, axis=-1)
    jets = [p for p in parts if isinstance(p, Jet)]
    owners = reference.owners if all(p.owners == reference.owners and len(p.shape) > 1 for p in jets) else None
    aligned = [(p if owners else p.dense()) if isinstance(p, Jet) else p for p in parts]
    rows = next(p for p in aligned if isinstance(p, Jet)).data.shape[0]
    lifted = [p.data if isinstance(p, Jet) else lift(p, rows).data for p in aligned]
    return Jet(jnp.concatenate(lifted, axis=-1), owners)


def lift(constant: Array, rows: int) -> Jet:
    """A constant as a jet with ``rows - 2`` zero derivatives."""
    zeros = jnp.zeros((rows - 1, *constant.shape), constant.dtype)
    return Jet(jnp.concatenate([constant[None], zeros]))


def value_of(x: Operand) -> Array:
    """The plain value of a quantity, whatever it carries."""
    return x.value if isinstance(x, Jet) else jnp.asarray(x)
