"""A wavefunction's functions of one configuration, vectorised over groups and walkers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from qernel.estimators.local_energy import LocalEnergy, local_energy
from qernel.wavefunction import Wavefunction, log_psi, parameter_layout


class WalkerFunctions(NamedTuple):
    """Batched functions of flat parameters over all groups and walkers."""

    log_modulus: Callable[[Array, Array, Array], Array]
    local_energy: Callable[[Array, Array, Array], LocalEnergy]
    scores: Callable[[Array, Array, Array], Array]


def walker_functions(template: Wavefunction, *, laplacian: str, chunk: int = 0) -> WalkerFunctions:
    """Vectorise a wavefunction over ``[G, W]`` walkers.

    Args:
        template: any instance of the ansatz; only its structure is used.
        laplacian: a key of `qernel.laplacian.methods.LAPLACIANS`.
        chunk: walkers of a group evaluated at once in derivatives, to bound memory; 0 means all.

    Returns:
        Functions of (parameters ``[P]``, positions ``[G, W, N, 2]``, points ``[G, p]``); the scores have shape
        ``[G, W, parts, P]`` with parts 1 for real ψ, 2 (real, imaginary) for complex ψ.
    """
    rebuild = parameter_layout(template)[1]

    def over_groups(single: Callable[..., Any], chunked: bool) -> Callable[..., Any]:
        def walkers(parameters: Array, positions: Array, point: Array) -> Any:
            if chunked and 0 < chunk < positions.shape[0]:
                return jax.lax.map(lambda x: single(parameters, x, point), positions, batch_size=chunk)
            return jax.vmap(lambda x: single(parameters, x, point))(positions)

        return lambda p, x, c: jax.lax.map(lambda a: walkers(p, *a), (x, c))

    def modulus(parameters: Array, positions: Array, point: Array) -> Array:
        return jnp.real(log_psi(rebuild(parameters), positions, point)[1])

    def energy(parameters: Array, positions: Array, point: Array) -> LocalEnergy:
        return local_energy(rebuild(parameters), positions, point, laplacian=laplacian)

    def scores(parameters: Array, positions: Array, point: Array) -> Array:
        def logarithm(p: Array) -> Array:
            log: Array = log_psi(rebuild(p), positions, point)[1]
            return log

        parts = [jax.grad(lambda p: jnp.real(logarithm(p)))(parameters)]
        if jnp.iscomplexobj(jax.eval_shape(logarithm, parameters)):
            parts.append(jax.grad(lambda p: jnp.imag(logarithm(p)))(parameters))
        return jnp.stack(parts)

    return WalkerFunctions(over_groups(modulus, False), over_groups(energy, True), over_groups(scores, True))
