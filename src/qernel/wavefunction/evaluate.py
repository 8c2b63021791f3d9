"""ψ of many configurations at one point: compiled once for a shape, in batches that bound the memory."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from qernel import runtime
from qernel.wavefunction.base import Wavefunction, log_psi
from qernel.wavefunction.parts.experts import mixtures

_BATCH = 512
"""Configurations evaluated together."""


class PointAmplitude:
    """A wavefunction at one point of its family, for NumPy arrays of configurations.

    Args:
        wavefunction: the ansatz with its parameters.
        point: family parameters ``[p]``.
        dtype: element type it is evaluated in.
    """

    def __init__(self, wavefunction: Wavefunction, point: npt.ArrayLike, dtype: Any) -> None:
        runtime.refuse_forked()
        self._wavefunction = wavefunction
        self._dtype = jnp.dtype(dtype)
        self._point = jnp.asarray(point, self._dtype)

    def log_psi(self, positions: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """ψ = sign · exp(log) of configurations ``[..., N, 2]``: two arrays ``[...]``."""
        flat, shape = self._flat(positions)
        sign, log = _log_psi(self._wavefunction, flat, self._point)
        return np.asarray(sign).reshape(shape), np.asarray(log).reshape(shape)

    def log_psi_gradient(self, positions: npt.ArrayLike) -> npt.NDArray[Any]:
        """∂ log ψ/∂p for each family parameter, ``[..., p]``; complex where ψ is."""
        flat, shape = self._flat(positions)
        gradient = np.asarray(_log_psi_gradient(self._wavefunction, flat, self._point))
        return gradient.reshape(*shape, gradient.shape[-1])

    def gates(self, positions: npt.ArrayLike) -> npt.NDArray[Any]:
        """Gates of the experts, ``[..., blocks, experts]``; see `Wavefunction.gates`."""
        flat, shape = self._flat(positions)
        gates = np.asarray(_gates(self._wavefunction, flat, self._point))
        return gates.reshape(*shape, *gates.shape[1:])

    @property
    def active_experts(self) -> int:
        """How many experts of a block the local energy computes; 0 without experts."""
        return min((layer.active for layer in mixtures(self._wavefunction)), default=0)

    def _flat(self, positions: npt.ArrayLike) -> tuple[Array, tuple[int, ...]]:
        runtime.refuse_forked()
        array = jnp.asarray(positions, self._dtype)
        return array.reshape(-1, *array.shape[-2:]), array.shape[:-2]


@eqx.filter_jit
def _log_psi(wavefunction: Wavefunction, positions: Array, point: Array) -> tuple[Array, Array]:
    return jax.lax.map(lambda x: log_psi(wavefunction, x, point), positions, batch_size=_BATCH)


@eqx.filter_jit
def _gates(wavefunction: Wavefunction, positions: Array, point: Array) -> Array:
    return jax.lax.map(lambda x: wavefunction.gates(x, point), positions, batch_size=_BATCH)


@eqx.filter_jit
def _log_psi_gradient(wavefunction: Wavefunction, positions: Array, point: Array) -> Array:
    def gradient(x: Array) -> Array:
        def logarithm(p: Array) -> Array:
            log: Array = log_psi(wavefunction, x, p)[1]
            return log

        real: Array = jax.grad(lambda p: jnp.real(logarithm(p)))(point)
        if not jnp.iscomplexobj(jax.eval_shape(logarithm, point)):
            return real
        return real + 1j * jax.grad(lambda p: jnp.imag(logarithm(p)))(point)

    return jax.lax.map(gradient, positions, batch_size=_BATCH)
