"""U = 0: determinants of the one-body bands are exact, at every configuration and at every λ of the range."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ansatz_cases import FAMILY, MATERIAL, energies, random_positions
from qernel.config import ModelConfig
from qernel.hamiltonian.bands import one_body_bands
from qernel.wavefunction import build

FREE = replace(FAMILY, electrons=(6, 0), U=0.0, ranges=((0.4, 1.4),))


@pytest.mark.parametrize("twist", [(0.0, 0.0), (0.13, -0.27)])
@pytest.mark.parametrize("ansatz", ["slater", "qernel"])
def test_bands_are_exact_with_zero_variance(ansatz: str, twist: tuple[float, float]) -> None:
    family = replace(FREE, twist=twist)
    model = ModelConfig(
        ansatz=ansatz, orbitals="bloch", determinants=1, bloch_order=10, bloch_cutoff=500.0, width=8, blocks=1, heads=2
    )
    psi = build(model, family, key=jax.random.key(1), dtype=jnp.float64)
    x = random_positions(family, 20, 2)
    for lam in (0.4, 0.77, 1.4):
        local = energies(psi, x, jnp.full((20, 1), lam)).total
        bands = one_body_bands(family.supercell, lam * MATERIAL.V0, np.pi / 4, 6, cutoff=900.0, twist=twist)
        # What is left is the plane-wave cut-off, amplified near nodes: the median configuration counts.
        assert np.median(np.abs(np.asarray(local) - bands.energies.sum())) < 1e-2
