"""The static structure factor on the wave vectors of the supercell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qernel.lattice import FloatArray, Supercell, lattice_points, upper_half
from qernel.observables.base import Coordinate, Observable, Samples, Variable, averaged


@dataclass(frozen=True)
class StructureFactor(Observable):
    """S(q) = (1/N) ⟨|Σ_i e^{iq·r_i}|²⟩ for q ≠ 0, one of each ±q pair since S(q) = S(−q).

    With both spins, also the spin structure factor (1/N) ⟨|Σ_i σ_i e^{iq·r_i}|²⟩ with σ = ±1.

    Attributes:
        cutoff: longest |q| in units of the shortest moiré reciprocal vector.
    """

    cutoff: float = 2.0
    name: ClassVar[str] = "structure_factor"
    summary: ClassVar[str] = "S(q) on the reciprocal vectors of the supercell"

    def measure(self, samples: Samples) -> list[Variable]:
        """S(q), and for two spins the spin structure factor."""
        cell = samples.hamiltonian.supercell
        vectors = wave_vectors(cell, self.cutoff)
        half = upper_half(vectors)
        charge, spin = _series(samples, half)
        coordinates = q_coordinates(half)
        text = "static structure factor (1/N) <|sum_i exp(i q.r_i)|^2>"
        result = [averaged("structure_factor", charge, "1", text, ("q",), coordinates)]
        if len(samples.species) > 1:
            text = "spin structure factor (1/N) <|sum_i s_i exp(i q.r_i)|^2>, s = +1 for up and -1 for down"
            result.append(averaged("spin_structure_factor", spin, "1", text, ("q",), coordinates))
        return result


def wave_vectors(cell: Supercell, cutoff: float) -> FloatArray:
    """Reciprocal vectors of the supercell with |q| ≤ cutoff·|g|, ``[n, 2]`` by length, zero first.

    Args:
        cell: the supercell.
        cutoff: in units of the shortest moiré reciprocal vector g.
    """
    shortest = float(np.linalg.norm(cell.shortest_reciprocal, axis=1).min())
    points: FloatArray = lattice_points(cell.reciprocal, cutoff * shortest).astype(np.float64)
    return points


def density_waves(positions: FloatArray, cell: Supercell, vectors: FloatArray) -> npt.NDArray[np.complex128]:
    """Σ_i exp(iq·r_i) of configurations ``[..., N, 2]`` for reciprocal vectors ``[n, 2]`` of the supercell.

    The result has shape ``[..., n]``. With q = m_1 B_1 + m_2 B_2 the sum is a matrix product of powers of two phases
    per electron.
    """
    orders = np.round(vectors @ cell.vectors.T / (2 * np.pi)).astype(int)
    reach = np.abs(orders).max(axis=0, initial=0)
    angles = 2 * np.pi * positions @ np.linalg.inv(cell.vectors)
    first, second = (np.exp(1j * angles[..., axis, None] * np.arange(-reach[axis], reach[axis] + 1)) for axis in (0, 1))
    table = np.swapaxes(first, -1, -2) @ second
    waves: npt.NDArray[np.complex128] = table[..., orders[:, 0] + reach[0], orders[:, 1] + reach[1]]
    return waves


def q_coordinates(vectors: FloatArray) -> list[Coordinate]:
    """Components and length of wave vectors ``[n, 2]`` along the axis ``q``."""
    return [
        Coordinate("qx", ("q",), vectors[:, 0], "1/a_M", "x component of the wave vector"),
        Coordinate("qy", ("q",), vectors[:, 1], "1/a_M", "y component of the wave vector"),
        Coordinate("q_length", ("q",), np.linalg.norm(vectors, axis=1), "1/a_M", "length of the wave vector"),
    ]


def _series(samples: Samples, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """|ρ_q|²/N of charge and of spin, averaged over stretches ``[chains, stretches, q]``."""
    shape = (samples.chains, len(samples.stretches), len(vectors))
    charge, spin = np.empty(shape), np.zeros(shape)
    cell = samples.hamiltonian.supercell
    for chain, positions in enumerate(samples.positions):
        waves = [density_waves(positions[:, block], cell, vectors) for block in samples.species.values()]
        total = np.abs(sum(waves)) ** 2 / samples.count
        difference = np.abs(waves[0] - waves[-1]) ** 2 / samples.count
        for number, records in enumerate(samples.stretches):
            charge[chain, number] = total[records].mean(0)
            spin[chain, number] = difference[records].mean(0)
    return charge, spin
