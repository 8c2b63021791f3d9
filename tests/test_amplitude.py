"""ψ and its derivative along the family for arrays of configurations, and what a state makes of them."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ansatz_cases import FAMILY, SMALL, Case, evaluate, random_points, random_positions, wavefunction
from qernel.config import load_config
from qernel.errors import QernelError
from qernel.lattice import Supercell
from qernel.measure import Model, State
from qernel.observables import Samples, make
from qernel.training.run import initial_wavefunction
from qernel.wavefunction import build
from qernel.wavefunction.evaluate import PointAmplitude
from test_statistics import expected_coverage


@pytest.mark.parametrize(("ansatz", "system"), [("qernel", "spinful"), ("slater", "twisted")])
def test_derivative_along_the_family(ansatz: str, system: str) -> None:
    """Against central differences of log ψ, for every parameter; real and complex ψ."""
    case = Case(ansatz, system)
    psi, family = wavefunction(case), case.hamiltonian
    x = np.asarray(random_positions(family, 6, 1)).reshape(2, 3, family.count, 2)
    point = np.asarray(random_points(family, 1, 2)[0])
    gradient = PointAmplitude(psi, point, "float64").log_psi_gradient(x)
    assert gradient.shape == (2, 3, len(point)) and np.iscomplexobj(gradient) == (system == "twisted")
    flat = jnp.asarray(x.reshape(6, family.count, 2))
    for index in range(len(point)):
        step = np.zeros(len(point))
        step[index] = 1e-5
        # One compiled function for both sides, which has nothing to do with the one tested.
        above, below = (
            evaluate(psi, flat, jnp.broadcast_to(p, (6, len(point))))[1] for p in (point + step, point - step)
        )
        np.testing.assert_allclose(gradient[..., index].ravel(), (above - below) / 2e-5, rtol=1e-5, atol=1e-6)


def one_electron(twist: tuple[float, float]) -> tuple[Any, Any]:
    family = replace(FAMILY, supercell=Supercell(((1, 1), (-1, 2))), electrons=(1, 0), twist=twist)
    model = SMALL.model_copy(update={"ansatz": "slater", "complex": "auto" if not any(twist) else True})
    return family, build(model, family, key=jax.random.key(0), dtype=jnp.float64)


@pytest.mark.parametrize("twist", [(0.0, 0.0), (0.2, -0.35)])
def test_fidelity_susceptibility_is_the_loss_of_overlap(twist: tuple[float, float]) -> None:
    """Samples of one electron against |⟨ψ_{λ−ε}|ψ_{λ+ε}⟩|² = 1 − χ_F (2ε)² by quadrature."""
    family, psi = one_electron(twist)
    lam, step, cell = 0.6, 0.02, family.supercell
    fractions = (np.arange(48) + 0.5) / 48
    grid = (np.stack(np.meshgrid(fractions, fractions), axis=-1) @ cell.vectors).reshape(-1, 1, 2)

    def values(at: float, positions: np.ndarray) -> np.ndarray:
        sign, log = PointAmplitude(psi, [at], "float64").log_psi(positions)
        return sign * np.exp(log)

    below, above = values(lam - step, grid), values(lam + step, grid)
    overlap = abs(np.vdot(below, above)) ** 2 / (np.vdot(below, below).real * np.vdot(above, above).real)
    exact = (1 - overlap) / (2 * step) ** 2

    rng = np.random.default_rng(1)
    candidates = rng.uniform(size=(40_000, 1, 2)) @ cell.vectors
    density = np.abs(values(lam, candidates)) ** 2
    kept = candidates[rng.uniform(size=len(density)) * density.max() < density]
    x = kept[: 16 * (len(kept) // 16)].reshape(16, -1, 1, 2)
    amplitude = PointAmplitude(psi, [lam], "float64")
    (variable,) = make("fidelity_susceptibility").measure(Samples(x, family, np.array([lam]), psi=amplitude))
    assert variable.summary is not None
    # The error of the quadrature is of order (2ε)² relative.
    assert exact > 0.05
    assert abs(variable.summary.mean - exact) < 3.5 * variable.summary.error + 4 * step**2 * exact
    assert variable.summary.error < 0.05 * exact


@pytest.fixture(scope="module")
def state() -> State:
    """Free electrons, two up and one down, at λ = 0.6: a Slater determinant and nothing to train."""
    config = load_config(
        {
            "system": {"electrons": [2, 1], "supercell": [[1, 1], [-1, 2]], "V0": 4.44, "U": 0.0},
            "family": {"lam": [0.5, 1.0]},
            "model": {"ansatz": "slater", "bloch_order": 4, "bloch_cutoff": 60.0},
            "train": {"precision": "float64"},
            "sample": {"walkers": 16, "samples": 20, "burn_in": 40, "moves": 5},
        }
    )
    return Model("free", config, initial_wavefunction(config)).at(0.6)


def test_a_state_observes(state: State) -> None:
    fractions: list[float] = []
    result = state.observe(
        "structure_factor", make("density", {"grid": 6}), "fidelity_susceptibility", progress=fractions.append
    )
    assert fractions[-1] == 1.0
    assert result["density"].attrs["units"] == "1/a_M^2"
    assert result["density"].attrs["ancillary_variables"] == "density_error"
    area = state.model.hamiltonian.supercell.area
    assert float(result["density"].mean()) * area == pytest.approx(3.0)
    assert float(result["lam"]) == 0.6 and result["lam"].attrs["units"] == "1"
    assert float(result["fidelity_susceptibility_error"]) > 0
    assert 0 < float(result["fidelity_susceptibility_rhat"]) < 2
    assert result.attrs["seed"] == state.model.config.sample.seed and result.attrs["walkers"] == 16
    assert result.attrs["config_sha256"] == state.model.config.fingerprint()
    # The short form is the same measurement.
    assert state.structure_factor(cutoff=2)["structure_factor"].equals(result["structure_factor"])
    for name in ("density", "density_error"):
        assert state.density(grid=6)[name].equals(result[name])


def test_short_forms_exist_for_observables_only(state: State) -> None:
    assert "pair_correlation" in dir(state) and "energy" in dir(state)
    with pytest.raises(AttributeError, match="no attribute 'strcture_factor'"):
        _ = state.strcture_factor
    with pytest.raises(QernelError, match="no such option"):
        state.structure_factor(cutof=1.0)
    with pytest.raises(QernelError, match="name at least one"):
        state.observe()


def test_short_forms_do_not_disturb_copies(state: State) -> None:
    """Copying and pickling look for special methods, also of objects without fields yet; in both ψ stays the same."""
    x = np.array([[0.1, 0.2], [0.7, 0.4], [1.1, 0.3]])
    wanted = state.log_psi(x)
    for twin in (copy.copy(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
        assert twin is not state and twin.lam == state.lam and twin.model.config == state.model.config
        np.testing.assert_array_equal(twin.log_psi(x), wanted)


@pytest.mark.slow
def test_one_sigma_intervals_cover_what_they_claim(state: State) -> None:
    """200 short runs of the whole path: chains, autocorrelation, error. 68 % of the bars hold the long-run value.

    The long-run value is the mean of all runs, which leaves 1/200 of the variance of one run out.
    """
    runs = 200
    wanted = (
        make("order_parameter"),
        make("structure_factor", {"cutoff": 1.0}),
        make("density", {"grid": 3, "cell_grid": 3}),
        make("pair_correlation", {"bins": 3, "grid": 3}),
        make("site_charge"),
        make("fidelity_susceptibility"),
        make("momentum_distribution", {"cutoff": 1.0}),
    )
    results = [state.observe(*wanted, samples=12, walkers=16, seed=seed) for seed in range(runs)]
    names = [name for name in results[0].data_vars if f"{name}_error" in results[0]]
    covered: dict[str, float] = {}
    for name in names:
        values = np.stack([result[name].values for result in results])
        errors = np.stack([result[f"{name}_error"].values for result in results])
        inside = np.abs(values - values.mean(0)) < errors
        # Occupied plane waves of a determinant have no noise to cover.
        covered[str(name)] = float(inside[errors > 1e-9].mean())
    assert {"order_parameter", "structure_factor", "density", "fidelity_susceptibility"} <= set(covered)
    # All intervals together: 68 %, or a little more since the larger of two estimates is taken; and each observable
    # within three binomial standard deviations of what is expected of bars from 16 chains.
    assert np.mean(list(covered.values())) == pytest.approx(0.68, abs=0.07)
    expected = expected_coverage(16)
    bound = 3 * np.sqrt(expected * (1 - expected) / runs)
    assert {name: c for name, c in covered.items() if abs(c - expected) > bound} == {}
