"""The Jastrow factor: what multiplies the determinants."""

from __future__ import annotations

from typing import Any

import equinox as eqx
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet
from qernel.wavefunction.parts.jastrow import MoireEnvelope, PairJastrow, WaveJastrow
from qernel.wavefunction.parts.many_body import ManyBodyJastrow


class Correlation(eqx.Module):
    """The Jastrow part of log ψ: pair cusp and long-range waves, the one-body moiré envelope, and many bodies."""

    pair: PairJastrow | None
    waves: WaveJastrow | None
    envelope: MoireEnvelope | None
    many: ManyBodyJastrow | None

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
        self.many = None
        if model.many_body and hamiltonian.count > 1:
            self.many = ManyBodyJastrow(hamiltonian, condition, model.many_body_range, dtype=dtype)

    def __call__(self, log: Any, positions: Array | Jet, point: Array, condition: Array) -> Any:
        """Add the factor to log ψ of the determinant part."""
        if self.pair is not None:
            log = log + self.pair(positions, point, condition)
        if self.waves is not None:
            log = log + self.waves(positions, condition)
        if self.envelope is not None:
            log = log + self.envelope(positions, condition)
        if self.many is not None:
            log = log + self.many(positions, condition)
        return log
