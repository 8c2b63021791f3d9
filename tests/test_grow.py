"""Runs that start with a trained network: the same function, refusals, and Hartree–Fock orbitals brought back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import ortho_group, unitary_group

import qernel
from ansatz_cases import FAMILY, SQRT3
from qernel.cli import main
from qernel.config import load_config
from qernel.errors import ConfigError, RunError
from qernel.hamiltonian.family import Hamiltonian
from qernel.training.checkpoint import Checkpoints
from qernel.training.folder import save_model
from qernel.training.run import initial_state, initial_wavefunction
from qernel.wavefunction import parameter_layout
from qernel.wavefunction.orbitals.chebyshev import Series
from qernel.wavefunction.orbitals.hartree_fock import HartreeFockOrbitals
from qernel.wavefunction.transfer import amplitudes, as_before
from runs import TINY

POSITIONS = np.random.default_rng(3).uniform(0.0, 2.0, (4, 2, 2))


def changed(**model: Any) -> qernel.Config:
    return load_config({**TINY, "model": {**TINY["model"], **model}})  # type: ignore[dict-item]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose arrays are all other than those a run starts with, none of them silent."""
    folder = tmp_path_factory.mktemp("source")
    config = changed()
    rng = np.random.default_rng(1)
    arrays, static = eqx.partition(initial_wavefunction(config), eqx.is_inexact_array)
    moved = jax.tree.map(lambda leaf: leaf + jnp.asarray(0.3 * rng.normal(size=leaf.shape), leaf.dtype), arrays)
    save_model(folder / "model.safetensors", config, eqx.combine(moved, static))
    return folder


def test_added_blocks_and_conditions_leave_the_function(source: Path, tmp_path: Path) -> None:
    config = changed(blocks=2, conditioning_width=5)
    found = qernel.grow(source, config, tmp_path / "run")
    assert found.same and found.word == "the same function" and found.rescaled == [] and found.overlaps == []
    old, new = qernel.load(source), qernel.load(tmp_path / "run")
    assert len(new.wavefunction.blocks) == 2
    for lam in (0.5, 0.8, 1.0):
        for one, other in zip(old.at(lam).log_psi(POSITIONS), new.at(lam).log_psi(POSITIONS), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5)
    state = initial_state(config, new.wavefunction)
    loaded = Checkpoints.of(tmp_path / "run", config).load(state)
    assert not loaded.finished and int(loaded.state.iteration) == 0
    np.testing.assert_array_equal(loaded.state.parameters, parameter_layout(new.wavefunction).parameters)


