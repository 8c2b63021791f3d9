"""Moiré sites: which one each electron sits on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qernel.lattice import FloatArray, Supercell, displacement


def nearest_lattice_vector(positions: FloatArray, cell: Supercell) -> FloatArray:
    """The moiré lattice vector closest to each position ``[..., 2]``, not folded into the supercell."""
    result: FloatArray = positions - np.asarray(displacement(positions, cell.shortest), dtype=np.float64)
    return result


def site_index(positions: FloatArray, cell: Supercell) -> npt.NDArray[np.int64]:
    """Index into ``cell.translations`` of the site whose Wigner–Seitz cell holds each position ``[..., 2]``."""
    # Fractions of the supercell are multiples of 1/cells.
    number = np.full((cell.cells, cell.cells), -1)
    first, second = _steps(cell.translations, cell).T
    number[first, second] = np.arange(cell.cells)
    steps = _steps(nearest_lattice_vector(positions, cell), cell)
    return number[steps[..., 0], steps[..., 1]]


def _steps(vectors: FloatArray, cell: Supercell) -> npt.NDArray[np.int64]:
    fractions = vectors @ np.linalg.inv(cell.vectors)
    return np.round(fractions * cell.cells).astype(np.int64) % cell.cells
