"""Any potential with the period of the moiré lattice, by its waves: V(r) = λ Σ_n A_n cos(G_n·r + φ_n).

λ scales the depth, as it does of the moiré potential: A_n holds at λ = 1. Waves are named by integers (i, j), with
G = i b₁ + j b₂ and the reciprocal vectors b of the moiré lattice, b_i·a_j = 2πδ_ij. The moiré potential is A = −2V0 and
φ on the star of (0, 1). Whatever the lattice is called, waves decide about the symmetry: one alone makes stripes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from qernel.hamiltonian.parameters import LAM, Parameter
from qernel.hamiltonian.terms.base import Components, OneBody, Values
from qernel.lattice import FloatArray, Integers, Supercell

if TYPE_CHECKING:
    from jax import Array

_FINE = 256
"""Points along each moiré vector at which extrema are looked for."""


class Wave(NamedTuple):
    """A cos(G·r + φ)."""

    turns: tuple[int, int]
    """G in reciprocal vectors of the moiré lattice."""
    amplitude: float
    """A in E0 at λ = 1."""
    phase_deg: float
    """φ in degrees."""


ROTATIONS: dict[str, Integers] = {
    "triangular": np.array([[0, 1], [-1, -1]]),
    "square": np.array([[0, 1], [-1, 0]]),
}
"""By lattice: what turns the integers of a wave, a row, by 120° or 90°."""


def star(turns: tuple[int, int], lattice: str) -> tuple[tuple[int, int], ...]:
    """A wave and its images under rotations of the lattice, by 120° or by 90°; one of ±G only.

    >>> star((0, 1), "triangular")
    ((0, 1), (-1, -1), (1, 0))
    >>> star((1, 0), "square")
    ((1, 0), (0, 1))
    """
    wave, images = np.array(turns), [turns]
    while True:
        wave = wave @ ROTATIONS[lattice]
        image = (int(wave[0]), int(wave[1]))
        if image in images or (-image[0], -image[1]) in images:
            return tuple(images)
        images.append(image)


@dataclass(frozen=True)
class Fourier(OneBody):
    """λ Σ_n A_n cos(G_n·r + φ_n).

    Attributes:
        waves: the sum; those of one G add up.
    """

    name: ClassVar[str] = "fourier"
    summary: ClassVar[str] = "waves of the moiré lattice, lam sum A cos(G.r + phi)"
    parameters: ClassVar[tuple[Parameter, ...]] = (LAM,)

    waves: tuple[Wave, ...] = ()

    @cached_property
    def _turns(self) -> Integers:
        return np.array([wave.turns for wave in self.waves], dtype=np.int64).reshape(-1, 2)

    @cached_property
    def _halves(self) -> FloatArray:
        """½ A e^{iφ} of every wave."""
        phases = np.deg2rad([wave.phase_deg for wave in self.waves])
        halves: FloatArray = 0.5 * np.array([wave.amplitude for wave in self.waves]) * np.exp(1j * phases)
        return halves

    def components(self, values: Values) -> Components:
        """½ λ A e^{±iφ} at ±G."""
        half = values["lam"] * self._halves
        return Components(np.concatenate([self._turns, -self._turns]), np.concatenate([half, half.conj()]))

    def value(self, positions: Array, values: Values, cell: Supercell) -> Array:
        """V(r)."""
        import jax.numpy as jnp

        dtype = positions.dtype
        phases = positions @ jnp.asarray((self._turns @ cell.moire_reciprocal).T, dtype)
        total = jnp.cos(phases) @ jnp.asarray(2 * self._halves.real, dtype)
        return values["lam"] * (total - jnp.sin(phases) @ jnp.asarray(2 * self._halves.imag, dtype))

    def lower(self, values: Values) -> float:
        """λ times what Σ A cos(G·r + φ) cannot be below, or above for λ < 0."""
        lam = float(values["lam"])
        return lam * self._extremes[0 if lam >= 0 else 1]

    @cached_property
    def _extremes(self) -> tuple[float, float]:
        """Bounds of Σ A cos(G·r + φ).

        At an extremum the gradient is zero: a grid point h away differs by at most ½Kh² with K = Σ |A||G|². In
        coordinates along the moiré vectors h² becomes (½/n)² twice, and |G|² the largest of (2π)²(i² + j²).
        """
        still = ~self._turns.any(axis=1)
        amplitude = 2 * np.abs(self._halves)
        offset, reach = float(2 * self._halves[still].real.sum()), float(amplitude[~still].sum())
        low, high = offset - reach, offset + reach
        if len(self.waves) and np.abs(self._turns).max() < _FINE // 2:
            box = np.zeros((_FINE, _FINE), dtype=complex)
            np.add.at(box, tuple(self._turns.T), 2 * self._halves)
            grid = np.fft.ifft2(box, norm="forward").real
            squares = (2 * np.pi) ** 2 * (self._turns**2).sum(axis=1)
            missed = 0.5 * float(amplitude @ squares) * 2 * (0.5 / _FINE) ** 2
            low, high = max(low, float(grid.min()) - missed), min(high, float(grid.max()) + missed)
        return low, high
