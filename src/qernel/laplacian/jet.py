"""Forward Laplacian: value, all first derivatives and the Laplacian propagated together.

A `Jet` carries an intermediate quantity y(x) of a wavefunction together with ∂y/∂x_t for every
electron coordinate x_t and Δy = Σ_t ∂²y/∂x_t². Every rule below is the chain rule for one kind of
operation, so that a wavefunction written with these functions gets its exact Laplacian in one
forward sweep (Li et al., arXiv:2307.08214). All functions accept plain arrays as well, so the same
code evaluates log ψ alone.

Adding a layer: compose it from `linear`, `pointwise`, `contract`, `softmax`, `log_det`; anything
without a rule goes through `general`, which is slower but always right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Jet:
    """Value, T first derivatives and Laplacian stacked along axis 0: ``data[T + 2, ...]``.

    One stacked array rather than three, because a linear layer is then a single matrix product.
    """

    data: Array

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

    def __add__(self, other: Operand) -> Jet:
        if isinstance(other, Jet):
            return Jet(_align(self, other) + _align(other, self))
        value = self.value + other
        aligned = Jet(_align(self, value))
        return _stack(value, aligned.jacobian, aligned.laplacian)

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Jet:
        return self + (-1.0) * other

    def __mul__(self, other: Operand) -> Jet:
        if not isinstance(other, Jet):
            return linear(lambda row: row * other, self)
        a, b = Jet(_align(self, other)), Jet(_align(other, self))
        return _stack(
            a.value * b.value,
            a.jacobian * b.value + a.value * b.jacobian,
            a.laplacian * b.value + a.value * b.laplacian + 2.0 * (a.jacobian * b.jacobian).sum(0),
        )

    __rmul__ = __mul__

    def __getitem__(self, index: Any) -> Jet:
        return linear(lambda row: row[index], self)


Operand: TypeAlias = "Jet | Array | float"


def _stack(value: Array, jacobian: Array, laplacian: Array) -> Jet:
    shape = jnp.broadcast_shapes(value.shape, jacobian.shape[1:])
    value = jnp.broadcast_to(value, shape)
    jacobian = jnp.broadcast_to(jacobian, (len(jacobian), *shape))
    laplacian = jnp.broadcast_to(laplacian, shape)
    return Jet(jnp.concatenate([value[None], jacobian, laplacian[None]]))


def _align(a: Jet, b: Jet | Array) -> Array:
    """``a.data`` with singleton axes inserted so that values broadcast against those of ``b``."""
    missing = max(len(b.shape) - len(a.shape), 0)
    return a.data.reshape(a.data.shape[:1] + (1,) * missing + a.shape)


def seed(positions: Array) -> Jet:
    """The identity jet of a configuration ``[N, 2]``: derivatives with respect to all 2N coordinates."""
    count = positions.size
    unit = jnp.eye(count, dtype=positions.dtype).reshape(count, *positions.shape)
    return _stack(positions, unit, jnp.zeros_like(positions))


def linear(function: Callable[[Array], Array], x: Operand) -> Any:
    """Apply a linear, homogeneous map (matrix product, sum, reshape, index) to a quantity."""
    if isinstance(x, Jet):
        return Jet(jax.vmap(function)(x.data))
    return function(jnp.asarray(x))


def pointwise(function: Callable[[Array], Array], x: Operand) -> Any:
    """Apply a twice-differentiable elementwise function: Δf = f' Δx + f'' Σ_t (∂_t x)²."""
    if not isinstance(x, Jet):
        return function(jnp.asarray(x))

    def first(y: Array) -> tuple[Array, Array]:
        return jax.jvp(function, (y,), (jnp.ones_like(y),))

    (value, slope), (_, curvature) = jax.jvp(first, (x.value,), (jnp.ones_like(x.value),))
    squares = (x.jacobian * x.jacobian).sum(0)
    return _stack(value, slope * x.jacobian, slope * x.laplacian + curvature * squares)


