"""The one list of wavefunctions that every conformance test runs over: each ansatz in four systems, and backflow.

A new entry of `qernel.wavefunction.ANSATZE` is picked up here and then checked for everything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from families import family
from qernel.config import ModelConfig
from qernel.estimators.local_energy import LocalEnergy, local_energy
from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.methods import LAPLACIANS
from qernel.lattice import Supercell
from qernel.units import Material
from qernel.wavefunction import ANSATZE, Wavefunction, build, log_psi
from qernel.wavefunction.ansatz.frame import NetworkAnsatz

MATERIAL = Material()
SQRT3 = Supercell(((1, 1), (-1, 2)))
THREE = Supercell(((3, 0), (0, 3)))
FAMILY = family(THREE, (3, 0), V0=MATERIAL.V0, U=MATERIAL.U, phase_deg=45.0, ranges=((0.3, 1.6),))

SYSTEMS: dict[str, Hamiltonian] = {
    "polarised": FAMILY,
    "dressed": replace(FAMILY, electrons=(6, 0)),
    "spinful": replace(FAMILY, electrons=(2, 2), parameters=("lam", "U"), ranges=((0.3, 1.6), (8.0, 12.0))),
    "twisted": replace(FAMILY, supercell=SQRT3, twist=(0.2, -0.35)),
}
"""N = 3; N = 6 on Bloch orbitals; [2, 2] conditioned on U as well; N = 3 with complex ψ."""

DISPLACED = "displaced"
"""A system for one ansatz alone, [2, 2] on Bloch orbitals with backflow and correlations of many bodies."""

SYSTEMS[DISPLACED] = replace(FAMILY, electrons=(2, 2))

SMALL = ModelConfig(
    width=8,
    blocks=1,
    heads=4,
    kv_heads=2,
    experts=4,
    active_experts=2,
    expert_width=6,
    shared_width=5,
    mlp_width=7,
    determinants=2,
    conditioning_width=4,
    jastrow_order=3,
    jastrow_shells=2,
    envelope_shells=1,
    bloch_order=4,
    bloch_cutoff=30.0,
)
"""Every part of the model, each as small as it goes without becoming trivial."""

SETTINGS: dict[str, dict[str, Any]] = {"polarised": {"blocks": 2}, "dressed": {"orbitals": "bloch"}}
SETTINGS[DISPLACED] = {"orbitals": "bloch", "backflow": True, "many_body": True}


LOUDNESS = {"lem": 0.02}
"""Noise on the numbers where it is not 0.1: sums of products over all electrons are loud."""


quick_jit = partial(eqx.filter_jit, compiler_options={"xla_backend_optimization_level": 0})
"""Compiled with little effort: with so few walkers, compilation is nearly all that tests spend time on."""


@dataclass(frozen=True)
class Case:
    """An ansatz in a system."""

    ansatz: str
    system: str

    @property
    def hamiltonian(self) -> Hamiltonian:
        """The family of Hamiltonians."""
        return SYSTEMS[self.system]

    @property
    def model(self) -> ModelConfig:
        """The ``[model]`` section."""
        return SMALL.model_copy(update={"ansatz": self.ansatz, **SETTINGS.get(self.system, {})})

    @property
    def is_network(self) -> bool:
        """Whether a network and a Jastrow factor are part of ψ."""
        return isinstance(wavefunction(self), NetworkAnsatz)

    def __str__(self) -> str:
        return f"{self.ansatz}-{self.system}"


CASES = [Case(ansatz, system) for ansatz in ANSATZE for system in SYSTEMS if system != DISPLACED]
CASES.append(Case("qernel", DISPLACED))


def perturbed(module: Any, seed: int, scale: float = 0.1) -> Any:
    """The module with Gaussian noise on every trainable number, so that nothing rests at its initial zero."""
    arrays, static = eqx.partition(module, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(arrays)
    rng = np.random.default_rng(seed)
    # High plane waves carry large kinetic energies: amplitudes, the only leaves with four axes or more, get less noise.
    noisy = [leaf + (0.3 if leaf.ndim >= 4 else 1.0) * scale * rng.normal(size=leaf.shape) for leaf in leaves]
    return eqx.combine(jax.tree.unflatten(structure, noisy), static)


@cache
def wavefunction(case: Case) -> Wavefunction:
    """The ansatz in float64 with random parameters everywhere."""
    initial = build(case.model, case.hamiltonian, key=jax.random.key(7), dtype=jnp.float64)
    module: Wavefunction = perturbed(initial, 8, LOUDNESS.get(case.ansatz, 0.1))
    return module


def random_points(hamiltonian: Hamiltonian, count: int, seed: int) -> Array:
    """Points spread over the training range, ``[count, p]``."""
    low, high = np.array(hamiltonian.ranges).T
    fractions = np.random.default_rng(seed).uniform(0, 1, (count, len(low)))
    return jnp.asarray(low + (high - low) * fractions)


def random_positions(hamiltonian: Hamiltonian, count: int, seed: int) -> Array:
    """Electrons anywhere in the cell, ``[count, N, 2]``."""
    fractions = np.random.default_rng(seed).uniform(0, 1, (count, hamiltonian.count, 2))
    return jnp.asarray(fractions @ hamiltonian.supercell.vectors)


@quick_jit
def evaluate(wavefunction: Wavefunction, positions: Array, points: Array) -> tuple[Array, Array]:
    """(sign, log) of a batch of configurations ``[B, N, 2]`` at points ``[B, p]``."""
    return jax.vmap(lambda x, p: log_psi(wavefunction, x, p))(positions, points)


@quick_jit
def derivatives(wavefunction: Wavefunction, positions: Array, points: Array, method: str) -> tuple[Array, Array]:
    """∇log ψ ``[B, 2N]`` and Δlog ψ ``[B]`` of a batch."""

    def single(x: Array, p: Array) -> tuple[Array, Array]:
        return LAPLACIANS[method](lambda y: log_psi(wavefunction, y, p)[1], x)

    return jax.vmap(single)(positions, points)


@quick_jit
def energies(wavefunction: Wavefunction, positions: Array, points: Array) -> LocalEnergy:
    """Local energies of a batch."""
    return jax.vmap(lambda x, p: local_energy(wavefunction, x, p))(positions, points)
