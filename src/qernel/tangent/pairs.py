"""Terms of an electron's neighbours: sums of smooth functions of their distances, and products of two of these."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.lattice import displacement
from qernel.tangent.base import Displacement, Factor, Logarithm, Term
from qernel.wavefunction.parts.many_body import ManyBodyJastrow
from qernel.wavefunction.parts.radial import bumps
from qernel.wavefunction.parts.vicinity import WIDTHS, kinds_of, widths


class Neighbours:
    """s_k = Σ_j b_k(r_ij) and v_k = Σ_j (r_i − r_j) b_k(r_ij)/σ_k around every electron.

    b_k(r) = exp(−r²/2σ_k²)(1 − r²/L²)³ for r < L, with the σ_k of `ManyBodyJastrow` and L at most the inscribed radius
    of the supercell: smooth where electrons meet and across the boundary. Of two spin species, like and unlike
    neighbours are summed apart.
    """

    def __init__(self, model: Any, hamiltonian: Hamiltonian) -> None:
        self._hamiltonian = hamiltonian
        self._length = min(hamiltonian.supercell.inscribed_radius, model.many_body_range)
        others = ~np.eye(hamiltonian.count, dtype=bool)
        kinds = [kind & others for kind in kinds_of(hamiltonian)]
        self._kinds = [kind for kind in kinds if kind.any()]

    @property
    def size(self) -> int:
        """K: the functions, for every kind of neighbours."""
        return len(WIDTHS) * len(self._kinds)

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """s ``[N, K]`` and v ``[N, K, 2]`` of positions ``[N, 2]``."""
        sigma = widths(self._hamiltonian.density)
        d = displacement(x[:, None, :] - x[None, :, :], self._hamiltonian.supercell.vectors)
        values, *_ = bumps((d**2).sum(-1), sigma, self._length)
        masked = jnp.concatenate([values * jnp.asarray(kind, x.dtype)[..., None] for kind in self._kinds], -1)
        over = jnp.asarray(np.tile(1.0 / sigma, len(self._kinds)), x.dtype)
        return masked.sum(1), jnp.einsum("ijk,ijx->ikx", masked * over, d)


class _Neighbourly(Term):
    """A term of `Neighbours`, with a coefficient for each of their functions."""

    def __init__(self, model: Any, hamiltonian: Hamiltonian) -> None:
        super().__init__(model, hamiltonian)
        self._neighbours = Neighbours(model, hamiltonian)

    @property
    def size(self) -> int:
        """See `Term.size`."""
        return self._neighbours.size


class PairSums(_Neighbourly, Factor):
    """Σ_i s_ik."""

    name: ClassVar[str] = "pair"
    summary: ClassVar[str] = "pair Jastrow factor: smooth functions of the distance"

    def values(self, positions: Array) -> Array:
        """See `Factor.values`."""
        return self._neighbours(positions)[0].sum(0)


class ThreeBody(_Neighbourly, Factor):
    """Σ_i s_ik s_il and Σ_i v_ik·v_il, k ≤ l."""

    name: ClassVar[str] = "three_body"
    summary: ClassVar[str] = "Jastrow factor of three electrons, the same everywhere"

    @property
    def size(self) -> int:
        """See `Term.size`."""
        return self._neighbours.size * (self._neighbours.size + 1)

    def values(self, positions: Array) -> Array:
        """See `Factor.values`."""
        s, v = self._neighbours(positions)
        k, m = np.triu_indices(self._neighbours.size)
        return jnp.concatenate([(s[:, k] * s[:, m]).sum(0), (v[:, k] * v[:, m]).sum((0, 2))])


class ManyBody(Term):
    """All of `ManyBodyJastrow`: three electrons, and where in the potential they are."""

    name: ClassVar[str] = "many_body"
    summary: ClassVar[str] = "Jastrow factor of three electrons and of their places in the potential (model.many_body)"

    def __init__(self, model: Any, hamiltonian: Hamiltonian) -> None:
        super().__init__(model, hamiltonian)
        self._jastrow = ManyBodyJastrow(hamiltonian, 0, model.many_body_range, dtype=jnp.float32)

    @property
    def size(self) -> int:
        """See `Term.size`."""
        return int(self._jastrow.coefficients.base.size) if self.hamiltonian.count > 1 else 0

    def applied(self, logarithm: Logarithm, coefficients: Array, positions: Array) -> Array:
        """See `Term.applied`."""
        jastrow = eqx.tree_at(lambda module: module.coefficients.base, self._jastrow, coefficients)
        factor: Array = jastrow(positions, jnp.zeros(0, positions.dtype))
        return logarithm(positions) + factor


class PairBackflow(_Neighbourly, Displacement):
    """u_k(i) = v_ik."""

    name: ClassVar[str] = "pair_backflow"
    summary: ClassVar[str] = "backflow: coordinates displaced along pairs of electrons"

    def fields(self, positions: Array) -> Array:
        """See `Displacement.fields`."""
        return self._neighbours(positions)[1].swapaxes(0, 1)
