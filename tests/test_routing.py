"""Routing statistics: a router made by hand, whose gates are known, and the layers inside a wavefunction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ansatz_cases import (
    FAMILY,
    SMALL,
    Case,
    derivatives,
    evaluate,
    random_points,
    random_positions,
    wavefunction,
)
from qernel.errors import RunError
from qernel.observables import Samples, make
from qernel.observables.routing import entropy
from qernel.wavefunction import active_parameter_count, build, parameter_count
from qernel.wavefunction.evaluate import PointAmplitude

POINT = random_points(FAMILY, 1, 3)[0]


@dataclass
class ByHand:
    """Gates that depend on where the first electron is: left of the line x = ½ expert 1 acts, right of it expert 2."""

    active_experts: int = 2

    def gates(self, positions: Any) -> Any:
        left = np.asarray(positions)[..., 0, 0] < 0.5
        block = np.stack([0.8 * left, 0.2 * ~left, 0.0 * left], axis=-1)
        return np.stack([block, np.broadcast_to([0.5, 0.5, 0.5], block.shape)], axis=-2)


def samples(psi: Any, count: int = 200) -> Samples:
    """Independent positions, the first electron's x uniform in [0, 2)."""
    x = np.random.default_rng(4).uniform(0.0, 2.0, (8, count, 3, 2))
    return Samples(x, FAMILY, np.asarray(POINT), psi=psi)


def test_statistics_of_a_router_made_by_hand() -> None:
    drawn = samples(ByHand())
    left = float((drawn.positions[..., 0, 0] < 0.5).mean())
    result = {v.name: v for v in make("routing").measure(drawn)}
    active, gate = result["gate_active"], result["gate"]
    np.testing.assert_allclose(active.values, [[left, 1 - left, 0.0], [1.0, 1.0, 1.0]], atol=1e-12)
    np.testing.assert_allclose(gate.values, [[0.8 * left, 0.2 * (1 - left), 0.0], [0.5] * 3], atol=1e-12)
    # Independent configurations: the error of a fraction is that of a binomial, within the scatter of 8 chains.
    assert active.errors is not None and gate.errors is not None
    exact = np.sqrt(0.25 * 0.75 / 1600)
    assert exact / 1.6 < active.errors[0, 0] < 2.0 * exact
    assert abs(left - 0.25) < 4 * exact
    assert np.all(active.errors[1] == 0.0) and active.errors[0, 2] == 0.0
    # All three experts of the second block are open, and only two would be computed: that is said.
    np.testing.assert_array_equal(result["experts_dropped"].values, [0.0, 1.0])
    share = np.array([0.8 * left, 0.2 * (1 - left)])
    share /= share.sum()
    mixed = result["routing_entropy"]
    np.testing.assert_allclose(mixed.values, [-(share * np.log(share)).sum(), np.log(3.0)], rtol=1e-12)
    assert mixed.errors is not None and 0 < mixed.errors[0] < 0.1 and mixed.errors[1] < 1e-12


def test_the_entropy_is_linearised_correctly() -> None:
    """A small change of one sample moves the mean of the series as it moves the entropy of the means."""
    gates = np.random.default_rng(1).uniform(0.0, 1.0, (4, 6, 2, 3))
    moved = gates.copy()
    moved[1, 2, 0, 1] += 1e-5
    difference = (entropy(moved).mean((0, 1)) - entropy(gates).mean((0, 1))) * 24 / 1e-5
    mean, total = gates.mean((0, 1)), gates.mean((0, 1)).sum(-1)
    # The series of the unmoved sample responds by the slope: read it off its own fluctuation.
    probe = gates.copy()
    probe[...] = mean
    probe[0, 0, 0, 1] += 1e-7
    probe[0, 1, 0, 1] -= 1e-7  # the mean stays
    slope = (entropy(probe)[0, 0, 0] - entropy(probe).mean((0, 1))[0]) / 1e-7
    assert difference[0] == pytest.approx(slope, rel=1e-3) and difference[1] == 0.0
    assert np.all(entropy(np.zeros((2, 2, 1, 3))) == 0.0) and total.min() > 0


