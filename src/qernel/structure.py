"""Liquid, density wave or crystal: a word for a state, from the Fourier components of its density.

ρ_q = (1/N) Σ_i e^{iq·r_i}. A Hamiltonian with a moiré potential has the translations of the moiré lattice, one without
has all of them; whatever they leave of |⟨ρ_q⟩|² is order that the state has of its own. How the cells of the supercell
are counted does not enter.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qernel.lattice import FloatArray, Supercell

CRYSTAL, DENSITY_WAVE = 0.05, 0.01
"""|⟨ρ_q⟩|² above which a state is called a crystal, and a density wave; with less it is a liquid.

Points on a lattice have 1, the honeycomb of filling 2/3 has 1/4, the kagome lattice of filling 3/4 has 1/9.
"""

_TIE = 1e-3
"""Components that differ by less, relative to the largest, are images of each other by a symmetry."""


class Order(NamedTuple):
    """The largest Fourier component of a density that the translations of the Hamiltonian do not explain.

    Attributes:
        wave: q in units of the reciprocal vectors of the moiré lattice.
        strength: |⟨ρ_q⟩|², in [0, 1].
    """

    wave: tuple[Fraction, Fraction]
    strength: float

    @property
    def word(self) -> str:
        """``crystal``, ``density wave`` or ``liquid``."""
        if self.strength > CRYSTAL:
            return "crystal"
        return "density wave" if self.strength > DENSITY_WAVE else "liquid"

    @property
    def q(self) -> str:
        """The wave vector as text; empty for a liquid.

        >>> Order((Fraction(2, 3), Fraction(1, 3)), 0.2).q
        '(2/3, 1/3)'
        """
        return "" if self.word == "liquid" else f"({self.wave[0]}, {self.wave[1]})"

    @property
    def label(self) -> str:
        """The word and, unless it is a liquid, q."""
        return f"{self.word}, q = {self.q}" if self.q else self.word


def explained(waves: FloatArray, supercell: Supercell, *, uniform: bool) -> npt.NDArray[np.bool_]:
    """Which wave vectors ``[..., 2]`` in 1/a_M the density may have by the translations of the Hamiltonian.

    Args:
        waves: wave vectors of the supercell.
        supercell: whose moiré lattice counts.
        uniform: there is no potential, so that only q = 0 is explained.
    """
    turns = waves @ supercell.primitive.T / (2 * np.pi)
    rest = turns if uniform else turns - np.rint(turns)
    found: npt.NDArray[np.bool_] = np.abs(rest).max(-1) < 1e-6
    return found


def largest(strengths: FloatArray, waves: FloatArray, supercell: Supercell, *, uniform: bool) -> Order:
    """The order of a state.

    Args:
        strengths: |⟨ρ_q⟩|² ``[...]``.
        waves: q ``[..., 2]`` in 1/a_M, wave vectors of the supercell.
        supercell: the simulation cell.
        uniform: there is no potential.
    """
    own = np.where(explained(waves, supercell, uniform=uniform), 0.0, strengths).ravel()
    top = float(own.max(initial=0.0))
    if top == 0.0:
        return Order((Fraction(0), Fraction(0)), 0.0)
    turns = (waves @ supercell.primitive.T / (2 * np.pi)).reshape(-1, 2)
    ties = np.flatnonzero(own >= top * (1 - _TIE))
    lengths = np.round(np.linalg.norm(waves.reshape(-1, 2)[ties], axis=-1), 6)

    def simplest(index: int) -> tuple[float, bool, int, float, float]:
        x, y = np.round(turns[ties[index]], 6).tolist()
        return float(lengths[index]), min(x, y) < 0, (x != 0) + (y != 0), -x, -y

    x, y = turns[ties[min(range(len(ties)), key=simplest)]]
    denominator = supercell.cells
    return Order((_fraction(x, denominator), _fraction(y, denominator)), top)


def _fraction(value: float, denominator: int) -> Fraction:
    """A multiple of 1/``denominator``, as all wave vectors of a supercell of so many cells are."""
    return Fraction(round(value * denominator), denominator)
