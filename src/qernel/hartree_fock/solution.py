"""A Hartree–Fock solution: orbitals, energies, and what kind of state it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qernel.hartree_fock.folding import folded, most_parts, unfolded
from qernel.hartree_fock.functional import MeanField, Orbitals, Parts, orthonormal
from qernel.hartree_fock.minimise import minimise
from qernel.hartree_fock.starts import momentum_masks
from qernel.lattice import ComplexArray, FloatArray, holds_root_three
from qernel.structure import CRYSTAL, Order, largest


@dataclass(frozen=True)
class Solution:
    """A stationary point of the Hartree–Fock energy; energies are per electron in E0.

    Attributes:
        field: the functional: Hamiltonian, point, basis.
        orbitals: plane-wave amplitudes ``[n_s, n]`` of the occupied orbitals of each spin on ``field.basis``.
        parts: total energies.
        residual: ‖(1 − P) F φ‖ per orbital in E0.
        tolerance: the residual that was asked for.
        origin: the start that led here.
        momenta: crystal momentum of each orbital ``[n_s, 2]`` where that was imposed.
        starts: how many starting determinants were minimised at this λ, of those with `momenta` or of those without.
        agreed: how many of them led to this state, in energy; the others ended higher.
    """

    field: MeanField
    orbitals: Orbitals
    parts: Parts
    residual: float
    tolerance: float
    origin: str
    momenta: list[FloatArray] | None = None
    starts: int = 0
    agreed: int = 0

    @property
    def lam(self) -> float:
        """λ."""
        return self.field.values["lam"]

    @property
    def point(self) -> dict[str, float]:
        """The parameters of the family, λ first."""
        return dict(zip(self.field.hamiltonian.parameters, self.field.point.tolist(), strict=True))

    @property
    def energy(self) -> float:
        """Energy per electron in E0."""
        return self.parts.energy / self.field.hamiltonian.count

    @property
    def converged(self) -> bool:
        """Whether the residual is as small as was asked for."""
        return self.residual <= self.tolerance

    @property
    def symmetric(self) -> bool:
        """Whether the symmetry of the moiré lattice was imposed."""
        return self.momenta is not None

    @cached_property
    def _structure(self) -> tuple[float, float] | None:
        cell = self.field.hamiltonian.supercell
        return self.field.structure(self.orbitals, cell.k_point) if holds_root_three(cell) else None

    @property
    def order_parameter(self) -> float | None:
        """⟨|ρ_K|²⟩ of the determinant, comparable with the sampled one; None where K does not fit the supercell."""
        return None if self._structure is None else self._structure[1]

    @cached_property
    def _harmonics(self) -> FloatArray:
        """|⟨ρ_q⟩|² of the density at the waves of the FFT grid."""
        density = self.field.density(self.orbitals)
        harmonics: FloatArray = np.abs(np.fft.fft2(density) / density.sum()) ** 2
        return harmonics

    @cached_property
    def order(self) -> Order:
        """The largest |⟨ρ_q⟩|² that the translations of the Hamiltonian do not explain, and its q."""
        waves, cell = self.field.basis.grid_waves(), self.field.hamiltonian.supercell
        return largest(self._harmonics, waves, cell, uniform=self.field.uniform)

    @property
    def broken_symmetry(self) -> float:
        """|⟨ρ_q⟩|² of `order`."""
        return self.order.strength

    @property
    def branch(self) -> str:
        """``crystal``, ``density wave`` or ``liquid``, by `broken_symmetry` (`qernel.structure`)."""
        return self.order.word

    @cached_property
    def kind(self) -> str:
        """The branch that is followed in λ.

        ``symmetric`` where the symmetry of the moiré lattice was imposed; ``crystal`` with the order of the classical
        crystal of this filling, or any where there is no potential; else ``other``.
        """
        if self.symmetric:
            return "symmetric"
        strength = self.order.strength
        waves = self.field.crystal_waves
        if len(waves):
            moire = self.field.hamiltonian.supercell.primitive.T / (2 * np.pi)
            turns = (self.field.basis.grid_waves()[:, :, None] - waves) @ moire
            own = (np.abs(turns - np.rint(turns)).max(-1) < 1e-6).any(-1)
            strength = float(np.max(self._harmonics, where=own, initial=0.0))
        return "crystal" if strength > CRYSTAL else "other"

    @cached_property
    def basis_error(self) -> float:
        """How far the energy per electron lies above that of a complete basis, in E0, by perturbation theory.

        Σ |⟨q|F|φ_j⟩|²/(½q²) over plane waves q between the cut-off and twice the cut-off.
        """
        field, orbitals = folded(self.field, self.orbitals)
        basis = replace(field.basis, cutoff=2 * field.basis.cutoff)
        _, fock = replace(field, basis=basis).apply([basis.embed(block, field.basis) for block in orbitals])
        beyond = basis.kinetic > field.basis.cutoff * (1 + 1e-12)
        total = sum(float((np.abs(block[:, beyond]) ** 2 / basis.kinetic[beyond]).sum()) for block in fock)
        return total / field.hamiltonian.count


def solve(
    field: MeanField,
    amplitudes: Sequence[ComplexArray],
    origin: str,
    momenta: list[FloatArray] | None = None,
    *,
    tolerance: float = 1e-5,
    evaluations: int = 400,
) -> Solution:
    """The solution below a starting determinant (see `minimise`)."""
    if momenta is None:
        found = minimise(field, amplitudes, tolerance=tolerance, evaluations=evaluations)
        return Solution(field, found.orbitals, found.parts, found.residual, tolerance, origin)
    field = replace(field, real=False)
    masks = momentum_masks(field.basis, momenta)
    own = replace(field, basis=replace(field.basis, folds=most_parts(field)))
    found = minimise(own, amplitudes, tolerance=tolerance, evaluations=evaluations, masks=masks)
    return Solution(field, found.orbitals, found.parts, found.residual, tolerance, origin, momenta)


def refined(solution: Solution, field: MeanField, *, tolerance: float, evaluations: int = 400) -> Solution:
    """The solution that another one leads to in a larger basis, with the translations that leave it as it is imposed.

    Where a part of the supercell repeats, as in a crystal, this costs as many times less as there are parts.
    """
    amplitudes = [field.basis.embed(block, solution.field.basis) for block in solution.orbitals]
    if solution.momenta is not None:
        return solve(field, amplitudes, solution.origin, solution.momenta, tolerance=tolerance, evaluations=evaluations)
    own, functions = folded(field, orthonormal(amplitudes)[0])
    if own is not field:
        masks = [(own.basis.kinds == own.basis.kinds_of(block)[:, None]).all(-1) for block in functions]
        found = minimise(own, functions, tolerance=tolerance, evaluations=evaluations, masks=masks)
        orbitals = unfolded(field, found.orbitals)
        if orbitals is not None:
            return Solution(field, orbitals, found.parts, found.residual, tolerance, solution.origin)
    return solve(field, amplitudes, solution.origin, tolerance=tolerance, evaluations=evaluations)


def carried(solution: Solution, field: MeanField, origin: str, *, tolerance: float, evaluations: int = 400) -> Solution:
    """The solution that another one leads to at another point or in another basis."""
    amplitudes = [field.basis.embed(block, solution.field.basis) for block in solution.orbitals]
    return solve(field, amplitudes, origin, solution.momenta, tolerance=tolerance, evaluations=evaluations)
