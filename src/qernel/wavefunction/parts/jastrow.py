"""Jastrow factors with closed-form derivatives: pair cusp, long-range waves, one-body moiré envelope.

All three are sums over electrons or pairs, so their gradient and Laplacian in the 2N coordinates cost
O(N²) in closed form instead of the O(N³) of carrying a Jacobian through them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet, to_second_order
from qernel.lattice import FloatArray, Supercell, displacement
from qernel.wavefunction.parts.conditioning import Conditioned
from qernel.wavefunction.parts.radial import CUT_OFF_POWER, logarithmic, radial


def closed_form(positions: Array | Jet, derivatives: Callable[[Array], tuple[Array, Array, Array]]) -> Any:
    """A scalar of the positions from its value, gradient ``[N, 2]`` and Laplacian."""
    if not isinstance(positions, Jet):
        return derivatives(positions)[0]
    value, gradient, laplacian = derivatives(positions.value)
    return Jet(jnp.concatenate([value[None], gradient.reshape(-1), laplacian[None]]))


class PairJastrow(eqx.Module):
    """Σ_{i<j} u(r_ij), u as in `radial`.

    Its slope at 0 is fixed by the coalescence condition u'(0) = Γ, with Γ = U/3 between like and U between unlike
    electrons that repel with U/r, which keeps the local energy finite. An interaction that diverges like a logarithm
    asks for a term in r² ln r in place of a slope (`qernel.hamiltonian.terms.base.Cusp`). L is at most the inscribed
    radius of the supercell, so u is smooth across the periodic boundary; or, ``everywhere``, the same in every cell,
    and the sum is one over all images of the other electrons.
    """

    coefficients: Conditioned
    hamiltonian: Hamiltonian = eqx.field(static=True)
    length: float = eqx.field(static=True)

    def __init__(
        self,
        hamiltonian: Hamiltonian,
        condition: int,
        order: int,
        longest: float,
        *,
        everywhere: bool = False,
        dtype: Any,
    ):
        self.hamiltonian = hamiltonian
        self.length = longest if everywhere else min(hamiltonian.supercell.inscribed_radius, longest)
        kinds = 2 if hamiltonian.electrons[1] else 1
        cusps = np.array(self._cusps(hamiltonian.constants))[:kinds, None]
        if everywhere:
            base = cusps * _screened(order, longest, hamiltonian.density)
        else:
            # α_0 = −ΓL/3 makes the linear term vanish: a monotonic repulsion of range L.
            start = -self.length / CUT_OFF_POWER * cusps
            base = np.concatenate([start, np.zeros((kinds, order - 1))], axis=1)
        self.coefficients = Conditioned(jnp.asarray(base, dtype), condition)

    def _cusps(self, values: Mapping[str, Any]) -> list[Any]:
        """Γ between like and unlike electrons, in 1/a_M."""
        return [self.hamiltonian.interaction.cusp(values, like).slope for like in (True, False)]

    def _logarithms(self, values: Mapping[str, Any]) -> list[Any]:
        """Coefficients of r² ln r in 1/a_M²; none where no interaction diverges like a logarithm."""
        found = [self.hamiltonian.interaction.cusp(values, like).logarithm for like in (True, False)]
        return [] if all(isinstance(one, float | int) and one == 0 for one in found) else found

    def __call__(self, positions: Array | Jet, point: Array, condition: Array) -> Any:
        """Contribution to log ψ."""
        n = self.hamiltonian.count
        up = self.hamiltonian.electrons[0]
        spin = np.arange(n) >= up
        images = self.hamiltonian.supercell.images(self.length)
        kind = jnp.asarray(np.repeat((spin[:, None] != spin[None, :]).astype(int), len(images), axis=1))
        alpha = self.coefficients(condition)
        values = {name: jnp.asarray(value, alpha.dtype) for name, value in self.hamiltonian.values(point).items()}
        cusp, logarithms = (
            [jnp.asarray(one, alpha.dtype) for one in found[: alpha.shape[0]]]
            for found in (self._cusps(values), self._logarithms(values))
        )
        pairs = jnp.asarray(np.repeat(~np.eye(n, dtype=bool), len(images), axis=1))

        def u(r: Array) -> Array:
            regular = radial(r, [column[kind] for column in alpha.T], jnp.stack(cusp)[kind], self.length)
            return regular + logarithmic(r, jnp.stack(logarithms)[kind], self.length) if logarithms else regular

        def derivatives(x: Array) -> tuple[Array, Array, Array]:
            difference = displacement(x[:, None, :] - x[None, :, :], self.hamiltonian.supercell.vectors)
            if len(images) > 1:
                difference = (difference[:, :, None] + jnp.asarray(images, x.dtype)).reshape(n, -1, 2)
            square = jnp.where(pairs, (difference**2).sum(-1), 1.0)
            r = jnp.sqrt(square)
            value = 0.5 * jnp.where(pairs, u(r), 0.0).sum()
            if not isinstance(positions, Jet):
                return value, value, value
            _, first, second = to_second_order(u, r)
            gradient = (jnp.where(pairs, first / r, 0.0)[..., None] * difference).sum(1)
            laplacian = jnp.where(pairs, second + first / r, 0.0).sum()
            return value, gradient, laplacian

        return closed_form(positions, derivatives)


_SCREENING = 0.29
"""ρ of `_screened` times n^(1/2)."""


def _screened(order: int, length: float, density: float) -> FloatArray:
    """Coefficients α ``[order]`` of the u nearest to −ρ exp(−r/ρ), whose slope at 0 is 1.

    It has the cusp and no more: what is left to a long-range factor begins at ρ.
    """
    r = np.linspace(0.0, length, 200)
    rho = _SCREENING / np.sqrt(density)
    cut = (1.0 - r / length) ** CUT_OFF_POWER
    columns = cut[:, None] * r[:, None] ** np.array([0, *range(2, order + 1)])
    columns[:, 0] *= 1.0 + CUT_OFF_POWER / length * r
    target = -rho * np.exp(-r / rho) * cut * (1.0 + CUT_OFF_POWER / length * r)
    weights = np.sqrt(r + 0.02)
    found: FloatArray = np.linalg.lstsq(columns * weights[:, None], (target - cut * r) * weights, rcond=1e-10)[0]
    return found


class WaveJastrow(eqx.Module):
    """Σ_G c_G (|ρ_G|² − N)/N with ρ_G = Σ_i exp(iG·r_i): the long-range part of the pair correlation."""

    coefficients: Conditioned
    supercell: Supercell = eqx.field(static=True)
    shells: int = eqx.field(static=True)

    def __init__(self, supercell: Supercell, condition: int, shells: int, *, dtype: Any):
        self.supercell, self.shells = supercell, shells
        self.coefficients = Conditioned(jnp.zeros(len(self._waves), dtype), condition)

    @property
    def _waves(self) -> FloatArray:
        return self.supercell.shells(self.shells)

    def __call__(self, positions: Array | Jet, condition: Array) -> Any:
        """Contribution to log ψ."""
        weights = self.coefficients(condition)
        waves = jnp.asarray(self._waves, weights.dtype)

        return closed_form(positions, lambda x: wave_derivatives(x, waves, weights))


def wave_derivatives(x: Array, waves: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Value, gradient ``[N, 2]`` and Laplacian of Σ_G c_G (|ρ_G|² − N)/N, for G ``[g, 2]`` and c ``[g]``."""
    n = x.shape[0]
    angles = x @ waves.T
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    real, imag = cos.sum(0), sin.sum(0)
    modulus = real**2 + imag**2
    value = (weights * (modulus - n)).sum() / n
    gradient = (weights * 2.0 / n * (imag * cos - real * sin)) @ waves
    laplacian = (weights * 2.0 / n * (waves**2).sum(-1) * (n - modulus)).sum()
    return value, gradient, laplacian


class MoireEnvelope(eqx.Module):
    """Σ_i Σ_g [a_g cos(g·r_i) + b_g sin(g·r_i)] over moiré shells: where electrons like to sit."""

    coefficients: Conditioned
    supercell: Supercell = eqx.field(static=True)
    shells: int = eqx.field(static=True)

    def __init__(self, supercell: Supercell, condition: int, shells: int, *, dtype: Any):
        self.supercell, self.shells = supercell, shells
        self.coefficients = Conditioned(jnp.zeros((2, len(self._waves)), dtype), condition)

    @property
    def _waves(self) -> FloatArray:
        return self.supercell.moire_shells(self.shells)

    def __call__(self, positions: Array | Jet, condition: Array) -> Any:
        """Contribution to log ψ."""
        even, odd = self.coefficients(condition)
        waves = jnp.asarray(self._waves, even.dtype)

        def derivatives(x: Array) -> tuple[Array, Array, Array]:
            angles = x @ waves.T
            cos, sin = jnp.cos(angles), jnp.sin(angles)
            terms = even * cos + odd * sin
            gradient = (odd * cos - even * sin) @ waves
            return terms.sum(), gradient, -(terms * (waves**2).sum(-1)).sum()

        return closed_form(positions, derivatives)
