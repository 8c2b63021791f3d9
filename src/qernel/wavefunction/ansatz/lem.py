"""One set of weights for every number of electrons, supercell and twist: a Large Electron Model.

No array belongs to an orbital, a cell or a size. Electrons enter by invariants of their surroundings alone
(`parts.invariants`: no position, but for where it is in the potential), so that the network has the translations,
rotations and reflections of the Hamiltonian. Blocks of attention to neighbours and a mixture of experts, each behind
FiLM layers that see the point of the family, turn them into features h_i, and

    ψ = Σ_d exp(N ω_d + κ_d) det_d[ φ_dj(x_i) (1 + Σ_m ℓ_djm h_i·Z_m) ] · exp J

with coordinates x_i displaced along the vectors of the surroundings by amounts that h_i decides, orbitals φ_dj that are
functions of labels, Bloch functions in the first determinant (`orbitals.sea`) and functions around sites in the others
(`orbitals.sites`), dressed by weights Z of their labels ℓ, and J = pair + long-range + Σ_i (y_i·w + h_i·w'). Every sum
is over electrons or neighbours within a range in a_M: the same neighbourhood gives the same in any cell.
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.determinant import readout_log_det
from qernel.laplacian.expansion import Displaced, Expanded
from qernel.laplacian.jet import Jet, columns, contract, electrons, pointwise
from qernel.lattice import Integers
from qernel.wavefunction.ansatz.frame import modulated
from qernel.wavefunction.base import Wavefunction, dense
from qernel.wavefunction.orbitals.base import spin_blocks
from qernel.wavefunction.orbitals.determinants import weighted_sum
from qernel.wavefunction.orbitals.sea import Sea
from qernel.wavefunction.orbitals.sites import SiteOrbitals, registries
from qernel.wavefunction.parts.conditioning import Conditioned, Embedding
from qernel.wavefunction.parts.experts import MixtureOfExperts, experts_of
from qernel.wavefunction.parts.invariants import Carried, Invariants, Seen
from qernel.wavefunction.parts.jastrow import PairJastrow
from qernel.wavefunction.parts.long_range import LongRangeJastrow
from qernel.wavefunction.parts.neighbour_attention import NeighbourAttention
from qernel.wavefunction.parts.perceptron import Perceptron

_LABELS = 2
"""Numbers in a label."""

_DISPLACED = 0.01
"""What an amount of 1 displaces, in units of n^(−1/2).

