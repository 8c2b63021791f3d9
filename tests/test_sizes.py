"""Values of keys that are far too large: refused in words, or described without anything of their size being made."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import annotated_types
import jax
import numpy as np
import pytest

from ansatz_cases import CASES
from qernel.cli import main
from qernel.cli.commands import validate
from qernel.config import Config, load_config
from qernel.config.sections import SECTIONS, ModelConfig
from qernel.errors import ConfigError, RunError
from qernel.estimators import memory
from qernel.training import size
from qernel.training.run import train
from qernel.wavefunction import build, outline, parameter_count

LARGE = (10**9, 10**6, 10**5, 10**4, 1000, 100, 64)
"""Tried from the largest on."""

SMALL: dict[str, Any] = {
    "system": {"electrons": 2, "supercell": [[1, 1], [-1, 2]], "V0": 4.4, "U": 1.0},
    "model": {"width": 8, "blocks": 1, "heads": 2, "experts": 2, "active_experts": 1, "bloch_order": 1, "hf_order": 1},
}

MUCH = 400e6
"""Bytes; what is meant to be found takes gigabytes to petabytes."""


def numeric(section: str) -> list[str]:
    """Keys of a section that take a single number."""
    fields = SECTIONS[section].model_fields
    return [
        key
        for key, field in fields.items()
        if any(isinstance(m, annotated_types.Ge | annotated_types.Gt) for m in field.metadata)
    ]


def accepted(section: str, key: str, more: list[str]) -> Iterator[Config]:
    """The configuration with the largest value of a key that is not refused."""
    for value in LARGE:
        for written in (f"{value}", f"{value}.0"):
            try:
                yield load_config(SMALL, [f"{section}.{key}={written}", *more])
            except ConfigError as error:
                assert key in str(error) or "electrons" in str(error)
            else:
                return


def most_made(config: Config) -> int:
    """Bytes that describing a model takes at most."""
    tracemalloc.start()
    try:
        size.shapes(config)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("key", numeric("model"))
def test_no_size_of_a_model_is_made_to_be_counted(key: str) -> None:
    ansatz = "psiformer" if key == "mlp_width" else "qernel"
    orbitals = {"hf": "hartree_fock", "bloch": "bloch"}.get(key.partition("_")[0], "network")
    found = list(
        accepted("model", key, [f"model.ansatz={ansatz}", f"model.orbitals={orbitals}", *FITTING.get(key, ())])
    )
    assert found, "some value is large and accepted"
    assert most_made(found[0]) < MUCH


FITTING = {
    "heads": ["model.width=100000"],
    "kv_heads": ["model.width=100000", "model.heads=100000"],
    "active_experts": ["model.experts=1000000"],
}
"""What makes a large value of a key possible."""


@pytest.mark.parametrize(
    "overrides",
    [
        ["system.supercell=[[1000, 0], [0, 1000]]"],
        ["system.supercell=[[1000, 999], [999, 1000]]"],
        ["system.supercell=[[1000, 0], [0, 1000]]", "system.electrons=4000", "model.width=4000"],
        ["system.supercell=[[1000, 0], [0, 1000]]", "system.electrons=1000000000"],
        ["system.supercell=[[1000, 0], [0, 1000]]", "model.orbitals=bloch"],
        ["system.supercell=[[1000, 0], [0, 1000]]", "model.orbitals=hartree_fock"],
        ["system.supercell=[[1000, 0], [0, 1000]]", "system.interaction=dual_gate", "system.gate_distance=0.05"],
        ["system.supercell=[[1000, 0], [0, 1000]]", "system.interaction=dual_gate", "family.gate_distance=[0.05, 1.0]"],
        ["system.V0=1000000.0", "system.U=1000000.0", "family.lam=1000000.0", "model.orbitals=bloch"],
        ["system.phase_deg=-1000000.0", "family.U=[0.0, 1000000.0]"],
    ],
)
def test_no_system_is_made_to_be_counted(overrides: list[str]) -> None:
    try:
        config = load_config(SMALL, overrides)
    except ConfigError as error:
        assert "supercell" in error.problems[0]
    else:
        assert most_made(config) < MUCH


def test_whole_numbers_that_a_program_grows_with_are_bounded() -> None:
    """A new key of [model] gets one of the bounded types of `qernel.config.types`."""
    for key in numeric("model"):
        bounds = [m.le for m in ModelConfig.model_fields[key].metadata if isinstance(m, annotated_types.Le)]
        whole = ModelConfig.model_fields[key].annotation is int
        assert not whole or min(bounds) <= 10**6, key


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_outline_has_the_shapes_of_what_is_built(case: Any) -> None:
    empty = outline(case.model, case.hamiltonian, dtype="float32")
    full = build(case.model, case.hamiltonian, key=jax.random.key(0), dtype="float32", start=False)
    assert jax.tree.structure(empty) == jax.tree.structure(full)
    for own, other in zip(jax.tree.leaves(empty), jax.tree.leaves(full), strict=True):
        assert own.shape == other.shape and own.dtype == other.dtype
        assert isinstance(own, np.ndarray) and own.base is not None, "no memory of its own"
    assert parameter_count(empty) == parameter_count(full)


@pytest.mark.parametrize(
    ("overrides", "gigabytes", "help"),
    [
        (["model.experts=1000000"], 8.0, "give a smaller model.experts than 1e+06"),
        (["model.determinants=1000000"], 0.1, "give a smaller model.determinants than 1e+06"),
        (["model.width=100000"], 8.0, "give a smaller model.width than 100000"),
        (["train.groups=1000000"], 0.5, "fewer train.groups or train.walkers need less"),
        (["train.walkers=1000000"], 0.5, "fewer train.groups or train.walkers need less"),
    ],
)
def test_what_is_too_large_says_what_would_help(
    overrides: list[str],
    gigabytes: float,
    help: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for place in (memory, size):
        monkeypatch.setattr(place, "available_memory", lambda: gigabytes * 1e9)
    config = load_config(SMALL, overrides)
    monkeypatch.setattr(size, "build", None, raising=False)
    with pytest.raises(RunError, match="not enough memory") as caught:
        train(config, tmp_path / "run")
    assert str(caught.value).endswith(help)
    assert not (tmp_path / "run").exists()
    lines = list(validate._cost(config))
    assert lines[0].startswith("parameters: ") and help in lines[-1]


@pytest.mark.parametrize(("command", "words"), [("hf", "--cutoff"), ("query", "--walkers"), ("train", "validate")])
def test_out_of_memory_says_what_helps_this_command(
    command: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(options: Any) -> int:
        raise MemoryError

    monkeypatch.setattr("qernel.cli.entry._run", fail)
    arguments = {"hf": ["n2", "--lam", "1"], "query": ["n6", "--lam", "1"], "train": ["n2"]}[command]
    assert main([command, *arguments]) == 2
    message = capsys.readouterr().err
    assert "not enough memory" in message and words in message
    assert "walkers" not in message or command != "hf"
