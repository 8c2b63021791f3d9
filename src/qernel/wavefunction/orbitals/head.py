"""From features to determinants: what a network makes of one-electron orbitals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet, Operand
from qernel.wavefunction.orbitals.base import Orbitals
from qernel.wavefunction.orbitals.determinants import DeterminantSum
from qernel.wavefunction.orbitals.network import NetworkOrbitals
from qernel.wavefunction.parts.backflow import Backflow
from qernel.wavefunction.registry import orbitals_named


@jax.tree_util.register_pytree_with_keys_class
class OrbitalHead:
    """Features → orbital matrices M_dij = B_dj(x_i)(h_i·W_dj + b_dj) → weighted sum of determinants.

    B are one-electron orbitals of the kind ``model.orbitals``, and crystal orbitals where ``model.crystal_seed``. What
    they are in (`Orbitals.dressed`) begins as their determinant, and N is not limited by the width of the network;
    what they leave free the network makes by itself, φ_j(i) = h_i·W_j. With ``model.backflow`` x are displaced
    coordinates.

    In files and paths of leaves each of `dressings` has the name of its kind: ``head.bloch.amplitudes.0``.
    """

    def __init__(
        self,
        model: Any,
        hamiltonian: Hamiltonian,
        condition: int,
        *,
        complex: bool,
        rng: np.random.Generator,
        dtype: Any,
    ):
        count = model.determinants
        self.dressings = _dressings(model, hamiltonian, complex=complex, dtype=dtype)
        parts = self.dressings.values()
        network = NetworkOrbitals(
            model.width, count, hamiltonian, condition=condition, complex=complex, rng=rng, dtype=dtype
        )
        loudness = jnp.ones(count, dtype)
        for part in parts:
            loudness = jnp.minimum(loudness, jnp.asarray(part.loudness(), dtype))
        quiet = [loudness[:, None] * leaf for leaf in (*network.weights, *network.bias)]
        half = len(network.weights)
        self.network = eqx.tree_at(lambda n: (n.weights, n.bias), network, (quiet[:half], quiet[half:]))
        self.backflow: Backflow | None = None
        if model.backflow:
            self.backflow = Backflow(
                hamiltonian, model.width, condition, model.jastrow_order, model.jastrow_range, dtype=dtype
            )
        tilted = any(part.tilted for part in parts)
        self.determinants = DeterminantSum(count, condition, tilted=tilted, dtype=dtype)

    def __call__(self, features: Operand, positions: Array | Jet, point: Array, condition: Array) -> tuple[Array, Any]:
        """(sign, log) of the determinant part."""
        x = positions if self.backflow is None else self.backflow(features, positions, condition)
        bases: list[Any] = [None] * len(self.network.weights)
        dressed = jnp.zeros(self.determinants.count, positions.dtype)
        for part in self.dressings.values():
            orbitals = part(x, point)
            bases = [own if base is None else base * own for base, own in zip(bases, orbitals, strict=True)]
            dressed = dressed + jnp.asarray(part.dressed, dressed.dtype)
        return self.determinants(self.network(features, condition, bases, dressed), condition)

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], tuple[str, ...]]:
        """The parts under their names, and the kinds of the dressings."""
        named = [("network", self.network), *self.dressings.items()]
        named += [("backflow", self.backflow), ("determinants", self.determinants)]
        return [(jax.tree_util.GetAttrKey(name), part) for name, part in named], tuple(self.dressings)

    @classmethod
    def tree_unflatten(cls, kinds: tuple[str, ...], parts: Iterable[Any]) -> Self:
        """The inverse of `tree_flatten_with_keys`."""
        head = object.__new__(cls)
        head.network, *dressings, head.backflow, head.determinants = parts
        head.dressings = dict(zip(kinds, dressings, strict=True))
        return head


def _dressings(model: Any, hamiltonian: Hamiltonian, *, complex: bool, dtype: Any) -> dict[str, Orbitals]:
    """The orbitals that a ``[model]`` section asks for, by kind; no determinant has two kinds of them."""
    found: dict[str, Orbitals] = {}
    free = (True,) * model.determinants
    # The crystal chooses first.
    for kind in (*(["crystal"] if model.crystal_seed else []), model.orbitals):
        if kind != "network":
            found[kind] = orbitals_named(kind).of(model, hamiltonian, free, complex=complex, dtype=dtype)
            free = tuple(left and not taken for left, taken in zip(free, found[kind].dressed, strict=True))
    return dict(reversed(found.items()))
