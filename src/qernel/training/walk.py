"""The part of an iteration that belongs to one system: its walkers move, and are measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh

from qernel.config.sections import TrainConfig
from qernel.estimators.batched import WalkerFunctions, walker_functions
from qernel.estimators.local_energy import LocalEnergy
from qernel.estimators.order_parameter import crystal_order
from qernel.hamiltonian.family import Hamiltonian
from qernel.sampling.devices import SPLIT, over_walkers
from qernel.sampling.metropolis import Walkers
from qernel.sampling.moves import Gaussian
from qernel.sampling.population import ADVANCED, Advanced, Population
from qernel.training.expert_load import open_experts
from qernel.training.filling import drift_fractions, family_points
from qernel.training.rows import measured
from qernel.training.state import Placed, TrainState
from qernel.wavefunction import Wavefunction

_ACCEPTANCE = 0.5
"""Acceptance that the step width aims at."""

_ADAPTION = 0.1
"""Change of log width in an iteration for each unit of acceptance."""


class Moved(NamedTuple):
    """Walkers of one system after they have moved, and what they show.

    Attributes:
        placed: the walkers, their step widths adapted, and where the groups are.
        points: of the groups ``[G, p]``.
        energies: local energies ``[G, W]``.
        rows: see `qernel.training.rows`.
        acceptance: of every kind of move ``[G]``.
        swapped: see `qernel.sampling.population.Advanced`.
    """

    placed: Placed
    points: Array
    energies: LocalEnergy
    rows: Array
    acceptance: dict[str, Array]
    swapped: Array


@dataclass(frozen=True)
class Walk:
    """How the walkers of one system move and are measured.

    Attributes:
        hamiltonian: the system.
        train: how it is trained.
        functions: of its wavefunction.
        population: how walkers move.
    """

    hamiltonian: Hamiltonian
    train: TrainConfig
    functions: WalkerFunctions
    population: Population

    @classmethod
    def of(cls, template: Wavefunction, train: TrainConfig) -> Self:
        """That of a wavefunction, of which only the structure is used."""
        functions = walker_functions(template, laplacian=train.laplacian, chunk=train.chunk, implicit=train.implicit)
        return cls(template.hamiltonian, train, functions, Population.of(functions.log_modulus, template.hamiltonian))

    def moved(self, state: TrainState, placed: Placed, keys: tuple[Array, Array], mesh: Mesh) -> Moved:
        """Drift of the points, a sweep at the new ones, swaps, measurement.

        Args:
            state: its parameters and iteration.
            placed: walkers and fractions before.
            keys: random keys of the drift and of the sweep.
            mesh: devices that share the walkers.
        """
        drift_key, sweep_key = keys
        fractions = drift_fractions(drift_key, placed.fractions, self.train.drift)
        points = family_points(self.hamiltonian, fractions, self.train)
        walker_keys = jax.random.split(sweep_key, placed.walkers.log_modulus.shape)
        measure = partial(
            sampled,
            self.functions,
            self.population,
            moves=self.train.moves,
            exchange_every=self.train.exchange,
        )
        advanced, energies, rows = over_walkers(measure, mesh, (ADVANCED, SPLIT, SPLIT))(
            (state.parameters, state.iteration), placed.walkers, points, walker_keys
        )
        accepted = {name: of_walkers.mean(1) for name, of_walkers in advanced.acceptance.items()}
        width = self.population.adapted(
            advanced.walkers.width, accepted[Gaussian.name], target=_ACCEPTANCE, rate=_ADAPTION
        )
        walkers = advanced.walkers._replace(width=width)
        return Moved(Placed(walkers, fractions), points, energies, rows, accepted, advanced.swapped)

    def load(self, state: TrainState, moved: Moved, mesh: Mesh) -> Array:
        """Fraction of the walkers that each expert acts on ``[blocks, experts]``."""
        opened = open_experts(self.functions, mesh, state.parameters, moved.placed.walkers, moved.points)
        return opened.mean((0, 1))

    def info(self, moved: Moved, deviation: Array, dropped: Array) -> dict[str, Any]:
        """The entries of `qernel.training.step.StepInfo` that groups have, ``[G]`` each.

        Args:
            moved: its walkers.
            deviation: of the local energies ``[G]``.
            dropped: walkers that were left out ``[G]``.
        """
        walkers, others = moved.placed.walkers, dict(moved.acceptance)
        return {
            "point": moved.points,
            **energies_per_group(moved.energies, self.hamiltonian.count),
            "deviation": deviation / self.hamiltonian.count,
            "order_parameter": crystal_order(walkers.positions, self.hamiltonian.supercell).mean(1),
            "acceptance": others.pop(Gaussian.name),
            "other_acceptance": others,
            "exchange_acceptance": moved.swapped.mean(1),
            "width": walkers.width,
            "bad_walkers": dropped,
        }


def energies_per_group(energies: LocalEnergy, count: int) -> dict[str, Array]:
    """Energies of `StepInfo` per electron, over the finite walkers of each group.

    Args:
        energies: of every walker ``[G, W]``.
        count: number of electrons.
    """
    finite = jnp.isfinite(energies.total)
    # The root in double precision, as counts have it, and only then the precision of the energies.
    freedom = ((finite.sum(1) - 1).astype(jnp.float64) ** 0.5).astype(energies.total.real.dtype)

    def per_electron(energy: Array) -> Array:
        return jnp.mean(energy.real, axis=1, where=finite) / count

    return {
        "energy": per_electron(energies.total),
        # Walkers are independent chains, so one instant has no autocorrelation to correct for.
        "error": jnp.std(energies.total.real, axis=1, where=finite) / count / freedom,
        "median": jnp.nanmedian(jnp.where(finite, energies.total.real, jnp.nan), axis=1) / count,
        **{name: per_electron(getattr(energies, name)) for name in ("kinetic", "moire", "interaction")},
    }


def sampled(
    functions: WalkerFunctions,
    population: Population,
    shared: tuple[Array, Array],
    walkers: Walkers,
    points: Array,
    keys: Array,
    *,
    moves: int,
    exchange_every: int,
) -> tuple[Advanced, LocalEnergy, Array]:
    """What each device does with its walkers: move them, swap them between groups where it is time, measure them.

    Args:
        functions: of the wavefunction.
        population: how its walkers move.
        shared: parameters, and the iteration.
        walkers: before.
        points: of the groups ``[G, p]``.
        keys: of the walkers ``[G, W]``.
        moves: see ``train.moves``.
        exchange_every: see ``train.exchange``.

    Returns:
        The walkers and how their moves went, local energies ``[G, W]`` and rows (`qernel.training.rows`).
    """
    parameters, iteration = shared
    swap = (iteration + 1) % exchange_every == 0 if exchange_every else False
    advanced = population.advanced(parameters, walkers, points, keys, moves=moves, swap=swap)
    positions = advanced.walkers.positions
    return advanced, *measured(functions, parameters, positions, points)
