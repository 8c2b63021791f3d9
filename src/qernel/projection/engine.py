"""Blocks of projection: generations of steps with weights, each followed by walkers of equal weight.

A *generation* is `STEPS` time steps during which every walker carries its own weight, beginning at 1, and then a comb
that leaves W walkers of equal weight (`branching.comb`). The mean weight at its end is its *growth*: `series`
multiplies growths to undo the bias of a fixed number of walkers. A *block* is `GENERATIONS` of them, compiled,
beginning with positions alone. Every walker draws from its own key and means are taken in the order of walkers, so that
results depend neither on the number of devices nor on where a run was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array
from jax.sharding import NamedSharding

from qernel.errors import NotFinite
from qernel.lattice import wrap
from qernel.projection.branching import comb, log_factor, natural_bound
from qernel.projection.diffusion import Moved, step
from qernel.projection.guide import Guide, Guided, guide_of
from qernel.projection.series import Series
from qernel.sampling.devices import REPLICATED, SPLIT, over_walkers, walker_mesh
from qernel.wavefunction import Wavefunction, parameter_layout

STEPS = 5
"""Time steps between two combs: weights spread by a few percent meanwhile."""

GENERATIONS = 8
"""Combs in a compiled block."""


class Clock(NamedTuple):
    """Scalars of a block: time step, effective one, reference energy and bound of energies, in E0."""

    tau: Array
    effective: Array
    reference: Array
    bound: Array


class _Weighted(NamedTuple):
    """What each step of a generation leaves for each walker ``[G, W, STEPS]``."""

    log_weight: Array
    energy: Array
    moire: Array
    interaction: Array
    moved: Moved


class Progress(NamedTuple):
    """How far a projection has come: positions ``[W, N, 2]`` and the series of all generations so far."""

    positions: npt.NDArray[Any]
    series: Series


class Projector:
    """Compiled projection by one guide, for every point and time step.

    Args:
        guide: what guides.
        parameters: of it ``[P]``; positions and energies have their type.
        walkers: W.
        electrons: N.
        bound: α√(N/τ) in E0, of the point and τ.
        home: positions ``[..., 2]`` folded back into the cell.
    """

    def __init__(
        self,
        guide: Guide,
        parameters: Array,
        walkers: int,
        electrons: int,
        *,
        bound: Callable[[npt.NDArray[np.float64], float], float],
        home: Callable[[Array], Array] = lambda x: x,
    ) -> None:
        self.walkers, self.electrons = walkers, electrons
        self._guide, self._parameters, self._bound, self._home = guide, parameters, bound, home
        mesh = walker_mesh(walkers)
        self._split, self._whole = NamedSharding(mesh, SPLIT), NamedSharding(mesh, REPLICATED)
        self._generation = over_walkers(self._steps, mesh, SPLIT, walkers=SPLIT)
        self._guided = over_walkers(lambda p, x, points, _: guide(p, x, points), mesh, SPLIT, walkers=SPLIT)
        self._block = jax.jit(self._generations)

    @classmethod
    def of(cls, wavefunction: Wavefunction, walkers: int, *, laplacian: str = "forward", chunk: int = 0) -> Self:
        """That of a wavefunction, with the limits that its density sets; options as of `guide_of`."""
        hamiltonian = wavefunction.hamiltonian
        vectors = hamiltonian.supercell.vectors

        def bound(point: npt.NDArray[np.float64], tau: float) -> float:
            values = hamiltonian.numbers(point)
            strength = sum(float(term.strength(values)) for term, _ in hamiltonian.interaction.terms)
            return natural_bound(hamiltonian.density, strength, hamiltonian.count, tau)

        return cls(
            guide_of(wavefunction, laplacian=laplacian, chunk=chunk),
            parameter_layout(wavefunction).parameters,
            walkers,
            hamiltonian.count,
            bound=bound,
            home=lambda x: wrap(x, vectors),
        )

    def begun(self, positions: npt.ArrayLike) -> Progress:
        """A projection from walkers ``[W, N, 2]`` distributed as |ψ|², before its first block.

        Raises:
            ValueError: for another shape.
        """
        x = np.asarray(positions, self._parameters.dtype)
        if x.shape != (self.walkers, self.electrons, 2):
            raise ValueError(f"positions have shape {x.shape}: expected {(self.walkers, self.electrons, 2)}")
        return Progress(x, Series.empty())

    def advanced(
        self,
        progress: Progress,
        point: npt.ArrayLike,
        tau: float,
        *,
        reference: float,
        seed: int,
        branching: bool = True,
    ) -> Progress:
        """A projection one block later; the same arguments give the same numbers.

        Args:
            progress: before.
            point: of the family ``[p]``.
            tau: time step in 1/E0.
            reference: E_ref in E0, total, before anything is measured.
            seed: of the random numbers.
            branching: without, walkers keep sampling |ψ|².

        Raises:
            NotFinite: if a walker starts where ψ has no finite local energy.
        """
        series, dtype = progress.series, self._parameters.dtype
        energy = series.reference if len(series.weight) else reference
        bound = self._bound(np.asarray(point, np.float64), tau)
        numbers = (tau, tau * series.effective if branching else 0.0, energy, bound)
        clock = Clock(*(jnp.asarray(number, dtype) for number in numbers))
        key = jax.random.fold_in(jax.random.key(seed), len(series.weight) // GENERATIONS)
        points = jax.device_put(jnp.asarray(point, dtype)[None], self._whole)
        x = jax.device_put(jnp.asarray(progress.positions)[None], self._split)
        positions, columns = self._block(self._parameters, x, points, clock, key)
        new = Series(*(np.asarray(column, np.float64) for column in columns))
        if not np.isfinite(new.energy).all():
            raise NotFinite(
                "the local energy of a walker is not finite, so there is no mean: project with another seed; if it "
                'comes back, train the model further or with train.precision = "float64"'
            )
        return Progress(np.asarray(positions)[0], series.followed_by(new))

    def _generations(
        self, parameters: Array, positions: Array, points: Array, clock: Clock, key: Array
    ) -> tuple[Array, Series]:
        """Positions after a block, and a row of the series for every generation."""
        positions = self._home(positions)
        here = self._guided(parameters, positions, points, self._keys(key))

        def generation(carry: tuple[Array, Guided], index: Array) -> tuple[tuple[Array, Guided], Series]:
            own = jax.random.fold_in(key, index)
            arguments = (points, clock), self._keys(own)
            cohort, weighted = self._generation(parameters, carry, *arguments)
            weighted = jax.lax.with_sharding_constraint(weighted, self._whole)
            last = weighted.log_weight[..., -1]
            chosen = jax.vmap(comb)(jax.random.split(jax.random.fold_in(own, 1), len(last)), last)
            cohort = jax.tree.map(lambda leaf: jax.vmap(lambda x, i: x[i])(leaf, chosen), cohort)
            return jax.lax.with_sharding_constraint(cohort, self._split), _row(weighted, clock)

        (positions, _), rows = jax.lax.scan(generation, (positions, here), jnp.arange(GENERATIONS))
        return positions, rows

    def _keys(self, key: Array) -> Array:
        """One key per walker ``[1, W]``."""
        return jax.random.split(key, (1, self.walkers))

    def _steps(
        self, parameters: Array, carry: tuple[Array, Guided], common: tuple[Array, Clock], keys: Array
    ) -> tuple[tuple[Array, Guided], _Weighted]:
        """One device's share of the walkers through one generation."""
        points, clock = common

        def once(carry: tuple[Array, Guided, Array], index: Array) -> tuple[tuple[Array, Guided, Array], _Weighted]:
            positions, here, log_weight = carry
            own = jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, index)))(keys)
            positions, there, moved = step(self._guide, parameters, positions, here, points, clock.tau, own)
            factor = log_factor(here.energy, there.energy, clock.effective, clock.reference, clock.bound)
            log_weight = log_weight + factor
            weighted = _Weighted(log_weight, there.energy, there.moire, there.interaction, moved)
            return (positions, there, log_weight), weighted

        begin = (*carry, jnp.zeros_like(carry[1].energy))
        (positions, here, _), weighted = jax.lax.scan(once, begin, jnp.arange(STEPS))
        return (positions, here), jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 2), weighted)


def _row(weighted: _Weighted, clock: Clock) -> Series:
    """One generation as a row of the series: means over walkers and steps in double precision."""
    effective, reference = (part.astype(jnp.float64) for part in (clock.effective, clock.reference))
    weights = jnp.exp(weighted.log_weight[0].astype(jnp.float64))
    last = weights[:, -1]
    span = STEPS * effective

    def mean(values: Array) -> Array:
        return (weights * values[0].astype(jnp.float64)).mean()

    moved = Moved(*(part.astype(jnp.float64).mean() for part in weighted.moved))
    columns: dict[str, Any] = {
        "weight": weights.mean(),
        **{name: mean(getattr(weighted, name)) for name in ("energy", "moire", "interaction")},
        "growth": jnp.log(last.mean()) - span * reference,
        "span": span,
        "acceptance": moved.accepted,
        "crossings": moved.crossed,
        "effective_walkers": jnp.square(last.mean()) / jnp.square(last).mean(),
        "proposed": moved.proposed,
        "diffused": moved.diffused,
    }
    return Series(**columns)
