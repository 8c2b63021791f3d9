"""The mixture of experts: sparsity of the gates, and ψ continuous with its gradient wherever routing changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ansatz_cases import Case, perturbed, quick_jit, random_points, wavefunction
from qernel.benchmark.flops import matmul_flops
from qernel.laplacian.jet import contract, pointwise, seed
from qernel.wavefunction import Wavefunction, build, log_psi
from qernel.wavefunction.parts.experts import MixtureOfExperts, Router

CASE = Case("qernel", "polarised")
POINT = random_points(CASE.hamiltonian, 1, 3)[0]


def mixture(experts: int, active: int, *, sharpness: float = 1.0) -> MixtureOfExperts:
    """A random layer of width 6 whose router is more or less decided."""
    layer = MixtureOfExperts(
        6,
        3,
        experts=experts,
        active=active,
        expert_width=5,
        shared_width=4,
        rng=np.random.default_rng(experts),
        dtype=jnp.float64,
    )
    return eqx.tree_at(lambda m: m.router.features, layer, sharpness * layer.router.features)


@pytest.mark.parametrize(("experts", "active"), [(4, 2), (8, 1), (16, 3), (2, 2), (3, 5)])
def test_at_most_the_active_number_of_gates_is_open(experts: int, active: int) -> None:
    layer = mixture(experts, active, sharpness=4.0)
    keys = jax.random.split(jax.random.key(1), 2)
    features, conditions = jax.random.normal(keys[0], (2000, 3, 6)), jax.random.normal(keys[1], (2000, 3))
    gates, probabilities = jax.jit(
        jax.vmap(lambda h, c: (layer.gates(h, c), layer.router(h, c)))  # type: ignore[no-any-return]
    )(features, conditions)
    opened = (gates > 0.0).sum(-1)
    assert gates.shape == (2000, experts)
    assert int(opened.max()) == min(experts, active)
    assert float(gates.min()) >= 0.0 and float(gates.max()) <= 1.0
    assert float(gates.max()) > 0.5, "a router that is certain opens its gate"
    np.testing.assert_allclose(probabilities.sum(-1), 1.0, rtol=1e-12)
    # Where rank k and rank k + 1 meet, both gates are closed: nothing is cut off by keeping k experts.
    if active < experts:
        ranked = jnp.sort(probabilities, axis=-1)[:, ::-1]
        assert float(ranked[:, active].max()) <= 1.0 / (active + 1) + 1e-12


def test_the_output_is_the_shared_expert_plus_gated_experts() -> None:
    layer = mixture(4, 2, sharpness=3.0)
    features, condition = jax.random.normal(jax.random.key(2), (3, 6)), jnp.asarray([0.1, -0.4, 0.7])
    gates = np.asarray(layer.gates(features, condition))
    assert 0 < np.count_nonzero(gates) < 4
    expected = np.tanh(features @ layer.shared_in + layer.shared_bias) @ layer.shared_out
    for expert in np.flatnonzero(gates):
        hidden = np.tanh(features @ layer.experts_in[expert] + layer.experts_bias[expert])
        expected += gates[expert] * hidden @ layer.experts_out[expert]
    np.testing.assert_allclose(layer(features, condition), expected, rtol=1e-12)


def test_the_router_sees_electrons_in_no_order() -> None:
    layer = mixture(4, 2, sharpness=3.0)
    features, condition = jax.random.normal(jax.random.key(4), (5, 6)), jnp.asarray([0.1, -0.4, 0.7])
    order = jnp.asarray([3, 0, 4, 1, 2])
    gates = layer.gates(features, condition)
    np.testing.assert_allclose(layer.gates(features[order], condition), gates, atol=1e-14)
    np.testing.assert_allclose(layer(features[order], condition), layer(features, condition)[order], atol=1e-12)


def test_only_the_experts_that_may_act_are_computed_in_the_laplacian() -> None:
    """Matrix products behind the gates: as many for 4 experts as for 16; for ψ alone all experts are in one product."""
    positions = jax.random.normal(jax.random.key(1), (3, 2))
    mixing = jax.random.normal(jax.random.key(2), (2, 6))

    def flops(experts: int, active: int, derivatives: bool) -> int:
        layer = mixture(experts, active)
        start = seed(positions) if derivatives else positions
        features = pointwise(jnp.tanh, contract("nx,xc->nc", start, mixing))
        gates = layer.gates(features, jnp.zeros(3))
        return matmul_flops(lambda g, h: layer.apply(g, h), gates, features)

    assert flops(4, 2, True) == flops(16, 2, True) < flops(16, 3, True)
    assert flops(4, 2, False) < flops(16, 2, False)


class Spot(NamedTuple):
    """What happens at one place of a path: log ψ, its gradient and second derivative along it, and the routing."""

    log: Array
    slope: Array
    curvature: Array
    gradient: Array
    gates: Array
    probabilities: Array


def busy(module: Wavefunction) -> Wavefunction:
    """The same wavefunction with sharper routers, so that a path crosses many thresholds."""
    blocks = [
        eqx.tree_at(lambda b: b.experts.router.features, b, 6.0 * b.experts.router.features) for b in module.blocks
    ]
    centred = [eqx.tree_at(lambda b: b.experts.router.bias, b, 0.0 * b.experts.router.bias) for b in blocks]
    return eqx.tree_at(lambda m: m.blocks, module, centred)


def path(s: Array) -> Array:
    """A loop through configuration space: electrons go round in the cell on different ellipses."""
    angle = 2.0 * jnp.pi * s
    centres = jnp.asarray([[0.2, 0.3], [1.5, 1.1], [2.6, 1.9]])
    turn = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    radii = jnp.asarray([[0.5, -0.4], [0.3, 0.7], [-0.6, 0.35]])
    return centres + radii * turn


class Walk:
    """log ψ along `path`, with gates and probabilities of the first block recorded on the way."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        gate: Callable[[Array, float], Array] | None = None,
        ansatz: Wavefunction | None = None,
    ) -> None:
        seen: dict[str, list[Any]] = {"gates": [], "router": []}
        original_router = Router.__call__

        def router(self: Router, features: Any, condition: Array) -> Any:
            result = original_router(self, features, condition)
            seen["router"].append(result)
            return result

        def gates(self: MixtureOfExperts, features: Any, condition: Array) -> Any:
            threshold = 1.0 / (self.active + 1)
            probabilities = self.router(features, condition)
            if gate is None:
                result = original_gates(self, features, condition)
            else:
                result = pointwise(lambda p: gate(p, threshold), probabilities)
            seen["gates"].append(result)
            return result

        original_gates = MixtureOfExperts.gates
        monkeypatch.setattr(Router, "__call__", router)
        monkeypatch.setattr(MixtureOfExperts, "gates", gates)
        module = busy(wavefunction(CASE) if ansatz is None else ansatz)

        def spot(s: Array) -> Spot:
            def log(t: Array) -> Array:
                result: Array = log_psi(module, path(t), POINT)[1]
                return result

            slope, curvature = jax.jvp(jax.grad(log), (s,), (jnp.ones_like(s),))
            gradient = jax.grad(lambda x: log_psi(module, x, POINT)[1])(path(s)).reshape(-1)
            for values in seen.values():
                values.clear()
            value = log(s)
            return Spot(value, slope, curvature, gradient, seen["gates"][0], seen["router"][0])

        self._spots = quick_jit(jax.vmap(spot))

    def __call__(self, places: Any) -> Spot:
        """Everything at these places along the path."""
        return self._spots(jnp.asarray(places))  # type: ignore[no-any-return]

    def change(self, label: Callable[[Spot], np.ndarray[Any, Any]], index: int = 0) -> float:
        """A place, to 1e-11, where a discrete label of the routing changes along the path."""
        places = np.linspace(0.0, 1.0, 513)
        labels = label(self(places))
        changes = np.flatnonzero(labels[1:] != labels[:-1])
        assert len(changes) > index, "the path crosses no such boundary: choose another path"
        low, high = places[changes[index]], places[changes[index] + 1]
        first = labels[changes[index]]
        while high - low > 1e-11:
            middle = np.linspace(low, high, 513)
            crossed = int(np.flatnonzero(label(self(middle)) != first)[0])
            low, high = middle[crossed - 1], middle[crossed]
        return float(0.5 * (low + high))


