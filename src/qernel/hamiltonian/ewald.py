"""The periodic 1/r, and what is left of it by an interaction that differs from it by an exponentially small tail.

The bare kernel is v(r) = (1/A) Σ_{q≠0} (2π/q) e^{iq·r}; its q = 0 component is removed by the neutralising background.
An interaction 2π f(q)/q with f → 1 is v − (1/A) Σ_{q≠0} (2π/q)(1 − f(q)) e^{iq·r}, where the sum converges if 1 − f
decays exponentially.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import erfc
from scipy.special import erfc as erfc_np

from qernel.errors import QernelError
from qernel.hamiltonian.parameters import Parameter
from qernel.hamiltonian.terms.base import Values
from qernel.lattice import FloatArray, Supercell, displacement, lattice_points, upper_half

REACH = 6.2
"""η r and q/2η where both Ewald sums are cut: erfc(6.2) ≈ 2e-18, e^{−6.2²} ≈ 2e-17."""

_LEFT_OUT = 1e-7
"""Largest part of ξ in 1/a_M that may lie beyond the cut."""

_ROUNDING = 1e-6
"""Part by which a value may be below the smallest one: a point in single precision is not exact."""


@dataclass(frozen=True)
class Ewald:
    """The periodic 1/r of one supercell, by 2D Ewald summation: a `qernel.hamiltonian.terms.base.Kernel`.

    Attributes:
        supercell: the simulation cell.
        splitting: Ewald splitting parameter η in 1/a_M; results do not depend on it.
    """

    supercell: Supercell
    splitting: float | None = None

    @property
    def _eta(self) -> float:
        return self.splitting or usual_splitting(self.supercell)

    @cached_property
    def _images(self) -> FloatArray:
        return self.supercell.images(REACH / self._eta)

    @cached_property
    def _waves(self) -> FloatArray:
        return half_waves(self.supercell, 2.0 * self._eta * REACH)

    @cached_property
    def _wave_weights(self) -> FloatArray:
        q = np.linalg.norm(self._waves, axis=1)
        weights: FloatArray = 4.0 * np.pi / self.supercell.area * erfc_np(q / (2.0 * self._eta)) / q
        return weights

    @property
    def _background(self) -> float:
        return 2.0 * np.sqrt(np.pi) / (self._eta * self.supercell.area)

    def __call__(self, difference: Array, values: Values) -> Array:
        """v(r_i − r_j) in 1/a_M for differences ``[..., 2]``."""
        dtype = difference.dtype
        r = displacement(difference, self.supercell.vectors)
        phases = r @ jnp.asarray(self._waves.T, dtype)
        waves = jnp.cos(phases) @ jnp.asarray(self._wave_weights, dtype)
        return self._real_space(r) + waves - dtype.type(self._background)

    def energy(self, positions: Array, values: Values) -> Array:
        """Σ_{i<j} v(r_i − r_j) of a configuration ``[N, 2]`` in 1/a_M.

        The same as summing over pairs, with Σ_{i<j} cos q·(r_i − r_j) = (|ρ_q|² − N)/2, ρ_q = Σ_i e^{iq·r_i}.
        """
        n, dtype = positions.shape[0], positions.dtype
        i, j = np.triu_indices(n, 1)
        value = self._real_space(displacement(positions[i] - positions[j], self.supercell.vectors)).sum()
        value = value - dtype.type(self._background) * (n * (n - 1) // 2)
        return value + pair_waves(positions, self._waves) @ jnp.asarray(self._wave_weights, dtype)

    def fourier(self, q: FloatArray, values: Values) -> FloatArray:
        """2π/q in a_M for wave numbers q ``[...]`` in 1/a_M, 0 at q = 0."""
        components: FloatArray = np.where(q > 0, 2.0 * np.pi / np.where(q > 0, q, 1.0), 0.0)
        return components

    def self_image(self, values: Values) -> Array:
        """ξ = lim_{r→0} [v(r) − 1/r], the Madelung constant of the supercell, in 1/a_M."""
        distance = np.linalg.norm(self._images[1:], axis=1)
        real = np.sum(erfc_np(self._eta * distance) / distance)
        xi = real + self._wave_weights.sum() - self._background - 2.0 * self._eta / np.sqrt(np.pi)
        return jnp.asarray(xi)

    def require(self, values: Values) -> None:
        """Nothing to refuse: it has no parameter."""

    def _real_space(self, r: Array) -> Array:
        """Σ over images of erfc(ηd)/d for displacements ``[..., 2]`` folded into the cell."""
        distance = jnp.linalg.norm(r[..., None, :] + jnp.asarray(self._images, r.dtype), axis=-1)
        return (erfc(self._eta * distance) / distance).sum(-1)


@dataclass(frozen=True)
class Screened:
    """2π f(q)/q in one supercell: a `qernel.hamiltonian.terms.base.Kernel`.

    Attributes:
        bare: the periodic 1/r.
        name: of the interaction, for sentences.
        missing: 1 − f(q) of wave numbers ``[n]`` in 1/a_M and the parameter, written so that nothing overflows.
        parameter: a length d; 1 − f(q) must have died out at q = ``parameter.reach``/d, where the sum ends.
        shortest: smallest value in a_M that the sum must resolve.

    Raises:
        QernelError: if the sum over waves does not converge where it is cut; when evaluated, for a length below
            ``shortest`` (nan inside a compiled function, which cannot raise).
    """

    bare: Ewald
    name: str
    missing: Callable[[Array, Any], Array]
    parameter: Parameter
    shortest: float

    def __post_init__(self) -> None:
        name, reach = self.parameter.name, self.parameter.reach
        left = self._left_out()
        if not left <= _LEFT_OUT:  # nan is refused too
            raise QernelError(
                f"interaction {self.name!r} cannot be summed: 1 − f(q) has not died out at q = {reach:g}/{name}, "
                f"where its waves end, and ξ would be wrong by {left:.2g}/a_M at {name} = {self.shortest:g} or "
                f"more: it takes an interaction whose 1 − f(q) decays exponentially with q {name}"
            )

    @property
    def supercell(self) -> Supercell:
        """The simulation cell."""
        return self.bare.supercell

    @cached_property
    def _waves(self) -> FloatArray:
        return half_waves(self.supercell, self.parameter.reach / self.shortest)

    def _weights(self, values: Values) -> Array:
        q = jnp.asarray(np.linalg.norm(self._waves, axis=1))
        return 4.0 * np.pi / self.supercell.area / q * self.missing(q, self._served(values))

    def _served(self, values: Values) -> Any:
        """The length, if the waves suffice for it; see the class for others."""
        length = values[self.parameter.name]
        if isinstance(length, jax.core.Tracer):
            return jnp.where(length >= self.shortest * (1.0 - _ROUNDING), length, jnp.nan).astype(np.float64)
        self.require(values)
        return length

    def require(self, values: Values) -> None:
        """Refuse a length for which the sum over waves is cut too early.

        Raises:
            QernelError: if it is below ``shortest``.
        """
        name, length = self.parameter.name, values[self.parameter.name]
        if not bool(np.all(np.asarray(length) >= self.shortest * (1.0 - _ROUNDING))):
            raise QernelError(
                f"{name} = {np.min(length):g} is closer than {self.shortest:g} a_M, the closest that the interaction "
                f"is summed for: ask for {self.shortest:g} or more, or begin the family at a smaller {name}"
            )

    def __call__(self, difference: Array, values: Values) -> Array:
        """v(r_i − r_j) in 1/a_M for differences ``[..., 2]``."""
        phases = displacement(difference, self.supercell.vectors) @ jnp.asarray(self._waves.T, difference.dtype)
        return self.bare(difference, values) - jnp.cos(phases) @ self._weights(values).astype(difference.dtype)

    def energy(self, positions: Array, values: Values) -> Array:
        """Σ_{i<j} v(r_i − r_j) of a configuration ``[N, 2]`` in 1/a_M."""
        waves = pair_waves(positions, self._waves) @ self._weights(values).astype(positions.dtype)
        return self.bare.energy(positions, values) - waves

    def fourier(self, q: FloatArray, values: Values) -> FloatArray:
        """2π f(q)/q in a_M for wave numbers q ``[...]`` in 1/a_M, 0 at q = 0."""
        safe = np.where(q > 0, q, 1.0)
        factor = 1.0 - np.asarray(self.missing(jnp.asarray(safe), values[self.parameter.name]))
        components: FloatArray = np.where(q > 0, 2.0 * np.pi * factor / safe, 0.0)
        return components

    def self_image(self, values: Values) -> Array:
        """ξ = lim_{r→0} [v(r) − 1/r] in 1/a_M: of the own images, of those in the gates, and of the background."""
        return self.bare.self_image(values) - self._weights(values).sum()

    def _left_out(self) -> float:
        """∫ |1 − f(q)| dq beyond the cut: the part of ξ that is not summed, in 1/a_M, whatever the supercell.

        The largest at ``shortest`` and beyond; up to 100 times the cut, which what dies out does not reach.
        """
        q = self.parameter.reach / self.shortest * np.geomspace(1.0, 100.0, 400)
        with jax.enable_x64(True), jax.ensure_compile_time_eval():
            lengths = [scale * self.shortest for scale in (1.0, 10.0, 100.0)]
            tails = [np.abs(np.asarray(self.missing(jnp.asarray(q), length))) for length in lengths]
        return max(float(np.trapezoid(tail, q)) for tail in tails)


def usual_splitting(supercell: Supercell) -> float:
    """η in 1/a_M: the sum over waves costs N per wave, that over images N² per image, so the latter is short."""
    return float(np.sqrt(np.pi / supercell.area)) * 2.6


def half_waves(supercell: Supercell, reach: float) -> FloatArray:
    """One of each pair ±q of reciprocal vectors of the supercell up to a length in 1/a_M, without q = 0."""
    return upper_half(lattice_points(supercell.reciprocal, reach))


def pair_waves(positions: Array, waves: FloatArray) -> Array:
    """Σ_{i<j} cos q·(r_i − r_j) for every wave q, ``[n]``."""
    phases = positions @ jnp.asarray(waves.T, positions.dtype)
    modulus = jnp.cos(phases).sum(0) ** 2 + jnp.sin(phases).sum(0) ** 2
    return 0.5 * (modulus - positions.shape[0])
