"""One set of weights in several systems: their configuration, and training in all of them at once."""

from __future__ import annotations

import os
import re
import signal
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qernel.cli.entry import main
from qernel.comparison.conditions import check_equal
from qernel.comparison.interpolation import plan
from qernel.config import Config, load_config
from qernel.errors import ConfigError, Interrupted, QernelError, RunError
from qernel.estimators.batched import walker_functions
from qernel.lattice import FloatArray
from qernel.plots.training import read_metrics, training_curves
from qernel.sampling.devices import walker_mesh
from qernel.training import run
from qernel.training.display import TrainingProgress
from qernel.training.expert_load import routing_of
from qernel.training.guard import STRIKES, TRIES, Guard
from qernel.training.members import groups_of, members_of
from qernel.training.report import Report
from qernel.training.state import TrainState, layout
from qernel.training.step import StepInfo
from qernel.training.system import Batch, System, centred_system, joint_system
from qernel.wavefunction import parameter_layout
from runs import TINY, checkpoints, hashes, measured, same_state

LEM: dict[str, Any] = {
    "system": {"electrons": 6, "supercell": [[3, 0], [0, 3]]},
    "family": {"lam": [0.4, 1.4]},
    "model": {"ansatz": "lem"},
    "train": {"groups": 4, "walkers": 16},
}
LARGE = {"electrons": 24, "supercell": [[6, 0], [0, 6]], "twist": [0.5, 0.0]}
TWO = {"electrons": 2, "supercell": [[1, 1], [-1, 2]], "groups": 2}


def several(*systems: Any, **sections: dict[str, Any]) -> Config:
    """The configuration with further systems and some keys changed."""
    table = {key: dict(values) for key, values in LEM.items()}
    for section, values in sections.items():
        table[section] = table.get(section, {}) | values
    table["family"]["systems"] = list(systems)
    return load_config(table)


def test_every_system_has_what_it_does_not_say_from_the_first() -> None:
    config = several(LARGE, TWO | {"walkers": 8}, {"twist": [1 / 3, -1 / 3]})
    assert [system.label for system in config.systems] == [
        "N=6, 3×3",
        "N=24, 6×6, twist (1/2, 0)",
        "N=2, (1 1; -1 2)",
        "N=6, 3×3, twist (1/3, -1/3)",
    ]
    assert [(one.train.groups, one.train.walkers) for one in config.members] == [(4, 16), (4, 16), (2, 8), (4, 16)]
    assert [one.is_complex for one in config.members] == [False, False, False, True]
    assert [h.count for h in config.hamiltonians()] == [6, 24, 2, 6]
    assert {(h.parameters, h.ranges) for h in config.hamiltonians()} == {(("lam",), ((0.4, 1.4),))}
    assert load_config(config.to_dict()) == config


def test_a_configuration_of_one_system_is_that_system() -> None:
    config = load_config(LEM)
    assert config.members == (config,) and config.systems == (config.system,)
    assert several().fingerprint() == config.fingerprint()


def test_the_fingerprint_is_that_of_what_there_is() -> None:
    short, long = several(LARGE), several(LARGE | {"electrons": [24, 0], "groups": 4, "walkers": 16, "twist": [1.5, 2]})
    assert short.fingerprint() == long.fingerprint() != load_config(LEM).fingerprint()
    assert several(LARGE | {"walkers": 8}).fingerprint() != short.fingerprint()


