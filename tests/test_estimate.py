"""What ``qernel validate`` predicts, against what the compiled training step asks for and what a run really takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qernel.cli.commands import estimate
from qernel.config import load_config
from qernel.estimators import batched, memory
from qernel.estimators.memory import SHARE, live_bytes
from qernel.training.run import initial_state, initial_wavefunction, training_step

SOURCE = Path(__file__).parents[1] / "src"


def test_live_bytes_of_what_can_be_counted_by_hand() -> None:
    x = jnp.zeros((10, 10), jnp.float32)
    one = 400
    assert live_bytes(lambda x: jnp.sin(x), x) == one
    assert live_bytes(lambda x: jnp.cos(jnp.sin(x)), x) == 2 * one, "argument and result of the second"
    assert live_bytes(lambda x: jnp.cos(jnp.sin(jnp.exp(x))), x) == 2 * one, "the first is gone by then"

    def all_kept(x: jax.Array) -> jax.Array:
        a, b = jnp.sin(x), jnp.cos(x)
        return jnp.concatenate([a, b, b])

    assert live_bytes(all_kept, x) == 5 * one
    looped = live_bytes(lambda x: jax.lax.map(lambda row: jnp.cos(jnp.sin(row)), x), x)
    assert one < looped <= one + 5 * one // 10, "the result, and a few rows"
    assert live_bytes(lambda x: jnp.zeros((5, 10), jnp.float64) + 1.0, x) >= one


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
@pytest.mark.parametrize("laplacian", [True, False])
@pytest.mark.parametrize("electrons", [2, 6, 24, 54, 150, 600])
@pytest.mark.parametrize("available", [2e9, 80e9])
def test_walkers_at_once_fit(
    available: float, electrons: int, laplacian: bool, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a walker that needs what is measured: 230 MB of Laplacian for 150 electrons, growing as N³."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(batched, "device_memory", lambda: available)
    need = (230e6 if laplacian else 38e6) * (electrons / 150) ** 3
    chosen = batched.walkers_at_once(256, electrons, lambda: int(need), laplacian=laplacian)
    assert 1 <= chosen <= 256
    # The bound under which nothing is traced, for small systems, is far below any memory.
    assert chosen == 1 or chosen * need <= max(SHARE * available, 250e6)
    # As many as fit, unless fewer are faster.
    if not laplacian and backend != "cpu" and chosen < 256:
        assert (chosen + 1) * need > SHARE * available


def test_chunks_are_taken_and_do_not_change_results(start: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory that holds so many walkers gives the program with this chunk; two at a time give the numbers of all."""
    template, state = start
    groups, walkers = state.walkers.log_modulus.shape
    arguments = state.parameters, state.walkers.positions, jnp.ones((groups, 1), state.parameters.dtype)
    monkeypatch.setattr(batched, "_SMALL", 0)
    monkeypatch.setattr(batched, "live_bytes", lambda *_: 1000)
    rows = {}
    for fit in (2, walkers):
        monkeypatch.setattr(batched, "device_memory", lambda fit=fit: 1001 * fit / SHARE)
        scores = batched.walker_functions(template, laplacian="forward").scores
        given = batched.walker_functions(template, laplacian="forward", chunk=fit).scores
        assert str(jax.make_jaxpr(scores)(*arguments)) == str(jax.make_jaxpr(given)(*arguments))
        rows[fit] = np.asarray(jax.jit(scores)(*arguments))
    np.testing.assert_allclose(rows[2], rows[walkers], rtol=1e-4, atol=1e-4 * np.abs(rows[2]).max())


@pytest.mark.parametrize("chunk", [1, 2, 3, 5])
@pytest.mark.parametrize("walkers", [6, 7])
def test_batches_of_any_size_see_their_own_group(start: tuple[Any, Any], walkers: int, chunk: int) -> None:
    """Batches that divide the walkers of a group, and a last one that is smaller, with another λ in every group."""
    template, state = start
    parameters = state.parameters + 0.1 * jax.random.normal(
        jax.random.key(3), state.parameters.shape, state.parameters.dtype
    )
    positions = jnp.tile(state.walkers.positions[:1, :walkers], (3, 1, 1, 1))
    assert positions.shape[1] == walkers
    points = jnp.asarray([[0.5], [0.9], [1.3]], state.parameters.dtype)
    functions = [
        batched.walker_functions(template, laplacian="forward", chunk=size).scores for size in (chunk, walkers)
    ]
    found, expected = (np.asarray(jax.jit(scores)(parameters, positions, points)) for scores in functions)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert np.abs(expected[0] - expected[1]).max() > 1e-2 * np.abs(expected).max(), "groups differ by λ alone"


def test_the_largest_preset_fits_an_80_GB_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config("n150")
    assert config.train.chunk == 0, "chunks are chosen"
    monkeypatch.setattr(estimate, "matmul_rate", lambda _: 1e13)
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for place in (memory, estimate):
        monkeypatch.setattr(place, "available_memory", lambda: 0.75 * 80e9)  # what JAX takes of it
    need = estimate.estimate(config)
    assert need.available == 60e9 and need.program == 0.0
    assert need.parameters <= 60_000, "no number belongs to a size"
    rows = 4 * config.train.groups * config.train.walkers * need.parameters
    assert 2 * rows < need.memory < need.available


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("name", ["n2", "n6"])
def test_arrays_within_a_factor_of_one_and_a_half(name: str, devices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(name, ["train.groups=2"])
    monkeypatch.setattr(estimate, "matmul_rate", lambda _: 1e11)
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    predicted = estimate.estimate(config).memory
    template = initial_wavefunction(config)
    state = jax.eval_shape(lambda: initial_state(config, template))
    needs = training_step(config, template, devices=devices).lower(state).compile().memory_analysis()
    assert needs is not None
    each = needs.temp_size_in_bytes + needs.argument_size_in_bytes + needs.output_size_in_bytes
    assert 1 / 1.5 < predicted / (devices * each) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize(("name", "walkers"), [("n6", 32), ("n96", 2), ("n150", 2)])
def test_peak_of_a_run_within_a_factor_of_one_and_a_half(
    name: str, walkers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One iteration of training in a process of its own: what the operating system saw, against the estimate."""
    small = ["train.groups=1", f"train.walkers={walkers}", "train.moves=2", "train.burn_in=0", "train.iterations=1"]
    monkeypatch.setattr(estimate, "matmul_rate", lambda _: 1e11)
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    need = estimate.estimate(load_config(name, small))
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "XLA_FLAGS": "", "QERNEL_DEVICES": "1"}
    command = [sys.executable, "-m", "qernel.cli", "train", name, "--out", str(tmp_path / "run"), "--set", *small]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    peak = 1024.0 * usage.ru_maxrss
    predicted = need.memory + need.program
    print(json.dumps({"preset": name, "walkers": walkers, "predicted_MB": predicted / 1e6, "peak_MB": peak / 1e6}))
    assert child.returncode == 0
    assert 1 / 1.5 < predicted / peak < 1.5
