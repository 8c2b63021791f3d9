"""A Jastrow factor of many bodies: what an electron's neighbourhood looks like, and where it is in the potential.

    J = Σ_i F(m_i, r_i),    m_i = Σ_{j≠i} f(r_i − r_j)

Determinants and backflow meet the other electrons one at a time. What a liquid lacks beyond a pair factor are
correlations of three electrons, and these are products of two entries of m_i. m_i depends on r_j through one pair
alone, so that gradient and Laplacian have a closed form of order N² (`_assembled`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet
from qernel.lattice import FloatArray, displacement
from qernel.wavefunction.parts.conditioning import Conditioned
from qernel.wavefunction.parts.jastrow import closed_form
from qernel.wavefunction.parts.radial import bumps
from qernel.wavefunction.parts.vicinity import WIDTHS, kinds_of, widths


class Neighbourhood(NamedTuple):
    """f of all pairs with its derivatives by d = r_i − r_j; M = 3K entries, s of all widths, then v_x and v_y.

    Attributes:
        values: ``[N, N, M]``, zero where i = j.
        slopes: ∂f/∂d ``[N, N, M, 2]``.
        curvatures: ∇²f ``[N, N, M]``.
    """

    values: Array
    slopes: Array
    curvatures: Array


class ManyBodyJastrow(eqx.Module):
    """Products of two entries of the neighbourhood, times one-body factors.

    With b_k(r) = exp(−r²/2σ_k²)(1 − r²/L²)³ for r < L, s_k = Σ_j b_k(r_ij), v_k = Σ_j d_ij b_k(r_ij)/σ_k and the
    one-body factors c_0 = 1, c_1 = Σ_g a_g cos(g·r + φ_g), c_2 = Σ_g a_g sin(g·r + φ_g) over the waves of the one-body
    terms (in the middle of the family, the largest a_g = 1; without a potential c_0 alone),

        F = Σ_{a>0} c_a Σ_k B_ak s_k + Σ_a c_a Σ_{k≤l} (P_akl s_k s_l + Q_akl v_k·v_l) + Σ_{a>0} ∇c_a · Σ_k R_ak v_k.

    Sums of s_k alone are left to the pair factor, and so is the cusp: J is smooth where electrons meet. All
    coefficients depend on the family point and are zero at the start. L is at most the inscribed radius of the
    supercell, so J is twice continuously differentiable across its boundary. Of two spin species, like and unlike
    neighbours are different entries.
    """

    coefficients: Conditioned
    hamiltonian: Hamiltonian = eqx.field(static=True)
    length: float = eqx.field(static=True)

    def __init__(self, hamiltonian: Hamiltonian, condition: int, longest: float, *, dtype: Any):
        self.hamiltonian = hamiltonian
        self.length = min(hamiltonian.supercell.inscribed_radius, longest)
        columns = sum(_sizes(self._widths, potential_of(hamiltonian)))
        self.coefficients = Conditioned(jnp.zeros(columns, dtype), condition)

    @property
    def _widths(self) -> int:
        """K: functions of the distance, for all kinds of neighbours."""
        return len(WIDTHS) * len(kinds_of(self.hamiltonian))

    def __call__(self, positions: Array | Jet, condition: Array) -> Any:
        """Contribution to log ψ of positions ``[N, 2]`` in a_M, or of their seed jet."""
        read_out = _read_out(self.coefficients(condition), self._widths, potential_of(self.hamiltonian))

        def derivatives(x: Array) -> tuple[Array, Array, Array]:
            near = self._neighbourhood(x)
            if not isinstance(positions, Jet):
                value = jax.vmap(read_out)(near.values.sum(1), x).sum()
                return value, value, value
            return _assembled(read_out, near, x)

        return closed_form(positions, derivatives)

    def _pairs(self, x: Array) -> tuple[Array, list[Array]]:
        """Displacements d ``[N, N, 2]`` and, for each kind of neighbours, which pairs are of it ``[N, N]``."""
        others = ~np.eye(self.hamiltonian.count, dtype=bool)
        kinds = [kind & others for kind in kinds_of(self.hamiltonian)]
        difference = displacement(x[:, None, :] - x[None, :, :], self.hamiltonian.supercell.vectors)
        return difference, [jnp.asarray(kind, x.dtype) for kind in kinds]

    def _stacked(self, scalars: Array, vectors: list[Array], kinds: list[Array]) -> Array:
        """s ``[N, N, k, ...]`` and components of v of one kind → all entries ``[N, N, M, ...]``."""
        rank = (1,) * (scalars.ndim - 2)
        masks = [kind.reshape(*kind.shape, *rank) for kind in kinds]
        return jnp.concatenate([part * mask for part in (scalars, *vectors) for mask in masks], axis=2)

    def _neighbourhood(self, x: Array) -> Neighbourhood:
        """f with its derivatives: ∇b = 2b'd, ∇²b = 4b' + 4r²b'', ∇²(d b) = d (8b' + 4r²b'').

        What is not read of it, XLA does not compute.
        """
        d, kinds = self._pairs(x)
        square = (d**2).sum(-1)
        sigma = widths(self.hamiltonian.density)
        bump, first, second = bumps(square, sigma, self.length)
        over = jnp.asarray(1.0 / sigma, x.dtype)
        gradient = 2.0 * first[..., None] * d[..., None, :]
        bend = 4.0 * square[..., None] * second
        slopes, curvatures = [], []
        for axis in (0, 1):
            along = d[..., axis][..., None]
            own = jnp.zeros(2, x.dtype).at[axis].set(1.0)
            slopes.append((along[..., None] * gradient + bump[..., None] * own) * over[:, None])
            curvatures.append(along * (8.0 * first + bend) * over)
        return Neighbourhood(
            self._stacked(bump, [d[..., :1] * bump * over, d[..., 1:] * bump * over], kinds),
            self._stacked(gradient, slopes, kinds),
            self._stacked(4.0 * first + bend, curvatures, kinds),
        )


class Potential(NamedTuple):
    """The shape of the one-body terms: Σ_g a_g cos(g·r + φ_g), one wave of each pair ±g.

    Attributes:
        waves: g ``[n, 2]`` in 1/a_M.
        weights: a_g ``[n]``, the largest 1.
        phases: φ_g ``[n]``.
    """

    waves: FloatArray
    weights: FloatArray
    phases: FloatArray

    @property
    def factors(self) -> int:
        """One-body factors beside c_0 = 1: its value and that of its sines."""
        return 2 if len(self.waves) else 0


def _sizes(widths: int, potential: Potential) -> list[int]:
    """How many coefficients B, R, P and Q there are, in this order (`ManyBodyJastrow`)."""
    pairs = widths * (widths + 1) // 2
    return [potential.factors * widths] * 2 + [(1 + potential.factors) * pairs] * 2


def potential_of(hamiltonian: Hamiltonian) -> Potential:
    """Of a family, in the middle of its intervals, as deep as at λ = 1.

    Of ±g the one with φ_g in (0, π) is taken, so that the second factor has the symmetry of the potential as well.
    """
    turns, amplitudes = hamiltonian.components({**hamiltonian.constants, "lam": 1.0})
    upper = (turns[:, 0] > 0) | ((turns[:, 0] == 0) & (turns[:, 1] > 0))
    even = np.abs(amplitudes.imag) < 1e-12 * np.abs(amplitudes)
    kept = (np.abs(amplitudes) > 0) & turns.any(axis=1) & np.where(even, upper, amplitudes.imag > 0)
    amplitudes, weights = amplitudes[kept], np.abs(amplitudes[kept])
    waves = turns[kept] @ hamiltonian.supercell.moire_reciprocal
    return Potential(waves, weights / weights.max(initial=1e-300), np.angle(amplitudes))


def _read_out(coefficients: Array, widths: int, potential: Potential) -> Callable[[Array, Array], Array]:
    """F of the entries ``[M]`` and the place ``[2]`` of one electron (`ManyBodyJastrow`)."""
    k, m = np.triu_indices(widths)
    linear, drift, scalars, vectors = jnp.split(coefficients, np.cumsum(_sizes(widths, potential))[:-1])
    waves, weights, phases = (jnp.asarray(part, coefficients.dtype) for part in potential)

    def read_out(entries: Array, r: Array) -> Array:
        s, v = entries[:widths], entries[widths:].reshape(2, widths)
        even, odd = weights * jnp.cos(waves @ r + phases), weights * jnp.sin(waves @ r + phases)
        at = jnp.stack([even.sum(), odd.sum()])[: potential.factors]
        slopes = jnp.stack([-odd @ waves, even @ waves])[: potential.factors]
        products = scalars.reshape(-1, len(k)) @ (s[k] * s[m])
        products = products + vectors.reshape(-1, len(k)) @ (v[:, k] * v[:, m]).sum(0)
        alone = at @ linear.reshape(-1, widths) @ s + (slopes @ v * drift.reshape(-1, widths)).sum()
        return products[0] + at @ products[1:] + alone

    return read_out


def _assembled(read_out: Callable[[Array, Array], Array], near: Neighbourhood, x: Array) -> tuple[Array, Array, Array]:
    """J, ∇J ``[N, 2]`` and ΔJ of J = Σ_i F(m_i, r_i).

    With D_ij = ∂f(d_ij)/∂d and S_i = Σ_j D_ij, r_i moves m_i by S_i and r_j moves it by −D_ij, so that

        ∂_k J = F_r(k) + F_m(k)·S_k − Σ_i F_m(i)·D_ik
        ΔJ = Σ_i { 2 F_m·Σ_j ∇²f(d_ij) + tr F_rr + 2 tr F_mr S_iᵀ + tr F_mm [S_i S_iᵀ + Σ_j D_ij D_ijᵀ] }.
    """
    entries, spread = near.values.sum(1), near.slopes.sum(1)
    value = jax.vmap(read_out)(entries, x).sum()
    by_entries, by_place = jax.vmap(jax.grad(read_out, (0, 1)))(entries, x)
    (both, mixed), (_, places) = jax.vmap(jax.hessian(read_out, (0, 1)))(entries, x)
    gradient = by_place + jnp.einsum("im,imc->ic", by_entries, spread)
    gradient = gradient - jnp.einsum("im,ijmc->jc", by_entries, near.slopes)
    shifts = jnp.einsum("ijmc,ijnc->imn", near.slopes, near.slopes) + jnp.einsum("imc,inc->imn", spread, spread)
    laplacian = (
        2.0 * (by_entries * near.curvatures.sum(1)).sum()
        + jnp.trace(places, axis1=1, axis2=2).sum()
        + 2.0 * (mixed * spread).sum()
        + (both * shifts).sum()
    )
    return value, gradient, laplacian
