"""The Yukawa interaction e^{−r/ℓ}/r: charges screened by a cloud around each of them.

v(q) = 2π/√(q² + ℓ⁻²) and s(u) = e^{−1/(4u²ℓ²)}. As between gates, ξ = lim_{r→0} [v(r) − 1/r]: an electron feels its own
cloud, −1/ℓ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from qernel.hamiltonian.parameters import STRENGTH, Parameter
from qernel.hamiltonian.terms.base import Values
from qernel.hamiltonian.terms.gaussian import GaussianPair

if TYPE_CHECKING:
    from jax import Array

LENGTH = Parameter(
    "screening_length",
    "ℓ",
    "a_M",
    "screening length of a Yukawa interaction",
    least=1e-3,
    aliases=("range", "yukawa_length"),
)


@dataclass(frozen=True)
class Yukawa(GaussianPair):
    """U e^{−r/ℓ}/r."""

    name: ClassVar[str] = "yukawa"
    summary: ClassVar[str] = "exp(-r/l)/r with the screening length l"
    parameters: ClassVar[tuple[Parameter, ...]] = (STRENGTH, LENGTH)

    def radial(self, r: Array, values: Values) -> Array:
        """e^{−r/ℓ}/r."""
        import jax.numpy as jnp

        return jnp.exp(-r / values["screening_length"]) / r

    def transform(self, q: Array, values: Values) -> Array:
        """2π/√(q² + ℓ⁻²)."""
        import jax.numpy as jnp

        return 2.0 * np.pi / jnp.sqrt(q**2 + values["screening_length"] ** -2.0)

    def weight(self, u: Array, values: Values) -> Array:
        """e^{−1/(4u²ℓ²)}."""
        import jax.numpy as jnp

        return jnp.exp(-((2.0 * u * values["screening_length"]) ** -2.0))

    def own(self, values: Values) -> Any:
        """lim_{r→0} [e^{−r/ℓ}/r − 1/r]."""
        return -1.0 / values["screening_length"]
