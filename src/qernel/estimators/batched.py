"""A wavefunction's functions of one configuration, vectorised over groups and walkers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from qernel.estimators.local_energy import LocalEnergy, local_energy
from qernel.estimators.memory import SHARE, device_memory, live_bytes
from qernel.wavefunction import Wavefunction, log_psi, parameter_layout, trainable


class WalkerFunctions(NamedTuple):
    """Batched functions of flat parameters over all groups and walkers."""

    log_modulus: Callable[[Array, Array, Array], Array]
    local_energy: Callable[[Array, Array, Array], LocalEnergy]
    scores: Callable[[Array, Array, Array], Array]
    implicit_scores: Callable[[Array, Array, Array], tuple[LocalEnergy, Array]] | None
    gates: Callable[[Array, Array, Array], Array]


_ROWS = {"cpu": 2**10}
"""Jacobian rows (walkers × N × 2N) propagated at once: on a CPU as many as stay in the cache."""

_ACCELERATOR_ROWS = 2**20
"""The same on anything else: enough to fill the device, and a few gigabytes."""

_ELECTRONS = {"cpu": 2**7}
"""Electrons (walkers × N) whose share in the scores is computed at once: on a CPU as many as stay in the cache."""


_SMALL = 2**18
"""Walkers × N² up to which derivatives fit into any memory (64 walkers of 54 electrons: 40 to 120 MB)."""


def walkers_at_once(walkers: int, electrons: int, need: Callable[[], int], *, laplacian: bool) -> int:
    """How many walkers' derivatives to compute together on the present backend: as many as pay off and fit.

    Measured on a CPU, width 64: Laplacians of one walker at a time are 1.9 times faster than of 16 at once for 24
    electrons, and 16 at once 1.1 times faster than one for 6 electrons; scores of 16 walkers of 6 electrons at once
    are 1.4 times faster than of 256, for 24 and 54 electrons it makes no difference.

    Args:
        walkers: of a group on one device: at most so many.
        electrons: N.
        need: bytes of one walker (`qernel.estimators.memory.live_bytes`); only called where it may matter.
        laplacian: whether Jacobians are propagated.
    """
    backend = jax.default_backend()
    if laplacian:
        most = _ROWS.get(backend, _ACCELERATOR_ROWS) // (2 * electrons**2)
    else:
        most = _ELECTRONS.get(backend, walkers * electrons) // electrons
    most = min(walkers, max(1, most))
    if most == 1 or most * electrons**2 <= _SMALL:
        return most
    return max(1, min(most, int(SHARE * device_memory() / need())))


def _over_groups(single: Callable[..., Any], at_once: Callable[..., int]) -> Callable[..., Any]:
    """A function of (parameters, configuration, point) for all walkers of all groups, so many of a group at once."""

    def batch(parameters: Array, positions: Array, point: Array) -> Any:
        if len(positions) == 1:
            # Without a batch axis: one of length 1 would take the large matrix products apart.
            return jax.tree.map(lambda leaf: leaf[None], single(parameters, positions[0], point))
        return jax.vmap(lambda x: single(parameters, x, point))(positions)

    def groups(parameters: Array, positions: Array, points: Array) -> Any:
        count, walkers, *shape = positions.shape

        def need() -> int:
            shapes = (parameters.shape, tuple(shape), points.shape[1:])
            return live_bytes(single, *(jax.ShapeDtypeStruct(shape, positions.dtype) for shape in shapes))

        most = min(walkers, at_once(positions.shape[1:], need))
        size = next(size for size in range(most, 0, -1) if walkers % size == 0)
        if 2 * size <= most:  # walkers that are hard to share out evenly: the last batch is a smaller one
            return jax.lax.map(
                lambda a: jax.lax.map(lambda x: single(parameters, x, a[1]), a[0], batch_size=most),
                (positions, points),
            )
        # One loop over the batches of all groups: with a loop for each group, its results would be copied.
        batches = positions.reshape(-1, size, *shape)
        repeated = jnp.repeat(points, walkers // size, axis=0)
        found = jax.lax.map(lambda a: batch(parameters, *a), (batches, repeated))
        return jax.tree.map(lambda leaf: leaf.reshape(count, walkers, *leaf.shape[2:]), found)

    return groups


def walker_functions(
    template: Wavefunction, *, laplacian: str, chunk: int = 0, implicit: float = 0.0
) -> WalkerFunctions:
    """Vectorise a wavefunction over ``[G, W]`` walkers.

    Args:
        template: any instance of the ansatz; only its structure is used.
        laplacian: a key of `qernel.laplacian.methods.LAPLACIANS`.
        chunk: walkers of a group evaluated at once in derivatives, to bound memory; 0 means as many as pay off and
            fit (`walkers_at_once`).
        implicit: τ in 1/E0; at 0 there are no implicit scores.

    Returns:
        Functions of (parameters ``[P]``, positions ``[G, W, N, 2]``, points ``[G, p]``); the scores have shape
        ``[G, W, parts, trainable]`` with parts 1 for real ψ, 2 (real, imaginary) for complex ψ, implicit ones have the
        local energies and ∂(log ψ + τ E_L) in that shape, the gates are ``[G, W, blocks, experts]`` (see
        `Wavefunction.gates`).
    """
    _, rebuild, length = parameter_layout(template)

    def modulus(parameters: Array, positions: Array, point: Array) -> Array:
        return jnp.real(log_psi(rebuild(parameters), positions, point)[1])

    def energy(parameters: Array, positions: Array, point: Array) -> LocalEnergy:
        return local_energy(rebuild(parameters), positions, point, laplacian=laplacian)

    def scores(parameters: Array, positions: Array, point: Array) -> Array:
        wavefunction = rebuild(parameters)
        moved = trainable(wavefunction)

        def logarithm(moved: Wavefunction) -> Array:
            log: Array = log_psi(eqx.combine(moved, wavefunction), positions, point)[1]
            return log

        parts = (jnp.real, jnp.imag) if jnp.iscomplexobj(jax.eval_shape(logarithm, moved)) else (jnp.real,)
        # By the arrays, not by the flat vector: each array's share of that would be as long as the whole.
        return _stacked([jax.grad(lambda m, part=part: part(logarithm(m)))(moved) for part in parts], length)

    def gates(parameters: Array, positions: Array, point: Array) -> Array:
        return rebuild(parameters).gates(positions, point)

    def everything(shape: tuple[int, ...], _: Callable[[], int]) -> int:
        return shape[0]

    return WalkerFunctions(
        _over_groups(modulus, everything),
        differentiated(energy, laplacian=True, chunk=chunk),
        differentiated(scores, laplacian=False, chunk=chunk),
        differentiated(_implicit_scores(template, laplacian, implicit), laplacian=True, chunk=chunk)
        if implicit
        else None,
        _over_groups(gates, everything),
    )


def _implicit_scores(template: Wavefunction, laplacian: str, tau: float) -> Callable[..., tuple[LocalEnergy, Array]]:
    """Local energy and ∂(log ψ + τ E_L) ``[parts, trainable]`` of one configuration."""
    _, rebuild, length = parameter_layout(template)

    def scores(parameters: Array, positions: Array, point: Array) -> tuple[LocalEnergy, Array]:
        wavefunction = rebuild(parameters)

        def parts(moved: Wavefunction) -> tuple[list[Array], LocalEnergy]:
            present: Wavefunction = eqx.combine(moved, wavefunction)
            found = local_energy(present, positions, point, laplacian=laplacian)
            evolved = log_psi(present, positions, point)[1] + tau * found.total
            return [evolved.real, evolved.imag][: 1 + jnp.iscomplexobj(evolved)], found

        values, pull, found = jax.vjp(parts, trainable(wavefunction), has_aux=True)
        own = jnp.eye(len(values), dtype=values[0].dtype)
        return found, _stacked([pull(list(one))[0] for one in own], length)

    return scores


def _stacked(gradients: Sequence[Wavefunction], length: int) -> Array:
    """Derivatives by the trainable arrays, one set for each part, as rows ``[parts, length]`` with zeros at the end."""
    rows = []
    for one in gradients:
        leaves = [leaf.reshape(-1) for leaf in jax.tree.leaves(one)]
        rows += [*leaves, jnp.zeros(length - sum(leaf.size for leaf in leaves), leaves[0].dtype)]
    return jnp.concatenate(rows).reshape(len(gradients), length)


def differentiated(single: Callable[..., Any], *, laplacian: bool, chunk: int = 0) -> Callable[..., Any]:
    """A function with derivatives of ψ at one configuration, vectorised over ``[G, W]`` walkers within the memory.

    Args:
        single: of (parameters ``[P]``, positions ``[N, 2]``, point ``[p]``); a pytree of arrays.
        laplacian: whether it propagates Jacobians.
        chunk: as of `walker_functions`.

    Returns:
        The same of (parameters ``[P]``, positions ``[G, W, N, 2]``, points ``[G, p]``).
    """
    return _over_groups(
        single, lambda shape, need: chunk or walkers_at_once(shape[0], shape[1], need, laplacian=laplacian)
    )
