"""Configurations to start chains from: spread over the cell, or the three registries of the √3×√3 crystal.

Chains that start spread over the cell may all end up in one phase. Near a first-order transition chains that start as
crystals, in all registries that ψ holds, say whether the others have missed something; and from some two dozen
electrons on, spread electrons do not crystallise in thousands of moves where the crystal is what |ψ|² describes.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.errors import RunError
from qernel.hamiltonian.family import Hamiltonian
from qernel.lattice import FloatArray, Supercell, holds_root_three, wrap
from qernel.sampling.metropolis import LogModulus, Walkers
from qernel.sampling.spread import spread_walkers

_STEP = 0.25
"""Over √N, because all electrons move at once, it is the step width in a_M that adaptation begins with."""

_WIDTH = 0.1
"""Spread in a_M of the electrons around their sites; sampling finds the right one in a few moves."""


def start_walkers(
    key: Array,
    hamiltonian: Hamiltonian,
    points: Array,
    walkers: int,
    *,
    crystal_from: float | None,
    spread_until: float | None = None,
    seed: int,
    dtype: Any,
) -> Walkers:
    """Walkers before equilibration, log|ψ| not yet evaluated.

    Args:
        key: random key of those that are spread over the cell.
        hamiltonian: electrons and supercell.
        points: family points of the groups ``[G, p]``, λ first.
        walkers: in each group.
        crystal_from: groups at this λ and above are crystals in the three registries; None: no group is.
        spread_until: up to this λ every other walker is spread all the same, so that a group holds both phases.
        seed: of the crystals.
        dtype: element type of the positions.

    Raises:
        RunError: see `require_registries`.
    """
    shape = (len(points), walkers, hamiltonian.count)
    spread = spread_walkers(key, hamiltonian.supercell, shape, width=_STEP / math.sqrt(hamiltonian.count), dtype=dtype)
    if crystal_from is None:
        return spread
    crystals = jnp.asarray(registry_positions(hamiltonian, np.asarray(points), walkers, seed=seed), dtype)
    lam, every_other = points[:, :1], jnp.arange(walkers) % 2 == 1
    frozen = lam >= crystal_from
    if spread_until is not None:
        frozen = frozen & ((lam > spread_until) | every_other)
    return spread._replace(positions=jnp.where(frozen[..., None, None], crystals, spread.positions))


def settle(keys: Array, walkers: Walkers, log_modulus: LogModulus, supercell: Supercell) -> Walkers:
    """Each configuration in one of the three registries, chosen with their weights |ψ|².

    A wavefunction may hold the crystal in one registry alone; in the others |ψ|² of 54 electrons is e^−110 times as
    large. A chain that starts there finds its way by a translation in the end, but until then accepts hops of single
    electrons to places that it does not leave again in thousands of moves.

    Args:
        keys: one random key per walker, ``[G, W]``.
        walkers: where `start_walkers` placed them.
        log_modulus: log|ψ| of all walkers.
        supercell: positions are wrapped back into it.
    """
    # A moiré lattice vector of one period takes a registry to the next.
    dtype = walkers.positions.dtype
    shifts = jnp.arange(3, dtype=dtype)[:, None] * jnp.asarray(supercell.primitive[0], dtype)

    def moved(shift: Array) -> Array:
        return wrap(walkers.positions + shift, supercell.vectors)

    logs = jax.lax.map(lambda shift: log_modulus(moved(shift)), shifts)
    weights = jnp.moveaxis(jnp.where(jnp.isfinite(logs), 2.0 * logs, -jnp.inf), 0, -1)
    choice = jax.vmap(jax.vmap(jax.random.categorical))(keys, weights)
    return walkers._replace(positions=moved(shifts[choice][:, :, None, :]))


def require_registries(hamiltonian: Hamiltonian) -> None:
    """Refuse a system that has no registries.

    Raises:
        RunError: if the supercell does not hold the crystal, or the filling is neither 1/3 nor 2/3.
    """
    cell, count = hamiltonian.supercell, hamiltonian.count
    if not holds_root_three(cell) or 3 * count not in (cell.cells, 2 * cell.cells):
        raise RunError(
            f"starting in the registries of a crystal needs filling 1/3 or 2/3 of a supercell made of whole √3×√3 "
            f"cells, and this is {count} electrons on the {cell.cells} cells of {cell.matrix}: use --start spread"
        )


def registry_positions(hamiltonian: Hamiltonian, points: FloatArray, walkers: int, *, seed: int) -> FloatArray:
    """Crystals in the three registries, one after the other, for each point.

    At filling 2/3 a registry is the √3×√3 sublattice of wells that stays empty, at filling 1/3 the one that is
    occupied. The wells are the deepest places of the moiré cells, and may be others at another point.

    Args:
        hamiltonian: electrons and supercell.
        points: of the family ``[G, p]``.
        walkers: number of configurations W at each.
        seed: of the small displacements, and of which electron sits where; the same at every point.

    Returns:
        Positions ``[G, W, N, 2]`` in a_M.

    Raises:
        RunError: see `require_registries`.
    """
    require_registries(hamiltonian)
    cell, count = hamiltonian.supercell, hamiltonian.count
    rng = np.random.default_rng([seed, 3])
    occupied = [cell.crystal(registry, count) for registry in range(3)]
    sites = np.stack([rng.permutation(cell.translations[occupied[walker % 3]]) for walker in range(walkers)])
    displacements = _WIDTH * rng.normal(size=sites.shape)
    wells = [hamiltonian.minima(hamiltonian.numbers(point))[0][0] for point in points]
    return np.stack([sites + well + displacements for well in wells])
