"""The wavefunction of a configuration: with initial numbers, or its shapes alone."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.wavefunction.base import Wavefunction, parameter_count
from qernel.wavefunction.orbitals.base import started
from qernel.wavefunction.parts.experts import mixtures
from qernel.wavefunction.registry import ansatz_named


def build(
    model: Any,
    hamiltonian: Hamiltonian,
    *,
    key: Array | None = None,
    dtype: Any = jnp.float32,
    start: bool = True,
) -> Wavefunction:
    """The wavefunction described by a ``[model]`` section, with initial parameters.

    Args:
        model: the section (`qernel.config.ModelConfig`).
        hamiltonian: the family it is for.
        key: random key of the initial parameters.
        dtype: element type of the parameters.
        start: compute the bands or solve Hartree–Fock where orbitals are to start from them. Without, as when trained
            parameters are about to be filled in, those orbitals are zero.
    """
    rng = np.random.default_rng(0 if key is None else np.asarray(jax.random.key_data(key)))
    wavefunction: Wavefunction = ansatz_named(model.ansatz)(model, hamiltonian, rng=rng, dtype=dtype)
    return started(wavefunction) if start else wavefunction


def outline(model: Any, hamiltonian: Hamiltonian, *, dtype: Any = jnp.float32) -> Wavefunction:
    """The wavefunction of `build` without its numbers: arrays of zeros that take no memory, however large.

    For what only depends on shapes: counting, and tracing with other parameters.
    """
    rng: Any = _Undrawn()
    shapes = eqx.filter_eval_shape(lambda: ansatz_named(model.ansatz)(model, hamiltonian, rng=rng, dtype=dtype))
    empty: Wavefunction = jax.tree.map(lambda leaf: np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape), shapes)
    return empty


def relocated(wavefunction: Wavefunction, model: Any, hamiltonian: Hamiltonian) -> Wavefunction:
    """The same numbers for another number of electrons, supercell or twist.

    Args:
        wavefunction: a universal one (`Wavefunction.universal`).
        model: its ``[model]`` section.
        hamiltonian: the system, with the same parameters of the family and `Hamiltonian.scales`.

    Raises:
        ValueError: if its arrays would be others there, as those of polarised electrons and of two spin species are.
    """
    there = outline(model, hamiltonian)
    arrays, _ = eqx.partition(wavefunction, eqx.is_inexact_array)
    shapes, static = eqx.partition(there, eqx.is_inexact_array)
    leaves = jax.tree.leaves(arrays)
    wanted = jax.tree.leaves(shapes)
    if [leaf.shape for leaf in leaves] != [leaf.shape for leaf in wanted]:
        raise ValueError("the weights do not fit there: one file of weights is for one kind of spin polarisation")
    moved: Wavefunction = eqx.combine(jax.tree.unflatten(jax.tree.structure(shapes), leaves), static)
    return moved


class _Undrawn:
    """In place of a random generator where nothing but shapes is wanted; for use inside a trace."""

    def spawn(self, count: int) -> list[_Undrawn]:
        return [self] * count

    def standard_normal(self, shape: tuple[int, ...]) -> Array:
        return jnp.zeros(shape)

    def uniform(self, low: float, high: float, size: int) -> Array:
        return jnp.zeros(size)


def active_parameter_count(wavefunction: Wavefunction) -> int:
    """Number of trainable real numbers that can act on one configuration: all but those of routed experts at rest.

    An upper bound, since fewer than ``active_experts`` gates may be open (the observable ``routing`` counts them).
    """
    return parameter_count(wavefunction) - sum(layer.idle_parameters for layer in mixtures(wavefunction))
