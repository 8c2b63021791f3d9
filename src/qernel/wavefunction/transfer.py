"""A trained network inside another one: with more blocks, in other orbitals, or with one determinant of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from qernel.hartree_fock.alignment import nearest
from qernel.lattice import ComplexArray, Integers
from qernel.wavefunction.base import Wavefunction
from qernel.wavefunction.orbitals.hartree_fock import HartreeFockOrbitals

_SILENT = (".attention.output", ".experts.shared_out", ".experts.experts_out")
"""What a block adds to the features passes through these."""

_READERS = (".embedding.second", ".experts.router.condition")
"""Read the condition vector, or its hidden layer, and are not zero at the start."""


class Overlap(NamedTuple):
    """How alike two determinants of Hartree–Fock orbitals are.

    Attributes:
        point: of the family, by parameter.
        determinant: counted from 1.
        spin: species, counted from 0.
        value: |⟨Φ_old|Φ_new⟩| in [0, 1].
    """

    point: dict[str, float]
    determinant: int
    spin: int
    value: float


def misfits(source: Wavefunction, target: Wavefunction) -> list[str]:
    """Names of the arrays of ``source`` that have no room in those of ``target``."""
    known = _arrays(source)
    return [
        name
        for name, leaf in _arrays(target).items()
        if name in known and (leaf.ndim != known[name].ndim or any(np.less(leaf.shape, known[name].shape)))
    ]


def transferred(source: Wavefunction, target: Wavefunction) -> tuple[Wavefunction, list[Overlap]]:
    """``target`` with the network of ``source`` in it.

    Arrays of the source fill the leading corner of those of the target. What is added starts silent: blocks have zero
    output, and nothing that was there reads more of the condition vector. Hartree–Fock orbitals stay those of the
    target, translated and mixed among themselves to be what the source's were, as nearly as they can: a network that
    dresses each orbital by itself knows them as they were.

    Args:
        source: a trained wavefunction without `misfits`.
        target: one with initial parameters, its orbitals started.

    Returns:
        The wavefunction, and how alike the Hartree–Fock determinants of both are at the points they are solved at.
    """
    known, before = _arrays(source), _hartree_fock(source)
    overlaps: list[Overlap] = []

    def fill(key: Any, leaf: Any) -> Any:
        name = jax.tree_util.keystr(key)
        if isinstance(leaf, HartreeFockOrbitals):
            aligned, found = as_before(leaf, before) if before is not None else (leaf, [])
            overlaps.extend(found)
            return aligned
        if not eqx.is_inexact_array(leaf):
            return leaf
        if name not in known:
            return jnp.zeros_like(leaf) if name.endswith(_SILENT) else leaf
        part = known[name]
        if name.endswith(_READERS):
            # Old outputs do not read the added inputs; added outputs of the embedding read what they like.
            leaf = leaf.at[:, : part.shape[1]].set(0.0)
        return leaf.at[tuple(slice(size) for size in part.shape)].set(part)

    result: Wavefunction = jax.tree_util.tree_map_with_path(fill, target, is_leaf=_is_hartree_fock)
    return result, overlaps


def one_determinant(source: Wavefunction, target: Wavefunction, index: int) -> Wavefunction:
    """``target``, which has one determinant, with everything of one determinant of ``source``, orbitals included.

    Args:
        source: a trained wavefunction of several determinants.
        target: the same ansatz with one.
        index: which, counted from 0.

    Raises:
        ValueError: if the two differ in more than the number of determinants.
    """
    several, arrays = eqx.filter(source, eqx.is_inexact_array), eqx.filter(target, eqx.is_inexact_array)
    names = [
        [jax.tree_util.keystr(key) for key, _ in jax.tree_util.tree_leaves_with_path(w)] for w in (several, arrays)
    ]
    if names[0] != names[1]:
        raise ValueError("the two have other parts")
    leaves, structure = jax.tree.flatten(arrays)
    chosen = []
    for name, part, leaf in zip(names[0], jax.tree.leaves(several), leaves, strict=True):
        differing = [axis for axis, sizes in enumerate(zip(part.shape, leaf.shape, strict=True)) if len({*sizes}) > 1]
        if any(leaf.shape[axis] != 1 for axis in differing):
            raise ValueError(f"{name} is {list(part.shape)} in one and {list(leaf.shape)} in the other")
        for axis in differing:
            part = jax.lax.slice_in_dim(part, index, index + 1, axis=axis)
        chosen.append(part)
    result: Wavefunction = eqx.combine(jax.tree.unflatten(structure, chosen), target)
    return result


def as_before(new: HartreeFockOrbitals, old: HartreeFockOrbitals) -> tuple[HartreeFockOrbitals, list[Overlap]]:
    """``new`` with each determinant translated, and its orbitals rotated, to be closest to those of ``old``."""
    points = [dict(zip(new.hamiltonian.parameters, point, strict=True)) for point in new.series.nodes.tolist()]
    cell, tables, overlaps = new.hamiltonian.supercell, [], []
    for spin in range(len(new.amplitudes)):
        (turns, found), (old_turns, before) = (amplitudes(orbitals, spin, points) for orbitals in (new, old))
        # For real orbitals G stands for −G as well, and the mean square of a cosine is ½.
        weights = np.ones(len(turns)) if new.complex else np.where((turns == 0).all(1), 1.0, 0.5)
        phases = np.exp(-1j * (turns @ cell.reciprocal) @ cell.translations.T).T
        known = _known(turns, old_turns, before)
        for place in np.ndindex(found.shape[:2]):
            moved = (nearest(found[place] * p, known[place], weights=weights, real=not new.complex) for p in phases)
            found[place], likeness = max(moved, key=lambda one: one[1])
            overlaps.append(Overlap(points[place[0]], place[1] + 1, spin, float(np.exp(likeness))))
        parts = [found.real, found.imag if new.complex else -found.imag]
        tables.append(new.series.fit(np.moveaxis(np.stack(parts, axis=1), -1, 2)))
    dtype = new.amplitudes[0].dtype
    return eqx.tree_at(lambda o: o.amplitudes, new, [jnp.asarray(table, dtype) for table in tables]), overlaps


def amplitudes(
    orbitals: HartreeFockOrbitals, spin: int, points: Sequence[Mapping[str, float]]
) -> tuple[Integers, ComplexArray]:
    """Waves ``[waves, 2]`` as integers and z ``[points, determinants, n, waves]`` with φ = Re Σ_G z_G e^{iG·r}.

    Without Re where orbitals are complex. Points are values of parameters by name; those of the family that are not
    named are taken in the middle of their intervals.
    """
    middle = orbitals.hamiltonian.middle
    places = [jnp.asarray([point.get(name, middle[name]) for name in middle]) for point in points]
    waves = [orbitals.orbitals(place)[spin] for place in places]
    even, odd = (np.stack([np.asarray(part) for part in parts]) for parts in zip(*(w[2:] for w in waves), strict=True))
    z = even if orbitals.complex else even - 1j * odd
    return np.asarray(waves[0].turns), np.moveaxis(z, 1, -1).astype(np.complex128)


def _known(turns: Integers, old_turns: Integers, before: ComplexArray) -> ComplexArray:
    """Amplitudes ``[..., old waves]`` on other waves ``[..., waves]``; what is not among these is left out."""
    row = {tuple(turn): index for index, turn in enumerate(turns.tolist())}
    rows = np.array([row.get(tuple(turn), -1) for turn in old_turns.tolist()])
    known = np.zeros((*before.shape[:-1], len(turns)), complex)
    known[..., rows[rows >= 0]] = before[..., rows >= 0]
    return known


def _arrays(wavefunction: Wavefunction) -> dict[str, Any]:
    """Arrays by name, but for Hartree–Fock orbitals."""
    found = jax.tree_util.tree_leaves_with_path(wavefunction, is_leaf=_is_hartree_fock)
    return {jax.tree_util.keystr(key): leaf for key, leaf in found if eqx.is_inexact_array(leaf)}


def _is_hartree_fock(part: Any) -> bool:
    return isinstance(part, HartreeFockOrbitals)


def _hartree_fock(wavefunction: Wavefunction) -> HartreeFockOrbitals | None:
    parts = jax.tree.leaves(wavefunction, is_leaf=_is_hartree_fock)
    return next((part for part in parts if _is_hartree_fock(part)), None)