def contract(subscripts: str, a: Operand, b: Operand) -> Any:
    """Einstein summation of two quantities, either of which may be constant.

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
        value = jnp.einsum(subscripts, a.value, b.value)
        from_a = jnp.einsum(f"t{left},{right}->t{out}", a.data[1:], b.value)
        from_b = jnp.einsum(f"{left},t{right}->t{out}", a.value, b.data[1:])
        cross = jnp.einsum(f"t{left},t{right}->{out}", a.jacobian, b.jacobian)
        both = from_a + from_b
        return _stack(value, both[:-1], both[-1] + 2.0 * cross)
    if isinstance(a, Jet):
        return Jet(jnp.einsum(f"t{left},{right}->t{out}", a.data, b))
    if isinstance(b, Jet):
        return Jet(jnp.einsum(f"{left},t{right}->t{out}", a, b.data))
    return jnp.einsum(subscripts, a, b)


def softmax(x: Operand) -> Any:
    """Softmax over the last axis.

    With w the weights and s the scores, ∂w = w(∂s − ⟨∂s⟩) and Δw = w(t − ⟨t⟩) where
    t = Δs + Σ_t (∂_t s − ⟨∂_t s⟩)² and ⟨·⟩ averages with weight w.
    """
    if not isinstance(x, Jet):
        return jax.nn.softmax(x, axis=-1)
    weights = jax.nn.softmax(x.value, axis=-1)
    centred = x.jacobian - (weights * x.jacobian).sum(-1, keepdims=True)
    drift = x.laplacian + (centred * centred).sum(0)
    return _stack(weights, weights * centred, weights * (drift - (weights * drift).sum(-1, keepdims=True)))


def log_det(x: Jet | Array) -> tuple[Array, Any]:
    """Sign (or phase) and logarithm of the determinant of ``[..., N, N]``.

    For complex matrices the logarithm is complex with its phase moved into it, and the sign is 1.
    With X_t = M⁻¹∂_t M: ∂_t log det M = tr X_t and Δ log det M = tr(M⁻¹ΔM) − Σ_t tr(X_t X_t).
    """
    matrix = x.value if isinstance(x, Jet) else x
    sign, log = jnp.linalg.slogdet(matrix)
    if jnp.iscomplexobj(matrix):
        log = log + jnp.log(sign)
        sign = jnp.ones_like(log)
    if not isinstance(x, Jet):
        return sign, log
    inverse = jnp.linalg.inv(matrix)
    relative = jnp.einsum("...ij,t...jk->t...ik", inverse, x.data[1:])
    trace = jnp.trace(relative, axis1=-2, axis2=-1)
    squares = (relative[:-1] * jnp.swapaxes(relative[:-1], -1, -2)).sum((0, -1, -2))
    return sign, _stack(log, trace[:-1], trace[-1] - squares)


def general(function: Callable[[Array], Array], x: Operand) -> Any:
    """Any twice-differentiable function of one quantity, by nested forward differentiation.

    The fallback for a layer without a rule: Δf = f'·Δx + Σ_t f''[∂_t x, ∂_t x].
    """
    if not isinstance(x, Jet):
        return function(jnp.asarray(x))

    def along(direction: Array) -> tuple[Array, Array]:
        def derivative(y: Array) -> Array:
            return jax.jvp(function, (y,), (direction,))[1]

        return jax.jvp(derivative, (x.value,), (direction,))

    first, second = jax.vmap(along)(x.jacobian)
    value, drift = jax.jvp(function, (x.value,), (x.laplacian,))
    return _stack(value, first, drift + second.sum(0))


def concatenate(parts: list[Any]) -> Any:
    """Join quantities along their last axis; constants join with zero derivatives."""
    reference = next((p for p in parts if isinstance(p, Jet)), None)
    if reference is None:
        return jnp.concatenate(parts, axis=-1)
    rows = reference.data.shape[0]
    lifted = [p.data if isinstance(p, Jet) else lift(p, rows).data for p in parts]
    return Jet(jnp.concatenate(lifted, axis=-1))


def lift(constant: Array, rows: int) -> Jet:
    """A constant as a jet with ``rows - 2`` zero derivatives."""
    zeros = jnp.zeros((rows - 1, *constant.shape), constant.dtype)
    return Jet(jnp.concatenate([constant[None], zeros]))


def value_of(x: Jet | Array) -> Array:
    """The plain value of a quantity, whatever it carries."""
    return x.value if isinstance(x, Jet) else x
