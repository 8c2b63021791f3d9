"""A trained wavefunction as the start of another one: for another system, or a family of more parameters."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from qernel.wavefunction.base import Wavefunction

READERS = (".embedding.first", ".input_point", "film.scale", "film.shift", ".slope", ".router.condition")
"""Ends of the names of arrays with a first axis over the scaled point, or over the condition, which begins with it."""


def inherited(source: Wavefunction, target: Wavefunction) -> Wavefunction:
    """``target`` with the numbers of ``source``, rounded to its type.

    At points that both have, the two are the same function of the positions if they are of one system and
    `Hamiltonian.scales` are the same. Parameters that are new, or had one value only, are read by nothing at the
    start: of the arrays in `READERS` their rows are zero. What is no weight follows them from the beginning: bands,
    cusps and the long-range factor.

    Args:
        source: a trained wavefunction.
        target: another one of the same architecture.

    Raises:
        ValueError: naming an array that is another one in ``target``.
    """
    before, after = source.hamiltonian, target.hamiltonian
    varied = [low < high for low, high in before.scales]
    # Where each parameter of the source is among those of the target, and which of these are read.
    places = [after.parameters.index(name) for name in before.parameters]
    read = [
        place
        for place, wide, scale in zip(places, varied, before.scales, strict=True)
        if wide or after.scales[place] == scale
    ]
    fresh = [place for place in range(len(after.parameters)) if place not in read]
    leaves, structure = jax.tree_util.tree_flatten_with_path(eqx.filter(target, eqx.is_inexact_array))
    known = {jax.tree_util.keystr(key): leaf for key, leaf in _arrays(source)}
    names = [jax.tree_util.keystr(key) for key, _ in leaves]
    if other := sorted({*names} ^ {*known}):
        raise ValueError(f"only one of the two has {other[0]}")
    filled = []
    for name, (_, leaf) in zip(names, leaves, strict=True):
        part = jnp.asarray(known[name], leaf.dtype)
        if name.endswith(READERS):
            grown = part.shape[0] + len(after.parameters) - len(before.parameters)
            rows = jnp.asarray([*places, *range(len(after.parameters), grown)])
            part = jnp.zeros((grown, *part.shape[1:]), leaf.dtype).at[rows].set(part).at[jnp.asarray(fresh, int)].set(0)
        if part.shape != leaf.shape:
            raise ValueError(f"{name} is {list(known[name].shape)} in one and {list(leaf.shape)} in the other")
        filled.append(part)
    result: Wavefunction = eqx.combine(jax.tree.unflatten(structure, filled), target)
    return result


def _arrays(wavefunction: Wavefunction) -> list[tuple[Any, Any]]:
    return jax.tree_util.tree_leaves_with_path(eqx.filter(wavefunction, eqx.is_inexact_array))
