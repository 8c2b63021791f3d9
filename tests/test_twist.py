"""Boundary twists: they belong to the supercell vectors as given and are defined modulo 1, wherever they are used."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tomlkit

from ansatz_cases import SMALL, energies, quick_jit, random_positions
from families import family as family_of
from families import moire_bands
from qernel.cli.commands.validate import _units
from qernel.cli.entry import main
from qernel.config import Config, load_config
from qernel.config.earlier import meanings
from qernel.config.twist import earlier_meaning
from qernel.errors import OtherRun, QernelWarning
from qernel.hamiltonian.twist import reduced_turns, row_turns
from qernel.hartree_fock.search import lowest, mean_field, search
from qernel.lattice import Supercell
from qernel.measure import Model, load
from qernel.measure.points import system
from qernel.observables.base import Samples
from qernel.observables.one_body import plane_waves
from qernel.primitive import LATTICES
from qernel.provenance import model_attributes
from qernel.training.checkpoint import Checkpoints
from qernel.training.folder import save_model
from qernel.training.tensors import write_tensors
from qernel.wavefunction import build, log_psi
from qernel.wavefunction.orbitals.bloch import BlochOrbitals
from qernel.wavefunction.orbitals.chebyshev import Series

LINE: dict[str, Any] = {
    "electrons": 2,
    "supercell": [[4, 0], [0, 1]],
    "V0": 4.443709,
    "U": 0.0,
    "twist": [0.25, 0.0],
}
"""A row of four moiré cells, written so that its reduced vectors are others, in another order."""

EXACT = -3.144323
"""Energy per electron of `LINE` at λ = 1 in E0."""


def line(**changes: Any) -> Config:
    """`LINE` with some keys of [system] changed, and a small model."""
    model = {"ansatz": "slater", "bloch_cutoff": 500.0, "bloch_order": 1}
    return load_config({"system": {**LINE, **changes}, "model": model, "train": {"precision": "float64"}})


def random_cells(count: int, seed: int, most: int = 9) -> Iterator[Supercell]:
    """Supercells of any handedness, skew and order of rows, on both lattices."""
    rng = np.random.default_rng(seed)
    while count:
        (a, b), (c, d) = rng.integers(-4, 5, (2, 2)).tolist()
        if 0 < abs(a * d - b * c) <= most:
            yield Supercell(((a, b), (c, d)), ("triangular", "square")[count % 2])
            count -= 1


def given_rows(cell: Supercell) -> np.ndarray:
    """A_i = Σ_j S_ij a_j, from the matrix itself."""
    return np.array(cell.matrix) @ LATTICES[cell.lattice]


def assert_bloch(waves: Any, cell: Supercell, twist: tuple[float, float]) -> None:
    """exp(ik·A_i) = exp(2πi θ_i) for every plane wave ``[..., 2]`` and every row as given."""
    phases = np.exp(1j * np.asarray(waves).reshape(-1, 2) @ given_rows(cell).T)
    np.testing.assert_allclose(phases, np.broadcast_to(np.exp(2j * np.pi * np.array(twist)), phases.shape), atol=1e-8)


# Physics


def test_twist_is_along_the_rows_for_every_matrix() -> None:
    rng = np.random.default_rng(1)
    for cell in random_cells(300, 2, most=40):
        twist = (float(rng.uniform(-3, 3)), float(rng.uniform(-3, 3)))
        turns = reduced_turns(cell, twist)
        assert all(-0.5 < component <= 0.5 for component in turns)
        assert_bloch(np.array(turns) @ cell.reciprocal, cell, twist)
        back = np.array(row_turns(cell, turns, "reduced")) - twist
        np.testing.assert_allclose(back, np.rint(back), atol=1e-9)


def levels(cell: Supercell, depth: float, twist: tuple[float, float], count: int) -> np.ndarray:
    """The lowest one-body energies in E0: −½∇² + depth·w in plane waves (m + θ)·B, B the reciprocal rows as given."""
    reciprocal = 2 * np.pi * np.linalg.inv(given_rows(cell)).T
    index = np.arange(-60, 61)
    turns = np.stack(np.meshgrid(index, index, indexing="ij"), axis=-1).reshape(-1, 2)
    k = (turns + twist) @ reciprocal
    turns, k = turns[(k**2).sum(1) < 2 * 400.0], k[(k**2).sum(1) < 2 * 400.0]
    matrix = np.diag(0.5 * (k**2).sum(1)).astype(complex)
    for angle in np.deg2rad([90.0, 210.0, 330.0]) if depth else ():
        g = 4 * np.pi / np.sqrt(3) * np.array([np.cos(angle), np.sin(angle)])
        apart = (turns[:, None] - turns[None]) @ reciprocal
        # −2 cos(g·r + φ) at φ = 45°.
        matrix -= depth * np.exp(0.25j * np.pi) * (np.linalg.norm(apart - g, axis=-1) < 1e-6)
        matrix -= depth * np.exp(-0.25j * np.pi) * (np.linalg.norm(apart + g, axis=-1) < 1e-6)
    lowest: np.ndarray = np.linalg.eigvalsh(matrix)[:count]
    return lowest


def test_every_list_of_plane_waves_takes_the_twist_of_the_rows() -> None:
    """Hartree–Fock, bands, Bloch orbitals and observables of one-body momenta, on cells of every kind."""
    rng = np.random.default_rng(3)
    for cell in random_cells(8, 4, most=6):
        twist = (float(rng.uniform(-3, 3)), float(rng.uniform(-3, 3)))
        depth = 4.443709 if cell.lattice == "triangular" else 0.0
        family = family_of(cell, (1, 0), V0=depth, U=0.0, phase_deg=45.0, twist=twist)
        basis = mean_field(family, 1.0, 60.0).basis
        bands = moire_bands(cell, depth, np.pi / 4, 8, cutoff=400.0, twist=twist)
        orbitals = BlochOrbitals(Series(family, ("lam",), (1,)), cutoff=60.0, complex=True, dtype=jnp.float64)
        samples = Samples(np.zeros((1, 1, 1, 2)), family, np.ones(1))
        for waves in (
            basis.momenta,
            bands.waves,
            orbitals._waves + family.twist_momentum,
            plane_waves(samples, 1.0)[0],
        ):
            assert_bloch(waves, cell, twist)
        np.testing.assert_allclose(bands.energies, levels(cell, depth, twist, 8), atol=1e-6)
        free = levels(cell, 0.0, twist, len(basis.kinetic) + 1)
        np.testing.assert_allclose(np.sort(basis.kinetic), free[:-1], atol=1e-9)
        assert free[-1] > 60.0


@pytest.mark.parametrize(
    ("ansatz", "matrix"),
    [("slater", ((4, 0), (0, 1))), ("slater", ((2, -1), (-3, 3))), ("psiformer", ((1, 5), (0, -1)))],
)
def test_moving_one_electron_by_a_given_row_turns_psi_by_the_twist(ansatz: str, matrix: Any) -> None:
    twist = (1.2, -0.35)
    family = family_of(Supercell(matrix), (2, 0), V0=4.4, U=1.0, phase_deg=45.0, twist=twist)
    psi = build(SMALL.model_copy(update={"ansatz": ansatz}), family, key=jax.random.key(1), dtype=jnp.float64)
    x = random_positions(family, 1, 2)[0]
    moved = jnp.stack([x, *(x.at[1].add(row) for row in given_rows(family.supercell))])
    sign, log = quick_jit(jax.vmap(lambda positions: log_psi(psi, positions, jnp.ones(1))))(moved)
    phases = sign[1:] / sign[0] * jnp.exp(log[1:] - log[0])
    np.testing.assert_allclose(phases, np.exp(2j * np.pi * np.array(twist)), atol=1e-9)


@pytest.mark.parametrize("twist", [(0.25, 0.0), (5.25, -3.0)])
def test_two_electrons_in_a_row_of_cells(twist: tuple[float, float]) -> None:
    """Without interaction Hartree–Fock, bands and a Slater determinant are all exact, at every whole turn."""
    config = line(twist=list(twist))
    family = config.hamiltonian()
    assert levels(family.supercell, family.constants["V0"], twist, 2).mean() == pytest.approx(EXACT, abs=1e-6)
    bands = moire_bands(family.supercell, family.constants["V0"], np.pi / 4, 2, cutoff=400.0, twist=twist)
    assert bands.energies.mean() == pytest.approx(EXACT, abs=1e-6)
    assert lowest(search(family, [1.0])[0]).energy == pytest.approx(EXACT, abs=1e-5)
    psi = build(config.model, family, key=jax.random.key(1), dtype=jnp.float64)
    local = energies(psi, random_positions(family, 20, 2), jnp.ones((20, 1))).total
    assert np.median(np.abs(np.asarray(local) - 2 * EXACT)) < 1e-2


def test_whole_turns_are_none() -> None:
    """The same momentum, orbitals and fingerprint, to the last bit, however a twist is written."""
    for cell in random_cells(20, 5):
        system = {"supercell": [list(row) for row in cell.matrix], "electrons": 1, "V0": 0.0, "lattice": cell.lattice}
        for twist, others in (
            ((0.25, 0.1), ((4.25, -2.9), (-0.75, 1.1))),
            ((1 / 3, -1 / 3), ((-2 / 3, 2 / 3), (7 / 3, 5 / 3))),
            ((0.5, 0.0), ((-0.5, 1.0), (-3.5, -2.0))),
            ((0.0, 0.0), ((1.0, 0.0), (-4.0, 3.0))),
        ):
            first = line(**system, twist=list(twist))
            for other in (line(**system, twist=list(pair)) for pair in others):
                assert other.fingerprint() == first.fingerprint()
                assert (other.hamiltonian().twist_momentum == first.hamiltonian().twist_momentum).all()
                assert other.is_complex == first.is_complex == any(twist)


@pytest.mark.parametrize("twist", [(0.0, 0.0), (1.0, 0.0), (4.0, -3.0), (0.5, 1.0), (1.75, 0.25)])
@pytest.mark.parametrize("ansatz", ["slater", "psiformer"])
@pytest.mark.parametrize("along", ["rows", "reduced"])
def test_a_configuration_knows_whether_its_wavefunction_is_complex(
    ansatz: str, twist: tuple[float, float], along: str
) -> None:
    """Whole turns are none along the rows, and a momentum of their own along the reduced vectors."""
    config = line(twist=list(twist), twist_along=along)
    model = SMALL.model_copy(update={"ansatz": ansatz})
    family = config.hamiltonian()
    psi = build(model, family, key=jax.random.key(1), dtype=jnp.float64)
    _, log = jax.eval_shape(lambda x: log_psi(psi, x, jnp.ones(1)), jnp.zeros((2, 2)))
    assert config.is_complex == jnp.iscomplexobj(log) == (not mean_field(family, 1.0, 20.0).real)
    assert config.is_complex == (any(twist) if along == "reduced" else any(turns % 1 for turns in twist))


def test_a_twist_of_whole_turns_makes_real_orbitals_complex() -> None:
    """Along the reduced vectors, where they count: e^{ik·r} times a real periodic function."""
    config = line(twist=[1.0, 0.0], twist_along="reduced")
    config = config.model_copy(update={"model": SMALL.model_copy(update={"ansatz": "slater", "complex": False})})
    psi = build(config.model, config.hamiltonian(), key=jax.random.key(1), dtype=jnp.float64, start=False)
    _, log = jax.eval_shape(lambda x: log_psi(psi, x, jnp.ones(1)), jnp.zeros((2, 2)))
    assert config.is_complex and jnp.iscomplexobj(log)


def test_results_name_the_twist_they_are_for() -> None:
    config = line(twist=[0.25, 4.1])
    family = config.hamiltonian()
    psi = build(SMALL.model_copy(update={"ansatz": "slater"}), family, key=jax.random.key(1), dtype=jnp.float64)
    about = model_attributes(Model("twisted", config, psi), {})
    np.testing.assert_allclose(np.reshape(about["supercell_rows"], (2, 2)), given_rows(family.supercell))
    assert_bloch(about["twist_momentum"], family.supercell, about["twist"])
    assert_bloch(about["twist_momentum"], family.supercell, (0.25, 0.1))
    assert system(config, family, {})["twist"] == (0.25, 4.1)
    assert any("twist 0.25 along 4 a1 + 0 a2, 4.1 along 0 a1 + 1 a2" in text for text in _units(config, family))
    plain = line(twist=[1.0, 0.0])
    assert "twist" not in system(plain, plain.hamiltonian(), {})


# What is stored keeps its meaning

STORED = {
    ((3, 0), (0, 3), 0.0, 0.0): "9b599c8142d8677e",
    ((3, 0), (0, 3), 0.25, 0.0): "23c355fc6d92b172",
    ((3, 0), (0, 3), 0.2, -0.35): "ea7e32b0952eeec8",
    ((3, 0), (0, 3), 0.5, 1 / 3): "c7137d8964bf4612",
    ((3, 0), (0, 3), 4.25, 0.0): "b6c2c13bdde94d4d",
    ((3, 0), (0, 3), -0.5, 0.0): "2329ba7ed7a2d6b2",
    ((4, 0), (0, 1), 0.0, 0.0): "77177d1bd5f7781b",
    ((4, 0), (0, 1), 0.25, 0.0): "ef073c42891b1555",
    ((4, 0), (0, 1), 1.0, 0.0): "69ef5c0100597ce2",
}
"""Rows, twist: fingerprint (its first 16 digits) in checkpoints of versions that twisted the reduced vectors."""


@pytest.mark.parametrize("case", STORED, ids=str)
def test_runs_of_earlier_versions_keep_their_fingerprint(case: Any) -> None:
    """As they are where the twist means the same, else with the key that says what it means."""
    *rows, first, second = case
    system = {**LINE, "supercell": [list(row) for row in rows], "twist": [first, second]}
    config = load_config({"system": system})
    earlier = earlier_meaning(config)
    same = (first, second) == (0.0, 0.0) or (rows[0] == (3, 0) and first not in (4.25, -0.5))
    assert (earlier is None) == same
    assert (earlier or config).fingerprint()[:16] == STORED[case]
    assert same or config.fingerprint()[:16] not in STORED.values() or first in (4.25, 1.0)
    reduced = load_config({"system": {**system, "twist_along": "reduced"}})
    cell = reduced.hamiltonian().supercell
    assert (reduced.hamiltonian().twist_momentum == np.array([first, second]) @ cell.reciprocal).all()
    assert reduced.fingerprint()[:16] == STORED[case]


def test_a_twist_written_along_the_rows_is_the_earlier_one_along_reduced_vectors() -> None:
    """Who says the same in today's terms has the same calculation, which can be resumed."""
    stored = line(twist=[0.2, -0.35], twist_along="reduced")
    family = stored.hamiltonian()
    today = line(twist=list(family.row_twist))
    assert family.row_twist == (0.75, 0.2)
    assert today.fingerprint() == stored.fingerprint() != line(twist=[0.2, -0.35]).fingerprint()
    assert (today.hamiltonian().twist_momentum == family.twist_momentum).all()


