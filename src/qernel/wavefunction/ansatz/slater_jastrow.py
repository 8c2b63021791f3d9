"""A determinant of Bloch functions times a Jastrow factor: no network, and nodes that no training moves.

Without a potential its nodes are those of plane waves, so that energies projected with it are the ones of the
literature. As with `ansatz.lem`, whose Bloch functions and factors these are, no array belongs to a size.
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.determinant import log_det
from qernel.laplacian.expansion import composed
from qernel.laplacian.jet import Jet, electrons
from qernel.wavefunction.base import Wavefunction
from qernel.wavefunction.orbitals.base import spin_blocks
from qernel.wavefunction.orbitals.sea import Sea
from qernel.wavefunction.parts.conditioning import Embedding
from qernel.wavefunction.parts.jastrow import MoireEnvelope, PairJastrow
from qernel.wavefunction.parts.long_range import LongRangeJastrow


class SlaterJastrow(Wavefunction):
    """det φ_j(r_i; p) · exp(pair + long-range + one-body), one determinant per spin species."""

    universal: ClassVar[bool] = True
    whole: ClassVar[bool] = True

    embedding: Embedding
    pair: PairJastrow
    waves: LongRangeJastrow
    envelope: MoireEnvelope | None
    hamiltonian: Hamiltonian = eqx.field(static=True)
    bands: tuple[int, int, float] = eqx.field(static=True)
    real: bool = eqx.field(static=True)

    def __init__(self, model: Any, hamiltonian: Hamiltonian, *, rng: np.random.Generator, dtype: Any = jnp.float32):
        self.hamiltonian = hamiltonian
        self.real = not model.complex_orbitals(hamiltonian.twisted, hamiltonian.half_turns)
        self.bands = (model.bloch_order, model.bloch_order_others, model.bloch_cutoff)
        parameters = len(hamiltonian.parameters)
        condition = model.conditioning_width + parameters
        self.embedding = Embedding(parameters, model.conditioning_width, rng=rng, dtype=dtype)
        order, longest = model.jastrow_order, model.jastrow_range
        self.pair = PairJastrow(hamiltonian, condition, order, longest, everywhere=True, dtype=dtype)
        self.waves = LongRangeJastrow(hamiltonian, condition, dtype=dtype)
        cell, shells = hamiltonian.supercell, model.envelope_shells
        self.envelope = MoireEnvelope(cell, condition, shells, dtype=dtype) if model.envelope else None

    def amplitude(self, positions: Array | Jet, point: Array) -> tuple[Array, Any]:
        """See `Wavefunction.amplitude`; the twist is in the orbitals."""
        condition = self.embedding(self.hamiltonian.scaled(point))
        log = self.pair(positions, point, condition) + self.waves(positions, point, condition)
        if self.envelope is not None:
            log = log + self.envelope(positions, condition)
        sign = jnp.ones((), log.dtype)
        for start, stop in spin_blocks(self.hamiltonian.electrons):
            own = electrons(positions, start, stop)
            sea = Sea(self.hamiltonian, stop - start, self.bands[:2], self.bands[2], self.real)
            found = sea.expanded(own.value if isinstance(own, Jet) else own, point)
            own_sign, own_log = log_det(composed(found, own) if isinstance(own, Jet) else found.value)
            sign, log = sign * own_sign, log + own_log
        return sign, log
