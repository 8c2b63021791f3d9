"""The Rytova–Keldysh interaction: charges in a polarisable sheet, the screening of monolayer semiconductors.

v(q) = 2π/[q(1 + r0 q)], in real space v(r) = F(r/r0)/r0 with F(x) = (π/2)[H₀(x) − Y₀(x)] = ∫₀^∞ e^{−xs}/√(1 + s²) ds
(Rytova 1967; Keldysh, JETP Lett. 29, 658; Cudazzo, Tokatly and Rubio, PRB 84, 085406), and s(u) = √π x erfcx(x) with
x = 1/(2ur0). Far from a charge it is 1/r. Close to it, −(ln r)/r0 is all that is left of the divergence: ψ has no
linear cusp, but a term −(U/8r0) r² ln r for like and −(U/4r0) r² ln r for unlike electrons, which keeps the local
energy finite. ξ has images and background only: v − 1/r has no limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import factorial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from qernel.hamiltonian.parameters import STRENGTH, Parameter
from qernel.hamiltonian.terms.base import Cusp, Values
from qernel.hamiltonian.terms.gaussian import GaussianPair
from qernel.lattice import FloatArray

if TYPE_CHECKING:
    from jax import Array

LENGTH = Parameter(
    "r0",
    "r0",
    "a_M",
    "screening length of a polarisable layer (Rytova-Keldysh)",
    least=1e-3,
    aliases=("r_0", "polarisability_length"),
)

_NEAR = 4.0
"""x below which F is a logarithm and a polynomial, and above which x F(x) is a polynomial in 1/x."""

_LARGE, _TERMS = 10.0, 13
"""x above which erfcx is its asymptotic series, and how many terms: 1e-16 is left."""


class Pieces(NamedTuple):
    """Chebyshev coefficients: F = −J₀ ln x + `rest` below `_NEAR`, x F = `far` above; all of arguments in [0, 1]."""

    bessel: FloatArray
    """J₀(x) in (x/`_NEAR`)²."""
    rest: FloatArray
    """In x/`_NEAR`."""
    far: FloatArray
    """In `_NEAR`/x."""


@cache
def _pieces() -> Pieces:
    """Polynomials through F, exact to 1e-14: F from its integral, on panels that shrink towards 0."""
    from numpy.polynomial import chebyshev
    from scipy.special import j0

    from qernel.hamiltonian.mixture import graded_nodes

    nodes = graded_nodes()
    t, weights = 40.0 * nodes.points, 40.0 * nodes.weights * np.exp(-40.0 * nodes.points)

    def keldysh(x: FloatArray) -> FloatArray:
        total: FloatArray = (weights / np.sqrt(x[:, None] ** 2 + t**2)).sum(1)
        return total

    def through(values: FloatArray) -> FloatArray:
        fitted: FloatArray = chebyshev.chebfit(chebyshev.chebpts1(len(values)), values, len(values) - 1)
        return fitted

    def unit(count: int) -> FloatArray:
        points: FloatArray = 0.5 * (chebyshev.chebpts1(count) + 1.0)
        return points

    near, x = _NEAR * unit(20), _NEAR / unit(28)
    return Pieces(
        bessel=through(j0(_NEAR * np.sqrt(unit(12)))),
        rest=through(keldysh(near) + j0(near) * np.log(near)),
        far=through(x * keldysh(x)),
    )


def keldysh_function(x: Array) -> Array:
    """F(x) = (π/2)[H₀(x) − Y₀(x)] for x > 0 ``[...]``: −ln(x/2) − γ near 0, 1/x far away."""
    import jax.numpy as jnp

    from qernel.hamiltonian.mixture import clenshaw

    bessel, rest, far = (jnp.asarray(c, x.dtype) for c in _pieces())
    near = jnp.minimum(x, _NEAR)
    y, z = near / _NEAR, _NEAR / jnp.maximum(x, _NEAR)
    inner = clenshaw(2.0 * y - 1.0, rest) - clenshaw(2.0 * y**2 - 1.0, bessel) * jnp.log(near)
    return jnp.where(x < _NEAR, inner, clenshaw(2.0 * z - 1.0, far) * z / _NEAR)


def _scaled_erfc(x: Array) -> Array:
    """√π x e^{x²} erfc(x) for x > 0: rises from 0 to 1."""
    import jax.numpy as jnp
    from jax.scipy.special import erfc

    small, large = jnp.minimum(x, _LARGE), jnp.maximum(x, _LARGE)
    series = jnp.zeros_like(x)
    for k in range(_TERMS - 1, -1, -1):  # (−1)^k (2k − 1)!!/(2x²)^k
        series = series / large**2 + (-1) ** k * factorial(2 * k) / (4.0**k * factorial(k))
    return jnp.where(x < _LARGE, np.sqrt(np.pi) * small * jnp.exp(small**2) * erfc(small), series)


@dataclass(frozen=True)
class RytovaKeldysh(GaussianPair):
    """U F(r/r0)/r0."""

    name: ClassVar[str] = "rytova_keldysh"
    summary: ClassVar[str] = "2 pi/[q (1 + r0 q)], the screening of a polarisable layer"
    parameters: ClassVar[tuple[Parameter, ...]] = (STRENGTH, LENGTH)

    def cusp(self, values: Values, like: bool) -> Cusp:
        """−(U/8r0) r² ln r or −(U/4r0) r² ln r: −∇² of r^m (1 + c r² ln r) is −4(m + 1) c ln r, with m = 1 and 0."""
        return Cusp(0.0, -0.25 * self.strength(values) / values["r0"] * (0.5 if like else 1.0))

    def radial(self, r: Array, values: Values) -> Array:
        """F(r/r0)/r0."""
        return keldysh_function(r / values["r0"]) / values["r0"]

    def transform(self, q: Array, values: Values) -> Array:
        """2π/[q(1 + r0 q)]."""
        return 2.0 * np.pi / (q * (1.0 + values["r0"] * q))

    def weight(self, u: Array, values: Values) -> Array:
        """√π x erfcx(x) with x = 1/(2ur0)."""
        return _scaled_erfc(0.5 / (u * values["r0"]))
