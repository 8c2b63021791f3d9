"""Orbital matrices and the sum of determinants made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.bands import one_body_bands
from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.determinant import readout_log_det
from qernel.laplacian.jet import Jet, Operand, contract, electrons, linear, pointwise, value_of
from qernel.lattice import FloatArray, Integers, Supercell, lattice_points
from qernel.wavefunction.base import dense
from qernel.wavefunction.orbitals.waves import Turns, Waves
from qernel.wavefunction.parts.conditioning import Conditioned, Film


def spin_blocks(electrons: tuple[int, int]) -> list[tuple[int, int]]:
    """Start and stop of each non-empty spin species."""
    up, down = electrons
    return [block for block in ((0, up), (up, up + down)) if block[1] > block[0]]


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


class BlochOrbitals(eqx.Module):
    """One-body Bloch functions of the moiré potential along λ, as trainable plane-wave amplitudes.

    φ_j(r; λ) = Σ_G C_jG(λ) e^{iG·r} with C_jG a Chebyshev polynomial in the scaled λ, fitted to the
    exact bands at the start, with the moiré phase in the middle of its interval. Where the bare bands are the answer
    (U = 0), so is this. Real ansätze use the real and imaginary parts of time-reversal pairs.

    Amplitudes are zero until `started` has computed the bands: a model that is read from a file does not need it.
    """

    amplitudes: list[Array]
    hamiltonian: Hamiltonian = eqx.field(static=True)
    complex: bool = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)

    def __init__(self, hamiltonian: Hamiltonian, *, order: int, cutoff: float, complex: bool, dtype: Any):
        self.hamiltonian, self.complex, self.cutoff = hamiltonian, complex, cutoff
        shape = (order, 2, len(self._waves))
        self.amplitudes = [
            jnp.zeros((*shape, stop - start), dtype) for start, stop in spin_blocks(hamiltonian.electrons)
        ]

    def started(self) -> BlochOrbitals:
        """The same with amplitudes from the bands at Chebyshev nodes of the λ range."""
        amplitudes = [
            jnp.asarray(
                fit_bands(self.hamiltonian, table.shape[-1], self._waves, len(table), self.complex), table.dtype
            )
            for table in self.amplitudes
        ]
        return eqx.tree_at(lambda orbitals: orbitals.amplitudes, self, amplitudes)

    @property
    def _waves(self) -> FloatArray:
        """Supercell reciprocal vectors kept, ``[n, 2]``: all of them, since orbitals sit at any momentum."""
        return lattice_points(self.hamiltonian.supercell.reciprocal, float(np.sqrt(2.0 * self.cutoff)))

    def __call__(self, positions: Array | Jet, point: Array) -> list[Any]:
        """Positions ``[N, 2]`` → one matrix ``[n, n]`` (electron, orbital) per spin species."""
        species = by_species(self.hamiltonian, self.orbitals(point), positions)
        return [waves.at(own) for waves, own in species]

    def orbitals(self, point: Array) -> list[Waves]:
        """The orbitals of every spin species ``[n]``."""
        turns = np.array(_turns(self.hamiltonian.supercell, self._waves))
        return plane_wave_orbitals(self.hamiltonian, turns, self.amplitudes, point, complex=self.complex)


def plane_wave_orbitals(
    hamiltonian: Hamiltonian, turns: Turns, amplitudes: Sequence[Array], point: Array, *, complex: bool
) -> list[Waves]:
    """The orbitals of every spin species at a point, from amplitudes that are Chebyshev polynomials in the scaled λ.

    Args:
        hamiltonian: supercell and range of λ.
        turns: the waves (`Waves`).
        amplitudes: ``[order, 2, waves, ...]`` per species: of cosines and sines for real orbitals, real and imaginary
            parts for complex ones.
        point: family parameters ``[p]``.
        complex: which of the two.
    """
    orbitals = []
    for amplitude in amplitudes:
        scaled = hamiltonian.scaled(point)[0].astype(amplitude.dtype)
        even, odd = jnp.tensordot(chebyshev(scaled, amplitude.shape[0]), amplitude, 1)
        if complex:
            even, odd = even + 1j * odd, 1j * even - odd
        orbitals.append(Waves(hamiltonian.supercell, turns, even, odd))
    return orbitals


def by_species(hamiltonian: Hamiltonian, orbitals: Sequence[Waves], positions: Operand) -> list[tuple[Waves, Any]]:
    """The orbitals of each spin species with the positions of its electrons, of all positions ``[N, 2]``."""
    blocks = spin_blocks(hamiltonian.electrons)
    return [(waves, electrons(positions, start, stop)) for waves, (start, stop) in zip(orbitals, blocks, strict=True)]


class CrystalOrbitals(eqx.Module):
    """Orbitals localised on the sites of the √3×√3 generalised Wigner crystal, one set per registry.

    φ_j(r) ∝ exp(κ Σ_G [cos G·(r − R_j) − 1]) over the first shell of the supercell: a periodic
    Gaussian of width σ. At filling 2/3 two of the three sublattices are occupied and a registry says which
    one is empty; at filling 1/3 it says which one is occupied. Determinants 1, 2, 3 of a sum start from the
    three registries, determinant 0 stays uninformed.
    """

    sharpness: Array
    hamiltonian: Hamiltonian = eqx.field(static=True)
    determinants: int = eqx.field(static=True)

    def __init__(self, hamiltonian: Hamiltonian, determinants: int, *, width: float = 0.27, dtype: Any):
        self.hamiltonian, self.determinants = hamiltonian, determinants
        curvature = (self._waves**2).sum() / 2.0
        self.sharpness = jnp.asarray(1.0 / (width**2 * curvature), dtype)

    @property
    def _waves(self) -> FloatArray:
        return self.hamiltonian.supercell.shells(1)

    def _sites(self, registry: int) -> FloatArray:
        cell = self.hamiltonian.supercell
        return cell.translations[cell.crystal(registry, self.hamiltonian.count)]

    def __call__(self, positions: Array | Jet) -> Any:
        """Positions ``[N, 2]`` → factors ``[N, determinants, N]``; 1 for the uninformed determinant."""
        dtype = self.sharpness.dtype
        waves = self._waves
        sites = np.stack([self._sites(registry) for registry in range(3)])[(np.arange(self.determinants) - 1) % 3]
        phases = jnp.asarray(sites @ waves.T, dtype)
        informed = jnp.asarray((np.arange(self.determinants) > 0)[:, None], dtype)
        angles = contract("nx,xg->ng", positions, jnp.asarray(waves.T, dtype))
        cos, sin = pointwise(jnp.cos, angles), pointwise(jnp.sin, angles)
        overlap = contract("ng,djg->ndj", cos, jnp.cos(phases)) + contract("ng,djg->ndj", sin, jnp.sin(phases))
        # Between unit mean square and unit peak: there the two kinds of determinant start out comparable.
        sigma_squared = 1.0 / (self.sharpness * float((waves**2).sum() / 2.0))
        norm = 0.25 * jnp.log(self.hamiltonian.supercell.area / (jnp.pi * sigma_squared))
        exponent = (overlap + (-float(len(waves)))) * self.sharpness + norm
        return pointwise(jnp.exp, exponent * informed)


def chebyshev(x: Array, order: int) -> Array:
    """T_0 … T_{order−1} at x, by recurrence so that points beyond the range stay finite."""
    terms = [jnp.ones_like(x), x]
    while len(terms) < order:
        terms.append(2.0 * x * terms[-1] - terms[-2])
    return jnp.stack(terms[:order])


def chebyshev_nodes(order: int) -> FloatArray:
    """Where in [−1, 1] a function is to be known for `chebyshev_fit`, in descending order."""
    return np.cos(np.pi * (np.arange(order) + 0.5) / order) if order > 1 else np.zeros(1)


def chebyshev_fit(values: FloatArray) -> FloatArray:
    """Coefficients ``[order, ...]`` of the polynomial through values ``[order, ...]`` at the Chebyshev nodes."""
    order = len(values)
    basis = np.cos(np.arange(order)[:, None] * np.arccos(chebyshev_nodes(order))[None, :])
    scale = np.where(np.arange(order) == 0, 1.0, 2.0)[:, None] / order
    coefficients: FloatArray = np.tensordot(scale * basis, values, 1)
    return coefficients


def fit_bands(hamiltonian: Hamiltonian, states: int, waves: FloatArray, order: int, complex: bool) -> FloatArray:
    """Chebyshev coefficients ``[order, 2, waves, states]`` of the lowest one-body states along λ.

    Neighbouring λ are aligned by the orthogonal Procrustes rotation of the *occupied subspace*, which
    leaves the determinant unchanged and makes the amplitudes smooth even where bands cross inside it.
    """
    low, high = hamiltonian.ranges[0] if hamiltonian.parameters[0] == "lam" else (1.0, 1.0)
    tables: list[np.ndarray] = []
    for node in chebyshev_nodes(order):
        lam = 0.5 * (low + high) + 0.5 * (high - low) * node
        table = _occupied(hamiltonian, lam, states, waves, complex, tables[-1] if tables else None)
        if tables:
            u, _, v = np.linalg.svd(table.conj().T @ tables[-1])
            table = table @ (u @ v)
        tables.append(table)
    fitted = chebyshev_fit(np.stack(tables))
    if complex:
        return np.stack([fitted.real, fitted.imag], axis=1)
    half = len(waves)
    return np.stack([fitted[:, :half], fitted[:, half:]], axis=1)


def _occupied(
    hamiltonian: Hamiltonian,
    lam: float,
    states: int,
    waves: FloatArray,
    complex: bool,
    previous: np.ndarray | None,
) -> np.ndarray:
    """Orthonormal amplitudes of the lowest one-body states on the wave list.

    Where the highest level is only partly filled, the states chosen from it are those closest to
    ``previous``: any other choice would jump between neighbouring λ, and no polynomial could follow.

    Returns:
        Complex: ``[waves, states]``. Real: cos rows above sin rows, ``[2 waves, states]``.
    """
    cell, shift = hamiltonian.supercell, hamiltonian.twist_momentum
    cutoff = max(400.0, float((waves**2).sum(1).max()))
    point = list((hamiltonian.middle | {"lam": lam}).values())
    bands = one_body_bands(hamiltonian, point, states + _SPARE, cutoff=cutoff)
    row = {turns: index for index, turns in enumerate(_turns(cell, waves))}
    mirrors = np.array([] if complex else [row[-i, -j] for i, j in row], dtype=np.int64)
    table = np.zeros((len(waves), len(bands.energies)), dtype=np.complex128)
    for state, (block, coefficients) in enumerate(zip(bands.waves, bands.coefficients, strict=True)):
        for turns, coefficient in zip(_turns(cell, block - shift), coefficients, strict=True):
            if turns in row:
                table[row[turns], state] = coefficient
    chosen = np.zeros((len(table) if complex else 2 * len(table), 0))
    for level in np.split(np.arange(len(bands.energies)), np.flatnonzero(np.diff(bands.energies) > 1e-7) + 1):
        if chosen.shape[1] == states:  # the levels above may have nothing within the waves
            break
        block = table[:, level] if complex else _real_states(table[:, level], mirrors)
        missing = states - chosen.shape[1]
        if missing < block.shape[1] and previous is not None:
            block = block @ np.linalg.svd(block.conj().T @ previous)[0]
        chosen = np.concatenate([chosen, block[:, :missing]], axis=1)
    return chosen


_SPARE = 12
"""States computed beyond the occupied ones, so that the highest level is complete: 12 is the largest degeneracy."""


def _turns(cell: Supercell, waves: FloatArray) -> list[tuple[int, int]]:
    """Integer coordinates of reciprocal vectors of the supercell."""
    return [(i, j) for i, j in np.rint(waves @ cell.vectors.T / (2 * np.pi)).astype(int).tolist()]


def _real_states(level: np.ndarray, mirrors: Integers) -> FloatArray:
    """Orthonormal real states ``[2 waves, n]`` of one level, out of the parts of its complex ones ``[waves, n]``.

    ``mirrors`` has the index of −G for every wave G ``[waves]``.
    """
    # e^{iG·r} = cos + i sin: the real and imaginary parts of each state are real solutions too.
    cos_sin = np.concatenate([level, 1j * level])
    candidates = _fold(np.stack([cos_sin.real, cos_sin.imag], axis=-1).reshape(len(cos_sin), -1), mirrors)
    chosen: list[np.ndarray] = []
    for column in candidates.T:
        residual = column.copy()
        for previous in chosen:
            residual -= previous * (previous @ residual)
        norm = np.linalg.norm(residual)
        if norm > 1e-3 * max(float(np.linalg.norm(column)), 1e-30) and norm > 1e-6:
            chosen.append(residual / norm)
        if len(chosen) == level.shape[1]:
            break
    return np.stack(chosen, axis=1)


def _fold(table: FloatArray, mirrors: Integers) -> FloatArray:
    """Move the amplitude of −G, at ``mirrors``, onto G (cos adds, sin subtracts), keeping one of each pair.

    cos is even and sin odd in G: without this, copies of one function would look independent.
    """
    half = len(mirrors)
    folded = table.copy()
    own = np.arange(half)
    later, alone = own[mirrors < own], own[mirrors == own]
    kept = mirrors[later]
    folded[kept] += folded[later]
    folded[half + kept] -= folded[half + later]
    folded[later] = folded[half + later] = folded[half + alone] = 0.0
    return folded


class DeterminantSum(eqx.Module):
    """log |Σ_d w_d(λ) Π_σ det M_dσ| with trainable, conditioned determinant weights."""

    weights: Conditioned

    def __init__(self, determinants: int, condition: int, *, tilted: bool, dtype: Any):
        """Equal weights, or, when ``tilted``, determinant 0 favoured at low λ and the others at high λ."""
        self.weights = Conditioned(jnp.ones(determinants, dtype), condition)
        if tilted and condition:
            # The condition begins with the scaled λ in [−1, 1]: weights 1 − x and 1 + x.
            tilt = jnp.where(jnp.arange(determinants) == 0, -1.0, 1.0).astype(dtype)
            slope = jnp.zeros((condition, determinants), dtype).at[0].set(tilt)
            self.weights = eqx.tree_at(lambda w: w.slope, self.weights, slope)

    @property
    def count(self) -> int:
        """Number of determinants."""
        return self.weights.base.shape[0]

    def __call__(self, species: list[tuple[Array, Any]], condition: Array) -> tuple[Array, Any]:
        """(signs ``[determinants]``, logarithms ``[determinants]``) per spin → (sign, log) of the weighted sum."""
        (sign, log), *others = species
        for other_sign, other_log in others:
            sign, log = sign * other_sign, log + other_log
        weights = self.weights(condition)
        if weights.shape[0] == 1:
            return sign[0], linear(lambda row: row[0], log)
        return weighted_sum(sign * weights, log)


def weighted_sum(weights: Array, log: Operand) -> tuple[Array, Any]:
    """(sign, log) of Σ_k w_k exp(log_k), from weights and logarithms ``[k]``."""
    # The common factor is a constant for every derivative: only the value is shifted back.
    largest = jax.lax.stop_gradient(jnp.max(jnp.real(value_of(log))))
    terms = pointwise(jnp.exp, log + (-largest)) * weights
    total = linear(lambda row: row.sum(-1), terms)
    if jnp.iscomplexobj(value_of(total)):
        return jnp.ones_like(value_of(total)), pointwise(jnp.log, total) + largest
    return jnp.sign(value_of(total)), pointwise(lambda s: jnp.log(jnp.abs(s)), total) + largest
