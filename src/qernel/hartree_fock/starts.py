"""Determinants to start a Hartree–Fock minimisation from: Fermi seas, classical crystals, random ones.

Every start has a name that is kept with what it leads to. All random choices have fixed seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from qernel.hamiltonian.bands import one_body_bands
from qernel.hartree_fock.basis import PlaneWaves
from qernel.hartree_fock.classical import arrangements, floating, wells
from qernel.hartree_fock.functional import MeanField
from qernel.hartree_fock.minimise import Mask
from qernel.lattice import ComplexArray, FloatArray, holds_root_three

SITE_WIDTH = 0.27
"""Width in a_M of the Gaussians of a crystal start; the minimisation finds the right one."""

_NOISE = 1e-3
"""Share of random amplitude in starts that have a symmetry, so that none is kept for want of a way out."""


class Start(NamedTuple):
    """A determinant to start from.

    Attributes:
        name: where it comes from.
        amplitudes: independent rows per spin, ``[n_s, n]``.
        momenta: crystal momentum that each orbital keeps, ``[n_s, 2]`` per spin; None: none does.
    """

    name: str
    amplitudes: list[ComplexArray]
    momenta: list[FloatArray] | None = None


def starts(field: MeanField) -> Iterator[Start]:
    """Starting determinants of every kind, fewer for more electrons: each takes longer, and none is a surprise."""
    few = 2 if field.hamiltonian.count > 30 else 4 if field.hamiltonian.count > 12 else 8
    yield from _crystals(field, few)
    yield from _seas(field, free=max(1, few // 2))
    for seed in range(max(1, few // 2)):
        yield Start(f"random {seed}", _random(field, seed))


def momentum_masks(basis: PlaneWaves, momenta: list[FloatArray]) -> list[Mask]:
    """Which plane waves have the crystal momentum of each orbital, ``[n_s, n]`` per spin."""
    masks = []
    for block in momenta:
        offset = (basis.momenta[None] - block[:, None]) @ basis.supercell.primitive.T / (2 * np.pi)
        masks.append(np.abs(offset - np.rint(offset)).max(-1) < 1e-6)
    return masks


def _random(field: MeanField, seed: int) -> list[ComplexArray]:
    """Orbitals of random amplitudes that fall off beyond the momenta of one moiré cell."""
    rng = np.random.default_rng([17, seed])
    envelope = np.exp(-field.basis.kinetic / 20.0)
    shapes = [(count, len(envelope)) for count in field.counts]
    return [(rng.normal(size=shape) + 1j * rng.normal(size=shape)) * envelope for shape in shapes]


def _noisy(field: MeanField, blocks: list[ComplexArray], seed: int) -> list[ComplexArray]:
    noise = _random(field, 1000 + seed)
    return [
        block / np.linalg.norm(block, axis=1, keepdims=True)
        + _NOISE * rough / np.linalg.norm(rough, axis=1, keepdims=True)
        for block, rough in zip(blocks, noise, strict=True)
    ]


def _crystals(field: MeanField, patterns: int) -> Iterator[Start]:
    """One Gaussian on each site of a classical crystal."""
    for seed, (name, sites) in enumerate(_arrangements(field, patterns)):
        order = sites if len(field.counts) == 1 else np.random.default_rng([23, seed]).permutation(sites)
        blocks, begin = [], 0
        for count in field.counts:
            blocks.append(_gaussians(field, order[begin : begin + count]))
            begin += count
        yield Start(name, _noisy(field, blocks, seed))


def _arrangements(field: MeanField, patterns: int) -> Iterator[tuple[str, FloatArray]]:
    """Names and positions ``[N, 2]``: electrons on wells, lowest energy first, and a lattice that ignores the wells."""
    hamiltonian = field.hamiltonian
    cell, total = hamiltonian.supercell, hamiltonian.count
    level, known = wells(hamiltonian, field.values).level, 0
    if 3 * total in (cell.cells, 2 * cell.cells) and len(level) == cell.cells and holds_root_three(cell):
        name = "honeycomb" if 3 * total == 2 * cell.cells else "triangular"
        yield f"{name} crystal", level[cell.crystal(0, total)]
        known = 1
    found = arrangements(hamiltonian, field.values)
    for number, sites in enumerate(found[known:patterns]):
        yield f"pattern {number}", sites
    lattices = floating(hamiltonian, field.values)
    for number, sites in enumerate(lattices[: patterns if field.uniform else 1]):
        yield f"floating crystal {number}", sites


def _gaussians(field: MeanField, centres: FloatArray) -> ComplexArray:
    momenta = field.basis.momenta
    result: ComplexArray = np.exp(-1j * centres @ momenta.T - field.basis.kinetic * SITE_WIDTH**2)
    return result


def _seas(field: MeanField, free: int) -> Iterator[Start]:
    """One-body Bloch states: the N lowest, and Fermi seas around other momenta.

    With every orbital kept at its crystal momentum they lead to solutions with the symmetry of the moiré lattice; the
    first ``free`` also come with some noise and no constraint.
    """
    cell = field.hamiltonian.supercell
    b1, b2 = cell.shortest_reciprocal
    centres = [np.zeros(2), (2.0 * b1 + b2) / 3.0, b1 / 2]  # of the triangular lattice: Γ, K and M
    centres += [row @ cell.reciprocal for row in np.array([[0.5, 0.0], [0.5, 0.5], [1 / 3, 1 / 3]])]
    for number, centre in enumerate(centres):
        pairs = [_bloch(field, count, centre) for count in field.counts]
        blocks = [amplitudes for amplitudes, _ in pairs]
        yield Start(f"Fermi sea {number}", blocks, [momenta for _, momenta in pairs])
        if number < free:
            parts = [_real_parts(field, block) for block in blocks]
            yield Start(f"Fermi sea {number}, free", _noisy(field, parts, number))


def _real_parts(field: MeanField, block: ComplexArray) -> ComplexArray:
    """As many real functions with the span of the parts of Bloch states, if orbitals have to be real."""
    if not field.real:
        return block
    parts = np.concatenate([field.symmetrised(block), field.symmetrised(1j * block)])
    chosen: list[ComplexArray] = []
    for part in parts:
        for previous in chosen:
            part = part - np.vdot(previous, part) * previous
        if np.linalg.norm(part) > 1e-6:
            chosen.append(part / np.linalg.norm(part))
    return np.array(chosen[: len(block)])


def _bloch(field: MeanField, count: int, centre: FloatArray) -> tuple[ComplexArray, FloatArray]:
    """``count`` Bloch states and their crystal momenta: the lowest ones, or band by band around a momentum."""
    hamiltonian, basis = field.hamiltonian, field.basis
    cell = hamiltonian.supercell
    states = (-(-count // cell.cells) + 1) * cell.cells
    bands = one_body_bands(hamiltonian, field.point, states, cutoff=min(basis.cutoff, 60.0))
    momenta = bands.waves[:, 0]
    key = bands.energies
    if centre.any():
        level = [int((bands.momentum[:index] == kind).sum()) for index, kind in enumerate(bands.momentum)]
        turns = (momenta - centre) @ cell.shortest.T / (2 * np.pi)
        reach = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)
        images = (turns - np.rint(turns))[:, None] + reach
        key = np.linalg.norm(images @ cell.shortest_reciprocal, axis=-1).min(1) + 1e3 * np.array(level)
    chosen = np.argsort(np.round(key, 8), kind="stable")[:count]
    row = {(i, j): index for index, (i, j) in enumerate(basis.turns.tolist())}
    block = np.zeros((count, len(basis.turns)), dtype=complex)
    for state, index in enumerate(chosen):
        waves = np.rint((bands.waves[index] - hamiltonian.twist_momentum) @ cell.vectors.T / (2 * np.pi)).astype(int)
        for (i, j), coefficient in zip(waves.tolist(), bands.coefficients[index], strict=True):
            if (i, j) in row:
                block[state, row[i, j]] = coefficient
    return block, momenta[chosen]