@pytest.mark.parametrize(
    ("systems", "sections", "expected"),
    [
        ([LARGE], {"model": {"ansatz": "qernel"}}, "use ansatz = 'lem', or leave the systems out"),
        ([LARGE, {}], {}, "entry 2 is the same system as [system] (N=6, 3×3)"),
        ([{"supercell": [[3, 3], [0, 3]], "twist": [1, 0]}], {}, "entry 1 is the same system as [system]"),
        ([{"twist": [0.25, 0]}, {"twist": [0.25, 1]}], {}, "entry 2 is the same system as entry 1 of it"),
        ([{"electrons": 40}], {}, "entry 1: system.electrons: 40 electrons on 9 moiré cells"),
        ([{"electrons": [3, 3]}], {}, "either for polarised electrons or for two spin species"),
        ([LARGE | {"groups": 1}], {"train": {"exchange": 2}}, "entry 1: train.exchange = 2 swaps walkers"),
        ([{"twist": [0.25, 0]}], {"model": {"complex": False}}, "entry 1: model.complex = false cannot satisfy"),
        (
            [{"electrons": 4, "supercell": [[2, 0], [0, 3]]}],
            {"train": {"crystal_from": 0.8}},
            "entry 1: train.crystal_from = 0.8 needs filling 1/3 or 2/3",
        ),
        ([{"electron": 3}], {}, "family.systems, entry 1 has an unknown key electron: did you mean electrons?"),
        (
            [LARGE, {"twist": [0.1]}],
            {},
            "entry 2: twist = [0.1] is not a pair of numbers: give e.g. twist = [0.5",
        ),
        ([LARGE | {"walkers": 1}], {}, "entry 1: walkers = 1 must be at least 2"),
        ([3], {}, "entry 1 = 3 is not a table: give e.g. {electrons = 24, supercell = [[6, 0], [0, 6]]}"),
    ],
)
def test_systems_that_do_not_go_together(systems: list[Any], sections: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        several(*systems, **sections)
    (text,) = caught.value.problems
    assert expected in text and text.startswith("family.systems")


def test_another_density_is_worth_a_remark() -> None:
    assert len(several(LARGE).notes()) == 1
    assert "filling 1/3 in N=3, 3×3" in several({"electrons": 3}).notes()[-1]


def test_the_configuration_in_the_documents() -> None:
    """And that what compares models refuses it, because it counts in one system."""
    text = (Path(__file__).parents[1] / "docs" / "running.md").read_text("utf-8")
    (block,) = re.findall(r"^```toml\n(.*?family\.systems.*?)^```", text, re.DOTALL | re.MULTILINE)
    config = load_config(tomllib.loads(block))
    labels = [system.label for system in config.systems]
    assert labels == ["N=6, 3×3", "N=24, 6×6, twist (1/2, 0)", "N=6, 3×3, twist (1/3, -1/3)"]
    assert [one.is_complex for one in config.members] == [False, False, True]
    assert [(one.train.groups, one.train.walkers) for one in config.members] == [(8, 32), (4, 16), (4, 32)]
    for refused in (lambda: check_equal([("a", config), ("b", config)]), lambda: plan(config, [2.0], 10, 1)):
        with pytest.raises(QernelError, match="compared in one system"):
            refused()


# The joint problem

RNG = np.random.default_rng(5)
SIZES = (1.0, 4.0)
BATCHES = [
    Batch(jnp.asarray(RNG.normal(size=(2, 16)) * 3.0 - 9.0), jnp.asarray(RNG.normal(size=(2, 16, 1, 5))), SIZES[0]),
    Batch(
        jnp.asarray(RNG.normal(size=(3, 8)) + 1j * RNG.normal(size=(3, 8)) - 40.0),
        jnp.asarray(RNG.normal(size=(3, 8, 2, 5)) + 1.0),
        SIZES[1],
    ),
]


def log_derivatives(batch: Batch) -> tuple[FloatArray, Any]:
    """Centred ∂log ψ ``[G, W, P]`` and centred local energies ``[G, W]``, complex."""
    parts = np.asarray(batch.scores)
    scores = parts[:, :, 0] + (1j * parts[:, :, 1] if parts.shape[2] == 2 else 0.0)
    energies = np.asarray(batch.energies)
    return scores - scores.mean(1, keepdims=True), energies - energies.mean(1, keepdims=True)


def stacked(systems: list[System]) -> tuple[FloatArray, FloatArray]:
    """Rows ``[n, P]`` and residuals ``[n]`` of all systems."""
    rows = np.concatenate([np.asarray(one.rows).reshape(-1, one.rows.shape[-1]) for one in systems])
    return rows, np.concatenate([np.asarray(one.residuals).ravel() for one in systems])


def test_what_is_minimised_is_the_mean_of_the_energies_per_electron() -> None:
    """Gradient and metric are means over all five groups, of real and complex ψ, over the size of their system."""
    rows, residuals = stacked(joint_system(BATCHES, clip=1e9, balance=0.0))
    gradient, metric = np.zeros(5), np.zeros((5, 5))
    for batch in BATCHES:
        scores, energies = log_derivatives(batch)
        gradient += (2.0 * scores.conj() * energies[..., None]).real.mean(1).sum(0) / batch.size / 5
        metric += np.einsum("gwp,gwq->pq", scores.conj(), scores).real / scores.shape[1] / batch.size / 5
    np.testing.assert_allclose(2.0 * residuals @ rows, gradient, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(rows.T @ rows, metric, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("balance", [0.5, 1.0])
def test_balance_acts_on_the_spread_over_the_root_of_the_size(balance: float) -> None:
    """With the normalisation of groups without weights."""
    found, plain = (joint_system(BATCHES, clip=1e9, balance=b) for b in (balance, 0.0))
    ratios = [
        (np.asarray(one.residuals)[:, 0, 0] / np.asarray(other.residuals)[:, 0, 0]) ** 2
        for one, other in zip(found, plain, strict=True)
    ]
    spread = np.concatenate([one.deviation / size**0.5 for one, size in zip(found, SIZES, strict=True)])
    weight = np.concatenate(ratios)
    np.testing.assert_allclose(weight / weight[0], (spread / spread[0]) ** (-2.0 * balance), rtol=1e-10)
    assert weight.mean() == pytest.approx(1.0)


def test_a_system_alone_is_what_it_was() -> None:
    (alone,) = joint_system(BATCHES[:1], clip=5.0, balance=0.5)
    for one, other in zip(alone, centred_system(*BATCHES[0][:2], clip=5.0, balance=0.5), strict=True):
        np.testing.assert_array_equal(one, other)


# A run

LITTLE = {"width": 4, "heads": 2, "blocks": 1, "experts": 2, "active_experts": 1, "conditioning_width": 2}
JOINT: dict[str, Any] = {
    "system": TINY["system"],
    "family": {
        "lam": [0.5, 1.0],
        "systems": [{"electrons": 3, "supercell": [[3, 0], [0, 3]], "twist": [0.25, 0.0], "groups": 1, "walkers": 8}],
    },
    "model": LITTLE | {"ansatz": "lem", "expert_balance": 0.1, "bloch_cutoff": 60.0, "determinants": 1},
    "train": {
        **{"iterations": 6, "burn_in": 1, "groups": 2, "walkers": 4, "moves": 2, "record_every": 1},
        **{"checkpoint_every": 3, "precision": "float64", "momentum": 0.0, "balance": 0.0, "clip": 100.0},
        **{"learning_rate": 1e-4, "damping": 0.1, "norm_constraint": 1e6},
    },
    "sample": TINY["sample"],
}


@cache
def pieces() -> tuple[Config, Any, Any, Any]:
    """The configuration of a run in two systems, its first wavefunction, and what is compiled for it."""
    config = load_config(JOINT)
    template = run.initial_wavefunction(config)
    step = run.training_step(config, template)
    return config, template, step, routing_of(*(one.wavefunction for one in members_of(config, template)))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """The configuration, whose runs are all made by one compiled step."""
    config, _, step, routed = pieces()
    monkeypatch.setattr(run, "training_step", lambda *_: step)
    monkeypatch.setattr(run, "routing_of", lambda *_: routed)
    yield config


def advanced() -> tuple[TrainState, TrainState, StepInfo]:
    """A state that learns, the next one, and what was measured between them."""
    config, template, step, _ = pieces()
    state = run.initial_state(config, template)
    state = state._replace(iteration=jnp.asarray(5, jnp.int32))
    state = jax.device_put(state, layout(state, walker_mesh(4)))
    return (state, *step(state))


def test_one_update_is_the_regularised_least_squares_fit_of_all_systems() -> None:
    """min |Ōφ − ε|² + δ|φ|², with rows of every system from its own wavefunction, at the walkers after the sweep."""
    config, template, _, _ = pieces()
    state, new, info = advanced()
    train, length = config.train, parameter_layout(template).trainable
    rows, residuals, energies = [], [], []
    ends = np.cumsum([one.train.groups for one in config.members])[:-1]
    for one, placed, points in zip(members_of(config, template), new.placed, np.split(info.point, ends), strict=True):
        functions = walker_functions(one.wavefunction, laplacian="forward")
        arguments = state.parameters, placed.walkers.positions, jnp.asarray(points)
        measure = jax.jit(lambda *of, f=functions: Batch(f.local_energy(*of).total, f.scores(*of)))
        batch, count = measure(*arguments), one.wavefunction.hamiltonian.count
        scores, centred = log_derivatives(batch)
        weight = (2 / count / (3 * one.train.walkers)) ** 0.5
        energies.append(np.asarray(batch.energies).real.mean(1) / count)
        for part in ("real", "imag"):
            rows.append(weight * getattr(scores, part).reshape(-1, length))
            residuals.append(weight * getattr(centred, part).ravel())
    np.testing.assert_allclose(info.energy, np.concatenate(energies), rtol=1e-8)
    augmented = np.concatenate([*rows, train.damping**0.5 * np.eye(length)])
    fit = np.linalg.lstsq(augmented, np.concatenate([*residuals, np.zeros(length)]), rcond=None)[0]
    moved = np.asarray(state.parameters - new.parameters)
    places = np.flatnonzero(fit)
    steered = np.setdiff1d(np.flatnonzero(moved), places)
    assert steered.size == 2, "router biases follow the load and not the energy"
    np.testing.assert_allclose(moved[places], train.learning_rate * fit[places], rtol=1e-6, atol=1e-10)


@pytest.mark.slow  # another step to compile
def test_the_first_system_moves_as_it_does_alone() -> None:
    """Its random numbers do not depend on the others."""
    config, template, _, _ = pieces()
    _, new, info = advanced()
    alone, state = config.members[0], run.initial_state(config.members[0], template)
    assert state.others == ()
    other, seen = run.training_step(alone, template)(state)
    np.testing.assert_allclose(new.walkers.positions, other.walkers.positions, rtol=1e-12)
    np.testing.assert_allclose(info.energy[:2], seen.energy, rtol=1e-9)


def test_a_stopped_run_goes_on_to_the_very_same_numbers(tmp_path: Path, compiled: Config) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run.train(compiled, whole)

    def stop(iteration: int, _: float) -> bool:
        if iteration == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    with pytest.raises(Interrupted):
        run.train(compiled, stopped, after_step=stop)
    with pytest.raises(RunError, match="another configuration"):
        run.train(compiled.members[0], stopped, resume=True)
    run.train(compiled, stopped, resume=True)
    same_state(checkpoints(whole)[0], checkpoints(stopped)[0])
    assert hashes(whole)["metrics.csv"] == hashes(stopped)["metrics.csv"]
    assert hashes(whole)["model.safetensors"] == hashes(stopped)["model.safetensors"]

    columns = read_metrics(whole / "metrics.csv")
    assert columns["group"][:3] == [0.0, 1.0, 2.0] and columns["system"][:3] == [0.0, 0.0, 1.0]
    figure = training_curves({name: columns[name] for name in ("iteration", "lam", "energy", "error", "system")})
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["[system]", "system 1"]
    curves = [line for line in figure.axes[0].lines if list(line.get_ydata()) != [0.0, 0.0]]
    assert {line.get_linestyle() for line in curves} == {"-", "--"}


def test_what_people_are_told_names_the_system(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config, template, _, _ = pieces()
    groups = groups_of(members_of(config, template))
    names = ("N=2, (1 1; -1 2)", "N=2, (1 1; -1 2)", "N=3, 3×3, twist (1/4, 0)")
    assert groups.named == names and groups.walkers.tolist() == [4, 4, 8]
    assert [groups.hamiltonian(group).count for group in range(3)] == [2, 2, 3]
    numbers = np.array([-14.0, -15.0, -16.0])
    with TrainingProgress() as progress:
        progress(Report("training", 9, 9, 1.0, numbers[:, None] / -16, *[numbers] * 4, systems=groups.named))
    err = capsys.readouterr().err
    assert "E/N of N=2, (1 1; -1 2) = " in err and "E/N of N=3, 3×3, twist (1/4, 0) = " in err

    three = {name: np.zeros(3) for name in StepInfo._fields if name not in ("other_acceptance", "skipped")}
    lost = measured(**three | {"point": np.array([[0.6], [0.8], [0.9]]), "bad_walkers": np.array([1, 0, 6])})
    guard = Guard(run.initial_state(config, template), groups=groups, burn_in=100)
    with pytest.raises(RunError, match=r"in the group of N=3, 3×3, twist \(1/4, 0\) at λ = 0\.9, .*6 of 8 walkers"):
        for iteration in range((TRIES + 1) * STRIKES):
            guard.review(iteration, guard.good, lost)

    (tmp_path / "joint.toml").write_text(config.to_toml())
    assert main(["validate", str(tmp_path / "joint.toml")]) == 0
    out = capsys.readouterr().out
    assert "N=3, 3×3, twist (1/4, 0): 1×8 walkers, area 7.79423 a_M², complex ψ" in out
    assert "N=3, 3×3, twist (1/4, 0): 16 rows" in out and "for 2×4 + 1×8 walkers" in out
