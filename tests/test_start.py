"""Runs that begin with the weights of a trained model: the same function at the start, in other systems too."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qernel
from ansatz_cases import evaluate, perturbed
from qernel.cli import main
from qernel.config import load_config
from qernel.errors import ConfigError, RunError
from qernel.measure.grow import grow
from qernel.measure.train import beginning
from qernel.provenance import model_attributes, weights_digest
from qernel.training.checkpoint import Checkpoints
from qernel.training.folder import CONFIG_FILE, METRICS_FILE, MODEL_FILE, save_model
from qernel.training.run import initial_state, initial_wavefunction, train
from qernel.wavefunction import ANSATZE, Wavefunction, build, parameter_layout
from qernel.wavefunction.assemble import relocated
from qernel.wavefunction.inherit import READERS
from runs import TINY, Step, hashes, newest, same_state, settings
from test_checkpoint import Killed
from test_faults import dying

FORCES = {"V0": 4.0, "U": 10.0, "phase_deg": 45.0}
THREE = {"electrons": 3, "supercell": [[3, 0], [0, 3]], **FORCES}
SIZES = {"width": 4, "heads": 2, "blocks": 1, "experts": 2, "active_experts": 1, "conditioning_width": 2}
SMALL = {**SIZES, "jastrow_order": 3, "bloch_order": 4, "bloch_cutoff": 40.0, "many_body_range": 1.5, "determinants": 2}


def of(ansatz: str, family: dict[str, Any], system: dict[str, Any] = THREE, **model: Any) -> qernel.Config:
    precise = {**TINY["train"], "precision": "float64"}
    system = {key: value for key, value in system.items() if key not in family}
    table = {"system": system, "family": family, "model": {**SMALL, "ansatz": ansatz, **model}, "train": precise}
    return load_config(table)


def trained(config: qernel.Config, folder: Path) -> Path:
    """A run folder with a model whose numbers are all other than those a run starts with."""
    loud = 0.02 if config.model.ansatz == "lem" else 0.1
    with jax.numpy_dtype_promotion("standard"):
        loose = perturbed(initial_wavefunction(config), 1, loud)
    dtype = config.train.precision
    save_model(folder / MODEL_FILE, config, jax.tree.map(lambda leaf: leaf.astype(dtype), loose, is_leaf=eqx.is_array))
    return folder


def begun(source: Path, config: qernel.Config) -> Wavefunction:
    start = beginning(source)
    return start.begun(start.taken_over(config))


def logs(wavefunction: Wavefunction, points: list[list[float]]) -> list[Any]:
    """log ψ, sign included, of the same configurations at several points."""
    x = np.random.default_rng(3).uniform(0.0, 3.0, (4, wavefunction.hamiltonian.count, 2))
    sign, log = evaluate(wavefunction, np.tile(x, (len(points), 1, 1)), np.repeat(points, len(x), axis=0))
    return np.split(np.log(np.asarray(sign, complex)) + np.asarray(log), len(points))


def same(one: list[Any], other: list[Any], **tolerance: float) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(np.exp(1j * np.imag(a - b)), 1.0, atol=1e-8)
        np.testing.assert_allclose(np.real(a), np.real(b), **{"rtol": 1e-9, "atol": 1e-9, **tolerance})


@pytest.mark.parametrize("ansatz", ANSATZE)
def test_other_intervals_leave_the_function(ansatz: str, tmp_path: Path) -> None:
    """At each λ, and at each U: ψ is the old one with that U in its cusps, and its network does not see U yet."""
    source = trained(of(ansatz, {"lam": [0.5, 1.0]}), tmp_path)
    old = qernel.load(source).wavefunction
    new = begun(source, of(ansatz, {"lam": [0.2, 0.9], "U": [9.5, 12.0]}))
    assert new.hamiltonian.scales == ((0.5, 1.0), (8.0, 12.0)) and new.hamiltonian.origin["U"] == 10.0
    same(logs(new, [[0.5, 10.0], [0.8, 10.0]]), logs(old, [[0.5], [0.8]]))
    there = of(ansatz, {"lam": [0.5, 1.0]}, {**THREE, "U": 11.5})
    template = build(there.model, there.hamiltonian(), dtype=jnp.float64, start=False)
    arrays, static = eqx.partition(template, eqx.is_inexact_array)
    numbers = jax.tree.leaves(eqx.filter(old, eqx.is_inexact_array))
    elsewhere = eqx.combine(jax.tree.unflatten(jax.tree.structure(arrays), numbers), static)
    same(logs(new, [[0.3, 11.5], [0.8, 11.5]]), logs(elsewhere, [[0.3], [0.8]]))


def test_other_systems_have_the_same_weights(tmp_path: Path) -> None:
    """Another cell, number of electrons and twist, and another λ: as `relocated` has it."""
    config = of("lem", {"lam": [0.5, 1.0]}, complex=True)
    source = trained(config, tmp_path)
    system = {"electrons": 4, "supercell": [[4, 0], [0, 3]], "twist": [0.25, 0.0], **FORCES}
    new = begun(source, of("lem", {"lam": [0.7, 1.6]}, system, complex=True))
    there = of("lem", {"lam": [0.5, 1.0]}, system, complex=True)
    old = relocated(qernel.load(source).wavefunction, there.model, there.hamiltonian())
    same(logs(new, [[0.8], [1.3]]), logs(old, [[0.8], [1.3]]))


def test_a_parameter_that_had_one_value_is_new(tmp_path: Path) -> None:
    """Its random weights were never trained: the network is that of the old value everywhere."""
    source = trained(of("psiformer", {"lam": 0.8}), tmp_path)
    new = begun(source, of("psiformer", {"lam": [0.5, 1.0]}))
    assert new.hamiltonian.scales[0] == pytest.approx((0.5, 1.1))
    old = logs(qernel.load(source).wavefunction, [[0.8], [0.8]])
    same(logs(new, [[0.8], [0.55]]), old)
    fixed = begun(source, of("psiformer", {"lam": 0.8}))
    same(logs(fixed, [[0.8], [0.8]]), old)


@pytest.mark.parametrize("ansatz", ANSATZE)
def test_everything_that_reads_the_condition_is_known(ansatz: str) -> None:
    """Arrays that grow with the number of parameters, by a row each."""
    appended = {} if ansatz in ("lem", "slater") else {"parameter_features": True}
    shapes = []
    for family in ({"lam": [0.5, 1.0]}, {"lam": [0.5, 1.0], "U": [9.0, 11.0]}):
        config = of(ansatz, family, **appended)
        arrays = eqx.filter(build(config.model, config.hamiltonian(), start=False), eqx.is_inexact_array)
        found = jax.tree_util.tree_leaves_with_path(arrays)
        shapes.append({jax.tree_util.keystr(key): np.array(leaf.shape) for key, leaf in found})
    assert shapes[0].keys() == shapes[1].keys()
    grown = {name: (shapes[1][name] - shape).tolist() for name, shape in shapes[0].items()}
    assert all(change[:1] == [1] and not any(change[1:]) for name, change in grown.items() if name.endswith(READERS))
    assert not any(any(change) for name, change in grown.items() if not name.endswith(READERS))


def slater(**changes: Any) -> dict[str, Any]:
    return {**settings().to_dict(), **changes}


def test_a_run_that_is_killed_goes_on(
    fake: Callable[[Step], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first state has the weights and a fresh optimiser; resumed, it is the run that was not stopped."""
    (tmp_path / "source").mkdir()
    source = trained(settings(seed=4), tmp_path / "source")
    start = beginning(source)
    config = start.taken_over(settings())
    state = initial_state(config, start.wavefunction)
    monkeypatch.setattr("qernel.training.run.initial_state", lambda _, template: moved(state, template))
    whole = train(config, tmp_path / "whole", start=start)
    first = train(start.taken_over(settings(iterations=0, burn_in=0)), tmp_path / "first", start=start)
    found = Checkpoints.of(first, load_config(first / CONFIG_FILE)).load(state)
    np.testing.assert_array_equal(found.state.parameters, parameter_layout(start.wavefunction).parameters)
    np.testing.assert_array_equal(found.state.average, found.state.parameters)
    assert load_config(whole / CONFIG_FILE).train.started_from == start.origin
    for count in (3, 8, 14):
        out = tmp_path / str(count)
        left = [count]
        with monkeypatch.context() as patch:
            for module, name in ((os, "fsync"), (os, "replace")):
                patch.setattr(module, name, dying(getattr(module, name), left))
            with contextlib.suppress(Killed):
                train(config, out, start=start)
        known = bool(Checkpoints.of(out, config).paths())
        train(config, out, resume=known, start=None if known else start)
        same_state(newest(whole), newest(out))
        for name in (METRICS_FILE, MODEL_FILE, CONFIG_FILE):
            assert (whole / name).read_bytes() == (out / name).read_bytes(), name


