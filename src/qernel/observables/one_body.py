"""The one-body density matrix from moves of one electron to a random place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qernel.lattice import ComplexArray, FloatArray
from qernel.observables.base import Coordinate, Samples
from qernel.observables.structure_factor import wave_vectors
from qernel.stopping import check

_AT_ONCE = 2**15
"""Configurations whose ψ is asked for together."""


class Moves(NamedTuple):
    """Every electron of every configuration moved to the same random place.

    Attributes:
        places: r', ``[chains, samples, 2]`` in a_M, uniform in the supercell.
        ratios: ψ(…, r_i → r', …)/ψ, ``[chains, samples, N]``.
    """

    places: FloatArray
    ratios: ComplexArray


def moves(samples: Samples) -> Moves:
    """Move every electron in turn; the places follow from the seed of the samples.

    ρ_kk' = ⟨c†_k c_k'⟩ = ⟨Σ_i e^{ik·r_i − ik'·r'} ψ(r_i → r')/ψ⟩ over |ψ|² and uniform r' (for each spin the electrons
    of that spin). With one place for all electrons of a configuration the sum is *exactly* Σ_i φ(r_i) ψ(r_i → r')/ψ
    = φ(r') for an occupied orbital φ of a Slater determinant: there the estimator has no noise.
    """
    psi, x = samples.amplitude(), samples.positions
    chains, records, n, _ = x.shape
    rng = np.random.default_rng([samples.seed, 1])
    places = rng.uniform(size=(chains, records, 2)) @ samples.hamiltonian.supercell.vectors
    ratios = np.empty((chains, records, n), dtype=np.complex128)
    group = max(
        size for size in range(1, chains + 1) if chains % size == 0 and (size * records * n <= _AT_ONCE or size == 1)
    )
    for start in range(0, chains, group):
        check()
        some = slice(start, start + group)
        moved = np.repeat(x[some, :, None], n, axis=2)
        moved[:, :, np.arange(n), np.arange(n)] = places[some, :, None]
        sign, log = psi.log_psi(x[some])
        new_sign, new_log = psi.log_psi(moved)
        ratios[some] = new_sign / sign[..., None] * np.exp(new_log - log[..., None])
    return Moves(places, ratios)


def plane_waves(samples: Samples, cutoff: float) -> tuple[FloatArray, list[Coordinate]]:
    """Momenta of the electrons up to a cut-off, twist included, ``[n, 2]``, and their labels along the axis ``k``.

    Args:
        samples: for supercell and twist.
        cutoff: longest |k| before the twist, in units of the shortest moiré reciprocal vector.
    """
    family = samples.hamiltonian
    k = wave_vectors(family.supercell, cutoff) + family.twist_momentum
    return k, [
        Coordinate("kx", ("k",), k[:, 0], "1/a_M", "x component of the momentum"),
        Coordinate("ky", ("k",), k[:, 1], "1/a_M", "y component of the momentum"),
        Coordinate("k_length", ("k",), np.linalg.norm(k, axis=1), "1/a_M", "length of the momentum"),
    ]


def spin_coordinate(samples: Samples) -> Coordinate:
    """Labels of the axis ``spin``."""
    return Coordinate("spin", ("spin",), np.array(list(samples.species)), "1", "spin of the electrons")
