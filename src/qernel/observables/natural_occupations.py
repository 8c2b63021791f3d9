"""Natural occupations: eigenvalues of the one-body density matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qernel.errors import RunError
from qernel.lattice import ComplexArray, FloatArray
from qernel.observables.base import Coordinate, Observable, Samples, Variable, averaged
from qernel.observables.one_body import Moves, moves, plane_waves, spin_coordinate


@dataclass(frozen=True)
class NaturalOccupations(Observable):
    """The largest eigenvalues of ρ_kk' = ⟨c†_k c_k'⟩ in plane waves, for each spin: all 1 for a Slater determinant.

    The matrix is taken between momenta that differ by a moiré reciprocal vector. Others vanish in a state that is
    invariant under moiré translations; for any other state this is the matrix averaged over them.

    The orbitals come from one half of the chains and are occupied by the other half, and the other way round:
    eigenvalues of a noisy matrix would come out too large. What is left is a bias downwards where the noise mixes
    orbitals; it shrinks in proportion to the number of samples. Among nearly empty orbitals the order
    itself is noise: the first of them lies high by a standard error or two.

    Attributes:
        cutoff: longest |k| of the plane waves, in units of the shortest moiré reciprocal vector.
        orbitals: how many per electron are kept.
    """

    cutoff: float = 1.5
    orbitals: float = 2.0
    name: ClassVar[str] = "natural_occupations"
    summary: ClassVar[str] = "eigenvalues of the one-body density matrix, for each spin"
    needs: ClassVar[frozenset[str]] = frozenset({"psi"})

    def measure(self, samples: Samples) -> list[Variable]:
        """Occupations in falling order."""
        if samples.chains < 2:
            raise RunError("natural_occupations needs at least 2 walkers: one half finds the orbitals for the other")
        k, _ = plane_waves(samples, self.cutoff)
        moved = moves(samples)
        largest = max(electrons.stop - electrons.start for electrons in samples.species.values())
        kept = min(len(k), max(1, round(self.orbitals * largest)))
        species = []
        for electrons in samples.species.values():
            blocks = [_block(samples, moved, k[block], electrons) for block in _crystal_momenta(samples, k)]
            series = np.concatenate(blocks, axis=-1)
            species.append(series[..., np.argsort(-series.mean((0, 1)))[:kept]])
        labels = [
            spin_coordinate(samples),
            Coordinate("orbital", ("orbital",), np.arange(1, kept + 1), "1", "natural orbital, by occupation"),
        ]
        text = f"natural occupations in plane waves up to {self.cutoff:g} |g|"
        return [averaged(self.name, np.stack(species, axis=2), "1", text, ("spin", "orbital"), labels)]


def _crystal_momenta(samples: Samples, k: FloatArray) -> list[npt.NDArray[np.int64]]:
    """Indices of the momenta in each class modulo the moiré reciprocal lattice."""
    turns = (k - k[0]) @ samples.hamiltonian.supercell.primitive.T / (2 * np.pi)
    classes = np.round((turns - np.floor(turns + 1e-6)) * 1e6).astype(np.int64)
    _, which = np.unique(classes, axis=0, return_inverse=True)
    return [np.flatnonzero(which == number) for number in range(which.max() + 1)]


def _block(samples: Samples, moved: Moves, k: FloatArray, electrons: slice) -> FloatArray:
    """v†ρv for the natural orbitals v of one crystal momentum, averaged over stretches: ``[chains, stretches, k]``."""
    chains = samples.chains
    waves = np.exp(1j * samples.positions[:, :, electrons] @ k.T)
    start = np.einsum("ctik,cti->ctk", waves, moved.ratios[:, :, electrons])
    end = np.exp(-1j * moved.places @ k.T)
    series = np.empty((chains, len(samples.stretches), len(k)))
    for half in (0, 1):
        matrix: ComplexArray = np.tensordot(start[1 - half :: 2], end[1 - half :: 2], ((0, 1), (0, 1)))
        # Eigenvectors in falling order of occupation; ρ is Hermitian up to noise.
        vectors = np.linalg.eigh(matrix + np.conj(matrix).T)[1][:, ::-1]
        occupation = ((start[half::2] @ np.conj(vectors)) * (end[half::2] @ vectors)).real
        series[half::2] = np.stack([occupation[:, records].mean(1) for records in samples.stretches], axis=1)
    return series