def without_key(config: Config) -> str:
    """The TOML text of a configuration as earlier versions stored it."""
    table = config.to_dict()
    del table["system"]["twist_along"]
    return tomlkit.dumps(table)


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """A run folder of an earlier version: configuration and model without ``twist_along``."""
    config = line()
    psi = build(config.model, config.hamiltonian(), key=jax.random.key(1), dtype=jnp.float64)
    text = without_key(config)
    (tmp_path / "config.toml").write_text(text, "utf-8")
    write_tensors(tmp_path / "model.safetensors", eqx.filter(psi, eqx.is_inexact_array), {"config": text})
    return tmp_path


def test_a_stored_run_keeps_its_twist_and_says_so(old_run: Path) -> None:
    with pytest.warns(
        QernelWarning, match=r"keeps that meaning .* along the rows of system.supercell .* \[0.5, 0.25\]"
    ):
        model = load(old_run)
    with pytest.warns(QernelWarning, match="config.toml was written by an earlier version"):
        config = load_config(old_run / "config.toml")
    assert config == model.config and config.system.twist_along == "reduced"
    cell = model.hamiltonian.supercell
    assert (model.hamiltonian.twist_momentum == np.array([0.25, 0.0]) @ cell.reciprocal).all()
    # Stored again it says what it means, and is read without a word.
    save_model(old_run / "model.safetensors", config, model.wavefunction)
    assert load(old_run).config == config == load_config(tomllib.loads(config.to_toml()))


