"""The Coulomb interaction between metallic gates, which multiply 2π/q by a form factor f(q) → 1.

An interaction of one's own with such a form factor is a subclass of `Gated`: it says 1 − f(q) and its images.

*Lower bound*: gates reflect charges: 1/r becomes a sum over images at the distances 2md with charges −c_m, a mixture of
Gaussians with weights between 0 and 1, which is cut at the same width as in `qernel.hamiltonian.terms.coulomb`. Each
image lowers the bound by c√n [√π erfc(x)(x + 1/(2x)) − exp(−x²)] with x = md√(4πn): at most c/(4md), the attraction by
the own image.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from qernel.hamiltonian.parameters import STRENGTH, Parameter
from qernel.hamiltonian.terms.base import Intervals, Kernel, Pair, Values
from qernel.lattice import Supercell

if TYPE_CHECKING:
    from jax import Array

GATE = Parameter(
    "gate_distance",
    "d",
    "a_M",
    "distance to the gate(s)",
    least=0.05,
    example=1.0,
    interval=(0.5, 2.0),
    # e^{−40} of two gates at distance d is left there.
    reach=20.0,
    aliases=("gate",),
)

_REFLECTIONS = 25
"""Images between two gates that are counted: an odd number of them, whose charges alternate, gives a lower bound."""


@dataclass(frozen=True)
class Gated(Pair):
    """2π f(q)/q with 1 − f(q) that decays exponentially with q d."""

    parameters: ClassVar[tuple[Parameter, ...]] = (STRENGTH, GATE)

    @abstractmethod
    def missing(self, q: Array, d: Any) -> Array:
        """1 − f(q) for wave numbers ``[n]`` in 1/a_M and a distance in a_M; must not overflow or cancel."""

    def images(self) -> tuple[float, ...] | None:
        """c_m of the images at the distances 2md, m = 1, 2, …; None: not known, and no lower bound."""
        return None

    def on(self, supercell: Supercell, intervals: Intervals) -> Kernel:
        """v for all distances from the closest on."""
        from qernel.hamiltonian.ewald import Ewald, Screened

        return Screened(Ewald(supercell), self.name, self.missing, GATE, intervals[GATE.name][0])

    def lower(self, values: Values, density: float) -> float:
        """The bound of bare charges less what each image takes from it; nothing is known for U < 0."""
        from scipy.special import erfc

        charges, strength = self.images(), float(self.strength(values))
        if charges is None or strength < 0:
            return -np.inf
        x = np.arange(1, len(charges) + 1) * float(values[GATE.name]) * np.sqrt(4.0 * np.pi * density)
        taken = np.sqrt(np.pi) * erfc(x) * (x + 0.5 / x) - np.exp(-(x**2))
        return strength * float(-np.sqrt(density) * (2.0 + np.array(charges) @ taken))


@dataclass(frozen=True)
class DualGate(Gated):
    """(2π/q) tanh(qd): two gates, one on each side at distance d."""

    name: ClassVar[str] = "dual_gate"
    summary: ClassVar[str] = "screened by two metallic gates, (2 pi/q) tanh(q d)"

    def missing(self, q: Array, d: Any) -> Array:
        """1 − tanh(qd)."""
        import jax.numpy as jnp

        return 2.0 / (1.0 + jnp.exp(jnp.minimum(2.0 * q * d, 80.0)))

    def images(self) -> tuple[float, ...]:
        """Alternating charges, one on each side."""
        return tuple(2.0 * (-1.0) ** m for m in range(_REFLECTIONS))


@dataclass(frozen=True)
class SingleGate(Gated):
    """(2π/q)(1 − e^{−2qd}): one gate at distance d."""

    name: ClassVar[str] = "single_gate"
    summary: ClassVar[str] = "screened by one metallic gate, (2 pi/q)(1 - exp(-2 q d))"

    def missing(self, q: Array, d: Any) -> Array:
        """e^{−2qd}."""
        import jax.numpy as jnp

        return jnp.exp(-2.0 * q * d)

    def images(self) -> tuple[float, ...]:
        """One, of the opposite charge."""
        return (1.0,)
