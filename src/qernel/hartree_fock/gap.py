"""What it costs to add an electron to a determinant and to take one away, its other orbitals unchanged (Koopmans).

With all orbitals frozen E(N+1) + E(N−1) − 2E(N) is ε_empty − ε_filled. In a cell of finite size each added charge feels
its own images and their background, by ½U(ξ − ξ_∞) with the ξ of the cell (`self_image`) and that of an infinite one,

    ξ_∞ = ∫₀^∞ dq [q v_q/2π − 1],

zero for bare electrons and −ln 2/d between two gates. In a crystal nothing screens that here, so that it is known, and
large: what is left without it does not depend on the cell, and is what point charges have where wells are deep.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import integrate, linalg

from qernel.hartree_fock.functional import MeanField
from qernel.hartree_fock.solution import Solution


class Gap(NamedTuple):
    """The charge gap of a determinant in E0.

    Attributes:
        filled: ε of the highest filled orbital.
        empty: ε of the lowest empty orbital.
        image: U(ξ − ξ_∞), what the cell takes from the gap; below 0.
    """

    filled: float
    empty: float
    image: float

    @property
    def of_cell(self) -> float:
        """E(N+1) + E(N−1) − 2E(N) of the cell."""
        return self.empty - self.filled

    @property
    def value(self) -> float:
        """The same for charges that are far from each other."""
        return self.of_cell - self.image


def gap(solution: Solution) -> Gap:
    """The charge gap of a Hartree–Fock solution, with frozen orbitals.

    Relaxed orbitals, and correlation, which screens an added charge, lower it.
    """
    filled, empty = [], []
    for matrix, block in zip(solution.field.fock(solution.orbitals), solution.orbitals, strict=True):
        rest = linalg.null_space(block.conj())
        filled.append(float(linalg.eigvalsh(block.conj() @ matrix @ block.T).max()))
        empty.append(float(linalg.eigvalsh(rest.conj().T @ matrix @ rest).min()))
    return Gap(max(filled), min(empty), _image(solution.field))


def _image(field: MeanField) -> float:
    """U(ξ − ξ_∞) of an interaction that is U/r where two electrons meet."""
    interaction, values = field.hamiltonian.interaction, field.values

    def beyond_bare(q: float) -> float:
        return q * float(interaction.fourier(np.array([q]), values)[0]) / (2 * np.pi) - values["U"]

    isolated, _ = integrate.quad(beyond_bare, 1e-12, np.inf)
    return float(interaction.self_image(values)) - isolated
