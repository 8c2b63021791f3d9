"""Orbitals that a network reads out of the features of each electron."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.determinant import readout_log_det
from qernel.laplacian.jet import Operand, electrons
from qernel.wavefunction.base import dense
from qernel.wavefunction.orbitals.base import spin_blocks
from qernel.wavefunction.parts.conditioning import Film


class NetworkOrbitals(eqx.Module):
    """φ_dj(i) = B_dj(r_i) (h_i·W_dj + b_dj): every orbital a linear read-out of the electron's features.

    Without one-electron orbitals B the matrix has rank ≤ width + 1, so that width ≥ N − 1 per spin species is needed.
    """

    weights: list[Array]
    bias: list[Array]
    film: Film | None
    complex: bool = eqx.field(static=True)
    electrons: tuple[int, int] = eqx.field(static=True)

    def __init__(
        self,
        width: int,
        determinants: int,
        hamiltonian: Hamiltonian,
        *,
        condition: int,
        complex: bool,
        rng: np.random.Generator,
        dtype: Any,
    ):
        self.electrons, self.complex = hamiltonian.electrons, complex
        self.film = Film(condition, width, dtype=dtype) if condition else None
        parts = 2 if complex else 1
        self.weights, self.bias = [], []
        for start, stop in spin_blocks(self.electrons):
            r1, r2 = rng.spawn(2)
            self.weights.append(dense(r1, width, (parts, width, determinants, stop - start), dtype))
            self.bias.append(dense(r2, 1, (parts, determinants, stop - start), dtype, 0.3))

    def __call__(
        self, features: Operand, condition: Array, bases: list[Any], dressed: Array
    ) -> list[tuple[Array, Any]]:
        """The determinants of every spin species.

        Args:
            features: ``[N, width]``.
            condition: the conditioning vector.
            bases: B ``[n, determinants, n]`` per spin species; None stands for 1.
            dressed: added to b, ``[determinants]``: 1 where the network dresses an orbital B, 0 where it makes its own.

        Returns:
            (signs ``[determinants]``, logarithms ``[determinants]``) per spin species.
        """
        film = None if self.film is None else self.film(features, condition)
        species = zip(spin_blocks(self.electrons), self.weights, self.bias, bases, strict=True)
        results = []
        for (start, stop), weights, bias, basis in species:
            full = weights[0] + 1j * weights[1] if self.complex else weights[0]
            offset = bias[0] + 1j * bias[1] if self.complex else bias[0]
            own = electrons(features, start, stop)
            if film is not None:
                full, shift = film.readers(full)
                offset = offset + shift
            results.append(readout_log_det(own, full.transpose(1, 0, 2), offset + dressed[:, None], basis))
        return results
