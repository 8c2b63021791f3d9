"""Energies below which no state of a Hamiltonian can lie: numbers beneath them come from a fault, not from physics.

*Kinetic energy*: ⟨−½∇²⟩ = ½⟨|∇ log ψ|²⟩ ≥ 0. This holds for means over |ψ|², not for a single configuration.

*Moiré energy*: w has its extrema where all three waves have the same phase, w = −6 cos(φ + 2πm/3), m = 0, 1, 2: the
three phases add up to 3φ, and elsewhere w is stationary only at ±2 cos(3φ), which is less deep.

*Interaction*: for every configuration U(Σ_{i<j} v + ½Nξ) ≥ −2NU√n with n electrons per unit area, in any supercell and
at any filling. Cut 1/r = S + L such that S ≥ 0 everywhere and L has no negative Fourier component: S = erfc(ηr)/r,
L = erf(ηr)/r. Pairs cannot gain more from L than ½N L(0), nor more from S than its background ½N² Ŝ(0)/A. Per electron
the sum is at least −½[L(0) + n Ŝ(0)] = −η/√π − n√π/η, which is largest, −2√n, at η = √(πn). With r_s = (πn)^(−1/2)
that is −1.1283792/r_s, where the triangular Wigner crystal has −1.1061026/r_s.

*Gates* reflect charges: 1/r becomes a sum over images at the distances 2md with charges −c_m, a mixture of Gaussians
with weights between 0 and 1, which is cut at the same width. Each image lowers the bound by
c√n [√π erfc(x)(x + 1/(2x)) − exp(−x²)] with x = md√(4πn): at most c/(4md), the attraction by the own image.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import erfc

if TYPE_CHECKING:
    from qernel.hamiltonian.family import Hamiltonian

SLACK = 1e-3
"""By how much of `Bounds.scale` rounding may lower a number."""

_REFLECTIONS = 25
"""Images between two gates that are counted: an odd number of them, whose charges alternate, gives a lower bound."""

IMAGES: dict[str, Callable[[], tuple[float, ...]]] = {
    "coulomb": lambda: (),
    "single_gate": lambda: (1.0,),
    "dual_gate": lambda: tuple(2.0 * (-1.0) ** m for m in range(_REFLECTIONS)),
}
"""By interaction: c_m of the images at the distances 2md, m = 1, 2, …"""


class Bounds(NamedTuple):
    """Lower bounds of energies per electron at one point of a family, in E0.

    Those of the moiré and interaction energy hold for every configuration, that of the kinetic energy for means.
    """

    kinetic: float
    moire: float
    interaction: float

    @property
    def potential(self) -> float:
        """Of the potential energy of every configuration."""
        return self.moire + self.interaction

    @property
    def total(self) -> float:
        """Of the mean energy."""
        return self.kinetic + self.potential

    @property
    def scale(self) -> float:
        """How large energies are that are rounded, at least 1 E0."""
        return 1.0 + abs(self.moire) + abs(self.interaction)


def bounds(hamiltonian: Hamiltonian, point: npt.ArrayLike) -> Bounds:
    """What the energies per electron cannot be below.

    Args:
        hamiltonian: the family.
        point: family parameters ``[p]``.

    Returns:
        The bounds; −∞ for an interaction that attracts (U < 0), which has none.
    """
    p: Any = np.asarray(point, np.float64)
    values = {name: float(hamiltonian.value(name, p)) for name in ("lam", "U", "phase_deg", "gate_distance")}
    wells = -6.0 * np.cos(np.deg2rad(values["phase_deg"]) + 2.0 * np.pi / 3.0 * np.arange(3))
    density = hamiltonian.count / hamiltonian.supercell.area
    pairs = interaction_bound(hamiltonian.interaction, float(density), values["gate_distance"])
    return Bounds(
        kinetic=0.0,
        moire=float((values["lam"] * hamiltonian.V0 * wells).min()),
        interaction=values["U"] * pairs if values["U"] >= 0 else -np.inf,
    )


@lru_cache(maxsize=4096)
def interaction_bound(name: str, density: float, gate: float = 1.0) -> float:
    """What (Σ_{i<j} v + ½Nξ)/N cannot be below, in 1/a_M.

    Args:
        name: a key of `qernel.hamiltonian.interactions.SCREENING`.
        density: electrons per a_M².
        gate: distance to the gate(s) in a_M, where there are any.
    """
    charges = np.array(IMAGES[name]())
    x = np.arange(1, len(charges) + 1) * gate * np.sqrt(4.0 * np.pi * density)
    images = np.sqrt(np.pi) * erfc(x) * (x + 0.5 / x) - np.exp(-(x**2))
    return float(-np.sqrt(density) * (2.0 + charges @ images))