def moved(state: Any, template: Wavefunction) -> Any:
    parameters = parameter_layout(template).parameters
    return state._replace(parameters=parameters, average=parameters)


def test_the_command_and_what_it_writes(
    fake: Callable[[Step], None], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model file is a start too; a run of a run keeps the scale of the first; later results name the start."""
    monkeypatch.chdir(tmp_path)
    document = (Path(__file__).parents[1] / "docs" / "running.md").read_text("utf-8")
    (line,) = [line for line in document.splitlines() if line.startswith("qernel train CONFIG --from")]
    _, *words = shlex.split(line.replace("CONFIG", "narrow.toml"), comments=True)
    assert words[-1] == "runs/larger" and words[3] == "runs/small"
    Path("runs/small").mkdir(parents=True)
    source = trained(settings(), Path("runs/small"))
    digest = weights_digest(qernel.load(source).wavefunction)
    narrow = load_config(slater(family={"lam": [0.6, 0.9]}))
    (tmp_path / "narrow.toml").write_text(narrow.to_toml())
    assert main(words) == 0
    assert f"runs/larger: to begin with the weights of small, SHA-256 {digest[:12]}…" in capsys.readouterr().err
    first = qernel.load("runs/larger")
    assert first.config.train.started_from == f"small sha256:{digest}"
    assert first.config.family.scaled_over == {"lam": (0.5, 1.0)} and first.ranges == {"lam": (0.6, 0.9)}
    assert model_attributes(first, {})["started_from"] == first.config.train.started_from
    assert qernel.load(source).config.train.started_from is None
    words[3] = "runs/small/model.safetensors"
    assert main([*words, "--auto-resume"]) == 0 and "nothing left to do" in capsys.readouterr().out
    second = qernel.train(load_config(slater(family={"lam": [0.4, 1.2]})), "two", start=first, progress=False)
    assert second.config.family.scaled_over == {"lam": (0.5, 1.0)} and second.config.train.seed == 0
    assert second.config.train.started_from == f"larger sha256:{weights_digest(first.wavefunction)}"
    found = grow("two", load_config("two/config.toml"), "three")
    assert found.same and load_config("three/config.toml").train.started_from is None


FOUR = {"electrons": 4, "supercell": [[3, 0], [0, 3]], **FORCES}
REFUSED = {
    "system": ("qernel", {"lam": [0.5, 1.0]}, FOUR, {}, "system.electrons = 4, and .* was trained with 3"),
    "model": ("qernel", {"lam": [0.5, 1.0]}, THREE, {"width": 8}, "model.width = 8, and .* was trained with 4"),
    "ansatz": ("psiformer", {"lam": [0.5, 1.0]}, THREE, {}, "model.ansatz = 'psiformer', and .* with 'qernel'"),
    "spins": ("lem", {"lam": [0.5, 1.0]}, {**THREE, "electrons": [2, 2]}, {}, "are for polarised electrons"),
    "orbitals": (
        *("qernel", {"lam": [0.5, 1.0], "phase_deg": [40.0, 50.0]}, THREE, {"orbitals": "bloch"}),
        "model.bloch_order_others = 4",
    ),
    "scale": (
        *("qernel", {"lam": [0.5, 1.2], "scaled_over": {"lam": [0.0, 1.0]}}, THREE, {}),
        "is not what the weights of .* know",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case: str, tmp_path: Path) -> None:
    ansatz, family, system, model, sentence = REFUSED[case]
    own = {"orbitals": model["orbitals"]} if "orbitals" in model else {}
    source = trained(of("lem" if case == "spins" else "qernel", {"lam": [0.5, 1.0]}, **own), tmp_path)
    with pytest.raises(ConfigError, match=sentence) as caught:
        qernel.train(of(ansatz, family, system, **model), tmp_path / "run", start=source, progress=False)
    assert len(caught.value.problems) == 1
    assert not (tmp_path / "run").exists()


def test_starts_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = trained(settings(), tmp_path)
    before = hashes(source)
    (tmp_path / "given.toml").write_text(settings().to_toml())
    (tmp_path / "text").write_text("no model")
    line = ["train", str(tmp_path / "given.toml"), "--out", str(tmp_path / "run")]
    for more, sentence in (
        (["--from", str(source), "--resume"], "leave out --from"),
        (["--from", "n7"], "n7 is neither a run folder nor a shipped model"),
        (["--from", str(tmp_path / "text")], "is damaged or not a Qernel file"),
        (["--set", f"train.started_from=n6 sha256:{'0' * 64}"], "belongs to a run that began with a model"),
    ):
        assert main([*line, *more]) == 2
        assert sentence in capsys.readouterr().err
    with pytest.raises(RunError, match="leave out --from"):
        qernel.train(settings(), tmp_path / "run", start=source, resume=True)
    two = load_config({**settings().to_dict(), "family": {"lam": [0.5, 1.0], "U": [9.0, 11.0]}})
    save_model(tmp_path / "two.safetensors", two, initial_wavefunction(two))
    with pytest.raises(ConfigError, match=r"two is conditioned on U: give family.U an interval, e.g. \[10.0, 10.0\]"):
        qernel.train(settings(), tmp_path / "run", start=tmp_path / "two.safetensors", progress=False)
    assert not (tmp_path / "run").exists() and before.items() <= hashes(source).items()


def test_a_configuration_without_a_model_has_that_of_the_start(tmp_path: Path) -> None:
    source = trained(of("lem", {"lam": [0.5, 1.0]}), tmp_path)
    table = of("lem", {"lam": 0.8}, {**THREE, "electrons": 4}).to_dict()
    del table["model"]
    found = beginning(source).taken_over(load_config(table))
    assert found.model == qernel.load(source).config.model and found.family.lam == (0.8, 0.8)
