"""All pair interactions of a Hamiltonian in its supercell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.parameters import STRENGTH, Constants
from qernel.hamiltonian.terms.base import Cusp, Kernel, Pair, Values
from qernel.lattice import FloatArray


@dataclass(frozen=True)
class Interaction:
    """Σ_t U_t [ Σ_{i<j} v_t(r_i − r_j) + ½ N ξ_t ] over the pair terms t; zero without any.

    Attributes:
        terms: with the kernel of each.
    """

    terms: tuple[tuple[Pair, Kernel], ...]

    def energy(self, positions: Array, values: Values) -> Any:
        """The whole of it in E0 for a configuration ``[N, 2]``, ½Nξ included."""
        n = positions.shape[0]
        total: Any = 0.0
        for term, kernel in self.terms:
            pairs = kernel.energy(positions, values) if n > 1 else 0.0
            parts = (term.strength(values), pairs, 0.5 * n * kernel.self_image(values))
            strength, pairs, own = (jnp.asarray(part, jnp.float64) for part in parts)
            total = total + strength * (pairs + own)
        return total

    def fourier(self, q: FloatArray, values: Values) -> FloatArray:
        """A times the Fourier components of Σ_t U_t v_t in E0 a_M², for wave numbers ``[...]``; 0 at q = 0."""
        total: FloatArray = np.zeros(np.shape(q))
        for term, kernel in self.terms:
            total = total + float(term.strength(values)) * kernel.fourier(q, values)
        return total

    def self_image(self, values: Values) -> Any:
        """Σ_t U_t ξ_t in E0."""
        return sum((term.strength(values) * kernel.self_image(values) for term, kernel in self.terms), 0.0)

    def shape(self, difference: Array, values: Values) -> Any:
        """v(r_i − r_j) in 1/a_M for differences ``[..., 2]``, the same at every strength of a single term.

        Of several terms it is the mean with their strengths as weights; where all of them are zero, of all alike.
        """
        weights = [1.0]
        if len(self.terms) > 1:
            strengths = np.array([float(term.strength(values)) for term, _ in self.terms])
            strengths = strengths if strengths.any() else np.ones(len(strengths))
            weights = (strengths / np.abs(strengths).sum()).tolist()
        parts = [weight * kernel(difference, values) for weight, (_, kernel) in zip(weights, self.terms, strict=False)]
        return sum(parts[1:], parts[0]) if parts else jnp.zeros(difference.shape[:-1], difference.dtype)

    def shaping(self, values: Values) -> Constants:
        """The values that `shape` depends on."""
        names = {parameter.name for term, _ in self.terms for parameter in term.parameters}
        if len(self.terms) == 1:
            names.discard(STRENGTH.name)
        return Constants({name: values[name] for name in names})

    def cusp(self, values: Values, like: bool) -> Cusp:
        """What log ψ does where two electrons meet."""
        found = [term.cusp(values, like) for term, _ in self.terms]
        return Cusp(sum(cusp.slope for cusp in found), sum(cusp.logarithm for cusp in found))

    def lower(self, values: Values, density: float) -> float:
        """What `energy` per electron cannot be below, in E0; −∞ where a term has no bound."""
        return sum(term.lower(values, density) for term, _ in self.terms)

    def require(self, values: Values) -> None:
        """Refuse values that a kernel does not serve.

        Raises:
            QernelError: naming the parameter, its value and the smallest that is served.
        """
        for _, kernel in self.terms:
            kernel.require(values)
