"""The interface every wavefunction keeps, and the context it is built in.

A wavefunction is an Equinox module acting on *one* configuration and *one* point of the family;
callers ``vmap``. It returns ``(sign, log)`` with ψ = sign · exp(log): real ansätze have sign ±1 and a
real log, complex ones sign 1 and a complex log. Given a `Jet` of the positions it returns a
`Jet` in place of the log, which is all the local energy needs.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet, contract


class Wavefunction(eqx.Module):
    """Abstract wavefunction. Array leaves are trainable, those of a module with a true ``frozen`` excepted; everything
    else is static."""

    universal: ClassVar[bool] = False
    """Whether no array depends on the number of electrons, the supercell or the twist (`assemble.relocated`)."""

    later: ClassVar[tuple[str, ...]] = ()
    """Names of arrays that models of earlier versions lack: with zeros in them ψ is what it was."""

    whole: ClassVar[bool] = False
    """Whether `amplitude` is all of ψ, its twist included."""

    hamiltonian: eqx.AbstractVar[Hamiltonian]

    @abc.abstractmethod
    def amplitude(self, positions: Array | Jet, point: Array) -> tuple[Array, Any]:
        """ψ of one configuration; the periodic part only (`log_psi` adds the twist), unless it is the ``whole``.

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

    def __call__(self, model: Any, hamiltonian: Hamiltonian, *, rng: np.random.Generator, dtype: Any) -> Wavefunction:
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
    if momentum.any() and not wavefunction.whole:
        log = log + contract("nx,x->", positions, 1j * jnp.asarray(momentum, positions.dtype))
    return sign, log


def dense(rng: np.random.Generator, fan_in: int, shape: tuple[int, ...], dtype: Any, scale: float = 1.0) -> Array:
    """Normal initial weights with variance scale²/fan_in.

    Drawn by NumPy: `jax.random` would compile a program for every shape, ten seconds of them for one model.
    """
    return jnp.asarray(scale * fan_in**-0.5 * rng.standard_normal(shape), dtype)


def _frozen(node: Any) -> bool:
    return bool(getattr(node, "frozen", False))


def trainable(wavefunction: Wavefunction) -> Wavefunction:
    """The arrays that training moves: all but those of modules that are ``frozen``; None in place of the rest."""
    moved: Wavefunction = eqx.filter(
        wavefunction,
        jax.tree.map(lambda node: not _frozen(node) and eqx.is_inexact_array(node), wavefunction, is_leaf=_frozen),
    )
    return moved


def parameter_count(wavefunction: Wavefunction) -> int:
    """Number of trainable real numbers."""
    return sum(leaf.size for leaf in jax.tree.leaves(trainable(wavefunction)))


_ALIGNMENT = 64
"""Flat parameters are padded to a multiple of this, so that they divide evenly over devices."""


class ParameterLayout(NamedTuple):
    """The numbers of a wavefunction as a flat vector, and the way back.

    Attributes:
        parameters: ``[P]``; the trainable ones come first. Both parts end in zeros that belong to no parameter; their
            gradient is zero, so they stay.
        rebuild: the wavefunction with the numbers of another vector.
        trainable: how many entries of the vector training moves.
    """

    parameters: Array
    rebuild: Callable[[Array], Wavefunction]
    trainable: int


def parameter_layout(template: Wavefunction) -> ParameterLayout:
    """How the numbers of a wavefunction are laid out."""
    arrays, static = eqx.partition(template, eqx.is_inexact_array)
    moved = trainable(template)
    fixed = eqx.filter(arrays, jax.tree.map(lambda leaf: leaf is None, moved, is_leaf=lambda leaf: leaf is None))
    flat, unravel = ravel_pytree(moved)
    others, unravel_others = ravel_pytree(fixed)
    start = flat.size + -flat.size % _ALIGNMENT

    def rebuild(parameters: Array) -> Wavefunction:
        rest = unravel_others(parameters[start : start + others.size])
        wavefunction: Wavefunction = eqx.combine(unravel(parameters[: flat.size]), rest, static)
        return wavefunction

    padded = [jnp.pad(part, (0, -part.size % _ALIGNMENT)) for part in (flat, others)]
    return ParameterLayout(jnp.concatenate(padded) if others.size else padded[0], rebuild, start)
