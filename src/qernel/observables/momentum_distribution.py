"""The momentum distribution of the electrons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qernel.observables.base import Observable, Samples, Variable, averaged
from qernel.observables.one_body import moves, plane_waves, spin_coordinate


@dataclass(frozen=True)
class MomentumDistribution(Observable):
    """n_σ(k) = ⟨c†_kσ c_kσ⟩: how many electrons of each spin are in the plane wave k; Σ_k n_σ(k) = N_σ.

    Attributes:
        cutoff: longest |k| in units of the shortest moiré reciprocal vector.
    """

    cutoff: float = 1.5
    name: ClassVar[str] = "momentum_distribution"
    summary: ClassVar[str] = "occupation n(k) of plane waves, for each spin"
    needs: ClassVar[frozenset[str]] = frozenset({"psi"})

    def measure(self, samples: Samples) -> list[Variable]:
        """The diagonal of the one-body density matrix in plane waves."""
        k, coordinates = plane_waves(samples, self.cutoff)
        moved = moves(samples)
        series = np.empty((samples.chains, len(samples.stretches), len(samples.species), len(k)))
        for chain, positions in enumerate(samples.positions):
            waves = np.exp(1j * positions @ k.T)
            back = np.exp(-1j * moved.places[chain] @ k.T)
            for index, electrons in enumerate(samples.species.values()):
                occupation = np.einsum("tik,ti->tk", waves[:, electrons], moved.ratios[chain][:, electrons]) * back
                for number, records in enumerate(samples.stretches):
                    series[chain, number, index] = occupation[records].real.mean(0)
        text = "occupation <c+_k c_k> of plane waves"
        labels = [spin_coordinate(samples), *coordinates]
        return [averaged(self.name, series, "1", text, ("spin", "k"), labels)]
