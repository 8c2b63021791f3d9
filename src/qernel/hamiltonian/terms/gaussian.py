"""Interactions as mixtures of Gaussians: what a screened interaction has to say to be summed, exactly, for any value.

A new one is a subclass with three formulas: `radial`, `transform` and `weight` are one function, seen in real space, in
Fourier space and as v_∞(r) = (2/√π) ∫₀^∞ s(u) e^{−u²r²} du. `qernel.hamiltonian.mixture` does the rest.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qernel.hamiltonian.parameters import STRENGTH, Constants
from qernel.hamiltonian.terms.base import Intervals, Kernel, Pair, Values
from qernel.lattice import Supercell

if TYPE_CHECKING:
    from jax import Array


@dataclass(frozen=True)
class GaussianPair(Pair):
    """An interaction whose Gaussians all have weights s(u) ≥ 0, so that it repels at every distance and every q."""

    @abstractmethod
    def radial(self, r: Array, values: Values) -> Array:
        """v_∞(r) in 1/a_M for distances ``[...]`` in a_M, all above 0."""

    @abstractmethod
    def transform(self, q: Array, values: Values) -> Array:
        """v_∞(q) = ∫ v_∞(r) e^{−iq·r} d²r in a_M for wave numbers ``[...]`` in 1/a_M, all above 0."""

    @abstractmethod
    def weight(self, u: Array, values: Values) -> Array:
        """s(u) ≥ 0 for ``[...]`` in 1/a_M, 1 for 1/r; smooth in log u."""

    def own(self, values: Values) -> Any:
        """What ξ has beside images and background, in 1/a_M: by default nothing."""
        return 0.0

    def on(self, supercell: Supercell, intervals: Intervals) -> Kernel:
        """v in one supercell, for all values."""
        from qernel.hamiltonian.mixture import PeriodicMixture

        return PeriodicMixture(supercell, self)

    def lower(self, values: Values, density: float) -> float:
        """What U(Σ_{i<j} v + ½Nξ)/N cannot be below (`qernel.hamiltonian.mixture.lower_bound`); −∞ if U < 0."""
        from qernel.hamiltonian.mixture import lower_bound

        strength = float(self.strength(values))
        if strength < 0:
            return float("-inf")
        # Training asks at every iteration, where mostly λ and U differ: the bound is remembered without them.
        shaping = Constants({own.name: values[own.name] for own in self.parameters if own is not STRENGTH})
        return strength * lower_bound(self, shaping, density)
