"""One-body bands in plane waves, on the momenta of the supercell, from the Fourier components of the one-body terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qernel.hamiltonian.terms.base import Components
from qernel.hamiltonian.twist import Turns, reduced_turns
from qernel.lattice import FloatArray, Supercell, lattice_points

if TYPE_CHECKING:
    from qernel.hamiltonian.family import Hamiltonian, Point


@dataclass(frozen=True)
class Bands:
    """One-body eigenstates, lowest first, over all momenta of the supercell.

    Attributes:
        energies: ``[n]`` in E0.
        waves: plane waves k + G of each state's momentum block, ``[n, g, 2]`` in 1/a_M.
        coefficients: amplitudes ``[n, g]``, normalised to Σ|c|² = 1.
        momentum: index of the supercell momentum of each state, ``[n]``.
    """

    energies: FloatArray
    waves: FloatArray
    coefficients: npt.NDArray[np.complex128]
    momentum: npt.NDArray[np.int64]


def supercell_momenta(supercell: Supercell) -> FloatArray:
    """The momenta of the supercell inside one moiré Brillouin zone, ``[cells, 2]``, each as short as possible."""
    reach = float(np.linalg.norm(supercell.moire_reciprocal, axis=1).sum())
    points = lattice_points(supercell.reciprocal, reach)
    momenta: list[FloatArray] = []
    for point in points:
        offsets = (np.array(momenta).reshape(-1, 2) - point) @ supercell.primitive.T / (2 * np.pi)
        if not np.any(np.all(np.abs(offsets - np.round(offsets)) < 1e-6, axis=1)):
            momenta.append(point)
        if len(momenta) == supercell.cells:
            break
    return np.array(momenta)


def one_body_bands(hamiltonian: Hamiltonian, point: Point, states: int, cutoff: float = 400.0) -> Bands:
    """The lowest one-body states of a Hamiltonian without its interactions, at a point of its family.

    Args:
        hamiltonian: the family; its twist is that of the states.
        point: values of its parameters ``[p]``.
        states: how many states to return.
        cutoff: kinetic cut-off of the plane waves in E0.

    Returns:
        The states, ordered by energy.
    """
    potential = hamiltonian.components(hamiltonian.numbers(point))
    return potential_bands(hamiltonian.supercell, potential, states, cutoff, hamiltonian.row_twist)


def cutoff_error(hamiltonian: Hamiltonian, point: Point, states: int, cutoff: float) -> float:
    """How far the mean of the lowest one-body states lies above that of four times the cut-off, in E0.

    Args:
        hamiltonian: the family.
        point: values of its parameters ``[p]``.
        states: how many are filled.
        cutoff: kinetic cut-off in E0.
    """
    low, high = (one_body_bands(hamiltonian, point, states, each).energies.mean() for each in (cutoff, 4.0 * cutoff))
    return float(low - high)


def potential_bands(
    supercell: Supercell,
    potential: Components,
    states: int,
    cutoff: float = 400.0,
    twist: Turns = (0.0, 0.0),
    *,
    symmetric: bool = False,
) -> Bands:
    """The lowest one-body states of −½∇² + V(r) on the supercell.

    Args:
        supercell: the simulation cell.
        potential: Fourier components of V.
        states: how many states to return.
        cutoff: kinetic cut-off of the plane waves in E0.
        twist: boundary twist in units of 2π along each row of ``supercell.matrix``.
        symmetric: whether the cut-off is one of |k + G|, so that states have the symmetries of the potential to
            rounding, and amplitudes beyond it are zero; or one of |G|.

    Returns:
        The states, ordered by energy.
    """
    shift = np.asarray(reduced_turns(supercell, twist)) @ supercell.reciprocal
    momenta = supercell_momenta(supercell) + shift
    farthest = float(np.linalg.norm(momenta, axis=1).max()) if symmetric else 0.0
    grid = lattice_points(supercell.moire_reciprocal, np.sqrt(2.0 * cutoff) + farthest)
    turns = np.rint(grid @ supercell.primitive.T / (2 * np.pi)).astype(np.int64)
    difference = turns[:, None, :] - turns[None, :, :]
    reach = int(np.abs(difference).max())
    table = np.zeros((2 * reach + 1, 2 * reach + 1), dtype=complex)
    coupled = np.abs(potential.waves).max(axis=1) <= reach
    np.add.at(table, tuple(potential.waves[coupled].T + reach), potential.amplitudes[coupled])
    coupling = table[difference[..., 0] + reach, difference[..., 1] + reach]
    energies, waves, coefficients, momentum = [], [], [], []
    for index, k in enumerate(momenta):
        block = k + grid
        diagonal = 0.5 * np.sum(block**2, axis=1)
        inside = np.flatnonzero(diagonal <= cutoff * (1 + 1e-9)) if symmetric else np.arange(len(block))
        values, vectors = np.linalg.eigh(coupling[np.ix_(inside, inside)] + np.diag(diagonal[inside]))
        count = min(states, len(values))
        energies.append(values[:count])
        waves.append(np.broadcast_to(block, (count, *block.shape)))
        amplitudes = np.zeros((count, len(block)), complex)
        amplitudes[:, inside] = vectors[:, :count].T
        coefficients.append(amplitudes)
        momentum.append(np.full(count, index))
    order = np.argsort(np.round(np.concatenate(energies), 10), kind="stable")[:states]
    return Bands(
        energies=np.concatenate(energies)[order],
        waves=np.concatenate(waves)[order],
        coefficients=np.concatenate(coefficients)[order],
        momentum=np.concatenate(momentum)[order],
    )
