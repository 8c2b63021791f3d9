"""The interface every wavefunction keeps, and the context it is built in.

A wavefunction is an Equinox module acting on *one* configuration and *one* point of the family;
callers ``vmap``. It returns ``(sign, log)`` with ψ = sign · exp(log): real ansätze have sign ±1 and a
real log, complex ones sign 1 and a complex log. Given a `Jet` of the positions it returns a
`Jet` in place of the log, which is all the local energy needs.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet, contract


class Wavefunction(eqx.Module):
    """Abstract wavefunction. All array leaves are trainable; everything else is static."""

    hamiltonian: eqx.AbstractVar[Hamiltonian]

    @abc.abstractmethod
    def amplitude(self, positions: Array | Jet, point: Array) -> tuple[Array, Any]:
        """ψ of one configuration, periodic part only (`log_psi` adds the twist).

        Args:
            positions: ``[N, 2]`` in a_M, or their seed jet.
            point: family parameters ``[p]``.

        Returns:
            ``(sign, log)``; log is a `Jet` if positions are one.
        """

    def gates(self, positions: Array, point: Array) -> Array:
        """How far the experts of every block are open to one configuration.

        Args:
            positions: ``[N, 2]`` in a_M.
            point: family parameters ``[p]``.

        Returns:
            Gates ``[blocks, experts]`` in [0, 1]; ``[0, 0]`` for a wavefunction without experts.
        """
        return jnp.zeros((0, 0), positions.dtype)


class Builder(Protocol):
    """What an entry of the ansatz registry looks like."""

    def __call__(self, model: Any, hamiltonian: Hamiltonian, *, key: Array, dtype: Any) -> Wavefunction:
        """The ansatz of a ``[model]`` section with initial parameters."""


def log_psi(wavefunction: Wavefunction, positions: Array | Jet, point: Array) -> tuple[Array, Any]:
    """ψ = sign · exp(log) of one configuration, twist included.

    The twist multiplies the periodic amplitude by exp(i k_t·Σ_i r_i), so that moving one electron by
    a supercell vector A_j multiplies ψ by exp(2πi t_j) for every ansatz.

    Args:
        wavefunction: the ansatz with its parameters.
        positions: ``[N, 2]`` in a_M, or their seed jet.
        point: family parameters ``[p]``.

    Returns:
        ``(sign, log)``, scalars; log is a `Jet` if positions are one.
    """
    sign, log = wavefunction.amplitude(positions, point)
    momentum = wavefunction.hamiltonian.twist_momentum
    if momentum.any():
        log = log + contract("nx,x->", positions, 1j * jnp.asarray(momentum, positions.dtype))
    return sign, log


def dense(key: Array, fan_in: int, shape: tuple[int, ...], dtype: Any, scale: float = 1.0) -> Array:
    """Normal initial weights with variance scale²/fan_in."""
    return scale * fan_in**-0.5 * jax.random.normal(key, shape, dtype)


def parameter_count(wavefunction: Wavefunction) -> int:
    """Number of trainable real numbers: of all arrays but those of modules that are ``frozen``."""

    def frozen(node: Any) -> bool:
        return bool(getattr(node, "frozen", False))

    leaves = jax.tree.leaves(eqx.filter(wavefunction, eqx.is_array), is_leaf=frozen)
    return sum(leaf.size for leaf in leaves if not frozen(leaf))


_ALIGNMENT = 64
"""Flat parameters are padded to a multiple of this, so that they divide evenly over devices."""


def parameter_layout(template: Wavefunction) -> tuple[Array, Callable[[Array], Wavefunction]]:
    """The trainable numbers of a wavefunction as a flat vector ``[P]``, and the way back.

    The vector ends in zeros that belong to no parameter; their gradient is zero, so they stay.
    """
    arrays, static = eqx.partition(template, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(arrays)
    size = flat.size

    def rebuild(parameters: Array) -> Wavefunction:
        wavefunction: Wavefunction = eqx.combine(unravel(parameters[:size]), static)
        return wavefunction

    return jnp.pad(flat, (0, -size % _ALIGNMENT)), rebuild
