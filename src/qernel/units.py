"""Physical units: from a material in meV and nm to the dimensionless Hamiltonian.

Lengths are measured in the moiré period a_M, energies in E0 = ħ²/(m* a_M²).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

BOHR_RADIUS_NM = 0.0529177210544
HBAR_MEV_PS = 0.6582119569509066
ELECTRON_MASS = 5.685630060215049e-3
"""Free electron mass in meV·ps²/nm²."""


@dataclass(frozen=True)
class Material:
    """A semiconductor moiré heterobilayer in laboratory units.

    The defaults are the parameter set of Geier et al., PRB 112, 045119, Fig. 5.

    Attributes:
        effective_mass: m*/m_e.
        dielectric: relative dielectric constant ε of the surroundings.
        period_nm: moiré period a_M in nm.
        depth_meV: moiré potential depth at λ = 1, in meV.
    """

    effective_mass: float = 0.35
    dielectric: float = 5.0
    period_nm: float = 8.031
    depth_meV: float = 15.0

    @property
    def energy_unit_meV(self) -> float:
        """E0 = ħ²/(m* a_M²) in meV."""
        return HBAR_MEV_PS**2 / (self.effective_mass * ELECTRON_MASS * self.period_nm**2)

    @property
    def V0(self) -> float:
        """Depth of the moiré potential at λ = 1, in E0."""
        return self.depth_meV / self.energy_unit_meV

    @property
    def U(self) -> float:
        """Interaction strength U = (a_M/a_B)(m*/m_e)/ε, in E0 a_M."""
        return self.period_nm / BOHR_RADIUS_NM * self.effective_mass / self.dielectric

    def laboratory(self, name: str, unit: str) -> Laboratory | None:
        """What a parameter of the Hamiltonian is in the laboratory; None where nothing is known of it.

        >>> dielectric = Material().laboratory("U", "E0 a_M")
        >>> f"{dielectric.symbol} = {dielectric.convert(10.0):.2f}"
        'ε = 5.31'

        Args:
            name: ``lam`` (the depth in meV), ``U`` (the dielectric constant that gives it), or any other.
            unit: of the parameter: lengths in ``a_M`` become nm, energies in ``E0`` meV.
        """
        if name == "lam":
            return Laboratory("depth", "meV", self.depth_meV)
        if name == "U":
            return Laboratory("ε", "", self.U * self.dielectric, inverse=True)
        known = {"a_M": ("nm", self.period_nm), "E0": ("meV", self.energy_unit_meV)}
        return Laboratory("", *known[unit]) if unit in known else None


class Laboratory(NamedTuple):
    """A parameter in laboratory units.

    Attributes:
        symbol: what it is called there; empty: the same.
        unit: there; empty for a pure number.
        factor: its value there is ``factor`` times, or where ``inverse`` divided by, the one in our units.
        inverse: whether it is divided.
    """

    symbol: str
    unit: str
    factor: float
    inverse: bool = False

    def convert(self, value: float) -> float:
        """The value in the laboratory."""
        if self.inverse:
            return self.factor / value if value else math.inf
        return self.factor * value

    def back(self, value: float) -> float:
        """A value in the laboratory, in our units.

        >>> round(Material().laboratory("lam", "1").back(15.75), 12)
        1.05
        """
        if self.inverse:
            return self.factor / value if value else math.inf
        return value / self.factor

    def text(self, value: float) -> str:
        """A value with its unit, behind the symbol where it has one of its own.

        >>> Material().laboratory("lam", "1").text(1.05)
        'depth 15.8 meV'
        """
        number = f"{self.convert(value):.3g}"
        if not self.unit:
            return f"{self.symbol} = {number}"
        return f"{self.symbol} {number} {self.unit}".strip()
