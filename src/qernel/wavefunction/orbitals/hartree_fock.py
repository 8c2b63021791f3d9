"""Hartree–Fock orbitals as the start of a wavefunction: several determinants, each smooth in λ."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet
from qernel.wavefunction.orbitals.base import (
    BlochOrbitals,
    by_species,
    chebyshev_fit,
    chebyshev_nodes,
    fit_bands,
    plane_wave_orbitals,
    spin_blocks,
)
from qernel.wavefunction.orbitals.waves import Waves


class HartreeFockOrbitals(eqx.Module):
    """φ_dj(r; λ) = Σ_G C_djG(λ) e^{iG·r} with C a Chebyshev polynomial through Hartree–Fock solutions at a few λ.

    The solutions of one branch are rotated onto each other before they are interpolated
    (`qernel.hartree_fock.family`). Fixed determinants for every node, mixed by weights, would be as easy, but would
    move no electron between nodes and need as many determinants as nodes; a smooth family needs one for each branch.

    One determinant follows the branch of lower energy. Of several, the first has Bloch functions of the moiré potential
    alone and the others follow the crystal. The liquid of Hartree–Fock breaks the moiré translations, which gains much
    without a Jastrow factor and costs energy with one: for 24 electrons at λ = 0.4, before any training, ψ is 0.25 E0
    per electron lower with Bloch functions, and its density has the symmetry of the potential.

    Amplitudes are zero until `started` has solved Hartree–Fock, which takes seconds to minutes: a model that is read
    from a file does not need it. There are tens of thousands for N = 24, and noise in each of them costs energy;
    where a network dresses the orbitals they can stay as they are (``frozen``).
    """

    amplitudes: list[Array]
    hamiltonian: Hamiltonian = eqx.field(static=True)
    determinants: int = eqx.field(static=True)
    complex: bool = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    order: int = eqx.field(static=True)
    frozen: bool = eqx.field(static=True)

    def __init__(
        self,
        hamiltonian: Hamiltonian,
        determinants: int,
        *,
        order: int,
        cutoff: float,
        complex: bool,
        dtype: Any,
        frozen: bool = False,
    ):
        self.frozen = frozen
        self.hamiltonian, self.determinants, self.complex, self.cutoff = hamiltonian, determinants, complex, cutoff
        low, high = hamiltonian.ranges[0]
        self.order = order if high > low else 1
        shape = (self.order, 2, len(self._turns), determinants)
        blocks = spin_blocks(hamiltonian.electrons)
        self.amplitudes = [jnp.zeros((*shape, stop - start), dtype) for start, stop in blocks]

    @property
    def _turns(self) -> np.ndarray:
        """Integer coordinates of the waves; for real orbitals one of each ±G pair, zero included."""
        from qernel.hartree_fock.search import mean_field

        turns = mean_field(self.hamiltonian, 1.0, self.cutoff).basis.turns
        if self.complex:
            return turns
        return turns[(turns[:, 0] > 0) | ((turns[:, 0] == 0) & (turns[:, 1] >= 0))]

    def started(self) -> HartreeFockOrbitals:
        """The same with amplitudes from Hartree–Fock solutions and bands at Chebyshev nodes of the λ range."""
        from qernel.hartree_fock.family import orbital_families

        low, high = self.hamiltonian.ranges[0]
        nodes = chebyshev_nodes(self.order)
        lam = 0.5 * (low + high) + 0.5 * (high - low) * nodes
        several = self.determinants > 1
        families = orbital_families(
            self.hamiltonian,
            lam[::-1].tolist(),
            self.determinants - several,
            cutoff=self.cutoff,
            real=not self.complex,
            crystal=several,
        )
        _, kept, _ = self._rows()
        # cos and sin of G stand for both G and −G: c e^{iG·r} + c* e^{−iG·r} = 2 Re c cos − 2 Im c sin.
        fold = 1.0 if self.complex else np.where((self._turns == 0).all(1), 1.0, 2.0)[:, None, None]
        tables = []
        for spin in range(len(self.amplitudes)):
            values = np.array([[orbitals[spin][:, kept].T for orbitals in family] for family in families])
            stacked = np.moveaxis(values, 0, 2)[::-1]  # [nodes, waves, determinants, orbitals]
            parts = [stacked.real, stacked.imag if self.complex else -stacked.imag]
            table = chebyshev_fit(np.stack([fold * part for part in parts], axis=1))
            tables.append(np.concatenate([self._bands(spin)[:, :, :, None], table], axis=3) if several else table)
        dtype = self.amplitudes[0].dtype
        return eqx.tree_at(lambda o: o.amplitudes, self, [jnp.asarray(table, dtype) for table in tables])

    def _rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The waves of the Hartree–Fock basis ``[n, 2]``, and the rows of those kept and of their mirror images."""
        from qernel.hartree_fock.search import mean_field

        turns = mean_field(self.hamiltonian, 1.0, self.cutoff).basis.turns
        row = {(i, j): n for n, (i, j) in enumerate(turns.tolist())}
        own = self._turns.tolist()
        kept = np.array([row[i, j] for i, j in own])
        # With a twist the basis is not symmetric; complex orbitals need no mirrored waves.
        return turns, kept, kept if self.complex else np.array([row[-i, -j] for i, j in own])

    def _bands(self, spin: int) -> np.ndarray:
        """Amplitudes ``[order, 2, waves, n]`` of the lowest Bloch functions of the moiré potential alone."""
        turns, kept, mirrored = self._rows()
        start, stop = spin_blocks(self.hamiltonian.electrons)[spin]
        waves = turns @ self.hamiltonian.supercell.reciprocal
        even, odd = np.moveaxis(fit_bands(self.hamiltonian, stop - start, waves, self.order, self.complex), 1, 0)
        if self.complex:
            return _orthonormal(np.stack([even[:, kept], odd[:, kept]], axis=1), np.ones(len(kept)))
        # G and −G have one place: cosines add, sines subtract; their mean squares are ½.
        pair = (mirrored != kept).astype(float)
        both = pair[:, None]
        table = np.stack([even[:, kept] + both * even[:, mirrored], odd[:, kept] - both * odd[:, mirrored]], axis=1)
        return _orthonormal(table, 1.0 - 0.5 * pair)

    def __call__(self, positions: Array | Jet, point: Array) -> list[Any]:
        """Positions ``[N, 2]`` → one matrix ``[n, determinants, n]`` (electron, orbital) per spin species."""
        species = by_species(self.hamiltonian, self.orbitals(point), positions)
        return [waves.at(own) for waves, own in species]

    def orbitals(self, point: Array) -> list[Waves]:
        """The orbitals of every spin species ``[determinants, n]``."""
        return plane_wave_orbitals(self.hamiltonian, self._turns, self.amplitudes, point, complex=self.complex)


def _orthonormal(table: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Real coefficients ``[order, 2, waves, n]`` of orthonormal orbitals that span the same space at every node.

    The determinants of a sum are only comparable if their orbitals are; S^(−1/2) keeps them smooth in λ.

    Args:
        table: Chebyshev coefficients.
        squares: mean square of each wave ``[waves]``.
    """
    order = len(table)
    values = np.tensordot(np.polynomial.chebyshev.chebvander(chebyshev_nodes(order), order - 1), table, 1)
    found = []
    for value in values:
        lengths, rotation = np.linalg.eigh(np.einsum("pgi,g,pgj->ij", value, squares, value))
        found.append(value @ (rotation / np.sqrt(lengths)) @ rotation.T)
    return chebyshev_fit(np.stack(found))


def started(wavefunction: Any) -> Any:
    """A wavefunction with all `BlochOrbitals` and `HartreeFockOrbitals` in it started."""

    def chosen(part: Any) -> bool:
        return isinstance(part, BlochOrbitals | HartreeFockOrbitals)

    return jax.tree.map(lambda part: part.started() if chosen(part) else part, wavefunction, is_leaf=chosen)
