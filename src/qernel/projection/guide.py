"""What projection needs of a wavefunction at one configuration, from one forward sweep.

ψ = |ψ| e^{iθ} guides and, by its nodes or its phase, constrains. Walkers are distributed as f = |ψ| φ, where φ is the
lowest state of

    H' = Σ_i −½∇_i² + V + ½ Σ_i |∇_i θ|²

among the real functions that vanish where ψ does. For real ψ, θ is constant between its nodes and H' = H: fixed nodes.
For complex ψ it is the Hamiltonian of the modulus of φ e^{iθ}, a state of the phase of ψ: fixed phase. ψ's own modulus
gives H'|ψ|/|ψ| = Re(Hψ/ψ): with log ψ = u + iθ, Re(Δψ/ψ) = Δu + |∇u|² − |∇θ|² and Δ|ψ|/|ψ| = Δu + |∇u|². So the real
part of the usual local energy is all that branching takes, and ∇u = Re ∇log ψ drives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from qernel.estimators.batched import differentiated
from qernel.estimators.local_energy import energy_of
from qernel.laplacian.jet import seed
from qernel.laplacian.methods import LAPLACIANS
from qernel.wavefunction import Wavefunction, log_psi, parameter_layout


class Guided(NamedTuple):
    """A configuration as projection sees it; energies in E0, total over electrons.

    Attributes:
        sign: of real ψ, 1 for complex ψ.
        log_modulus: log|ψ|.
        drift: ∇log|ψ| ``[N, 2]`` in 1/a_M.
        energy: Re E_L.
        moire: its part from one-body terms.
        interaction: its part from interactions.
    """

    sign: Array
    log_modulus: Array
    drift: Array
    energy: Array
    moire: Array
    interaction: Array


Guide = Callable[[Array, Array, Array], Guided]
"""`Guided` ``[G, W, ...]`` of (parameters ``[P]``, positions ``[G, W, N, 2]``, points ``[G, p]``)."""


def guided(wavefunction: Wavefunction, positions: Array, point: Array, *, laplacian: str = "forward") -> Guided:
    """`Guided` of one configuration.

    Args:
        wavefunction: the ansatz with its parameters.
        positions: ``[N, 2]`` in a_M; wrapping an electron may change the sign of ψ, see `Wavefunction.whole`.
        point: family parameters ``[p]``.
        laplacian: a key of `qernel.laplacian.methods.LAPLACIANS`; ours has ψ from the same sweep.
    """
    if laplacian == "forward":
        sign, jet = log_psi(wavefunction, seed(positions), point)
        value, gradient, curvature = jet.value, jet.jacobian, jet.laplacian
    else:
        sign, value = log_psi(wavefunction, positions, point)
        gradient, curvature = LAPLACIANS[laplacian](lambda x: log_psi(wavefunction, x, point)[1], positions)
    energy = energy_of(gradient, curvature, wavefunction.hamiltonian.potential(positions, point))
    return Guided(
        sign=jnp.real(sign).astype(positions.dtype),
        log_modulus=jnp.real(value),
        drift=jnp.real(gradient).reshape(positions.shape),
        energy=jnp.real(energy.total),
        moire=energy.moire,
        interaction=energy.interaction,
    )


def guide_of(template: Wavefunction, *, laplacian: str = "forward", chunk: int = 0) -> Guide:
    """`guided` of an ansatz over all walkers, so many at once as fit (`qernel.estimators.batched.walker_functions`).

    Args:
        template: any instance of it.
        laplacian: as of `guided`.
        chunk: walkers evaluated together; 0: as many as pay off and fit.
    """
    rebuild = parameter_layout(template).rebuild

    def single(parameters: Array, positions: Array, point: Array) -> Guided:
        return guided(rebuild(parameters), positions, point, laplacian=laplacian)

    return differentiated(single, laplacian=True, chunk=chunk)
