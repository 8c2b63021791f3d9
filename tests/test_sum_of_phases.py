"""The sum of a liquid and one crystal of 24 electrons against the two alone (six electrons: test_universal.py)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ansatz_cases import FAMILY, SMALL
from qernel.lattice import Supercell
from qernel.wavefunction import build
from qernel.wavefunction.ansatz.lem import Lem
from qernel.wavefunction.base import log_psi

BALANCE, SLOPE, OFFSET = 0.03, 0.2, -0.7


def made(phase: str) -> Lem:
    hamiltonian = replace(FAMILY, electrons=(24, 0), supercell=Supercell(((6, 0), (0, 6))))
    model = SMALL.model_copy(update={"ansatz": "lem", "many_body_range": 2.0, "phase": phase})
    psi = build(model, hamiltonian, key=jax.random.key(2), dtype=jnp.float64)
    assert isinstance(psi, Lem)
    slopes = jnp.zeros_like(psi.balance.slope).at[0].set(SLOPE)
    numbers = (jnp.asarray(BALANCE), slopes, jnp.asarray(OFFSET))
    return eqx.tree_at(lambda psi: (psi.balance.base, psi.balance.slope, psi.offset.base), psi, numbers)


def test_each_phase_has_the_weight_it_is_given() -> None:
    """ψ = e^(−Nω − κ) ψ_liquid + e^(Nω + κ) ψ_crystal; a single determinant alone is without its weight."""
    whole, liquid, crystal = (made(phase) for phase in ("both", "liquid", "crystal"))
    point = jnp.asarray([*whole.hamiltonian.middle.values()]).at[0].multiply(1.02)
    tilt = 24 * (BALANCE + SLOPE * float(whole.hamiltonian.scaled(point)[0])) + OFFSET
    evaluated = [jax.jit(partial(log_psi, psi)) for psi in (whole, liquid, crystal)]
    cell, compared = whole.hamiltonian.supercell, 0
    for seed in range(8):
        places = np.random.default_rng(seed).uniform(0.0, 6.0, (24, 2))
        r = jnp.asarray(
            cell.translations[cell.crystal(0, 24)] + 0.12 * np.sin(places) + 0.4 * (seed % 2) * np.cos(places)
        )
        (s, log), (s_l, log_l), (s_c, log_c) = (evaluate(r, point) for evaluate in evaluated)
        expected = s_l * np.exp(log_l - tilt - log) + s_c * np.exp(log_c + tilt - log)
        np.testing.assert_allclose(s, expected, rtol=1e-9)
        compared += bool(abs(log_l - log_c - 2.0 * tilt) < 10.0)
    assert compared