def open_gates(spot: Spot) -> np.ndarray[Any, Any]:
    """Which gates are open, as a number."""
    return np.asarray((np.asarray(spot.gates) > 0.0) @ (1 << np.arange(4)))


def top_two(spot: Spot) -> np.ndarray[Any, Any]:
    """Which two experts are the most probable."""
    return np.asarray((1 << np.argsort(np.asarray(spot.probabilities))[:, 2:]).sum(1))


def favourite(spot: Spot) -> np.ndarray[Any, Any]:
    """The most probable expert."""
    return np.argmax(np.asarray(spot.probabilities), axis=1)


STEPS = np.array([1e-4, 1e-6])


def jumps(walk: Walk, place: float, steps: Any = STEPS) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Change of log ψ and length of the change of its gradient across a place, at each of the steps."""
    before, after = walk(place - steps), walk(place + steps)
    return np.abs(after.log - before.log), np.linalg.norm(np.asarray(after.gradient - before.gradient), axis=1)


@pytest.mark.parametrize("boundary", [open_gates, top_two, favourite])
def test_psi_and_its_gradient_are_continuous_where_routing_changes(
    boundary: Callable[[Spot], np.ndarray[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Across a threshold, or where experts swap ranks, both change in proportion to the step."""
    walk = Walk(monkeypatch)
    place = walk.change(boundary)
    value, gradient = jumps(walk, place)
    ratio = STEPS[1] / STEPS[0]
    np.testing.assert_allclose(value[1] / value[0], ratio, rtol=0.05)
    np.testing.assert_allclose(gradient[1] / gradient[0], ratio, rtol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"kv_heads": 1, "active_experts": 1},
        {"kv_heads": 4, "film": False, "parameter_features": True},
        {"expert_balance": 0.1},
    ],
    ids=["multi-query, one active expert", "multi-head, without FiLM", "steered biases"],
)
def test_continuity_holds_for_every_kind_of_attention_and_conditioning(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CASE.model.model_copy(update=changes)
    start = build(model, CASE.hamiltonian, key=jax.random.key(7), dtype=jnp.float64)
    walk = Walk(monkeypatch, ansatz=perturbed(start, 8))
    # Closer than `STEPS`: with one active expert gates turn sharply, and 1e-4 is not yet the limit.
    steps = 0.01 * STEPS
    ratio = steps[1] / steps[0]
    for boundary in (open_gates, favourite):
        value, gradient = jumps(walk, walk.change(boundary), steps)
        np.testing.assert_allclose(value[1] / value[0], ratio, rtol=0.05)
        np.testing.assert_allclose(gradient[1] / gradient[0], ratio, rtol=0.05)


HARD: dict[str, Callable[[Array, float], Array]] = {
    "jump": lambda p, threshold: jnp.where(p > threshold, p, 0.0),
    "kink": lambda p, threshold: jnp.maximum(p - threshold, 0.0),
}
"""Gates as in language models: both break the variational principle."""


@pytest.mark.parametrize("name", HARD)
def test_the_check_would_notice_hard_routing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = Walk(monkeypatch, HARD[name])
    value, gradient = jumps(walk, walk.change(open_gates))
    assert gradient[1] > 0.5 * gradient[0]
    assert (value[1] > 0.5 * value[0]) == (name == "jump")


def surface_term(gate: Callable[[Array, float], Array] | None, monkeypatch: pytest.MonkeyPatch) -> float:
    """∮ y'' ds over ∮ |y''| ds of a layer's output round a closed path: zero unless the slope jumps."""
    layer = mixture(4, 2, sharpness=4.0)
    if gate is not None:
        monkeypatch.setattr(
            MixtureOfExperts,
            "gates",
            lambda self, h, c: pointwise(lambda p: gate(p, 1.0 / (self.active + 1)), self.router(h, c)),
        )
    centre, first, second = jax.random.normal(jax.random.key(9), (3, 3, 6))
    condition = jnp.asarray([0.1, -0.4, 0.7])

    def output(s: Array) -> Array:
        angle = 2.0 * jnp.pi * s
        result: Array = layer(centre + first * jnp.cos(angle) + second * jnp.sin(angle), condition).sum()
        return result

    places = jnp.asarray((np.arange(65536) + 0.5) / 65536)
    curvature = jax.jit(jax.vmap(jax.grad(jax.grad(output))))(places)
    return float(curvature.mean() / jnp.abs(curvature).mean())


def test_no_surface_term_is_missed_by_the_second_derivative(monkeypatch: pytest.MonkeyPatch) -> None:
    """With kinks, the second derivative alone misses part of the kinetic energy; with smooth gates it cannot."""
    # The second derivative itself jumps at thresholds, so the quadrature converges like its step, 1.5e-5.
    assert abs(surface_term(None, monkeypatch)) < 1e-3
    assert abs(surface_term(HARD["kink"], monkeypatch)) > 1e-2
