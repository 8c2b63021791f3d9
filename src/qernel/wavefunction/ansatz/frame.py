"""What the network ansätze share: correlation factor, network-to-determinant head, and the frame around blocks."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.expansion import Displaced
from qernel.laplacian.jet import Jet, Operand, contract, pointwise
from qernel.lattice import FloatArray
from qernel.wavefunction.base import Wavefunction, dense
from qernel.wavefunction.orbitals.base import (
    BlochOrbitals,
    CrystalOrbitals,
    DeterminantSum,
    NetworkOrbitals,
    by_species,
    weighted_sum,
)
from qernel.wavefunction.orbitals.hartree_fock import HartreeFockOrbitals
from qernel.wavefunction.parts.backflow import Backflow
from qernel.wavefunction.parts.conditioning import Embedding, Film
from qernel.wavefunction.parts.features import electron_features, feature_count, feature_waves
from qernel.wavefunction.parts.jastrow import MoireEnvelope, PairJastrow, WaveJastrow


class Correlation(eqx.Module):
    """The Jastrow part of log ψ: pair cusp and long-range waves, and the one-body moiré envelope."""

    pair: PairJastrow | None
    waves: WaveJastrow | None
    envelope: MoireEnvelope | None

    def __init__(self, model: Any, hamiltonian: Hamiltonian, condition: int, *, dtype: Any):
        cell = hamiltonian.supercell
        paired = model.jastrow and hamiltonian.count > 1
        self.pair = (
            PairJastrow(hamiltonian, condition, model.jastrow_order, model.jastrow_range, dtype=dtype)
            if paired
            else None
        )
        self.waves = WaveJastrow(cell, condition, model.jastrow_shells, dtype=dtype) if paired else None
        self.envelope = MoireEnvelope(cell, condition, model.envelope_shells, dtype=dtype) if model.envelope else None

    def __call__(self, log: Any, positions: Array | Jet, point: Array, condition: Array) -> Any:
        """Add the factor to log ψ of the determinant part."""
        if self.pair is not None:
            log = log + self.pair(positions, point, condition)
        if self.waves is not None:
            log = log + self.waves(positions, condition)
        if self.envelope is not None:
            log = log + self.envelope(positions, condition)
        return log


class OrbitalHead(eqx.Module):
    """Features → orbital matrices → weighted sum of determinants.

    ``orbitals="network"``: φ_j(i) = h_i·W_j. ``orbitals="bloch"``: φ_j(r_i; λ)(1 + h_i·W_j) with W almost 0 at
    the start, so that ψ begins as the Slater determinant of the one-body bands and N is not limited by the
    width. ``orbitals="hartree_fock"``: the same with Hartree–Fock orbitals, the liquid in the first determinant and
    the crystal in the others. ``crystal_seed`` gives every determinant but the first crystal orbitals to dress. With
    ``backflow`` the Bloch or Hartree–Fock orbitals are those at displaced coordinates.
    """

    network: NetworkOrbitals
    bloch: BlochOrbitals | None
    hartree_fock: HartreeFockOrbitals | None
    crystal: CrystalOrbitals | None
    backflow: Backflow | None
    determinants: DeterminantSum

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
        self.bloch = self.hartree_fock = self.crystal = None
        count = model.determinants
        # Dressed determinants start quiet, but not equal to each other: they would stay equal for ever.
        loudness = jnp.ones(count, dtype)
        if model.crystal_seed:
            self.crystal = CrystalOrbitals(hamiltonian, count, dtype=dtype)
            loudness = loudness.at[1:].set(0.1)
        if model.orbitals == "bloch":
            self.bloch = BlochOrbitals(
                hamiltonian, order=model.bloch_order, cutoff=model.bloch_cutoff, complex=complex, dtype=dtype
            )
        if model.orbitals == "hartree_fock":
            self.hartree_fock = HartreeFockOrbitals(
                hamiltonian,
                count,
                order=model.hf_order,
                cutoff=model.hf_cutoff,
                complex=complex,
                dtype=dtype,
                frozen=not model.hf_trained,
            )
        if model.orbitals != "network":
            loudness = jnp.minimum(loudness, 0.01).at[0].set(0.0)
        network = NetworkOrbitals(
            model.width, count, hamiltonian, condition=condition, complex=complex, rng=rng, dtype=dtype
        )
        quiet = [loudness[:, None] * leaf for leaf in (*network.weights, *network.bias)]
        half = len(network.weights)
        self.network = eqx.tree_at(lambda n: (n.weights, n.bias), network, (quiet[:half], quiet[half:]))
        self.backflow = None
        if model.backflow:
            self.backflow = Backflow(
                hamiltonian, model.width, condition, model.jastrow_order, model.jastrow_range, dtype=dtype
            )
        tilted = model.crystal_seed or self.hartree_fock is not None
        self.determinants = DeterminantSum(count, condition, tilted=tilted, dtype=dtype)

    def __call__(self, features: Operand, positions: Array | Jet, point: Array, condition: Array) -> tuple[Array, Any]:
        """(sign, log) of the determinant part."""
        first = jnp.zeros(self.determinants.count, positions.dtype).at[0].set(1.0)
        bases: list[Any] = [None] * len(self.network.weights)
        dressed = jnp.zeros_like(first)
        if self.backflow is not None:
            dressed = jnp.ones_like(first)
            bases = self._displaced(self.backflow(features, positions, condition), point)
        elif self.bloch is not None:
            dressed = first if self.crystal is not None else jnp.ones_like(first)
            orbitals = self.bloch(positions, point)
            bases = [contract("nk,d->ndk", b, dressed) + (1.0 - dressed)[:, None] for b in orbitals]
        elif self.hartree_fock is not None:
            bases, dressed = self.hartree_fock(positions, point), jnp.ones_like(first)
        if self.crystal is not None:
            crystal = self.crystal(positions)
            bases = [crystal if base is None else base * crystal for base in bases]
            dressed = dressed + (1.0 - first)
        return self.determinants(self.network(features, condition, bases, dressed), condition)

    def _displaced(self, coordinates: Operand, point: Array) -> list[Any]:
        """The dressed orbitals of every spin species at coordinates ``[N, 2]``: arrays, or `Displaced` for a jet."""
        own = self.hartree_fock if self.hartree_fock is not None else self.bloch
        assert own is not None
        bases = []
        for waves, x in by_species(own.hamiltonian, own.orbitals(point), coordinates):
            if self.hartree_fock is None:  # the same orbitals in every determinant
                even, odd = (jnp.repeat(part[:, None], self.determinants.count, 1) for part in waves[2:])
                waves = waves._replace(even=even, odd=odd)
            bases.append(Displaced(waves.expanded(x.value), x) if isinstance(x, Jet) else waves.at(x))
        return bases


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
            complex=model.is_complex(hamiltonian.twisted),
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
