"""Hartree–Fock orbitals as the start of a wavefunction: several determinants, each smooth in the point."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.wavefunction.orbitals.base import Choice, spin_blocks
from qernel.wavefunction.orbitals.bloch import fit_bands
from qernel.wavefunction.orbitals.chebyshev import Series
from qernel.wavefunction.orbitals.plane_waves import PlaneWaveOrbitals
from qernel.wavefunction.orbitals.waves import Turns


class HartreeFockOrbitals(PlaneWaveOrbitals):
    """φ_dj(r; p) = Σ_G C_djG(p) e^{iG·r} with C a polynomial through Hartree–Fock solutions at a few points.

    The solutions of one branch are rotated onto each other before they are interpolated
    (`qernel.hartree_fock.family`). Fixed determinants for every node, mixed by weights, would be as easy, but would
    move no electron between nodes and need as many determinants as nodes; a smooth family needs one for each branch.

    One determinant follows the branch of lower energy. Of several, the first has Bloch functions of the moiré potential
    alone and the others follow the crystal. The liquid of Hartree–Fock breaks the moiré translations, which gains much
    without a Jastrow factor and costs energy with one: for 24 electrons at λ = 0.4, before any training, ψ is 0.25 E0
    per electron lower with Bloch functions, and its density has the symmetry of the potential.

    `started` takes seconds to minutes. There are tens of thousands of amplitudes for N = 24, and noise in each of them
    costs energy; where a network dresses the orbitals they can stay as they are (``frozen``).
    """

    tilted: ClassVar[bool] = True

    amplitudes: list[Array]
    series: Series = eqx.field(static=True)
    complex: bool = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    dressed: Choice = eqx.field(static=True)
    frozen: bool = eqx.field(static=True)

    def __init__(
        self,
        series: Series,
        determinants: int,
        *,
        cutoff: float,
        complex: bool,
        dtype: Any,
        frozen: bool = False,
    ):
        self.series, self.complex, self.cutoff, self.frozen = series, complex, cutoff, frozen
        self.dressed = (True,) * determinants
        shape = (series.terms, 2, len(self.turns), determinants)
        blocks = spin_blocks(series.hamiltonian.electrons)
        self.amplitudes = [jnp.zeros((*shape, stop - start), dtype) for start, stop in blocks]

    @classmethod
    def of(cls, model: Any, hamiltonian: Hamiltonian, free: Choice, *, complex: bool, dtype: Any) -> Self:
        """See `Orbitals.of`."""
        low, high = hamiltonian.scales[0]
        orders = dict.fromkeys(hamiltonian.parameters, model.hf_order_others)
        series = Series.following(hamiltonian, orders | {"lam": model.hf_order if high > low else 1})
        frozen = not model.hf_trained
        return cls(series, len(free), cutoff=model.hf_cutoff, complex=complex, dtype=dtype, frozen=frozen)

    @property
    def turns(self) -> Turns:
        """See `PlaneWaveOrbitals.turns`; for real orbitals one of each ±G pair, zero included."""
        turns = self._basis()
        if self.complex:
            return turns
        return turns[(turns[:, 0] > 0) | ((turns[:, 0] == 0) & (turns[:, 1] >= 0))]

    def _basis(self) -> Turns:
        """The waves ``[n, 2]`` of Hartree–Fock."""
        from qernel.hartree_fock.search import mean_field

        return mean_field(self.hamiltonian, 1.0, self.cutoff).basis.turns

    def started(self) -> Self:
        """The same with amplitudes from Hartree–Fock solutions and bands at the nodes of the series."""
        from qernel.hartree_fock.family import orbital_families

        several = len(self.dressed) > 1
        families = orbital_families(
            self.hamiltonian,
            self.series.nodes,
            self.series.orders,
            len(self.dressed) - several,
            cutoff=self.cutoff,
            real=not self.complex,
            crystal=several,
        )
        _, kept, _ = self._rows()
        # cos and sin of G stand for both G and −G: c e^{iG·r} + c* e^{−iG·r} = 2 Re c cos − 2 Im c sin.
        fold = 1.0 if self.complex else np.where((self.turns == 0).all(1), 1.0, 2.0)[:, None, None]
        tables = []
        for spin in range(len(self.amplitudes)):
            values = np.array([[orbitals[spin][:, kept].T for orbitals in family] for family in families])
            stacked = np.moveaxis(values, 0, 2)  # [nodes, waves, determinants, orbitals]
            parts = [stacked.real, stacked.imag if self.complex else -stacked.imag]
            table = self.series.fit(np.stack([fold * part for part in parts], axis=1))
            tables.append(np.concatenate([self._bands(spin)[:, :, :, None], table], axis=3) if several else table)
        dtype = self.amplitudes[0].dtype
        return eqx.tree_at(lambda o: o.amplitudes, self, [jnp.asarray(table, dtype) for table in tables])

    def _rows(self) -> tuple[Turns, np.ndarray, np.ndarray]:
        """The waves of the Hartree–Fock basis ``[n, 2]``, and the rows of those kept and of their mirror images."""
        turns = self._basis()
        row = {(i, j): n for n, (i, j) in enumerate(turns.tolist())}
        own = self.turns.tolist()
        kept = np.array([row[i, j] for i, j in own])
        # With a twist the basis is not symmetric; complex orbitals need no mirrored waves.
        return turns, kept, kept if self.complex else np.array([row[-i, -j] for i, j in own])

    def _bands(self, spin: int) -> np.ndarray:
        """Amplitudes ``[terms, 2, waves, n]`` of the lowest Bloch functions of the one-body potential alone."""
        turns, kept, mirrored = self._rows()
        start, stop = spin_blocks(self.hamiltonian.electrons)[spin]
        waves = turns @ self.hamiltonian.supercell.reciprocal
        even, odd = np.moveaxis(fit_bands(self.series, stop - start, waves, self.complex), 1, 0)
        if self.complex:
            return self._orthonormal(np.stack([even[:, kept], odd[:, kept]], axis=1), np.ones(len(kept)))
        # G and −G have one place: cosines add, sines subtract; their mean squares are ½.
        pair = (mirrored != kept).astype(float)
        both = pair[:, None]
        table = np.stack([even[:, kept] + both * even[:, mirrored], odd[:, kept] - both * odd[:, mirrored]], axis=1)
        return self._orthonormal(table, 1.0 - 0.5 * pair)

    def _orthonormal(self, table: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Real coefficients ``[terms, 2, waves, n]`` of orthonormal orbitals that span the same space at every node.

        The determinants of a sum are only comparable if their orbitals are; S^(−1/2) keeps them smooth.

        Args:
            table: coefficients.
            squares: mean square of each wave ``[waves]``.
        """
        found = []
        for value in self.series.at_nodes(table):
            lengths, rotation = np.linalg.eigh(np.einsum("pgi,g,pgj->ij", value, squares, value))
            found.append(value @ (rotation / np.sqrt(lengths)) @ rotation.T)
        return self.series.fit(np.stack(found))