def test_a_twist_of_the_user_is_along_the_rows_even_over_a_stored_one(old_run: Path) -> None:
    assert load_config(old_run / "config.toml", ["system.twist=[0.25, 0]"]) == line()
    (old_run / "mine.toml").write_text(without_key(line()), "utf-8")
    assert load_config(old_run / "mine.toml") == line()
    table = {**LINE, "twist_along": "reduced"}
    (old_run / "mine.toml").write_text(tomlkit.dumps({"system": table}), "utf-8")
    assert load_config(old_run / "mine.toml").system.twist_along == "reduced"
    assert load_config(old_run / "mine.toml", ["system.twist=[0.5, 0]"]).system.twist_along == "rows"


@pytest.mark.parametrize("changes", [{"twist": [0.0, 0.0]}, {"supercell": [[3, 0], [0, 3]], "twist": [0.5, -0.35]}])
def test_a_stored_run_of_the_same_meaning_needs_no_word(changes: dict[str, Any], tmp_path: Path) -> None:
    config = line(**changes)
    (tmp_path / "config.toml").write_text(without_key(config), "utf-8")
    (tmp_path / "checkpoint-000000001.safetensors").touch()
    assert load_config(tmp_path / "config.toml") == config


def test_resuming_a_run_of_another_twist_names_the_way(start: Any, tmp_path: Path) -> None:
    _, state = start
    config = line()
    earlier = earlier_meaning(config)
    assert earlier is not None
    Checkpoints(tmp_path, earlier.fingerprint(), 3).save(state, finished=False)
    with pytest.raises(OtherRun, match=r"resume with .*config.toml, or add --set system.twist_along=reduced"):
        known = {one.config.fingerprint(): (one.what, one.override) for one in meanings(config)}
        Checkpoints(tmp_path, config.fingerprint(), 3, earlier=known).load(state)
    assert Checkpoints(tmp_path, earlier.fingerprint(), 3).load(state).path.exists()


