"""U = 0: determinants of the one-body bands are exact, at every configuration and at every λ of the range."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ansatz_cases import FAMILY, MATERIAL, energies, random_positions
from families import changed, moire_bands
from qernel.config import ModelConfig, load_config
from qernel.errors import ConfigError
from qernel.wavefunction import build

FREE = changed(FAMILY, electrons=(6, 0), U=0.0, ranges=((0.4, 1.4),))


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
        bands = moire_bands(family.supercell, lam * MATERIAL.V0, np.pi / 4, 6, cutoff=900.0, twist=twist)
        # What is left is the plane-wave cut-off, amplified near nodes: the median configuration counts.
        assert np.median(np.abs(np.asarray(local) - bands.energies.sum())) < 1e-2


@pytest.mark.parametrize("ansatz", ["slater", "qernel"])
def test_bands_are_exact_at_every_point_of_two_parameters(ansatz: str) -> None:
    """Of λ and φ, between the nodes of both."""
    family = replace(FREE, parameters=("lam", "phase_deg"), ranges=((0.4, 1.4), (0.0, 40.0)))
    size: dict[str, Any] = {"width": 8, "blocks": 1, "heads": 2, "determinants": 1}
    orders = {"bloch_order": 10, "bloch_order_others": 6}
    model = ModelConfig(ansatz=ansatz, orbitals="bloch", bloch_cutoff=500.0, **orders, **size)
    psi = build(model, family, dtype=jnp.float64)
    x, points = random_positions(family, 60, 2), jnp.asarray([[0.4, 0.0], [0.61, 37.0], [1.1, 11.0]])
    local = np.asarray(energies(psi, x, jnp.repeat(points, 20, 0)).total).reshape(3, 20)
    for (lam, phase), found in zip(points.tolist(), local, strict=True):
        exact = moire_bands(family.supercell, lam * MATERIAL.V0, np.deg2rad(phase), 6, cutoff=900.0).energies.sum()
        # What is left is the plane-wave cut-off, amplified near nodes: the median configuration counts.
        assert np.median(np.abs(found - exact)) < 1e-2


@pytest.mark.parametrize(("name", "interval", "value"), [("U", (0.0, 8.0), 0.0), ("gate_distance", (0.5, 2.0), 1.25)])
def test_bloch_orbitals_follow_what_one_body_terms_read(name: str, interval: tuple[float, float], value: float) -> None:
    """A family of two parameters of which the bands know one: the same orbitals, exact at U = 0."""
    gate = {"interaction": "dual_gate", "gate_distance": 9.0} if name == "gate_distance" else {}
    family = changed(FREE, parameters=("lam", name), ranges=((0.4, 1.4), interval), **gate)
    model = ModelConfig(ansatz="slater", bloch_order=10, bloch_cutoff=500.0)
    psi: Any = build(model, family, dtype=jnp.float64)
    assert psi.orbitals.series.names == ("lam",) and len(psi.orbitals.amplitudes[0]) == 10
    x = random_positions(family, 20, 2)
    local = energies(psi, x, jnp.tile(jnp.array([0.9, value]), (20, 1))).total
    exact = moire_bands(family.supercell, 0.9 * MATERIAL.V0, np.pi / 4, 6, cutoff=900.0).energies.sum()
    assert np.median(np.abs(np.asarray(local) - exact)) < 1e-2


def test_as_many_plane_waves_as_free_electrons_need() -> None:
    """57 electrons on a square are a closed shell up to |k|² = 17 (2π/L)²: its plane waves are exact, fewer refused."""
    table: dict[str, Any] = {
        "system": {"electrons": 57, "supercell": [[8, 0], [0, 8]], "lattice": "square", "V0": 0.0, "U": 0.0},
        "model": {"ansatz": "slater", "bloch_order": 1},
    }
    least = 17 * (2 * np.pi / 8) ** 2 / 2
    config = load_config(table, [f"model.bloch_cutoff={least!r}"])
    with pytest.raises(ConfigError, match=r"57 electrons of one spin: give at least 5\.3"):
        load_config(table, [f"model.bloch_cutoff={0.99 * least}"])
    family = config.hamiltonian()
    waves = np.stack(np.meshgrid(np.arange(-4, 5), np.arange(-4, 5)), axis=-1).reshape(-1, 2)
    squares = (waves**2).sum(1)
    psi = build(config.model, family, dtype=jnp.float64)
    local = energies(psi, random_positions(family, 3, 2), jnp.ones((3, 1))).total
    np.testing.assert_allclose(local, 0.5 * (2 * np.pi / 8) ** 2 * squares[squares <= 17].sum(), rtol=1e-9)


@pytest.mark.parametrize("overrides", [[], ["system.V0=0.01", "system.U=1"]])
def test_a_potential_asks_for_more_waves_up_to_four_an_electron(overrides: list[str]) -> None:
    def least(*more: str) -> float:
        with pytest.raises(ConfigError, match="plane waves") as caught:
            load_config("n6", ["model.orbitals=bloch", "model.bloch_cutoff=0.1", *overrides, *more])
        return float(str(caught.value).rpartition("at least ")[2])

    area = 9 * np.sqrt(3) / 2
    shell = 0.5 * (4 * np.pi / np.sqrt(3) / 3) ** 2  # the first around Γ
    expected = shell + 6 * np.cos(np.pi / 4) * 1.4 * 0.01 if overrides else 2 * np.pi * 4 * 6 / area
    assert expected <= least("family.lam=[0.4, 1.4]") < 1.1 * expected
