"""The moiré potential λ V0 w(r), w(r) = −2 Σ_j cos(g_j·r + φ) with three wave vectors at 120°.

w has its extrema where all three waves have the same phase, w = −6 cos(φ + 2πm/3), m = 0, 1, 2: the three phases add up
to 3φ, and elsewhere w is stationary only at ±2 cos(3φ), which is less deep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from qernel.hamiltonian.parameters import DEPTH, LAM, Parameter
from qernel.hamiltonian.terms.base import Components, OneBody, Values
from qernel.hamiltonian.wells import Levels
from qernel.lattice import FloatArray, Supercell

if TYPE_CHECKING:
    from jax import Array

_ANGLES = np.pi / 2 + 2 * np.pi / 3 * np.arange(3)
WAVE_VECTORS = 4 * np.pi / np.sqrt(3) * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
"""g_1 = (4π/√3)(0, 1) and its rotations by 120° and 240°, rows ``[3, 2]`` in 1/a_M."""

_WAVES = np.array([[0, 1], [-1, -1], [1, 0]])
"""The same in reciprocal vectors of the triangular lattice."""

PHASE = Parameter(
    "phase_deg",
    "φ",
    "degree",
    "moiré phase",
    default=45.0,
    example=45.0,
    interval=(30.0, 60.0),
    aliases=("phi", "phase"),
)


def moire_potential(positions: Array, phase: Array | float) -> Array:
    """w(r), dimensionless, for positions ``[..., 2]``; attractive around r = 0 at phase 0.

    Args:
        positions: electron positions in a_M.
        phase: φ in radians.

    Returns:
        Array ``[...]`` with values in [−6, 6] (in [−6, 3] at phase 0).
    """
    import jax.numpy as jnp

    angles = positions @ jnp.asarray(WAVE_VECTORS.T, positions.dtype) + phase
    return -2.0 * jnp.cos(angles).sum(-1)


@dataclass(frozen=True)
class Moire(OneBody):
    """λ V0 w(r) of a triangular moiré lattice."""

    name: ClassVar[str] = "moire"
    summary: ClassVar[str] = "three cosines of a triangular lattice, -2 lam V0 sum cos(g.r + phi)"
    parameters: ClassVar[tuple[Parameter, ...]] = (LAM, DEPTH, PHASE)
    lattices: ClassVar[tuple[str, ...]] = ("triangular",)

    def components(self, values: Values) -> Components:
        """−λ V0 e^{±iφ} at ±g_j."""
        amplitude = -(float(values["lam"]) * values["V0"]) * np.exp(1j * np.deg2rad(float(values["phase_deg"])))
        return Components(np.concatenate([_WAVES, -_WAVES]), np.repeat([amplitude, np.conj(amplitude)], 3))

    def value(self, positions: Array, values: Values, cell: Supercell) -> Array:
        """λ V0 w(r)."""
        import jax.numpy as jnp

        return values["lam"] * values["V0"] * moire_potential(positions, jnp.deg2rad(values["phase_deg"]))

    def energy(self, positions: Array, values: Values, cell: Supercell) -> Array:
        """λ V0 Σ w(r_i)."""
        import jax.numpy as jnp

        total = moire_potential(positions, jnp.deg2rad(values["phase_deg"])).sum()
        return values["lam"] * values["V0"] * total

    def minima(self, values: Values, cell: Supercell) -> Levels:
        """The three places of threefold symmetry, wells or not, also where λ V0 = 0: hills are filled last."""
        diagonal = cell.primitive.sum(0)
        places = np.stack([np.zeros(2), diagonal / 3, 2 * diagonal / 3])
        depths = np.round(self._extrema(values), 9)
        return tuple(places[depths == value] for value in np.unique(depths))

    def lower(self, values: Values) -> float:
        """The deepest of the extrema −6 λ V0 cos(φ + 2πm/3)."""
        return float((values["lam"] * values["V0"] * self._extrema(values)).min())

    @staticmethod
    def _extrema(values: Values) -> FloatArray:
        """w at m/3 of the long diagonal of a cell, ``[3]``."""
        w: FloatArray = -6.0 * np.cos(np.deg2rad(float(values["phase_deg"])) + 2.0 * np.pi / 3.0 * np.arange(3))
        return w
