"""Densities and structure factors of projected states: 2·mixed − variational, where all three are known."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from families import moire_bands
from qernel.config import load_config
from qernel.lattice import lattice_points
from qernel.measure import Model
from qernel.projection.engine import Projector
from qernel.projection.series import settled
from qernel.wavefunction import build
from test_projection import DEPTH, NOTHING, PHASE, oscillator

SMALL: dict[str, Any] = {"ansatz": "slater_jastrow", "conditioning_width": 2, "envelope_shells": 1}


def of(system: dict[str, Any], walkers: int, **model: Any) -> Model:
    sample = {"walkers": walkers, "samples": 40, "burn_in": 40, "moves": 4}
    config = load_config({"system": system, "family": {"lam": 1.0}, "model": {**SMALL, **model}, "sample": sample})
    return Model("known", config, build(config.model, config.hamiltonian()))


def coarse(values: np.ndarray) -> np.ndarray:
    """The density ``[24, 24]`` in 36 parts of the cell, none of which is empty."""
    parts: np.ndarray = values.reshape(6, 4, 6, 4).mean((1, 3))
    return parts


def deviations(data: Any, name: str, expected: np.ndarray) -> float:
    """Mean square, in standard errors."""
    error = np.sqrt(coarse(np.square(data[f"{name}_error"].values[0])) / 16)
    return float(np.square((coarse(data[name].values[0]) - coarse(expected)) / error).mean())


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")
def test_the_density_of_an_electron_whose_wavefunction_is_wrong() -> None:
    """One electron in the moiré potential, guided by φ·exp(envelope): nothing but φ is left."""
    model = of({"electrons": 1, "supercell": [[1, 0], [0, 1]]}, 192)
    psi: Any = model.wavefunction
    rng = np.random.default_rng(2)
    wrong = 0.12 * rng.normal(size=psi.envelope.coefficients.base.shape)
    psi = eqx.tree_at(lambda psi: psi.envelope.coefficients.base, psi, jnp.asarray(wrong, jnp.float32))
    model = Model("known", model.config, psi)
    found = model.project(1.0, time_steps=0.004, time=10.0)
    data, cell = found.dataset, model.hamiltonian.supercell

    centres = (np.arange(24) + 0.5) / 24
    r = np.stack(np.meshgrid(centres, centres, indexing="ij"), -1) @ cell.primitive
    bands = moire_bands(cell, DEPTH, PHASE, 1, cutoff=300.0)
    ground = np.exp(1j * r @ bands.waves[0].T) @ bands.coefficients[0]
    angles = r @ cell.moire_shells(1).T
    envelope = np.cos(angles) @ wrong[0] + np.sin(angles) @ wrong[1]

    def density(power: float) -> np.ndarray:
        n = np.abs(ground) ** 2 * np.exp(power * envelope)
        scaled: np.ndarray = n / n.mean() / cell.area
        return scaled

    pure, mixed, variational = density(0.0), density(1.0), density(2.0)
    assert deviations(data, "density_moire", 2 * mixed - variational) < 1.6
    assert deviations(data, "variational_density_moire", variational) < 1.6
    for other in (mixed, variational):
        assert deviations(data, "density_moire", other) > 3.0
    assert np.abs(2 * mixed - variational - pure).mean() < 0.4 * np.abs(mixed - pure).mean()
    energy = found.found[0].energy
    self_image = found.found[0].energies.interaction.value
    assert energy.value == pytest.approx(bands.energies[0] + self_image, abs=3.5 * energy.error) and energy.error < 0.06
    assert found.found[0].variational.energy.value > energy.value + 1.0
    np.testing.assert_allclose(data["structure_factor"], 1.0, atol=1e-9)


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")
def test_free_electrons_have_their_structure_factor() -> None:
    """Seven in closed shells: S(q) = 1 − (pairs of occupied waves that differ by q)/N, and no variance."""
    model = of({"electrons": 7, "supercell": [[3, 0], [0, 3]], "V0": 0.0, "U": 0.0}, 48, envelope=False)
    data = model.project(1.0, time_steps=0.01, time=8.0).dataset
    waves = lattice_points(model.hamiltonian.supercell.reciprocal, 3.0)
    assert len(waves) == 7
    q = np.stack([data["qx"].values, data["qy"].values], -1)
    same = np.abs(waves[:, None, None] - waves[None, :, None] - q).max(-1) < 1e-6
    expected = 1.0 - same.sum((0, 1)) / 7
    found, error = data["structure_factor"].values[0], data["structure_factor_error"].values[0]
    assert expected.min() < 0.5 and np.square((found - expected) / error).mean() < 1.5 and np.median(error) < 0.1
    energy = data["energy"].values[0] * 7
    assert energy == pytest.approx(0.5 * np.square(waves).sum(), abs=1e-3)


def test_twice_the_mixed_estimate_less_the_variational_one() -> None:
    """An oscillator guided by exp(−½ax²): ⟨x²⟩ is 1/(1 + a) mixed, 1/(2a) variational, ½ in the projected state."""
    projector = Projector(oscillator(0.8), NOTHING, 256, 1, bound=lambda *_: np.inf)
    progress, means = projector.begun(np.random.default_rng(1).normal(size=(256, 1, 2))), []
    for _ in range(150):
        progress = projector.advanced(progress, np.ones(1), 0.05, reference=1.0, seed=3)
        means.append(float(np.square(progress.positions).mean()))
    later = np.array(means[1 + settled(progress.series) // 8 :])
    error = np.sqrt(later.var() * 2 / len(later))
    assert later.mean() == pytest.approx(1 / 1.8, abs=4 * error) and error < 0.01
    assert 2 * later.mean() - 1 / 1.6 == pytest.approx(0.5, abs=0.02 + 6 * error)
