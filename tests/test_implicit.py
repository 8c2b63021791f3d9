"""Implicit steps: derivatives of local energies against differences, and what steps along them leave."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ansatz_cases import CASES, Case, energies, evaluate, quick_jit, random_points, random_positions, wavefunction
from qernel.cli.commands import estimate
from qernel.config import load_config
from qernel.errors import ConfigError
from qernel.estimators.batched import walker_functions
from qernel.optimise import OPTIMISERS, Schedule
from qernel.training import rows as of_training
from qernel.training.system import centred_system
from qernel.wavefunction import parameter_layout

TAU, LONG = 0.1, 1e4
STEP = 1e-5
NO_CLIP = 1e9
FULL = Schedule(1.0, 1e9)
COMPLEX = [case for case in CASES if case.ansatz in ("lem", "qernel") and case.system == "twisted"]
FAST = [*COMPLEX, *(case for case in CASES if str(case) == "lem-spinful")]
OTHERS = [pytest.param(case, marks=() if case in FAST else pytest.mark.slow, id=str(case)) for case in CASES]


def measured(case: Case, tau: float, walkers: int = 6, laplacian: str = "forward") -> tuple[Any, Any, Any, Any]:
    """Parameters, positions ``[1, W, N, 2]``, and what an update sees of them: energies and rows."""
    template = wavefunction(case)
    functions = walker_functions(template, laplacian=laplacian, implicit=tau)
    positions = random_positions(case.hamiltonian, walkers, 3)[None]
    point = random_points(case.hamiltonian, 1, 4)
    parameters = parameter_layout(template).parameters
    seen = quick_jit(partial(of_training.measured, functions))
    return parameters, positions, *seen(parameters, positions, point)


def moved(case: Case, change: np.ndarray, positions: Any) -> tuple[np.ndarray, np.ndarray]:
    """log ψ (its phase in the imaginary part) and local energies ``[W]`` of ψ with its trainable numbers changed."""
    layout = parameter_layout(wavefunction(case))
    changed = layout.rebuild(layout.parameters.at[: len(change)].add(change))
    points = jnp.repeat(random_points(case.hamiltonian, 1, 4), positions.shape[1], axis=0)
    total = np.asarray(energies(changed, positions[0], points).total)
    return np.asarray(evaluate(changed, positions[0], points)[1]), total


def direction(rows: np.ndarray, seed: int) -> np.ndarray:
    """Random numbers, smaller where they matter more, so that differences of all of them are alike."""
    steep = np.abs(rows).reshape(-1, rows.shape[-1]).max(0)
    noise = np.random.default_rng(seed).normal(size=len(steep))
    return np.where(steep > 0, noise / np.maximum(steep, 1e-3 * steep.max()), 0.0)


@pytest.mark.parametrize("case", OTHERS)
def test_rows_are_differences_of_log_psi_and_local_energies(case: Case) -> None:
    """Along a random direction, for every ansatz and system, real and complex; energies are those of `local_energy`."""
    _, positions, found, rows = measured(case, TAU)
    rows = np.asarray(rows)[0]
    along = direction(rows, 5)
    (log, total), (before_log, before) = (moved(case, sign * STEP * along, positions) for sign in (1.0, -1.0))
    differences = (log - before_log + TAU * (total - before)) / (2 * STEP)
    parts = [differences.real, differences.imag][: rows.shape[1]]
    assert rows.shape[1] == 1 + np.iscomplexobj(differences)
    scale = np.abs(TAU * (total - before)).max() / (2 * STEP)
    assert scale > 1e-3 * np.abs(differences).max(), "local energies matter"
    np.testing.assert_allclose((rows @ along).T, parts, rtol=2e-6, atol=2e-6 * scale)
    np.testing.assert_allclose(np.asarray(found.total)[0], moved(case, 0 * along, positions)[1], rtol=1e-10, atol=1e-10)


@pytest.mark.slow
def test_a_loop_of_second_derivatives_has_the_same_rows() -> None:
    *_, expected = measured(COMPLEX[1], TAU, 2)
    *_, rows = measured(COMPLEX[1], TAU, 2, "loop")
    np.testing.assert_allclose(rows, expected, rtol=1e-7, atol=1e-7 * np.abs(expected).max())


def test_a_laplacian_whose_derivatives_are_wrong_is_refused() -> None:
    """folx is right in value and wrong in what its rules pass on to parameters."""
    with pytest.raises(ConfigError, match="'folx' does not allow: use laplacian = 'forward'"):
        load_config("n2", ["train.implicit=0.1", "train.laplacian=folx"])


def test_from_nothing_there_is_a_remark() -> None:
    (said,) = (note for note in load_config("n2", ["train.implicit=0.1"]).notes() if "eigenstate" in note)
    assert "--from MODEL" in said
    assert not any("eigenstate" in note for note in load_config("n2").notes())


def test_explicit_rows_are_scores() -> None:
    case = COMPLEX[0]
    parameters, positions, found, rows = measured(case, 0.0)
    functions = walker_functions(wavefunction(case), laplacian="forward")
    point = random_points(case.hamiltonian, 1, 4)
    np.testing.assert_allclose(rows, functions.scores(parameters, positions, point), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.total, functions.local_energy(parameters, positions, point).total, rtol=1e-10)


def test_the_gradient_is_that_of_energy_and_variance() -> None:
    """2 rowsᵀ residuals, which Adam follows: scores give ∇⟨E⟩ (`test_step`), the rest is τ∇ of the variance of local
    energies where walkers are, by differences."""
    case = COMPLEX[0]
    _, positions, found, rows = measured(case, TAU, 16)
    _, _, _, scores = measured(case, 0.0, 16)
    gradients = []
    for one in (rows, scores):
        system = centred_system(found.total, one, clip=NO_CLIP, balance=0.0)
        stacked = np.asarray(system.rows).reshape(-1, one.shape[-1])
        gradients.append(2.0 * np.asarray(system.residuals).reshape(-1) @ stacked)
    along = direction(np.asarray(rows)[0], 6)
    sides = [np.var(moved(case, sign * STEP * along, positions)[1]) for sign in (1.0, -1.0)]
    expected = TAU * (sides[0] - sides[1]) / (2 * STEP)
    assert (gradients[0] - gradients[1]) @ along == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("case", [case for case in COMPLEX if case.ansatz == "lem"], ids=str)
def test_for_long_times_a_step_takes_the_variance_that_its_rows_explain(case: Case) -> None:
    """A share s of the whole step leaves (1 − s)² of what the rows explain, to O(s²)."""
    parameters, positions, found, rows = measured(case, LONG, 16)
    rows, residuals, *_ = centred_system(found.total, rows, clip=NO_CLIP, balance=0.0)
    rows, residuals = rows.reshape(-1, rows.shape[-1]), residuals.reshape(-1)
    spring = OPTIMISERS["spring"](load_config("n2", ["train.norm_constraint=1e9", "train.momentum=0"]).train, FULL)
    update, _ = spring.update(rows, residuals, spring.init(parameters[: rows.shape[-1]]))
    before = np.var(np.asarray(found.total))
    explained = float(residuals @ residuals - ((residuals - rows @ update) ** 2).sum())
    assert explained == pytest.approx(before, rel=0.02), "more parameters than walkers"
    share = 1e-3
    after = np.var(moved(case, -share * LONG * np.asarray(update), positions)[1])
    assert (before - after) / before == pytest.approx(2 * share, rel=0.05)


def test_validate_counts_implicit_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time and memory of derivatives of local energies: more than of scores, by no more than a few times."""
    monkeypatch.setattr(estimate, "matmul_rate", lambda _: 1e11)
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    settings = ["train.groups=1", "train.walkers=2"]
    explicit, implicit = (
        estimate.estimate(load_config("n96", [*settings, f"train.implicit={tau}"])) for tau in (0.0, TAU)
    )
    assert 1.2 < implicit.iteration / explicit.iteration < 4
    assert explicit.memory < implicit.memory < 20 * explicit.memory
