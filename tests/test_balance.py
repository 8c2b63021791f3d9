"""Load balance of the experts: the rule, what it leaves alone, and that nothing open is left out unseen."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ansatz_cases import FAMILY, SMALL, random_points, random_positions
from qernel.config import load_config
from qernel.plots.training import read_metrics
from qernel.training import run
from qernel.training.checkpoint import Checkpoints
from qernel.training.events import EVENTS_FILE
from qernel.training.expert_load import Routing, left_out, nudged, overflow, routing_of, steered_places
from qernel.training.metrics import MetricsFile
from qernel.training.run import initial_state, initial_wavefunction
from qernel.training.step import make_step
from qernel.wavefunction import build, log_psi, parameter_layout
from qernel.wavefunction.parts.experts import MixtureOfExperts
from runs import TINY, measured, pretended, same_state, settings

POINT = random_points(FAMILY, 1, 3)[0]
STEERED = SMALL.model_copy(update={"expert_balance": 0.1, "blocks": 2})


def test_load_becomes_even_on_a_router_that_prefers_one_expert() -> None:
    """From 90 % of the load on one of four experts to the same for all, within the noise of the last batch."""
    layer = MixtureOfExperts(
        6, 3, experts=4, active=1, expert_width=2, shared_width=2, rng=np.random.default_rng(4), dtype=jnp.float64
    )
    places = np.arange(4)[None]

    @jax.jit
    def load(bias: Array, key: Array) -> Array:
        features = 4.0 * jax.random.normal(key, (2048, 3, 6))
        pooled = jnp.einsum("wnc,ce->we", features, layer.router.features) / 3
        return (jax.nn.softmax(pooled + bias) > 0.5).mean(0)[None]

    bias = jnp.asarray([20.0, 0.0, 0.0, 0.0])
    before = load(bias, jax.random.key(0))
    assert before[0, 0] > 0.9 * before.sum()

    def nudge(iteration: int, bias: Array) -> Array:
        return nudged(bias, places, load(bias, jax.random.key(iteration)), jnp.asarray(0.1))

    bias = jax.lax.fori_loop(0, 600, nudge, bias)
    after = load(bias, jax.random.key(1000))[0]
    assert after.sum() > 0.5, "even, and not closed"
    np.testing.assert_allclose(after / after.sum(), 0.25, atol=0.04)
    # Even load, and no load at all, move nothing; moves never change the sum.
    np.testing.assert_array_equal(nudged(bias, places, jnp.full((1, 4), 0.4), jnp.asarray(0.1)), bias)
    np.testing.assert_array_equal(nudged(bias, places, jnp.zeros((1, 4)), jnp.asarray(0.1)), bias)
    moved = nudged(bias, places, jnp.asarray([[1.0, 0.0, 0.5, 0.5]]), jnp.asarray(0.1)) - bias
    np.testing.assert_allclose(moved, [-0.1, 0.1, 0.0, 0.0], atol=1e-15)


def test_the_energy_moves_everything_but_steered_biases() -> None:
    """ψ is the same function; ∂log ψ differs in nothing but zeros for the biases."""
    steered = build(STEERED, FAMILY, key=jax.random.key(2), dtype=jnp.float64)
    plain = build(STEERED.model_copy(update={"expert_balance": 0.0}), FAMILY, key=jax.random.key(2), dtype=jnp.float64)
    places = steered_places(steered)
    assert places.shape == (2, 4) and steered_places(plain).size == 0
    parameters, rebuild, _ = parameter_layout(steered)
    moved = rebuild(parameters.at[places].set(jnp.arange(8.0).reshape(2, 4)))
    for block in range(2):
        np.testing.assert_array_equal(moved.blocks[block].experts.router.bias, 4.0 * block + np.arange(4.0))
    positions = random_positions(FAMILY, 1, 5)[0]

    def score(template: Any) -> tuple[Array, Array]:
        flat, unravel, _ = parameter_layout(template)
        value, gradient = jax.jit(jax.value_and_grad(lambda p: log_psi(unravel(p), positions, POINT)[1]))(flat)
        return value, gradient

    (value, gradient), (expected, full) = score(steered), score(plain)
    assert value == expected and np.all(gradient[places] == 0) and np.any(full[places] != 0)
    np.testing.assert_allclose(gradient, full.at[places].set(0.0), rtol=1e-12, atol=1e-15)


def test_a_step_moves_the_biases_by_the_load_and_a_checkpoint_keeps_them(tmp_path: Path) -> None:
    model = {**TINY["model"], "experts": 4, "expert_balance": 0.1}
    config = load_config(
        {**TINY, "model": model, "train": {**TINY["train"], "walkers": 16, "burn_in": 1, "decay": 2.0}}
    )
    template = initial_wavefunction(config)
    states, infos = [initial_state(config, template)], []
    step = make_step(template, config.train, expert_balance=0.1)
    for _ in range(4):
        state, info = step(states[-1])
        states.append(state)
        infos.append(info)
    places, routed = steered_places(template), routing_of(template)
    assert routed is not None
    np.testing.assert_array_equal(states[1].parameters, states[0].parameters, "burn-in moves nothing")
    for iteration in (1, 2, 3):
        before, after = states[iteration], states[iteration + 1]
        # The gates that count are those of the walkers that the step measured, with the parameters it had.
        routing = routed(before._replace(walkers=after.walkers), infos[iteration].point)
        assert routing.load.shape == (2, 1, 4) and float(routing.load.max()) <= 1.0 and not np.any(routing.dropped)
        np.testing.assert_array_equal(np.asarray(routing.load) * 16 % 1, 0.0)
        rate = jnp.asarray(0.1 / (1 + (iteration - 1) / 2.0))
        expected = nudged(before.parameters, places, routing.load.mean(0), rate)[places]
        np.testing.assert_allclose(after.parameters[places], expected, rtol=1e-6, atol=1e-7)
    assert np.any(states[4].parameters[places] != states[1].parameters[places]), "otherwise nothing was tested"
    # Through a file and on: the same run, bit for bit.
    checkpoints = Checkpoints(tmp_path, config.fingerprint(), 9)
    checkpoints.save(states[2], finished=False)
    state = checkpoints.load(states[0]).state
    for _ in range(2):
        state, _ = step(state)
    (tmp_path / "resumed").mkdir()
    other = Checkpoints(tmp_path / "resumed", config.fingerprint(), 9)
    same_state(checkpoints.save(states[4], finished=False), other.save(state, finished=False))


def test_without_balance_nothing_is_steered() -> None:
    assert not initial_wavefunction(load_config("n6")).blocks[0].experts.router.steered
    assert load_config("n6", ["model.expert_balance=0.0"]).fingerprint() == load_config("n6").fingerprint()
    assert load_config("n6", ["model.expert_balance=0.1"]).fingerprint() != load_config("n6").fingerprint()


def test_metrics_hold_the_load_of_every_expert_and_take_up_older_files(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    older = MetricsFile(path, ("lam",), 0)
    older.append(1, measured())
    older.close()
    metrics = MetricsFile(path, ("lam",), 1, experts=(2, 2))
    load = np.array([[[1.0, 0.25], [0.0, 0.5]], [[0.125, 0.0], [0.5, 0.5]]])
    metrics.append(2, measured(), Routing(load, np.array([0, 3])))
    metrics.close()
    rows = list(csv.DictReader(path.read_text().splitlines()))
    names = ["load_b1_e1", "load_b1_e2", "load_b2_e1", "load_b2_e2"]
    assert list(rows[0])[-5:] == [*names, "dropped"]
    assert [rows[0][name] for name in names] == ["nan"] * 4
    np.testing.assert_array_equal([[float(row[name]) for name in names] for row in rows[2:]], load.reshape(2, 4))
    assert [row["dropped"] for row in rows[2:]] == ["0", "3"] and len(read_metrics(path)["energy"]) == 4


def test_an_active_expert_that_is_left_out_is_counted_and_reported(
    fake: Callable[[Any], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened = jnp.zeros((2, 5, 2, 4), bool).at[1, :3, 1, :3].set(True).at[0, 0, 0, :2].set(True)
    np.testing.assert_array_equal(left_out(opened, 2), [0, 3])
    np.testing.assert_array_equal(left_out(opened[..., :0, :0], 0), [0, 0])
    assert overflow([0, 0], [[0.6], [0.9]], 2) is None
    assert "open to 3 walkers at λ = 0.9" in str(overflow([0, 3], [[0.6], [0.9]], 2))

    lost = Routing(jnp.zeros((2, 1, 2)), jnp.asarray([0, 3]))
    monkeypatch.setattr(run, "routing_of", lambda _: lambda *_: lost)
    fake(jax.jit(pretended))
    run.train(settings(), tmp_path / "run")
    (event,) = [json.loads(line) for line in (tmp_path / "run" / EVENTS_FILE).read_text().splitlines()]
    assert event["event"] == "capacity" and event["iteration"] == 1, "said once"
    assert "left some out: give a larger model.active_experts" in capsys.readouterr().err
