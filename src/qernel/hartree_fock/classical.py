"""Classical crystals of any filling: electrons on the wells of the potential with the lowest interaction energy.

Periodic arrangements are enumerated: every superlattice of the moiré lattice that the supercell is made of, every way
to fill its unit cell. What is not periodic within the supercell is sought by exchanges from random starts. The
interaction is that of the Hamiltonian, with all its images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from qernel.hamiltonian.family import Hamiltonian
from qernel.hamiltonian.interaction import Interaction
from qernel.hamiltonian.parameters import Constants
from qernel.lattice import FloatArray, Integers, Supercell, lattice_points
from qernel.structure import explained

_FILLINGS = 3000
"""Unit cells that can be filled in more ways are left to the exchanges."""

_RANDOM = 24
"""Random starts of the exchanges."""

_SAME = 1e-7
"""Energies in 1/a_M per electron that differ by less are those of one arrangement and its images."""

_MIRROR = np.diag([1.0, -1.0])

Occupation = npt.NDArray[np.bool_]


class Wells(NamedTuple):
    """Sites of the moiré cells in levels of equal depth, filled from the deepest on.

    Attributes:
        full: sites of the levels that are full ``[f, 2]`` in a_M.
        level: sites of the next level ``[n, 2]``, n ≥ ``electrons``.
        electrons: how many it holds.
    """

    full: FloatArray
    level: FloatArray
    electrons: int


@dataclass(frozen=True)
class _Charges:
    """Electrons and what is between them; hashable, and the same wherever only the depth of the wells differs."""

    supercell: Supercell
    interaction: Interaction
    values: Constants
    count: int


def _charges(hamiltonian: Hamiltonian, values: Mapping[str, float]) -> _Charges:
    interaction = hamiltonian.interaction
    return _Charges(hamiltonian.supercell, interaction, interaction.shaping(values), hamiltonian.count)


_Sites = tuple[tuple[tuple[float, float], ...], ...]
"""`Levels`, hashable."""


def _sites(hamiltonian: Hamiltonian, values: Mapping[str, float]) -> _Sites:
    return tuple(tuple((x, y) for x, y in level.tolist()) for level in hamiltonian.minima(values))


def wells(hamiltonian: Hamiltonian, values: Mapping[str, float]) -> Wells:
    """The wells for the electrons; sites of one depth (moiré at φ = 60°: two in a cell) are one level.

    Beyond as many electrons in a cell as there are sites, these are used again.
    """
    return _filled(hamiltonian.supercell, _sites(hamiltonian, values), hamiltonian.count)


def _filled(supercell: Supercell, levels: _Sites, rest: int) -> Wells:
    full: list[FloatArray] = []
    number = 0
    while True:
        sites = np.concatenate([supercell.translations + np.array(place) for place in levels[number % len(levels)]])
        if rest <= len(sites):
            return Wells(np.concatenate([np.zeros((0, 2)), *full]), sites, rest)
        full.append(sites)
        rest, number = rest - len(sites), number + 1


def repulsion(charges: _Charges, sites: FloatArray) -> FloatArray:
    """v(r_a − r_b) in 1/a_M between sites ``[n, n]``, zero on the diagonal."""
    cell = charges.supercell
    # Finer than any distance that matters; sites at the thirds of a diagonal are on it.
    scale = _RESOLUTION // (3 * cell.cells) * 3 * cell.cells
    turns = (sites[:, None] - sites) @ np.linalg.inv(cell.vectors)
    steps = np.rint(turns * scale).astype(np.int64) % scale
    distinct, index = np.unique(steps[..., 0] * scale + steps[..., 1], return_inverse=True)
    difference = np.stack(np.divmod(distinct, scale), axis=-1) / scale @ cell.vectors
    difference[distinct == 0] = cell.vectors[0] / 2
    table = _interaction(charges, difference)[index.reshape(steps.shape[:2])]
    return np.where(np.eye(len(sites), dtype=bool), 0.0, table)


_RESOLUTION = 10**9
"""Steps along a supercell vector in which sites are compared."""


def _interaction(charges: _Charges, difference: FloatArray) -> FloatArray:
    """v in 1/a_M of differences ``[..., 2]``, in one compilation."""
    return np.asarray(jax.jit(lambda r: charges.interaction.shape(r, charges.values))(jnp.asarray(difference)))


def arrangements(hamiltonian: Hamiltonian, values: Mapping[str, float]) -> tuple[FloatArray, ...]:
    """Arrangements of electrons on wells by rising energy, no two of them images of each other.

    Args:
        hamiltonian: electrons, potential and interaction.
        values: the parameters, as numbers.

    Returns:
        Positions ``[N, 2]`` in a_M; the first one is the classical ground state, as far as the search goes.
    """
    return _arranged(_charges(hamiltonian, values), _sites(hamiltonian, values))


@lru_cache(maxsize=16)
def _arranged(charges: _Charges, levels: _Sites) -> tuple[FloatArray, ...]:
    cell, count = charges.supercell, charges.count
    places = _filled(cell, levels, count)
    pairs = repulsion(charges, places.level)
    found = [*_periodic(cell, places, pairs)]
    found += [exchanged(pairs, places.electrons, seed) for seed in range(_RANDOM)]
    energies = np.array([0.5 * occupied @ pairs @ occupied for occupied in found])
    return tuple(np.concatenate([places.full, places.level[found[index]]]) for index in _distinct(energies / count))


def superlattices(supercell: Supercell) -> Iterator[Integers]:
    """Every lattice between the moiré lattice and that of the supercell, as rows in Hermite form ``[2, 2]``."""
    matrix = np.array(supercell.matrix)
    for cells in range(1, supercell.cells + 1):
        for a, b, d in _hermite_forms(cells) if supercell.cells % cells == 0 else ():
            if not (matrix @ np.array([[d, -b], [0, a]]) % cells).any():
                yield np.array([[a, b], [0, d]])


def _periodic(supercell: Supercell, places: Wells, pairs: FloatArray) -> Iterator[Occupation]:
    """The best fillings of the unit cell of every superlattice that can be filled evenly."""
    kinds = len(places.level) // supercell.cells
    steps = np.rint(supercell.translations @ np.linalg.inv(supercell.primitive)).astype(np.int64)
    for rows in superlattices(supercell):
        cells = int(rows[0, 0] * rows[1, 1])
        electrons, rest = divmod(places.electrons * cells, supercell.cells)
        # Translations put an electron on the first site where all sites are alike.
        first = int(kinds == 1 and electrons > 0)
        if rest or comb(kinds * cells - first, electrons - first) > _FILLINGS:
            continue
        (a, b), (_, d) = rows.tolist()
        along, i = np.divmod(steps[:, 0], a)
        label = i * d + (steps[:, 1] - along * b) % d
        label = np.concatenate([label + kind * cells for kind in range(kinds)])
        fold = np.eye(kinds * cells)[label]
        others = list(combinations(range(first, kinds * cells), electrons - first))
        filled = np.zeros((len(others), kinds * cells))
        filled[:, :first] = 1.0
        np.put_along_axis(filled, np.array(others, int).reshape(len(others), -1), 1.0, axis=1)
        energies = (filled @ (fold.T @ pairs @ fold) * filled).sum(1)
        for index in np.unique(np.round(energies, 7), return_index=True)[1][:4]:
            yield filled[index][label] > 0.5


def exchanged(pairs: FloatArray, electrons: int, seed: int) -> Occupation:
    """A random occupation of sites, improved by moving one electron at a time until no move lowers the energy."""
    filled = np.zeros(len(pairs), bool)
    filled[np.random.default_rng([29, seed]).permutation(len(pairs))[:electrons]] = True
    while 0 < electrons < len(pairs):
        potential = pairs @ filled
        inside, outside = np.flatnonzero(filled), np.flatnonzero(~filled)
        gain = potential[None, outside] - potential[inside, None] - pairs[np.ix_(inside, outside)]
        best = np.unravel_index(np.argmin(gain), gain.shape)
        if gain[best] > -1e-9:
            break
        filled[inside[best[0]]], filled[outside[best[1]]] = False, True
    return filled


def floating(hamiltonian: Hamiltonian, values: Mapping[str, float]) -> tuple[FloatArray, ...]:
    """Lattices of N points in the supercell ``[N, 2]`` in a_M by rising energy, wells or not.

    Every lattice of which the supercell is N cells is dual to a sublattice of index N of the reciprocal lattice.
    """
    return _floating(_charges(hamiltonian, values))


@lru_cache(maxsize=16)
def _floating(charges: _Charges) -> tuple[FloatArray, ...]:
    count = charges.count
    lattices = []
    for a, b, d in _hermite_forms(count):
        i, j = np.divmod(np.arange(count), d)
        lattices.append(np.stack([i / a - j * b / count, j / d], axis=-1) @ charges.supercell.vectors)
    points = np.array(lattices)
    energies = _interaction(charges, points[:, 1:]).sum(1) if count > 1 else np.zeros(1)
    return tuple(points[index] for index in _distinct(energies))


def _distinct(energies: FloatArray) -> Iterator[int]:
    """Indices by rising energy; what has the energy of the one before is its image by a symmetry."""
    last = -np.inf
    for index in np.argsort(energies, kind="stable").tolist():
        if energies[index] - last > _SAME:
            last = energies[index]
            yield index


def _hermite_forms(index: int) -> Iterator[tuple[int, int, int]]:
    """(a, b, d) of the rows (a, b), (0, d) of every sublattice of this index of a lattice."""
    for a in range(1, index + 1):
        if index % a == 0:
            yield from ((a, b, index // a) for b in range(index // a))


def crystal_waves(hamiltonian: Hamiltonian, values: Mapping[str, float]) -> FloatArray:
    """Where the classical ground state has its largest Fourier component, and where its images have it.

    Args:
        hamiltonian: electrons, potential and interaction.
        values: the parameters, as numbers.

    Returns:
        Wave vectors ``[k, 2]`` in 1/a_M up to reciprocal vectors of the moiré lattice; none where all cells are alike.
    """
    return _waves(_charges(hamiltonian, values), _sites(hamiltonian, values))


@lru_cache(maxsize=16)
def _waves(charges: _Charges, levels: _Sites) -> FloatArray:
    cell = charges.supercell
    zone = lattice_points(cell.reciprocal, 0.6 * float(np.linalg.norm(cell.moire_reciprocal[0])))
    zone = zone[~explained(zone, cell, uniform=False)]
    positions = _arranged(charges, levels)[0]
    strengths = np.abs(np.exp(1j * zone @ positions.T).mean(1)) ** 2
    if strengths.max(initial=0.0) < 1e-9:
        return np.zeros((0, 2))
    waves = zone[strengths > 0.99 * strengths.max()]
    angles = np.arange(6) * np.pi / 3
    turned = [np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) for a in angles]
    images: FloatArray = np.concatenate([waves @ mirror @ turn for turn in turned for mirror in (np.eye(2), _MIRROR)])
    return images
