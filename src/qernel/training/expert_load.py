"""Even load of the experts, by router biases that only the load moves.

A load term in the loss would pull every parameter away from the lowest energy. Instead the biases of the routers are
taken out of the energy gradient (`parts.experts.Router.steered`) and moved after every update: up for an
expert that acts on fewer configurations than its share, down for one that acts on more (arXiv:2408.15664, with steps
in proportion to the excess and falling as the learning rate does). ψ stays the same function of positions and
parameters, so its energy is variational at any bias. Biases are ordinary entries of the parameter vector:
checkpoints, running average and model files have them, and outside training nothing moves them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array
from jax.sharding import Mesh, NamedSharding

from qernel.estimators.batched import WalkerFunctions, walker_functions
from qernel.sampling.devices import REPLICATED, SPLIT, over_walkers, walker_mesh
from qernel.sampling.metropolis import Walkers
from qernel.training.state import TrainState
from qernel.wavefunction import Wavefunction, trainable
from qernel.wavefunction.parts.experts import mixtures


def steered_places(template: Wavefunction) -> npt.NDArray[np.int64]:
    """Where the steered router biases are in the flat parameters (`parameter_layout`), ``[blocks, experts]``."""
    leaves = jax.tree.leaves(trainable(template))
    starts = np.cumsum([0, *(leaf.size for leaf in leaves)])
    at = {id(leaf): start + np.arange(leaf.size) for leaf, start in zip(leaves, starts[:-1], strict=True)}
    return np.array([at[id(layer.router.bias)] for layer in mixtures(template) if layer.router.steered])


def nudged(parameters: Array, places: npt.NDArray[np.int64], load: Array, rate: Array) -> Array:
    """The parameters with biases moved by rate · (1 − E · share), where an expert's share of the load of its block is
    1/E if E experts work alike; in a block where none acts nothing moves.

    Args:
        parameters: flat ``[P]``.
        places: of the biases ``[blocks, experts]``.
        load: fraction of configurations each expert acts on ``[blocks, experts]``.
        rate: logits by which an idle expert rises.
    """
    total = load.sum(1, keepdims=True)
    share = load / jnp.where(total > 0, total, 1.0)
    move = jnp.where(total > 0, 1.0 - load.shape[1] * share, 0.0)
    return parameters.at[places].add((jnp.asarray(rate, move.dtype) * move).astype(parameters.dtype))


class Routing(NamedTuple):
    """What the experts do in each group.

    Attributes:
        load: fraction of walkers that an expert acts on ``[G, blocks, experts]``.
        dropped: walkers to which more experts of a block are open than the local energy computes ``[G]``.
    """

    load: Array
    dropped: Array


def open_experts(functions: WalkerFunctions, mesh: Mesh, parameters: Array, walkers: Walkers, points: Array) -> Array:
    """Whether an expert is open to a walker ``[G, W, blocks, experts]``."""

    def measure(parameters: Array, walkers: Walkers, points: Array, _: Array) -> Array:
        return functions.gates(parameters, walkers.positions, points) > 0.0

    opened: Array = over_walkers(measure, mesh, SPLIT)(parameters, walkers, points, walkers.log_modulus)
    return opened


def routing_of(*templates: Wavefunction) -> Callable[[TrainState, Array], Routing] | None:
    """What measures the routing of a training state at the points ``[G, p]`` of its groups; None without experts.

    It is a computation of its own, so that a training step does not depend on whether somebody looks.

    Args:
        templates: the wavefunction in every system of the run.
    """
    layers = mixtures(templates[0])
    if not layers:
        return None
    everywhere = [walker_functions(template, laplacian="forward") for template in templates]
    limit = min(layer.active for layer in layers)

    def measure(state: TrainState, points: Array) -> Routing:
        systems = [one.walkers for one in state.placed]
        mesh = walker_mesh(math.gcd(*(walkers.log_modulus.shape[1] for walkers in systems)))
        ends = np.cumsum([len(walkers.log_modulus) for walkers in systems])[:-1]
        found = []
        for functions, walkers, own in zip(everywhere, systems, jnp.split(points, ends), strict=True):
            opened = open_experts(functions, mesh, state.parameters, walkers, own)
            found.append(Routing(opened.mean(1), left_out(opened, limit)))
        routing = jax.tree.map(lambda *parts: jnp.concatenate(parts), *found)
        # Whole in every process.
        whole: Routing = jax.lax.with_sharding_constraint(routing, NamedSharding(mesh, REPLICATED))
        return whole

    return jax.jit(measure)


def left_out(opened: Array, limit: int) -> Array:
    """Walkers of each group to which more experts of a block are open than the local energy computes ``[G]``.

    Args:
        opened: whether a gate is open ``[G, W, blocks, experts]``.
        limit: experts that are computed.
    """
    return (opened.sum(-1) > limit).any(-1).sum(1)


def overflow(dropped: npt.ArrayLike, points: npt.ArrayLike, active: int) -> str | None:
    """A sentence if an active expert was left out of a local energy, else None.

    Args:
        dropped: walkers of each group to which more experts were open than are computed ``[G]``.
        points: family points of the groups ``[G, p]``.
        active: experts that are computed.
    """
    lost = np.asarray(dropped)
    if not lost.any():
        return None
    group = int(lost.argmax())
    return (
        f"more than {active} experts were open to {lost[group]} walkers at λ = {np.asarray(points)[group, 0]:.4g}, and "
        "their local energies left some out: give a larger model.active_experts"
    )
