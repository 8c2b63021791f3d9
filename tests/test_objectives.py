"""What updates lower: derivatives of local energies against differences, and the variance that steps leave."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ansatz_cases import CASES, Case, energies, quick_jit, random_points, random_positions, wavefunction
from qernel.cli.commands import estimate
from qernel.config import load_config
from qernel.errors import ConfigError
from qernel.estimators.batched import walker_functions
from qernel.optimise import OPTIMISERS, Schedule
from qernel.training.objectives import OBJECTIVES
from qernel.training.system import centred_system
from qernel.wavefunction import parameter_layout

STEP = 1e-5
NO_CLIP = 1e9
FULL = Schedule(1.0, 1e9)
COMPLEX = [case for case in CASES if case.ansatz in ("lem", "qernel") and case.system == "twisted"]
FAST = [*COMPLEX, *(case for case in CASES if str(case) in ("lem-spinful", "qernel-displaced", "psiformer-dressed"))]
OTHERS = [pytest.param(case, marks=() if case in FAST else pytest.mark.slow, id=str(case)) for case in CASES]


def measured(case: Case, name: str, walkers: int = 6, laplacian: str = "forward") -> tuple[Any, Any, Any, Any]:
    """Parameters, positions ``[1, W, N, 2]``, and what an objective makes of them: energies and rows."""
    template = wavefunction(case)
    functions = walker_functions(template, laplacian=laplacian)
    positions = random_positions(case.hamiltonian, walkers, 3)[None]
    point = random_points(case.hamiltonian, 1, 4)
    parameters = parameter_layout(template).parameters
    found = quick_jit(lambda *given: OBJECTIVES[name].measured(functions, *given))(parameters, positions, point)
    return parameters, positions, *found


def moved(case: Case, change: np.ndarray, positions: Any) -> np.ndarray:
    """Local energies ``[W]`` of ψ with its trainable numbers changed."""
    layout = parameter_layout(wavefunction(case))
    changed = layout.rebuild(layout.parameters.at[: len(change)].add(change))
    point = random_points(case.hamiltonian, 1, 4)
    return np.asarray(energies(changed, positions[0], jnp.repeat(point, positions.shape[1], axis=0)).total)


def direction(rows: np.ndarray, seed: int) -> np.ndarray:
    """Random numbers, smaller where they matter more, so that differences of all of them are alike."""
    steep = np.abs(rows).reshape(-1, rows.shape[-1]).max(0)
    noise = np.random.default_rng(seed).normal(size=len(steep))
    return np.where(steep > 0, noise / np.maximum(steep, 1e-3 * steep.max()), 0.0)


@pytest.mark.parametrize("case", OTHERS)
def test_rows_of_the_variance_are_differences_of_local_energies(case: Case) -> None:
    """Along a random direction, for every ansatz and system, real and complex; energies are those of `local_energy`."""
    _, positions, found, rows = measured(case, "variance")
    rows = np.asarray(rows)[0]
    along = direction(rows, 5)
    differences = (moved(case, STEP * along, positions) - moved(case, -STEP * along, positions)) / (2 * STEP)
    parts = [differences.real, differences.imag][: rows.shape[1]]
    assert rows.shape[1] == 1 + np.iscomplexobj(differences)
    scale = np.abs(differences).max()
    assert scale > 1e-3, "the direction matters"
    np.testing.assert_allclose((rows @ along).T, parts, rtol=2e-6, atol=2e-6 * scale)
    still = moved(case, np.zeros_like(along), positions)
    np.testing.assert_allclose(np.asarray(found.total)[0], still, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
def test_a_loop_of_second_derivatives_has_the_same_rows() -> None:
    *_, expected = measured(COMPLEX[1], "variance", 2)
    *_, rows = measured(COMPLEX[1], "variance", 2, "loop")
    np.testing.assert_allclose(rows, expected, rtol=1e-7, atol=1e-7 * np.abs(expected).max())


def test_a_laplacian_whose_derivatives_are_wrong_is_refused() -> None:
    """folx is right in value and wrong in what its rules pass on to parameters."""
    with pytest.raises(ConfigError, match="'folx' does not allow: use laplacian = 'forward'"):
        load_config("n2", ["train.objective=variance", "train.laplacian=folx"])


def test_from_nothing_there_is_a_remark() -> None:
    (said,) = (note for note in load_config("n2", ["train.objective=variance"]).notes() if "eigenstate" in note)
    assert "--from MODEL" in said
    assert not any("eigenstate" in note for note in load_config("n2").notes())


def test_rows_of_the_energy_are_scores() -> None:
    case = COMPLEX[0]
    parameters, positions, found, rows = measured(case, "energy")
    functions = walker_functions(wavefunction(case), laplacian="forward")
    point = random_points(case.hamiltonian, 1, 4)
    np.testing.assert_allclose(rows, functions.scores(parameters, positions, point), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.total, functions.local_energy(parameters, positions, point).total, rtol=1e-10)


def test_the_gradient_is_that_of_the_variance_where_walkers_are() -> None:
    """2 rowsᵀ residuals, which Adam follows, against differences of the mean of |E_L − ⟨E_L⟩|²."""
    case = COMPLEX[0]
    _, positions, found, rows = measured(case, "variance", 16)
    system = centred_system(found.total, rows, clip=NO_CLIP, balance=0.0)
    length = rows.shape[-1]
    gradient = 2.0 * np.asarray(system.residuals).reshape(-1) @ np.asarray(system.rows).reshape(-1, length)
    along = direction(np.asarray(rows)[0], 6)
    sides = [np.var(moved(case, sign * STEP * along, positions)) for sign in (1.0, -1.0)]
    assert gradient @ along == pytest.approx((sides[0] - sides[1]) / (2 * STEP), rel=1e-5)


@pytest.mark.parametrize("case", COMPLEX, ids=str)
def test_small_steps_take_the_share_of_the_variance_that_the_rows_explain(case: Case) -> None:
    """A step of length s along the least-squares direction leaves (1 − s)² of what the rows explain, to O(s²)."""
    parameters, positions, found, rows = measured(case, "variance", 16)
    rows, residuals, *_ = centred_system(found.total, rows, clip=NO_CLIP, balance=0.0)
    rows, residuals = rows.reshape(-1, rows.shape[-1]), residuals.reshape(-1)
    spring = OPTIMISERS["spring"](load_config("n2", ["train.norm_constraint=1e9", "train.momentum=0"]).train, FULL)
    update, _ = spring.update(rows, residuals, spring.init(parameters[: rows.shape[-1]]))
    before = np.var(np.asarray(found.total))
    explained = float(residuals @ residuals - ((residuals - rows @ update) ** 2).sum())
    assert explained == pytest.approx(before, rel=0.02), "more parameters than walkers"
    share = 1e-3
    after = np.var(moved(case, -share * np.asarray(update), positions))
    assert (before - after) / before == pytest.approx(2 * share, rel=0.05)


def test_validate_counts_what_the_objective_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time and memory of derivatives of local energies: more than of scores, by no more than a few times."""
    monkeypatch.setattr(estimate, "matmul_rate", lambda _: 1e11)
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    settings = ["train.groups=1", "train.walkers=2"]
    energy, variance = (
        estimate.estimate(load_config("n96", [*settings, f"train.objective={name}"])) for name in OBJECTIVES
    )
    assert 1.2 < variance.iteration / energy.iteration < 4
    assert energy.memory < variance.memory < 20 * energy.memory