# Angles in other units


@pytest.mark.parametrize(
    ("twist", "meant"),
    [
        ([90, 0], "degrees, give twist = [0.25, 0]"),
        ([180, -60], "degrees, give twist = [0.5, -0.1667]"),
        ([3.14159, 0], "radians, give twist = [0.5, 0]"),
        ([1.5708, -3.14], "radians, give twist = [0.25, -0.4997]"),
        ([0.0, -0.7854], "radians, give twist = [0, -0.125]"),
    ],
)
def test_a_twist_in_degrees_or_radians_gets_a_word(twist: list[float], meant: str) -> None:
    with pytest.warns(QernelWarning) as caught:
        line(twist=twist)
    assert [str(warning.message).endswith(f"if it is meant in {meant}") for warning in caught] == [True]


@pytest.mark.parametrize("twist", [[0.25, 0], [0.5, 0.5], [1 / 3, -1 / 3], [1, 0], [4.25, 0], [5.25, -3], [0.1, 2 / 3]])
def test_a_twist_in_turns_gets_none(twist: list[float]) -> None:
    line(twist=twist)


@pytest.mark.filterwarnings("default::qernel.errors.QernelWarning")
def test_the_command_line_warns_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text(tomlkit.dumps({"system": {**LINE, "twist": [90, 0]}}), "utf-8")
    assert main(["hf", str(tmp_path / "mine.toml"), "--lam", "1", "--cutoff", "1"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("qernel: warning: system.twist = [90.0, 0.0] is in turns") and len(said) == 2
