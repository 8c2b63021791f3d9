"""Which experts act: statistics of the gates over configurations at one λ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qernel.errors import RunError
from qernel.lattice import FloatArray
from qernel.observables.base import Coordinate, Observable, Samples, Variable, averaged


@dataclass(frozen=True)
class Routing(Observable):
    """Mean gate ⟨g_e⟩ of every expert, the fraction of configurations it is open to, and how evenly experts are used.

    The entropy −Σ_e q_e ln q_e with q_e = ⟨g_e⟩/Σ⟨g⟩ is 0 where one expert does all the work and ln E where E share
    it. Experts that specialise have a low entropy at each λ, and their mean gates change places along λ.
    """

    name: ClassVar[str] = "routing"
    summary: ClassVar[str] = "mean gate of every expert, how often it is active, and the entropy of the routing"
    needs: ClassVar[frozenset[str]] = frozenset({"psi"})

    def measure(self, samples: Samples) -> list[Variable]:
        """Gates of all sampled configurations."""
        gates = np.asarray(samples.amplitude().gates(samples.positions), dtype=np.float64)
        if gates.size == 0:
            raise RunError(
                "routing: this wavefunction has no experts, use ansatz = 'qernel' or leave this observable out"
            )
        stretches = samples.stretches
        mean, active = (
            np.stack([series[:, part].mean(1) for part in stretches], axis=1) for series in (gates, gates > 0.0)
        )
        full = (gates > 0.0).sum(-1) > samples.amplitude().active_experts
        dropped = np.stack([full[:, part].mean(1) for part in stretches], axis=1)
        blocks, experts = gates.shape[2:]
        block = Coordinate("block", ("block",), np.arange(1, blocks + 1), "1", "attention block, the first is 1")
        labels = (block, Coordinate("expert", ("expert",), np.arange(1, experts + 1), "1", "routed expert"))
        axes = ("block", "expert")
        return [
            averaged("gate", mean, "1", "mean gate of the expert, in [0, 1]", axes, labels),
            averaged("gate_active", active, "1", "fraction of configurations the expert acts on", axes, labels),
            averaged(
                "experts_dropped",
                dropped,
                "1",
                "fraction of configurations with more experts open than are "
                "computed in the local energy: 0 unless a gate is wrong",
                ("block",),
                (block,),
            ),
            averaged("routing_entropy", entropy(mean), "1", "entropy of the mean gates, in nats", ("block",), (block,)),
        ]


def entropy(gates: FloatArray) -> FloatArray:
    """The linearised series of H = −Σ q ln q, q = ⟨g⟩/Σ⟨g⟩, for `averaged`.

    ∂H/∂⟨g_e⟩ = −(ln q_e + H)/Σ⟨g⟩. An expert that is never open contributes nothing, and H = 0 where none ever is.

    Args:
        gates: ``[chains, samples, blocks, experts]``.

    Returns:
        ``[chains, samples, blocks]``.
    """
    mean = gates.mean((0, 1))
    total = mean.sum(-1, keepdims=True)
    share = np.divide(mean, total, out=np.zeros_like(mean), where=total > 0)
    logarithm = np.log(share, out=np.zeros_like(share), where=share > 0)
    value = -(share * logarithm).sum(-1, keepdims=True)
    slope = np.divide(-(logarithm + value), total, out=np.zeros_like(mean), where=(total > 0) & (share > 0))
    return np.asarray(value[..., 0] + ((gates - mean) * slope).sum(-1))
