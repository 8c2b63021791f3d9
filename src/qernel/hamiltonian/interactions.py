"""Periodic interactions: 2D Ewald Coulomb and its gate-screened relatives.

The bare kernel is v(r) = (1/A) Σ_{q≠0} (2π/q) e^{iq·r}; its q = 0 component is removed by the
neutralising background. Metallic gates multiply 2π/q by a form factor f(q) → 1, so that
v_gated = v − (1/A) Σ_{q≠0} (2π/q)(1 − f(q)) e^{iq·r}, where the sum converges exponentially.

Adding an interaction: write its ``1 − f(q)`` and enter it in `SCREENING`. It must have died out at q = `_GATE_REACH`/d,
where the sum ends; whether it has is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import erfc
from scipy.special import erfc as erfc_np

from qernel.errors import QernelError
from qernel.lattice import FloatArray, Supercell, displacement, lattice_points

Screening = Callable[[Array, Array | float], Array]
"""1 − f(q) for wave numbers ``[n]`` in 1/a_M and a distance in a_M."""

# Each missing form factor, written so that it neither overflows nor cancels.
SCREENING: dict[str, Screening | None] = {
    "coulomb": None,
    "dual_gate": lambda q, d: 2.0 / (1.0 + jnp.exp(jnp.minimum(2.0 * q * d, 80.0))),
    "single_gate": lambda q, d: jnp.exp(-2.0 * q * d),
}
"""Interactions by name: 2π/q, (2π/q) tanh(qd) and (2π/q)(1 − e^{−2qd})."""

_TOLERANCE_REACH = 6.2
"""erfc(6.2) ≈ 2e-18: where both Ewald sums are cut."""

_GATE_REACH = 20.0
"""q d where the sum of a gated interaction is cut: e^{−40} of two gates at distance d is left."""

_LEFT_OUT = 1e-7
"""Largest part of ξ in 1/a_M that may lie beyond the cut."""

_ROUNDING = 1e-6
"""Part by which a gate may be closer than the closest: a point in single precision is not exact."""


@dataclass(frozen=True)
class PeriodicInteraction:
    """v(r) of one supercell, with its self-image constant ξ.

    Attributes:
        supercell: the simulation cell.
        name: a key of `SCREENING`.
        shortest_gate: smallest gate distance (a_M) the reciprocal sum must resolve.
        splitting: Ewald splitting parameter η in 1/a_M; results do not depend on it.

    Raises:
        ValueError: for an unknown name, or a gate distance missing for a screened kernel.
        QernelError: for a screened kernel whose sum over waves does not converge where it is cut; when evaluated, for a
            gate closer than ``shortest_gate`` (nan inside a compiled function, which cannot raise).
    """

    supercell: Supercell
    name: str = "coulomb"
    shortest_gate: float | None = None
    splitting: float | None = None

    def __post_init__(self) -> None:
        if self.name not in SCREENING:
            raise ValueError(f"interaction {self.name!r} is unknown: use one of {', '.join(SCREENING)}")
        if self.screened and not (self.shortest_gate and self.shortest_gate > 0):
            raise ValueError(f"interaction {self.name!r} needs a positive gate_distance (in a_M)")
        missing = SCREENING[self.name]
        if missing is not None and self.shortest_gate:
            left = _left_out(missing, self.shortest_gate)
            if not left <= _LEFT_OUT:  # nan is refused too
                raise QernelError(
                    f"interaction {self.name!r} cannot be summed: 1 − f(q) has not died out at q = {_GATE_REACH:g}/d, "
                    f"where its waves end, and ξ would be wrong by {left:.2g}/a_M at d = {self.shortest_gate:g} or "
                    "more: enter in SCREENING only interactions whose 1 − f(q) decays exponentially with q d"
                )

    @property
    def screened(self) -> bool:
        """Whether a gate distance enters."""
        return SCREENING[self.name] is not None

    @property
    def _eta(self) -> float:
        # The reciprocal sum of `energy` costs N per wave, the real-space sum N² per image: short real-space range.
        return self.splitting or float(np.sqrt(np.pi / self.supercell.area)) * 2.6

    @cached_property
    def _images(self) -> FloatArray:
        vectors = self.supercell.vectors
        # A displacement folded into the cell is at most half its long diagonal away.
        half_diagonal = 0.5 * max(np.linalg.norm(vectors[0] + vectors[1]), np.linalg.norm(vectors[0] - vectors[1]))
        return lattice_points(vectors, _TOLERANCE_REACH / self._eta + float(half_diagonal))

    @cached_property
    def _waves(self) -> FloatArray:
        q = lattice_points(self.supercell.reciprocal, 2.0 * self._eta * _TOLERANCE_REACH)[1:]
        return q[(q[:, 1] > 1e-9) | ((np.abs(q[:, 1]) <= 1e-9) & (q[:, 0] > 0))]

    @cached_property
    def _gate_waves(self) -> FloatArray:
        assert self.shortest_gate is not None
        q = lattice_points(self.supercell.reciprocal, _GATE_REACH / self.shortest_gate)[1:]
        return q[(q[:, 1] > 1e-9) | ((np.abs(q[:, 1]) <= 1e-9) & (q[:, 0] > 0))]

    @cached_property
    def _wave_weights(self) -> FloatArray:
        q = np.linalg.norm(self._waves, axis=1)
        weights: FloatArray = 4.0 * np.pi / self.supercell.area * erfc_np(q / (2.0 * self._eta)) / q
        return weights

    @property
    def _background(self) -> float:
        return 2.0 * np.sqrt(np.pi) / (self._eta * self.supercell.area)

    def _gate_weights(self, gate: Array | float) -> Array:
        missing = SCREENING[self.name]
        assert missing is not None
        q = jnp.asarray(np.linalg.norm(self._gate_waves, axis=1))
        return 4.0 * np.pi / self.supercell.area / q * missing(q, self._summed(gate))

    def _summed(self, gate: Array | float) -> Array | float:
        """A gate distance for which the waves suffice; see the class for others."""
        assert self.shortest_gate is not None
        if isinstance(gate, jax.core.Tracer):
            return jnp.where(gate >= self.shortest_gate * (1.0 - _ROUNDING), gate, jnp.nan)
        self.require(gate)
        return gate

    def require(self, gate: Array | float) -> None:
        """Refuse a gate distance in a_M for which the sum over waves is cut too early.

        Raises:
            QernelError: if it is closer than ``shortest_gate``.
        """
        closest = self.shortest_gate or 0.0
        if self.screened and not bool(np.all(np.asarray(gate) >= closest * (1.0 - _ROUNDING))):
            raise QernelError(
                f"gate_distance = {np.min(gate):g} is closer than {closest:g} a_M, the closest gate that the "
                f"interaction is summed for: ask for {closest:g} or more, or begin the family at a closer gate"
            )

    def __call__(self, difference: Array, gate: Array | float = 1.0) -> Array:
        """v(r_i − r_j) in 1/a_M for differences ``[..., 2]``; gate distance in a_M where screened."""
        dtype = difference.dtype
        r = displacement(difference, self.supercell.vectors)
        real = self._real_space(r)
        phases = r @ jnp.asarray(self._waves.T, dtype)
        value = real + jnp.cos(phases) @ jnp.asarray(self._wave_weights, dtype) - dtype.type(self._background)
        if self.screened:
            gate_phases = r @ jnp.asarray(self._gate_waves.T, dtype)
            value = value - jnp.cos(gate_phases) @ self._gate_weights(gate).astype(dtype)
        return value

    def fourier(self, q: FloatArray, gate: float = 1.0) -> FloatArray:
        """2π f(q)/q in a_M for wave numbers q ``[...]`` in 1/a_M: A times the Fourier components of v, 0 at q = 0."""
        missing = SCREENING[self.name]
        safe = np.where(q > 0, q, 1.0)
        factor = 1.0 if missing is None else 1.0 - np.asarray(missing(jnp.asarray(safe), gate))
        components: FloatArray = np.where(q > 0, 2.0 * np.pi * factor / safe, 0.0)
        return components

    def energy(self, positions: Array, gate: Array | float = 1.0) -> Array:
        """Σ_{i<j} v(r_i − r_j) of a configuration ``[N, 2]`` in 1/a_M.

        The same as summing over pairs, with Σ_{i<j} cos q·(r_i − r_j) = (|ρ_q|² − N)/2, ρ_q = Σ_i e^{iq·r_i}.
        """
        n, dtype = positions.shape[0], positions.dtype
        i, j = np.triu_indices(n, 1)
        value = self._real_space(displacement(positions[i] - positions[j], self.supercell.vectors)).sum()
        value = value - dtype.type(self._background) * (n * (n - 1) // 2)
        value = value + _pair_waves(positions, self._waves) @ jnp.asarray(self._wave_weights, dtype)
        if self.screened:
            value = value - _pair_waves(positions, self._gate_waves) @ self._gate_weights(gate).astype(dtype)
        return value

    def _real_space(self, r: Array) -> Array:
        """Σ over images of erfc(ηd)/d for displacements ``[..., 2]`` folded into the cell."""
        distance = jnp.linalg.norm(r[..., None, :] + jnp.asarray(self._images, r.dtype), axis=-1)
        return (erfc(self._eta * distance) / distance).sum(-1)

    def self_image(self, gate: Array | float = 1.0) -> Array:
        """ξ = lim_{r→0} [v(r) − 1/r], the Madelung constant of the supercell, in 1/a_M."""
        distance = np.linalg.norm(self._images[1:], axis=1)
        real = np.sum(erfc_np(self._eta * distance) / distance)
        xi = real + self._wave_weights.sum() - self._background - 2.0 * self._eta / np.sqrt(np.pi)
        if self.screened:
            return jnp.asarray(xi) - self._gate_weights(gate).sum()
        return jnp.asarray(xi)


@cache
def _left_out(missing: Screening, shortest: float) -> float:
    """∫ |1 − f(q)| dq beyond the cut: the part of ξ that is not summed, in 1/a_M, whatever the supercell.

    The largest for gates at ``shortest`` and farther away; up to 100 times the cut, which what dies out does not reach.
    """
    q = _GATE_REACH / shortest * np.geomspace(1.0, 100.0, 400)
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        tails = [np.abs(np.asarray(missing(jnp.asarray(q), scale * shortest))) for scale in (1.0, 10.0, 100.0)]
    return max(float(np.trapezoid(tail, q)) for tail in tails)


def _pair_waves(positions: Array, waves: FloatArray) -> Array:
    """Σ_{i<j} cos q·(r_i − r_j) for every wave q, ``[n]``."""
    phases = positions @ jnp.asarray(waves.T, positions.dtype)
    modulus = jnp.cos(phases).sum(0) ** 2 + jnp.sin(phases).sum(0) ** 2
    return 0.5 * (modulus - positions.shape[0])
