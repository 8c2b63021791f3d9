"""Ways to obtain ∇log ψ and Δlog ψ, behind one signature.

``forward`` is ours and the default; ``folx`` is an independent forward-Laplacian library and ``loop`` a
plain loop of second derivatives. The last two are slower and serve as oracles.

Adding a method: write a function with this signature and enter it in `LAPLACIANS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from qernel.laplacian.jet import seed

Logarithm = Callable[[Any], Any]
"""log ψ of positions ``[N, 2]``, or of their seed jet."""

Derivatives = tuple[Array, Array]
"""∇log ψ as ``[2N]`` and Δlog ψ as a scalar."""


def forward(logarithm: Logarithm, positions: Array) -> Derivatives:
    """One forward sweep of value, Jacobian and Laplacian through the rules of `qernel.laplacian.jet`."""
    jet = logarithm(seed(positions))
    return jet.jacobian, jet.laplacian


def folx(logarithm: Logarithm, positions: Array) -> Derivatives:
    """The forward Laplacian of the folx library, which interprets the traced function."""
    from folx import forward_laplacian

    # folx differentiates real functions: the two parts of a complex logarithm go through one by one.
    parts = [jnp.real, jnp.imag] if jnp.iscomplexobj(logarithm(positions)) else [jnp.real]
    results = [forward_laplacian(lambda x, part=part: part(logarithm(x)))(positions) for part in parts]
    gradient = results[0].jacobian.dense_array.reshape(-1)
    laplacian = results[0].laplacian
    if len(results) == 2:
        gradient = gradient + 1j * results[1].jacobian.dense_array.reshape(-1)
        laplacian = laplacian + 1j * results[1].laplacian
    return gradient, laplacian


def loop(logarithm: Logarithm, positions: Array) -> Derivatives:
    """Second derivatives one coordinate at a time, forward over reverse."""
    count = positions.size

    def part(take: Callable[[Array], Array]) -> Derivatives:
        def gradient(flat: Array) -> Array:
            return jax.grad(lambda x: take(logarithm(x.reshape(positions.shape))))(flat)

        flat = positions.reshape(-1)
        unit = jnp.eye(count, dtype=positions.dtype)

        def second(index: Array) -> Array:
            return jax.jvp(gradient, (flat,), (unit[index],))[1][index]

        return gradient(flat), jax.lax.map(second, jnp.arange(count)).sum()

    first, laplacian = part(jnp.real)
    if jnp.iscomplexobj(logarithm(positions)):
        imaginary, imaginary_laplacian = part(jnp.imag)
        return first + 1j * imaginary, laplacian + 1j * imaginary_laplacian
    return first, laplacian


LAPLACIANS: dict[str, Callable[[Logarithm, Array], Derivatives]] = {"forward": forward, "folx": folx, "loop": loop}
"""Laplacian methods by the name used in ``[train] laplacian``."""
