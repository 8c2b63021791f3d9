"""Bloch functions by their labels, momentum and band: nothing about them is stored, and any cell has them.

    φ_kb(r; p) = Σ_G c_kbG(p) e^{i(k + G)·r}

G are the few reciprocal vectors of the moiré lattice that bands need, whatever the supercell, and c_kbG polynomials in
the point (`Series`) through the exact bands. An orbital keeps its momentum at every point, so that a determinant of
them has an exact crystal momentum. Where the twist is made of half turns, k and −k give two real orbitals.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from qernel.hamiltonian.bands import Bands, potential_bands
from qernel.hamiltonian.family import Hamiltonian
from qernel.hamiltonian.grid import steps
from qernel.laplacian.expansion import Expanded
from qernel.lattice import ComplexArray, FloatArray, Integers
from qernel.wavefunction.orbitals.chebyshev import Series

_SAME = 1e-7
"""Levels closer than this, in E0, are one."""


@dataclass(frozen=True)
class Sea:
    """The lowest Bloch functions of a family, for one spin species.

    Which (momentum, band) are occupied is decided in the middle of the family (`Hamiltonian.origin`). Of a level that
    is not full, pairs k and −k are taken first.

    Attributes:
        hamiltonian: the family; its twist is that of the orbitals.
        count: number of orbitals.
        orders: number of Chebyshev polynomials along λ, and along each other parameter that the bands depend on.
        cutoff: kinetic cut-off of the plane waves G in E0.
        real: whether orbitals are real functions; the twist must be one of half turns.
    """

    hamiltonian: Hamiltonian
    count: int
    orders: tuple[int, int]
    cutoff: float
    real: bool

    @property
    def labels(self) -> FloatArray:
        """(k/k_F)² of every orbital ``[count]``, k inside the moiré Brillouin zone; k_F of free electrons."""
        momenta = _states(self).momenta[_states(self).source]
        return (momenta**2).sum(1) / (4.0 * np.pi * self.count / self.hamiltonian.supercell.area)

    def expanded(self, coordinates: Array, point: Array) -> Expanded:
        """The orbitals about coordinates ``[N, 2]`` at a point ``[p]``: ``[N, count]``, unit mean square."""
        states = _states(self)
        dtype = coordinates.dtype
        series = _series(self)
        table = jnp.asarray(states.coefficients.reshape(series.terms, -1).view(np.float64), dtype)
        flat = series.at(point, table).reshape(len(states.momenta), -1, 2)
        c = jnp.moveaxis(flat[..., 0] + 1j * flat[..., 1], 0, 1)
        q = jnp.asarray(states.momenta[None] + states.waves[:, None], dtype)
        tables = [c, *(1j * q[..., a] * c for a in (0, 1)), *(-q[..., a] * q[..., b] * c for a, b in _SECOND)]
        periodic = _phases(coordinates, states.waves) @ jnp.concatenate(tables, axis=1)
        periodic = periodic.reshape(len(coordinates), len(tables), -1)
        functions = periodic * _phases(coordinates, states.momenta)[:, None]
        value, x, y, xx, xy, yy = jnp.moveaxis(self._chosen(functions, states), 1, 0)
        return Expanded(value, jnp.stack([x, y]), jnp.stack([xx, xy, xy, yy]).reshape(2, 2, *value.shape))

    def _chosen(self, functions: Array, states: States) -> Array:
        """Complex functions of every momentum ``[..., k]`` → the orbitals ``[..., count]``."""
        if not self.real:
            return functions[..., states.source]
        both = jnp.concatenate([functions.real, functions.imag], axis=-1)
        picked = both[..., states.source + len(states.momenta) * states.imaginary]
        return picked * jnp.asarray(states.norm, picked.dtype)


_SECOND = ((0, 0), (0, 1), (1, 1))
"""The second derivatives that differ."""


@dataclass(frozen=True)
class States:
    """The numbers behind a `Sea`.

    Attributes:
        momenta: k of every complex function ``[k, 2]`` in 1/a_M, the twist included.
        waves: G ``[g, 2]``.
        coefficients: ``[terms, k, g]``.
        source: which complex function each orbital is made of ``[count]``.
        imaginary: whether it is the imaginary part ``[count]``; only of real orbitals.
        norm: of real orbitals ``[count]``.
    """

    momenta: FloatArray
    waves: FloatArray
    coefficients: ComplexArray
    source: Integers
    imaginary: Integers
    norm: FloatArray


def _series(sea: Sea) -> Series:
    family = sea.hamiltonian
    read = {parameter.name for term in family.potentials for parameter in term.parameters}
    return Series.following(family, {**dict.fromkeys(read, sea.orders[1]), "lam": sea.orders[0]})


@cache
def _states(sea: Sea) -> States:
    family, series = sea.hamiltonian, _series(sea)
    middle = _bands(sea, np.array([*family.origin.values()]))
    mirror = _mirrors(sea, middle)
    chosen = _occupied(middle, mirror, sea.count)
    kept: list[int] = []
    source: list[int] = []
    imaginary: list[int] = []
    for state in chosen:
        if sea.real and mirror[state] in kept and mirror[state] != state:
            source.append(kept.index(mirror[state]))
            imaginary.append(1)
        else:
            source.append(len(kept))
            imaginary.append(0)
            kept.append(state)
    momentum, band = middle.momentum[kept], _band(middle)[kept]
    tables: dict[int, ComplexArray] = {}
    for node, before in [(0, None), *steps(series.orders)]:
        bands = _bands(sea, series.nodes[node])
        tables[node] = _aligned(bands, momentum, band, None if before is None else tables[before])
        if before is None and sea.real:
            for rows in _levels(middle, mirror, kept):
                tables[node][rows] = _made_real(middle.waves[kept[rows[0]]], tables[node][rows])
    coefficients: npt.NDArray[Any] = np.stack([tables[node] for node in range(series.terms)])
    used = np.flatnonzero(np.any(coefficients != 0, axis=(0, 1)))
    # The first wave of a state is k itself.
    momenta = middle.waves[kept, 0]
    alone = np.array([mirror[state] == state for state in kept])[source] if sea.real else np.zeros(len(source), bool)
    return States(
        momenta=momenta,
        waves=(middle.waves[kept[0]] - momenta[0])[used],
        coefficients=np.ascontiguousarray(series.fit(coefficients)[..., used]),
        source=np.array(source),
        imaginary=np.array(imaginary),
        norm=np.where(alone, 1.0, np.sqrt(2.0)),
    )


def _bands(sea: Sea, point: FloatArray) -> Bands:
    """All bands that may be occupied, on every momentum."""
    family = sea.hamiltonian
    cells = family.supercell.cells
    states = cells * (-(-sea.count // cells) + 2)
    potential = family.components(family.numbers(point))
    return potential_bands(family.supercell, potential, states, sea.cutoff, family.row_twist, symmetric=True)


def _band(bands: Bands) -> Integers:
    """Which band of its momentum each state is in ``[n]``; states are ordered by energy."""
    seen: dict[int, int] = {}
    found = []
    for momentum in bands.momentum.tolist():
        found.append(seen.get(momentum, 0))
        seen[momentum] = found[-1] + 1
    return np.array(found)


def _mirrors(sea: Sea, bands: Bands) -> Integers:
    """The state with the opposite momentum, in the same band, of every state ``[n]``; −1 where there is none."""
    centre = bands.waves[:, 0] @ sea.hamiltonian.supercell.primitive.T / (2.0 * np.pi)
    band = _band(bands)
    found = np.full(len(centre), -1)
    for state in range(len(centre)):
        turns = centre + centre[state]
        opposite = np.all(np.abs(turns - np.rint(turns)) < 1e-6, axis=1) & (band == band[state])
        if opposite.any():
            found[state] = np.flatnonzero(opposite)[0]
    return found


def _occupied(bands: Bands, mirror: Integers, count: int) -> list[int]:
    """The lowest states; of a level that is not full, pairs ±k first, as `_mirrors` has them."""
    chosen: list[int] = []
    for level in np.split(np.arange(len(bands.energies)), np.flatnonzero(np.diff(bands.energies) > _SAME) + 1):
        for state in level.tolist():
            pair = [state] if mirror[state] in (state, -1) else [state, int(mirror[state])]
            if state not in chosen and len(chosen) + len(pair) <= count:
                chosen += pair
        for state in level.tolist():
            if state not in chosen and len(chosen) < count:
                chosen.append(state)
        if len(chosen) == count:
            break
    return chosen


def _aligned(bands: Bands, momentum: Integers, band: Integers, before: ComplexArray | None) -> ComplexArray:
    """Amplitudes ``[k, g]`` of some (momentum, band), smooth from one node of the family to the next.

    Bands that are both occupied may cross at one momentum: they are rotated together, which no determinant notices.
    """
    own = _band(bands)
    table = np.zeros((len(momentum), bands.coefficients.shape[1]), complex)
    for k in np.unique(momentum):
        rows = np.flatnonzero(momentum == k)
        states = [int(np.flatnonzero((bands.momentum == k) & (own == b))[0]) for b in band[rows]]
        block = bands.coefficients[states]
        if before is None:
            largest = block[np.arange(len(block)), np.abs(block).argmax(1)]
            block = block * (np.abs(largest) / largest)[:, None]
        else:
            u, _, v = np.linalg.svd(before[rows] @ block.conj().T)
            block = (u @ v) @ block
        table[rows] = block
    return table


def _levels(bands: Bands, mirror: Integers, kept: list[int]) -> list[list[int]]:
    """Places in ``kept`` of states at momenta that are their own opposite, those of one momentum and level together."""
    found: dict[int, list[list[int]]] = {}
    for row, state in enumerate(kept):
        if mirror[state] != state:
            continue
        levels = found.setdefault(int(bands.momentum[state]), [])
        if levels and bands.energies[state] - bands.energies[kept[levels[-1][-1]]] <= _SAME:
            levels[-1].append(row)
        else:
            levels.append([row])
    return [rows for levels in found.values() for rows in levels]


def _made_real(waves: FloatArray, table: ComplexArray) -> ComplexArray:
    """Real functions that span the same level ``[m, g]``, for waves Q ``[g, 2]`` that come with −Q: c(−Q) = c(Q)*.

    Waves that meet at the border of the Brillouin zone are degenerate without a potential, and the real part of one is
    that of the other: real and imaginary parts of all are taken, and of these as many as are independent.
    """
    count = len(table)
    opposite = np.abs(waves[:, None] + waves[None, :]).max(-1) < 1e-6
    mirrored = (table @ opposite).conj()
    parts = np.concatenate([table + mirrored, -1j * (table - mirrored)])
    rows = np.linalg.svd(np.concatenate([parts.real, parts.imag], axis=1))[2][:count]
    size = table.shape[1]
    made = np.asarray(rows[:, :size] + 1j * rows[:, size:])
    # The sign of the determinant counts beside others, and must not be one of rounding.
    places = np.mod(np.outer(1.0 + np.arange(count), _GENERIC), 1.0)
    values = (made @ np.exp(1j * waves @ places.T)).real
    made[0] *= np.sign(np.linalg.det(values))
    return made


_GENERIC = (np.sqrt(2.0), np.sqrt(3.0))
"""Multiples of this, folded into [0, 1), are places in a_M without any symmetry."""


def _phases(coordinates: Array, waves: FloatArray) -> Array:
    """e^{iG·r}, ``[N, g]``."""
    angles = coordinates @ jnp.asarray(waves.T, coordinates.dtype)
    return jnp.cos(angles) + 1j * jnp.sin(angles)
