"""What the network ansätze share: the frame around blocks."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet, Operand, contract, pointwise
from qernel.lattice import FloatArray
from qernel.wavefunction.base import Wavefunction, dense
from qernel.wavefunction.orbitals.determinants import weighted_sum
from qernel.wavefunction.orbitals.head import OrbitalHead
from qernel.wavefunction.parts.conditioning import Embedding, Film
from qernel.wavefunction.parts.correlation import Correlation
from qernel.wavefunction.parts.features import electron_features, feature_count, feature_waves


class Identity(eqx.Module):
    """Stands where a FiLM layer is switched off."""

    def __call__(self, features: Operand, condition: Array) -> Operand:
        """The features, unchanged."""
        return features


def modulated(model: Any, condition: int, count: int, *, dtype: Any) -> list[Film | Identity]:
    """``count`` FiLM layers of the model's width, or stand-ins when ``film = false``."""
    return [Film(condition, model.width, dtype=dtype) if model.film else Identity() for _ in range(count)]


class NetworkAnsatz(Wavefunction):
    """The frame of the network ansätze: features → blocks → determinants × Jastrow factor.

    The determinant part may be summed over translations of all electrons. The Hamiltonian is invariant under moiré
    translations, but states that differ in crystal momentum can lie so close that training hardly tells them apart;
    the sum keeps only one. The Jastrow factor is invariant by itself.

    Subclasses define ``blocks``, a list of modules (features ``[N, width]``, condition) → features.
    """

    embedding: Embedding
    input: Array
    input_bias: Array
    input_point: Array | None
    blocks: eqx.AbstractVar[list[Any]]
    head: OrbitalHead
    correlation: Correlation
    hamiltonian: Hamiltonian = eqx.field(static=True)
    harmonics: tuple[int, int] = eqx.field(static=True)
    symmetric_along: tuple[int, int] | None = eqx.field(static=True)
    condition_width: int = eqx.field(static=True)

    def _frame(self, model: Any, hamiltonian: Hamiltonian, *, rng: np.random.Generator, dtype: Any) -> None:
        """Set every field but the blocks."""
        rngs = rng.spawn(5)
        self.hamiltonian = hamiltonian
        self.harmonics = (model.harmonics, model.moire_harmonics)
        self.symmetric_along = model.symmetric_along
        parameters = len(hamiltonian.parameters)
        self.condition_width = model.conditioning_width + parameters
        features = feature_count(self._waves, hamiltonian.electrons)
        self.embedding = Embedding(parameters, model.conditioning_width, rng=rngs[0], dtype=dtype)
        self.input = dense(rngs[1], features, (features, model.width), dtype, 1.4)
        self.input_bias = dense(rngs[2], 1, (model.width,), dtype, 0.1)
        # A generator of its own: all other parameters start as without it.
        appended = model.parameter_features
        self.input_point = dense(rngs[4], parameters, (parameters, model.width), dtype) if appended else None
        self.head = OrbitalHead(
            model,
            hamiltonian,
            self.condition_width if model.film else 0,
            complex=model.complex_orbitals(hamiltonian.twisted),
            rng=rngs[3],
            dtype=dtype,
        )
        self.correlation = Correlation(model, hamiltonian, self.condition_width, dtype=dtype)

    @property
    def _waves(self) -> FloatArray:
        return feature_waves(self.hamiltonian.supercell, *self.harmonics)

    def amplitude(self, positions: Array | Jet, point: Array) -> tuple[Array, Any]:
        """See `Wavefunction.amplitude`."""
        condition = self.embedding(self.hamiltonian.scaled(point))
        if self.symmetric_along is None:
            sign, log = self._determinants(positions, point, condition)
        else:
            shifts = jnp.asarray(self.hamiltonian.supercell.orbit(self.symmetric_along), positions.dtype)
            signs, logs = jax.vmap(
                lambda shift: self._determinants(positions + shift, point, condition), out_axes=(0, -1)
            )(shifts)
            sign, log = weighted_sum(signs, logs)
        return sign, self.correlation(log, positions, point, condition)

    def first_features(self, positions: Array | Jet, point: Array) -> Any:
        """What enters the first block ``[N, width]``: each electron by itself."""
        raw = electron_features(positions, self._waves, self.hamiltonian.electrons)
        bias = self.input_bias
        if self.input_point is not None:
            # The same as parameters appended to the features of every electron.
            bias = bias + self.hamiltonian.scaled(point).astype(bias.dtype) @ self.input_point
        return pointwise(jnp.tanh, contract("nf,fc->nc", raw, self.input) + bias)

    def _determinants(self, positions: Array | Jet, point: Array, condition: Array) -> tuple[Array, Any]:
        features = self.first_features(positions, point)
        for block in self.blocks:
            features = block(features, condition)
        return self.head(features, positions, point, condition)