Of all updates that explain the local energies of a few hundred walkers equally well, natural gradient takes the one
with the smallest numbers: units decide who moves first. log ψ changes by k_F a coordinate for every electron, so that
in a_M the many numbers of the backflow fitted noise, and the first updates made the variance ten times larger.
"""

_DRESSED = 0.1
"""The unit of what dresses orbitals, for the same reason."""


class Block(eqx.Module):
    """h ← h + attention(FiLM h);  h ← h + experts(FiLM h)."""

    attention_film: Any
    attention: NeighbourAttention
    experts_film: Any
    experts: MixtureOfExperts | Perceptron

    def __init__(self, model: Any, condition: int, functions: int, *, rng: np.random.Generator, dtype: Any):
        r1, r2 = rng.spawn(2)
        self.attention_film, self.experts_film = modulated(model, condition, 2, dtype=dtype)
        self.attention = NeighbourAttention(model.width, model.heads, model.kv_heads, functions, rng=r1, dtype=dtype)
        self.experts = experts_of(model, condition, rng=r2, dtype=dtype)

    def routed(self, features: Any, seen: Seen | Carried, condition: Array) -> tuple[Any, Any]:
        """Features ``[N, width]`` → (features ``[N, width]``, gates ``[experts]``)."""
        features = features + self.attention(self.attention_film(features, condition), seen.pairs)
        modulated = self.experts_film(features, condition)
        gates = self.experts.gates(modulated, condition)
        return features + self.experts.apply(gates, modulated), gates


class Lem(Wavefunction):
    """The ansatz whose numbers belong to no system."""

    universal: ClassVar[bool] = True
    whole: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ("sites.hopping.base", "sites.hopping.slope", "offset.base", "offset.slope")

    embedding: Embedding
    input: Array
    input_bias: Array
    blocks: list[Block]
    invariants_jastrow: Conditioned
    features_jastrow: Conditioned
    backflow: Conditioned
    backflow_features: Array
    dressing: Array
    balance: Conditioned
    offset: Conditioned
    sites: SiteOrbitals
    pair: PairJastrow
    waves: LongRangeJastrow
    hamiltonian: Hamiltonian = eqx.field(static=True)
    length: float = eqx.field(static=True)
    determinants: int = eqx.field(static=True)
    phase: str = eqx.field(static=True)
    bands: tuple[int, int, float] = eqx.field(static=True)
    real: bool = eqx.field(static=True)

    def __init__(self, model: Any, hamiltonian: Hamiltonian, *, rng: np.random.Generator, dtype: Any = jnp.float32):
        rngs = rng.spawn(model.blocks + 3)
        self.hamiltonian, self.length = hamiltonian, model.many_body_range
        self.determinants, self.phase = model.determinants, model.phase
        self.real = not model.complex_orbitals(hamiltonian.twisted, hamiltonian.half_turns)
        self.bands = (model.bloch_order, model.bloch_order_others, model.bloch_cutoff)
        parameters = len(hamiltonian.parameters)
        condition = model.conditioning_width + parameters
        seen = self._invariants
        self.embedding = Embedding(parameters, model.conditioning_width, rng=rngs[0], dtype=dtype)
        self.input = dense(rngs[1], seen.count, (seen.count, model.width), dtype)
        self.input_bias = dense(rngs[2], 1, (model.width,), dtype, 0.3)
        self.blocks = [Block(model, condition, seen.vicinity.scalars, rng=block, dtype=dtype) for block in rngs[3:]]
        self.invariants_jastrow = Conditioned(jnp.zeros(seen.count, dtype), condition)
        self.features_jastrow = Conditioned(jnp.zeros(model.width, dtype), condition)
        self.backflow = Conditioned(jnp.zeros(seen.vectors, dtype), condition)
        self.backflow_features = jnp.zeros((model.width, seen.vectors), dtype)
        self.dressing = jnp.zeros((2, model.width, _LABELS), dtype)
        # Per electron, because norms are products over electrons: the liquid at weak potentials, the crystal at
        # strong ones. The condition begins with the scaled λ.
        self.balance = Conditioned(jnp.zeros((), dtype), condition)
        tilt = jnp.zeros(condition, dtype).at[0].set(0.5)
        self.balance = eqx.tree_at(lambda part: part.slope, self.balance, tilt)
        # Where a few electrons change from one to the other is not where many do.
        self.offset = Conditioned(jnp.zeros((), dtype), condition)
        self.sites = SiteOrbitals(hamiltonian, condition, dtype=dtype)
        order, longest = model.jastrow_order, model.jastrow_range
        self.pair = PairJastrow(hamiltonian, condition, order, longest, everywhere=True, dtype=dtype)
        self.waves = LongRangeJastrow(hamiltonian, condition, dtype=dtype)

    @property
    def _invariants(self) -> Invariants:
        return Invariants(self.hamiltonian, self.length)

    @property
    def _registries(self) -> int:
        """How many determinants of the crystal there are."""
        return registries(self.hamiltonian) if self.determinants > 1 and self.phase != "liquid" else 0

    @property
    def _kinds(self) -> Integers:
        """What each determinant is of, 0 the liquid and 1 the crystal."""
        return np.array([0] * (self.phase != "crystal") + [1] * self._registries)

    def amplitude(self, positions: Array | Jet, point: Array) -> tuple[Array, Any]:
        """See `Wavefunction.amplitude`; the twist is in the orbitals."""
        condition = self.embedding(self.hamiltonian.scaled(point))
        seen = self._invariants(positions)
        features, alone, _ = self._features(seen, condition)
        log = alone + contract("nc,c->", features, self.features_jastrow(condition))
        log = log + self.pair(positions, point, condition) + self.waves(positions, point, condition)
        coordinates = self._displaced(features, seen, positions, condition)
        sign, determinants = self._determinants(features, coordinates, point, condition)
        return sign, determinants + log

    def gates(self, positions: Array, point: Array) -> Array:
        """See `Wavefunction.gates`."""
        condition = self.embedding(self.hamiltonian.scaled(point))
        opened = self._features(self._invariants(positions), condition)[2]
        return jnp.stack(opened) if opened else jnp.zeros((0, 0), positions.dtype)

    def _features(self, seen: Seen | Carried, condition: Array) -> tuple[Any, Any, list[Any]]:
        """h ``[N, width]``, what the invariants add to log ψ, and the gates of every block."""
        width = len(self.input_bias)
        read = seen.read(jnp.concatenate([self.input, self.invariants_jastrow(condition)[:, None]], axis=1))
        features = pointwise(jax.nn.silu, columns(read, 0, width, (width,)) + self.input_bias)
        alone = contract("nf,f->", columns(read, width, width + 1, (1,)), jnp.ones(1, self.input.dtype))
        opened = []
        for block in self.blocks:
            features, gates = block.routed(features, seen, condition)
            opened.append(gates)
        return features, alone, opened

    def _displaced(self, features: Any, seen: Seen | Carried, positions: Array | Jet, condition: Array) -> Any:
        """x ``[N, 2]``: along the vectors of the surroundings, by amounts that are zero at the start."""
        unit = _DISPLACED / self.hamiltonian.density**0.5
        return positions + seen.along(features, unit * self.backflow_features, unit * self.backflow(condition))

    def _determinants(self, features: Any, coordinates: Any, point: Array, condition: Array) -> tuple[Array, Any]:
        """(sign, log) of the weighted sum of determinants."""
        kinds = self._kinds
        count = len(kinds)
        # h·Z of every kind of orbitals, side by side: all that determinants see of the features.
        dressing = jnp.swapaxes(self.dressing[: 1 + kinds.max()], 0, 1).reshape(features.shape[-1], -1)
        numbers = contract("nc,cz->nz", features, dressing)
        species = []
        for start, stop in spin_blocks(self.hamiltonian.electrons):
            own, x = electrons(numbers, start, stop), electrons(coordinates, start, stop)
            found, labels = self._orbitals(x.value if isinstance(x, Jet) else x, point, condition)
            placed = _DRESSED * np.einsum("dk,dmj->dkmj", np.eye(1 + kinds.max())[kinds], labels)
            weights = jnp.asarray(placed.reshape(count, -1, stop - start), features.dtype)
            basis: Any = Displaced(found, x) if isinstance(x, Jet) else found.value
            species.append(readout_log_det(own, weights, jnp.ones((count, stop - start), features.dtype), basis))
        (sign, log), *others = species
        for other_sign, other_log in others:
            sign, log = sign * other_sign, log + other_log
        if count == 1:
            return sign[0], log[0]
        tilt = self.balance(condition) * self.hamiltonian.count + self.offset(condition)
        return weighted_sum(sign, log + tilt * jnp.asarray(2.0 * kinds - 1.0, features.dtype))

    def _orbitals(self, x: Array, point: Array, condition: Array) -> tuple[Expanded, np.ndarray]:
        """Orbitals of one spin species in every determinant ``[n, d, n]`` and their labels ``[d, labels, n]``."""
        found, labels = [], []
        if self.phase != "crystal":
            sea = Sea(self.hamiltonian, len(x), self.bands[:2], self.bands[2], self.real)
            found.append(sea.expanded(x, point))
            labels.append(np.stack([sea.labels, sea.labels**2]))
        for registry in range(self._registries):
            found.append(self.sites.expanded(x, point, condition, registry, real=self.real))
            sublattice = self.sites.labels(registry)
            labels.append(np.stack([sublattice, np.ones(len(x))]))
        return Expanded(*(jnp.stack(parts, axis=-2) for parts in zip(*found, strict=True))), np.stack(labels)
