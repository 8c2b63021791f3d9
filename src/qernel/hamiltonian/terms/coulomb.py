"""The bare Coulomb interaction U/r."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from qernel.hamiltonian.terms.base import Intervals, Kernel, Pair, Values
from qernel.lattice import Supercell

if TYPE_CHECKING:
    from qernel.hamiltonian.ewald import Ewald


@dataclass(frozen=True)
class Coulomb(Pair):
    """2π/q, that is 1/r.

    *Lower bound*: for every configuration U(Σ_{i<j} v + ½Nξ) ≥ −2NU√n with n electrons per unit area, in any supercell
    and at any filling. Cut 1/r = S + L such that S ≥ 0 everywhere and L has no negative Fourier component:
    S = erfc(ηr)/r, L = erf(ηr)/r. Pairs cannot gain more from L than ½N L(0), nor more from S than its background
    ½N² Ŝ(0)/A. Per electron the sum is at least −½[L(0) + n Ŝ(0)] = −η/√π − n√π/η, which is largest, −2√n, at
    η = √(πn). With r_s = (πn)^(−1/2) that is −1.1283792/r_s, where the triangular Wigner crystal has −1.1061026/r_s.
    """

    name: ClassVar[str] = "coulomb"
    summary: ClassVar[str] = "bare, 2 pi/q"

    def on(self, supercell: Supercell, intervals: Intervals) -> Kernel:
        """The periodic 1/r."""
        from qernel.hamiltonian.ewald import Ewald

        kernel: Ewald = Ewald(supercell)
        return kernel

    def lower(self, values: Values, density: float) -> float:
        """−2U√n; nothing is known for U < 0."""
        strength = float(self.strength(values))
        return -2.0 * strength * float(np.sqrt(density)) if strength >= 0 else -np.inf