def test_gates_of_a_wavefunction_are_those_that_act() -> None:
    """Closing what `gates` calls closed leaves ψ as it is; closing an open expert changes it."""
    module = wavefunction(Case("qernel", "polarised"))
    x = random_positions(FAMILY, 40, 5)
    psi = PointAmplitude(module, POINT, jnp.float64)
    gates = psi.gates(x.reshape(8, 5, 3, 2))
    assert gates.shape == (8, 5, 2, 4) and np.all((gates >= 0) & (gates <= 1))
    gates = gates.reshape(40, 2, 4)
    assert (gates > 0).sum(-1).max() <= SMALL.active_experts == psi.active_experts
    points = jnp.broadcast_to(POINT, (40, 1))
    before = evaluate(module, x, points)[1]
    for block, expert in ((0, 0), (1, 3)):
        silent = eqx.tree_at(
            lambda m, b=block: m.blocks[b].experts.experts_out,
            module,
            module.blocks[block].experts.experts_out.at[expert].set(0.0),
        )
        change = np.abs(evaluate(silent, x, points)[1] - before)
        np.testing.assert_array_equal(change > 0, gates[:, block, expert] > 0)


def test_without_experts_there_is_no_routing() -> None:
    psi = PointAmplitude(wavefunction(Case("psiformer", "polarised")), POINT, jnp.float64)
    with pytest.raises(RunError, match="no experts"):
        make("routing").measure(samples(psi, 2))


@pytest.mark.parametrize("ansatz", ["qernel", "lem"])
def test_no_experts_leave_the_shared_one_alone(ansatz: str) -> None:
    """ψ of a mixture whose routed experts say nothing, with the shared expert's numbers in a dense perceptron."""
    case = Case(ansatz, "polarised")
    mixed = wavefunction(case)
    dense = build(case.model.model_copy(update={"experts": 0}), FAMILY, key=jax.random.key(1), dtype=jnp.float64)
    assert parameter_count(mixed) > parameter_count(dense) == active_parameter_count(dense)
    silent, alone = [], []
    for block, own in zip(mixed.blocks, dense.blocks, strict=True):
        layer = block.experts
        silent.append(eqx.tree_at(lambda part: part.experts_out, layer, 0.0 * layer.experts_out))
        shared = (layer.shared_in, layer.shared_bias, layer.shared_out)
        alone.append(eqx.tree_at(lambda part: (part.inner, part.inner_bias, part.outer), own.experts, shared))
    mixed, alike = (
        eqx.tree_at(lambda m: [block.experts for block in m.blocks], mixed, layers) for layers in (silent, alone)
    )
    x, points = random_positions(FAMILY, 2, 5), random_points(FAMILY, 2, 3)
    assert alike.gates(x[0], points[0]).size == 0
    for found, expected in zip(evaluate(alike, x, points), evaluate(mixed, x, points), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    for found, expected in zip(
        derivatives(alike, x, points, "forward"), derivatives(alike, x, points, "loop"), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * float(jnp.abs(expected).max()))
    psi = PointAmplitude(dense, np.asarray(points[0]), jnp.float64)
    with pytest.raises(RunError, match="no experts"):
        make("routing").measure(samples(psi, 2))


def test_active_parameters_are_counted_from_the_active_experts() -> None:
    module = wavefunction(Case("qernel", "polarised"))
    each = SMALL.width * SMALL.expert_width * 2 + SMALL.expert_width
    idle = len(module.blocks) * (SMALL.experts - SMALL.active_experts) * each
    assert parameter_count(module) - active_parameter_count(module) == idle > 0
    for ansatz in ("psiformer", "slater"):
        other = wavefunction(Case(ansatz, "polarised"))
        assert active_parameter_count(other) == parameter_count(other)


def test_parameters_appended_to_the_features_condition_a_bare_psiformer() -> None:
    """The published recipe knows λ from its inputs alone; every other parameter starts as without the switch."""
    bare = SMALL.model_copy(update={"ansatz": "psiformer", "film": False, "jastrow": False, "envelope": False})
    x, points = random_positions(FAMILY, 1, 2)[0], random_points(FAMILY, 2, 6)

    def logs(model: Any) -> tuple[Any, list[float]]:
        module = build(model, FAMILY, key=jax.random.key(3), dtype=jnp.float64)
        return module, [float(module.amplitude(x, p)[1]) for p in points]

    blind, unmoved = logs(bare)
    seeing, moved = logs(bare.model_copy(update={"parameter_features": True}))
    assert unmoved[0] == unmoved[1] and abs(moved[0] - moved[1]) > 1e-3
    assert parameter_count(seeing) - parameter_count(blind) == SMALL.width
    np.testing.assert_array_equal(seeing.input, blind.input)
    silent = eqx.tree_at(lambda m: m.input_point, seeing, 0.0 * seeing.input_point)
    assert float(silent.amplitude(x, points[0])[1]) == unmoved[0]
