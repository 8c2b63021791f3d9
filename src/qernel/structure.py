"""Liquid, density wave or crystal: a word for a state, from the Fourier components of its density.

ρ_q = (1/N) Σ_i e^{iq·r_i}. A Hamiltonian with a moiré potential has the translations of the moiré lattice, one without
has all of them; whatever they leave of |⟨ρ_q⟩|² is order that the state has of its own. How the cells of the supercell
are counted does not enter.

`phase` is the one criterion for what was sampled: tables, files, figures, `qernel ask` and the page have its word.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from qernel.lattice import FloatArray, Supercell

CRYSTAL, DENSITY_WAVE = 0.05, 0.01
"""|⟨ρ_q⟩|² above which a state is called a crystal, and a density wave; with less it is a liquid.

Points on a lattice have 1, the honeycomb of filling 2/3 has 1/4, the kagome lattice of filling 3/4 has 1/9.
"""

_TIE = 1e-3
"""Components that differ by less, relative to the largest, are images of each other by a symmetry."""


LIQUID, SOLID, UNDECIDED = PHASES = ("liquid", "crystal", "undecided")
"""The words of `phase`; their places here are the numbers of the flag ``phase`` in files."""

SIGMAS: Final = 2.0
"""Standard errors by which a sampled strength has to lie on one side."""

APART: Final = 1.1
"""R̂ above which chains do not pass between the states that they are in."""


class Phase(NamedTuple):
    """What a sampled state is.

    Attributes:
        word: one of `PHASES`.
        why: the numbers that say so.
    """

    word: str
    why: str


def phase(
    strength: float, error: float, electrons: int, *, rhat: float = math.nan, chains: int = 0, name: str = "|ρ_K|²"
) -> Phase:
    """Liquid, crystal or undecided, from a sampled ⟨|ρ_q|²⟩.

    Electrons that know nothing of each other have ⟨|ρ_q|²⟩ = 1/N; repulsion lowers it in a liquid, so that it falls as
    1/N with the system, while a crystal keeps its strength. So a state is a

    - ``crystal``, where the strength is by `SIGMAS` errors above both 1/N and `CRYSTAL`;
    - ``liquid``, where it is by as much below the larger of 1/N and `DENSITY_WAVE`;
    - ``undecided`` in between, and where chains that stay apart (R̂ above `APART`) are not all alike: one standard
      deviation of the chains from their mean, a crystal has to be above both limits still, a liquid below `CRYSTAL`.

    It is a word for one finite system: a crystal that fits no cell, or whose order is weaker than 1/N, is not seen.

    >>> phase(0.1368, 0.0042, 54).word, phase(0.0133, 0.0007, 54).word, phase(0.03, 0.001, 54).word
    ('crystal', 'liquid', 'undecided')

    Args:
        strength: ⟨|ρ_q|²⟩.
        error: its standard error.
        electrons: N.
        rhat: its R̂; nan where it is not known.
        chains: how many there were; 0 where that is not known.
        name: of the strength, for the sentence.
    """
    chance = 1.0 / electrons
    floor, ceiling = max(CRYSTAL, chance), max(DENSITY_WAVE, chance)
    about = f"{name} = {strength:.4f} ± {error:.4f} where electrons by chance have 1/N = {chance:.4f}"
    if not (math.isfinite(strength) and math.isfinite(error)):
        return Phase(UNDECIDED, f"{name} is not known")
    spread = error * math.sqrt(chains) if rhat > APART else 0.0
    split = f"{about}, but the chains stay apart (R̂ = {rhat:.2f}) and are not all alike"
    if strength - SIGMAS * error > floor:
        return Phase(SOLID, about) if strength - spread > floor else Phase(UNDECIDED, split)
    if strength + SIGMAS * error < ceiling:
        return Phase(LIQUID, about) if strength + spread < max(CRYSTAL, chance) else Phase(UNDECIDED, split)
    return Phase(UNDECIDED, f"{about}: between a liquid and a crystal")


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