def test_what_is_another_function_is_called_so(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wide.toml").write_text(changed(width=8).to_toml())
    line = ["grow", str(source), str(tmp_path / "wide.toml"), "--set", "family.lam=[0.4,1.0]", "--out"]
    assert main([*line, str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert ": a start; family.lam is not as in its training" in said
    assert f"qernel train {tmp_path}/run/config.toml --out {tmp_path}/run --resume" in said
    assert main([*line, str(tmp_path / "again"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["deviation"] > 0.01 and not record["same"] and record["rescaled"] == ["lam"]


@pytest.mark.parametrize("index", [0, 1])
def test_one_determinant_of_two(source: Path, tmp_path: Path, index: int) -> None:
    """The same ψ as with the weight of the other one at zero."""
    found = qernel.grow(source, changed(determinants=1), tmp_path / "run", determinant=index)
    assert found.deviation is None
    both = qernel.load(source)
    chosen = jnp.zeros(2, jnp.float32).at[index].set(1.0)
    alone = eqx.tree_at(
        lambda w: (w.head.determinants.weights.base, w.head.determinants.weights.slope),
        both.wavefunction,
        replace_fn=lambda leaf: jnp.broadcast_to(chosen if leaf.ndim == 1 else 0.0 * chosen, leaf.shape),
    )
    expected = replace(both, wavefunction=alone, _samplers={}).at(0.7).log_psi(POSITIONS)
    for one, other in zip(expected, qernel.load(tmp_path / "run").at(0.7).log_psi(POSITIONS), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


REFUSED = {
    "smaller": ({"width": 2, "heads": 1}, {}, "model.width = 2 is less than the 4 of the trained network"),
    "ansatz": ({"ansatz": "psiformer"}, {}, "model.ansatz = 'psiformer', but the trained network is a 'qernel'"),
    "determinant": ({"determinants": 1}, {"determinant": 2}, "determinant 2 is not one of the 2"),
    "several": ({}, {"determinant": 0}, "model.determinants = 2: one determinant alone needs 1"),
    "other parts": ({"determinants": 1, "jastrow": False}, {"determinant": 0}, "change nothing but model.determinants"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(source: Path, tmp_path: Path, case: str) -> None:
    model, options, sentence = REFUSED[case]
    with pytest.raises(ConfigError, match=sentence):
        qernel.grow(source, changed(**model), tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_other_parameters_and_folders_in_use_are_refused(source: Path, tmp_path: Path) -> None:
    other = load_config({**TINY, "family": {"lam": [0.5, 1.0], "U": [8.0, 12.0]}})
    with pytest.raises(ConfigError, match="conditions on lam, U, the trained network on lam"):
        qernel.grow(source, other, tmp_path / "run")
    with pytest.raises(RunError, match="is not an empty folder: choose another --out"):
        qernel.grow(source, changed(), source)
    with pytest.raises(RunError, match="neither a run folder nor a shipped model"):
        qernel.grow("nothing", changed(), tmp_path / "run")
    assert list(source.iterdir()) == [source / "model.safetensors"]


CASES = {
    "real": (replace(FAMILY, electrons=(6, 0), ranges=((0.5, 1.3),)), 2),
    "twisted": (replace(FAMILY, electrons=(3, 0), supercell=SQRT3, twist=(0.2, -0.35)), 1),
    "spinful": (replace(FAMILY, electrons=(2, 1), supercell=SQRT3), 1),
    "along U as well": (
        replace(FAMILY, electrons=(2, 0), supercell=SQRT3, parameters=("lam", "U"), ranges=((0.5, 1.3), (8.0, 12.0))),
        1,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_orbitals_are_brought_back(case: str) -> None:
    """From another place, mixed among themselves, in a larger basis."""
    family, determinants = CASES[case]
    old = started(family, determinants, cutoff=30.0)
    new = started(family, determinants, cutoff=45.0)
    cell, rng = family.supercell, np.random.default_rng(5)
    nodes = [dict(zip(family.parameters, point, strict=True)) for point in new.series.nodes.tolist()]
    tables, wanted = [], []
    for spin in range(len(old.amplitudes)):
        turns, _ = amplitudes(new, spin, nodes)
        old_turns, z = amplitudes(old, spin, nodes)
        row = {tuple(turn): index for index, turn in enumerate(turns.tolist())}
        padded = np.zeros((*z.shape[:-1], len(turns)), complex)
        padded[..., [row[tuple(turn)] for turn in old_turns.tolist()]] = z
        wanted.append(padded.copy())
        for place in np.ndindex(z.shape[:2]):
            shift = cell.translations[rng.integers(1, cell.cells)]
            rotations: Any = unitary_group if new.complex else ortho_group
            rotation = rotations.rvs(z.shape[2], random_state=rng) if z.shape[2] > 1 else np.ones((1, 1))
            padded[place] = rotation @ (padded[place] * np.exp(-1j * (turns @ cell.reciprocal) @ shift))
        parts = [padded.real, padded.imag if new.complex else -padded.imag]
        tables.append(jnp.asarray(new.series.fit(np.moveaxis(np.stack(parts, axis=1), -1, 2))))
    disguised = eqx.tree_at(lambda o: o.amplitudes, new, tables)
    found, overlaps = as_before(disguised, old)
    assert len(overlaps) == len(wanted) * len(nodes) * determinants
    np.testing.assert_allclose([one.value for one in overlaps], 1.0, atol=1e-9)
    for spin, expected in enumerate(wanted):
        assert np.abs(amplitudes(disguised, spin, nodes)[1] - expected).max() > 0.1
        np.testing.assert_allclose(amplitudes(found, spin, nodes)[1], expected, atol=1e-9)


def started(family: Hamiltonian, determinants: int, *, cutoff: float) -> HartreeFockOrbitals:
    """Orbitals at two values of each parameter."""
    options: Any = {"cutoff": cutoff, "complex": any(family.twist), "dtype": jnp.float64}
    series = Series.following(family, dict.fromkeys(family.parameters, 2))
    return HartreeFockOrbitals(series, determinants, **options).started()
