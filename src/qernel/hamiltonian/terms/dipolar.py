"""Dipoles of finite length, interlayer excitons: charges +1 and −1 at a distance d in two layers, both bound together.

Two of them at r repel by 2[1/r − 1/√(r² + d²)], d²/r³ far away and 2/r close by, where ψ has twice the Coulomb cusp;
v(q) = (4π/q)(1 − e^{−qd}) and s(u) = 2(1 − e^{−d²u²}). What holds the two charges of a dipole together, −1/d, is not
counted: ξ has images and background only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from qernel.hamiltonian.parameters import STRENGTH, Parameter
from qernel.hamiltonian.terms.base import Cusp, Values
from qernel.hamiltonian.terms.gaussian import GaussianPair

if TYPE_CHECKING:
    from jax import Array

DISTANCE = Parameter(
    "layer_distance",
    "d",
    "a_M",
    "distance between the charges of a dipole",
    least=1e-3,
    aliases=("dipole_length", "d"),
)


@dataclass(frozen=True)
class Dipolar(GaussianPair):
    """2U [1/r − 1/√(r² + d²)]."""

    name: ClassVar[str] = "dipolar"
    summary: ClassVar[str] = "2/r - 2/sqrt(r^2 + d^2) between dipoles of the length d"
    parameters: ClassVar[tuple[Parameter, ...]] = (STRENGTH, DISTANCE)

    def cusp(self, values: Values, like: bool) -> Cusp:
        """2U/3 or 2U: both charges of a dipole meet a like one."""
        return Cusp(2.0 * self.strength(values) * (1 / 3 if like else 1.0))

    def radial(self, r: Array, values: Values) -> Array:
        """2/r − 2/ρ with ρ = √(r² + d²), as 2d²/(rρ(r + ρ)), which does not cancel far away."""
        import jax.numpy as jnp

        d = values["layer_distance"]
        rho = jnp.sqrt(r**2 + d**2)
        return 2.0 * d**2 / (r * rho * (r + rho))

    def transform(self, q: Array, values: Values) -> Array:
        """(4π/q)(1 − e^{−qd})."""
        import jax.numpy as jnp

        return -4.0 * np.pi * jnp.expm1(-q * values["layer_distance"]) / q

    def weight(self, u: Array, values: Values) -> Array:
        """2(1 − e^{−d²u²})."""
        import jax.numpy as jnp

        return -2.0 * jnp.expm1(-((u * values["layer_distance"]) ** 2))
