"""The tangent test: fits against least squares, columns against differences of log ψ, shares against exact ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ansatz_cases import Case, quick_jit, random_points, random_positions, wavefunction
from families import family
from free_fermions import free_gas
from qernel.cli import main
from qernel.config import load_config
from qernel.errors import QernelError, RunError
from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.methods import forward
from qernel.lattice import Supercell
from qernel.measure import Model
from qernel.measure.diagnosis import RECORD
from qernel.records import read_json
from qernel.storage import to_json
from qernel.tangent.base import Term
from qernel.tangent.columns import TangentColumns, modules, term_columns
from qernel.tangent.fits import TOGETHER, targets
from qernel.tangent.registry import TERMS, chosen, terms
from qernel.tangent.regression import Regression, Share, fold_of
from qernel.tangent.waves import OneBody
from qernel.wavefunction import Wavefunction, build, log_psi, parameter_count, parameter_layout, trainable
from qernel.wavefunction.parts.jastrow import MoireEnvelope
from runs import TINY


def share(columns: np.ndarray, target: np.ndarray) -> Share:
    """R² of columns ``[chains, samples, parts, K]`` for a target ``[chains, samples, parts]``, added by record."""
    fit = Regression(fold_of(len(target)))
    for index in range(target.shape[1]):
        fit.add(columns[:, index], target[:, index])
    return fit.share()


def held_back(columns: np.ndarray, target: np.ndarray) -> float:
    """The same by `numpy.linalg.lstsq`, without a ridge."""
    folds = fold_of(len(target))
    left = spread = 0.0
    for fold in range(folds.max() + 1):
        fitted, tested = folds != fold, folds == fold
        parts = target.shape[2]
        rows = [np.concatenate([np.tile(np.eye(parts), (*x.shape[:2], 1, 1)), x], -1) for x in (columns[fitted],)]
        weights = np.linalg.lstsq(rows[0].reshape(-1, rows[0].shape[-1]), target[fitted].ravel(), rcond=None)[0]
        residual = target[tested] - columns[tested] @ weights[parts:] - weights[:parts]
        left += (residual**2).sum()
        spread += ((target[tested] - target[fitted].mean((0, 1))) ** 2).sum()
    return float(1.0 - left / spread)


@pytest.mark.parametrize("parts", [1, 2])
def test_shares_are_those_of_least_squares(parts: int) -> None:
    rng = np.random.default_rng(parts)
    columns = rng.normal(5.0, [1.0, 0.01, 100.0], (24, 40, parts, 3))
    signal = columns @ np.array([1.0, 50.0, 0.005]) + np.arange(parts)
    for noise in (0.0, 1.0, 3.0):
        target = signal + noise * rng.normal(size=signal.shape)
        assert share(columns, target).value == pytest.approx(held_back(columns, target), abs=2e-4)
    assert share(columns, signal).value == pytest.approx(1.0, abs=1e-8)


def test_columns_that_say_nothing_explain_nothing() -> None:
    """150 of them for 480 rows, which a fit without chains held back would say explain 0.3."""
    rng = np.random.default_rng(4)
    columns, target = rng.normal(size=(16, 30, 1, 150)), rng.normal(size=(16, 30, 1))
    found = share(columns, target)
    assert abs(found.value) < max(0.05, 3 * found.error)
    assert held_back(columns, target) < -0.2


def test_errors_are_those_of_repetitions() -> None:
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        columns, common = rng.normal(size=(20, 20, 1, 2)), rng.normal(size=(20, 1, 1))
        # What a chain has in common makes its records less than independent.
        found.append(share(columns, columns.sum(-1) + common + rng.normal(size=(20, 20, 1))))
    scatter = np.std([one.value for one in found], ddof=1)
    assert 0.75 < np.mean([one.error for one in found]) / scatter < 1.35


def test_what_does_not_vary_has_no_share() -> None:
    rng = np.random.default_rng(0)
    columns = np.concatenate([rng.normal(size=(8, 5, 1, 1)), np.full((8, 5, 1, 1), 7.0)], -1)
    assert np.isnan(share(columns, np.full((8, 5, 1), 2.0)).value)
    assert share(columns, columns[..., 0]).value == pytest.approx(1.0, abs=1e-6), "a constant column does no harm"
    with pytest.raises(ValueError, match="at least 4"):
        Regression(fold_of(3))


def test_clipping_takes_off_what_is_far_out() -> None:
    energies = np.random.default_rng(1).normal(size=(8, 50)) + 0j
    kept, lost = targets(energies, 100.0)
    assert lost == pytest.approx(0.0, abs=1e-12) and kept == pytest.approx(energies - energies.mean())
    energies[0, 0] += 1e3
    kept, lost = targets(energies, 5.0)
    assert lost > 0.99 and np.abs(kept).max() < 100.0


COMPLEX, SPINFUL = Case("slater", "twisted"), Case("slater", "spinful")


def added(case: Case) -> list[Term]:
    return terms(chosen(None), case.model, case.hamiltonian)


@pytest.mark.parametrize("case", [COMPLEX, SPINFUL], ids=str)
def test_columns_are_differences_of_log_psi(case: Case) -> None:
    psi, step = wavefunction(case), 1e-5
    x, point = random_positions(case.hamiltonian, 1, 3)[0], random_points(case.hamiltonian, 1, 4)[0]

    @quick_jit
    def both(psi: Wavefunction) -> dict[str, tuple[Array, Array]]:
        found = {}
        for term in added(case):

            def applied(alpha: Array, term: Term = term) -> Array:
                return term.applied(lambda y: log_psi(psi, y, point)[1], alpha, x)

            unit = step * jnp.eye(term.size)
            difference = jax.vmap(lambda a, f=applied: f(a) - f(-a))(unit) / (2 * step)
            found[term.name] = term_columns(psi, term, x, point), difference
        return found

    for name, (columns, difference) in both(psi).items():
        parts = np.stack([np.real(difference), np.imag(difference)][: len(columns)])
        assert len(columns) == (2 if case is COMPLEX else 1)
        np.testing.assert_allclose(columns, parts, rtol=1e-6, atol=1e-6, err_msg=name)
        assert np.abs(columns).max() > 1e-3, name


def test_three_electrons_are_part_of_many_bodies() -> None:
    """Two implementations of s_k s_l and v_k·v_l."""
    case = Case("slater", "polarised")
    three, many = (term for term in added(case) if term.name in ("three_body", "many_body"))
    x = random_positions(case.hamiltonian, 1, 5)[0]

    @quick_jit
    def factors(x: Array) -> list[Array]:
        bare = [lambda a, term=term: term.applied(lambda _: jnp.zeros(()), a, x) for term in (three, many)]
        return [jax.grad(one)(jnp.zeros(term.size)) for one, term in zip(bare, (three, many), strict=True)]

    columns = factors(x)
    assert (three.size, many.size) == (20, 76)
    np.testing.assert_allclose(columns[0], np.concatenate([columns[1][16:26], columns[1][46:56]]), rtol=1e-10)


def test_modules_are_where_the_parameters_are() -> None:
    psi = wavefunction(Case("qernel", "displaced"))
    found, flat = modules(psi), np.asarray(parameter_layout(psi).parameters)
    assert sorted(np.concatenate([*found.values()])) == list(range(parameter_count(psi)))
    for name, part in {
        "head.determinants": psi.head.determinants,  # type: ignore[attr-defined]
        "correlation.many": psi.correlation.many,  # type: ignore[attr-defined]
        "input": psi.input,  # type: ignore[attr-defined]
    }.items():
        leaves = jax.tree.leaves(trainable(part))
        np.testing.assert_array_equal(flat[found[name]], np.concatenate([leaf.ravel() for leaf in leaves]))


class Enveloped(Wavefunction):
    """A determinant times a one-body envelope that it would be exact without."""

    determinant: Wavefunction
    envelope: MoireEnvelope
    hamiltonian: Hamiltonian = eqx.field(static=True)

    def amplitude(self, positions: Any, point: Array) -> tuple[Array, Any]:
        sign, log = self.determinant.amplitude(positions, point)
        return sign, log + self.envelope(positions, jnp.zeros(0, point.dtype))


def enveloped(model: Any, hamiltonian: Hamiltonian, strength: float) -> Enveloped:
    determinant = build(model, hamiltonian, key=jax.random.key(0), dtype=jnp.float64)
    envelope = MoireEnvelope(hamiltonian.supercell, 0, 1, dtype=jnp.float64)
    coefficients = strength * jnp.zeros_like(envelope.coefficients.base).at[0, 0].set(1.0)
    envelope = eqx.tree_at(lambda e: e.coefficients.base, envelope, coefficients)
    return Enveloped(determinant=determinant, envelope=envelope, hamiltonian=hamiltonian)


def test_the_share_of_a_wave_is_that_of_its_particle_hole_excitations() -> None:
    """cos g·r lifts electrons from k to k ± g by ω_k: to first order the share is (Σω)²/(n Σω²), 0.84 here."""
    cell = Supercell(((3, 0), (0, 3)))
    free = family(cell, (7, 0), ranges=((0.5, 1.5),))
    waves = cell.shells(1)
    occupied = np.concatenate([np.zeros((1, 2)), waves, -waves])
    g = cell.moire_shells(1)[0]
    lifted = 0.5 * (((occupied + g) ** 2).sum(1) - (occupied**2).sum(1))
    exact = lifted.sum() ** 2 / (7 * (lifted**2).sum())
    assert exact == pytest.approx(0.84)

    config = load_config({"system": {"electrons": 7, "supercell": [[3, 0], [0, 3]]}, "model": {"ansatz": "slater"}})
    psi = enveloped(config.model, free, 1e-4)
    samples, point = free_gas(free, [occupied], (40, 60), 2).positions, jnp.array([1.0])
    term = OneBody(config.model, free)

    def measured(x: Array) -> tuple[Array, Array]:
        gradient, curvature = forward(lambda y: log_psi(psi, y, point)[1], x)
        return -0.5 * (curvature + (gradient**2).sum()), term_columns(psi, term, x, point)

    flat = jnp.asarray(samples.reshape(-1, 7, 2))
    energies, columns = quick_jit(lambda x: jax.lax.map(measured, x, batch_size=100))(flat)
    found = share(np.asarray(columns).reshape(40, 60, 1, -1), np.asarray(energies).reshape(40, 60, 1))
    assert found.error < 0.06 and abs(found.value - exact) < 4 * found.error


ENVELOPE, GROUPS = "envelope.coefficients", ["one_body", "density_waves"]

SETTINGS: dict[str, Any] = {
    **TINY,
    "system": {"electrons": 1, "supercell": [[1, 1], [-1, 2]], "V0": 0.0, "U": 0.0},
    "model": {"ansatz": "slater"},
    "sample": {"walkers": 16, "samples": 12, "burn_in": 20, "moves": 2},
}


@pytest.fixture(scope="module")
def model() -> Model:
    """One free electron in its ground state times an envelope: E_L is linear in the columns of one-body harmonics."""
    config = load_config(SETTINGS)
    return Model("free", config, enveloped(config.model, config.hamiltonian(), 1e-3))


@pytest.fixture(scope="module")
def tangent(model: Model) -> TangentColumns:
    """Its columns, compiled once."""
    added = terms(GROUPS, model.config.model, model.hamiltonian)
    return TangentColumns(model.wavefunction, added, walkers=model.config.sample.walkers)


@pytest.fixture
def compiled(tangent: TangentColumns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qernel.measure.diagnose._columns", lambda *_: tangent)


def test_a_term_that_is_all_that_is_missing_explains_everything(model: Model, compiled: None) -> None:
    found = model.at(0.7).diagnose(groups=GROUPS)
    assert found["one_body"].added and not found[ENVELOPE].added
    for name in ("one_body", ENVELOPE, TOGETHER):
        assert found[name].share.value == pytest.approx(1.0, abs=1e-3), name
        assert found[name].left(1.0)[0] == pytest.approx(0.0, abs=1e-3)
    assert found["density_waves"].share.value == pytest.approx(0.0, abs=0.01), "constant for one electron"
    assert found.configurations == 16 * 12 and found.v_score[0] > 0


def typed(model: Model, line: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("qernel.measure.load", lambda _: model)
    return main(["diagnose", "free", "--lam", "0.7", *line])


@pytest.mark.filterwarnings("ignore:the chains disagree:qernel.errors.QernelWarning")
def test_verb_command_record_and_report_say_the_same(
    model: Model, compiled: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    called = model.diagnose(0.7, groups=GROUPS, out=out)
    record = read_json(out / RECORD)
    assert [row["group"] for row in record["results"][0]["groups"] if row["added"]] == [*GROUPS, TOGETHER]
    assert record["provenance"]["request"]["terms"] == GROUPS and "weights" in record["provenance"]["request"]
    assert {path.name for path in out.iterdir()} == {RECORD}
    assert typed(model, ["--group", *GROUPS, "--json"], monkeypatch) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["results"] == json.loads(to_json(called.as_dict()["results"])) == record["results"]
    assert "one_body" in called.table() and "chains not fitted to" in called.table()
    assert typed(model, ["--group", *GROUPS, "--seed", "5", "--out", str(out)], monkeypatch) == 2
    assert "of another tangent test" in capsys.readouterr().err
    assert main(["report", str(out)]) == 0
    assert all(f">{name}<" in (out / "report.html").read_text("utf-8") for name in (*GROUPS, ENVELOPE))


def test_bad_requests_are_one_sentence(model: Model) -> None:
    with pytest.raises(QernelError, match=r"there is no term nothing: choose from one_body, "):
        model.diagnose(0.7, groups=["nothing"])
    with pytest.raises(RunError, match=r"walkers = 3 leaves no chains .*: give at least 4"):
        model.diagnose(0.7, walkers=3)


def test_large_parts_are_projected(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    monkeypatch.setattr("qernel.tangent.columns.PROJECTED", 3)
    term = terms(["one_body"], model.config.model, model.hamiltonian)
    tangent = TangentColumns(model.wavefunction, term, walkers=2)
    own, found = tangent(random_positions(model.hamiltonian, 2, 1), [0.7])
    assert tangent.parameters[ENVELOPE] == 6 and own[ENVELOPE].shape == (2, 1, 3)
    assert found["one_body"].shape == (2, 1, term[0].size) and set(TERMS) >= set(found)
