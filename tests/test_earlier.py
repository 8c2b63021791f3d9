"""Models of several parameters whose orbitals follow λ alone: what is stored keeps its meaning and its fingerprint."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
import tomlkit

from ansatz_cases import random_positions
from qernel.config import Config, load_config
from qernel.config.earlier import meanings
from qernel.config.orbitals import following
from qernel.errors import ConfigError, OtherRun
from qernel.measure import load
from qernel.training.checkpoint import Checkpoints
from qernel.training.run import initial_state, initial_wavefunction
from qernel.training.tensors import write_tensors

ALONG: dict[tuple[str, str], str] = {
    ("bloch", "phase_deg"): "5ccd9ae1b4c6667e",
    ("hartree_fock", "U"): "e85b4e039d4a193d",
    ("bloch", "U"): "fffeee3fa81630e1",
    ("network", "U"): "2f523e0d54ced6d5",
    ("hartree_fock", ""): "d6944e173b0d3674",
}
"""Orbitals, second parameter: first digits of the fingerprint when orbitals followed λ alone."""


def family(orbitals: str, second: str, **model: Any) -> Config:
    more = {"phase_deg": [0.0, 20.0], "U": [8.0, 12.0]}
    sizes = {"width": 8, "blocks": 1, "heads": 2, "determinants": 1}
    return load_config(
        {
            "system": {"electrons": 2, "supercell": [[1, 1], [-1, 2]]},
            "family": {"lam": [0.5, 1.3], **({second: more[second]} if second else {})},
            "model": {**sizes, "orbitals": orbitals, **model},
        }
    )


@pytest.mark.parametrize(("orbitals", "second"), ALONG)
def test_fingerprints_of_what_is_stored(orbitals: str, second: str) -> None:
    """They change where orbitals do, and only there."""
    today, key = family(orbitals, second), following(family(orbitals, second))
    assert (key is None) == ((orbitals, second) not in [("bloch", "phase_deg"), ("hartree_fock", "U")])
    assert (today.fingerprint()[:16] == ALONG[orbitals, second]) == (key is None)
    before = family(orbitals, second, **{key or "hf_order_others": 1})
    assert before.fingerprint()[:16] == ALONG[orbitals, second]
    assert [one.config for one in meanings(today)] == ([] if key is None else [before])
    assert list(meanings(before)) == []


def test_more_points_than_can_be_computed_are_refused() -> None:
    intervals = {"family.U=[8.0, 12.0]", "family.phase_deg=[0.0, 20.0]"}
    config = family("hartree_fock", "")
    with pytest.raises(ConfigError, match=r"hf_order_others = 20 computes orbitals at 2,000 points, .* at most 14$"):
        load_config(config, [*sorted(intervals), "model.hf_order_others=20"])
    assert load_config(config, [*sorted(intervals), "model.hf_order_others=14"]).model.hf_order_others == 14
    assert load_config(config, ["model.hf_order_others=64"]).fingerprint() == config.fingerprint()


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """A run folder whose configuration does not know how orbitals follow other parameters."""
    config = family("bloch", "phase_deg", ansatz="slater", bloch_order_others=1, bloch_cutoff=30.0)
    table = config.to_dict()
    del table["model"]["bloch_order_others"], table["model"]["hf_order_others"]
    (tmp_path / "config.toml").write_text(tomlkit.dumps(table), "utf-8")
    psi = initial_wavefunction(config)
    header = {"config": tomlkit.dumps(table)}
    write_tensors(tmp_path / "model.safetensors", eqx.filter(psi, eqx.is_inexact_array), header)
    Checkpoints.of(tmp_path, config).save(initial_state(config, psi), finished=False)
    return tmp_path


def test_a_stored_run_is_what_it_was(old_run: Path) -> None:
    with warnings.catch_warnings(action="error"):
        config, model = load_config(old_run / "config.toml"), load(old_run)
    assert config == model.config and config.model.bloch_order_others == 1
    psi: Any = model.wavefunction
    assert psi.orbitals.series.names == ("lam",)
    state = initial_state(config, model.wavefunction)
    assert int(Checkpoints.of(old_run, config).load(state).state.iteration) == 0
    # The bands are those of the middle of the interval, whatever φ.
    x = random_positions(config.hamiltonian(), 1, 3)[0].astype(jnp.float32)
    orbitals = [psi.orbitals(x, jnp.asarray([0.8, phase]))[0] for phase in (0.0, 20.0)]
    assert (orbitals[0] == orbitals[1]).all()


def test_a_configuration_of_today_does_not_resume_it_and_says_how(old_run: Path) -> None:
    today = family("bloch", "phase_deg", ansatz="slater", bloch_cutoff=30.0)
    state = jax.eval_shape(lambda: 0)
    with pytest.raises(OtherRun, match=r"orbitals follow λ alone: .*config.toml, or add --set model.bloch_order_oth"):
        Checkpoints.of(old_run, today).load(state)  # type: ignore[arg-type]


def test_an_interval_that_is_given_anew_is_followed(old_run: Path) -> None:
    config = load_config(old_run / "config.toml", ["family.phase_deg=[0.0, 10.0]"])
    assert config.model.bloch_order_others == 4
