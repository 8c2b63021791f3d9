"""The long-range Jastrow factor as one function of |q|, the same for every cell.

    J = Σ_q c(|q|) (|ρ_q|² − N)/N over one q of each pair ±q,
    c(q) = (1 − q²/q_c²)³ [ −a(p) x(q) + Σ_m c_m(p) exp(−q²/2κ_m²) ]

x(q) = [(1/S_0² + 4 n v_q/q²)^½ − 1/S_0]/2 is what the random-phase approximation has (Gaskell, Proc. Phys. Soc. 77,
1182), with S_0 the structure factor of free electrons: (2π n U)^½ q^(−3/2) at small q for U/r, so that larger cells,
which have smaller q, need no extrapolation of anything learned.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet
from qernel.lattice import FloatArray, lattice_points, upper_half
from qernel.wavefunction.parts.conditioning import Conditioned
from qernel.wavefunction.parts.jastrow import closed_form, wave_derivatives

_SHARE = 0.8
"""a at the start: with `jastrow._screened` the local energy of 24 electrons varies least (0.7 to 1 tried)."""

_LARGEST = 6.0
"""q_c in units of n^(1/2)."""

_WIDTHS = (0.8, 1.4, 2.3)
"""κ_m in units of n^(1/2)."""


class LongRangeJastrow(eqx.Module):
    """The factor of a system; c is conditioned on the point of the family and begins with c_m = 0."""

    coefficients: Conditioned
    hamiltonian: Hamiltonian = eqx.field(static=True)

    def __init__(self, hamiltonian: Hamiltonian, condition: int, *, dtype: Any):
        self.hamiltonian = hamiltonian
        start = np.array([_SHARE, *(0.0 for _ in _WIDTHS)])
        self.coefficients = Conditioned(jnp.asarray(start, dtype), condition)

    def __call__(self, positions: Array | Jet, point: Array, condition: Array) -> Any:
        """Contribution to log ψ."""
        family, dtype = self.hamiltonian, self.coefficients.base.dtype
        waves = _waves(family)
        q = np.linalg.norm(waves, axis=1)
        density = family.density
        window = (1.0 - (q / _LARGEST) ** 2 / density) ** 3
        smooth = np.exp(-0.5 * (q[:, None] / np.array(_WIDTHS)) ** 2 / density)
        amplitude, others = jnp.split(self.coefficients(condition), [1])
        weights = jnp.asarray(window, dtype) * (
            jnp.asarray(smooth, dtype) @ others - amplitude * _random_phase(family, q, point).astype(dtype)
        )
        return closed_form(positions, lambda x: wave_derivatives(x, jnp.asarray(waves, dtype), weights))


def _waves(hamiltonian: Hamiltonian) -> FloatArray:
    """One of each pair ±q up to q_c, ``[n, 2]``."""
    density = hamiltonian.density
    found = lattice_points(hamiltonian.supercell.reciprocal, _LARGEST * float(np.sqrt(density)))
    return upper_half(found)


def _random_phase(hamiltonian: Hamiltonian, q: FloatArray, point: Array) -> Array:
    """x(q) at a point of the family ``[n]``."""
    density = hamiltonian.density
    polarised = not hamiltonian.electrons[1]
    fermi = np.sqrt((4.0 if polarised else 2.0) * np.pi * density)
    y = np.minimum(q / (2.0 * fermi), 1.0)
    # Free electrons in two dimensions: what two Fermi discs, q apart, do not share.
    free = 2.0 / np.pi * (np.arcsin(y) + y * np.sqrt(1.0 - y**2))
    # U of what repels like U/r where two electrons meet.
    strength = jnp.asarray(hamiltonian.interaction.cusp(hamiltonian.values(point), like=False).slope, jnp.float64)
    return 0.5 * (jnp.sqrt(1.0 / free**2 + 8.0 * np.pi * density * strength / q**3) - 1.0 / free)
