"""Start a larger network from a trained smaller one, as the same function: further training can only gain.

    python studies/grow.py n6 CONFIG.toml RUN
    qernel train CONFIG.toml --out RUN --resume

Arrays of the smaller network fill the leading corner of the larger one's. What is new starts silent: added blocks have
zero output, and nothing reads the added entries of the condition vector yet. Hartree–Fock orbitals are solved for the
new configuration, then translated and mixed among themselves to be what the old ones were, as nearly as they can: a
network that dresses each orbital by itself knows them as they were.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from qernel.runtime import configure

configure()

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import qernel  # noqa: E402
from qernel.config import load_config  # noqa: E402
from qernel.training.folder import RunFolder, new_folder  # noqa: E402
from qernel.training.run import initial_state, initial_wavefunction  # noqa: E402
from qernel.wavefunction import parameter_layout  # noqa: E402
from qernel.wavefunction.orbitals.chebyshev import chebyshev_fit, chebyshev_nodes  # noqa: E402
from qernel.wavefunction.orbitals.hartree_fock import HartreeFockOrbitals  # noqa: E402

SILENT = (".attention.output", ".experts.shared_out", ".experts.experts_out")
"""What a block adds to the features passes through these."""

READERS = (".embedding.second", ".experts.router.condition")
"""Read the condition vector, or its hidden layer, and are not zero at the start."""

ORBITALS = ".hartree_fock."
"""Not taken over, but see `as_before`."""


def grown(small: Any, large: Any) -> Any:
    """The parameters of ``small`` inside the structure of ``large``, which has at least its sizes."""
    known = {jax.tree_util.keystr(k): leaf for k, leaf in jax.tree_util.tree_leaves_with_path(small)}

    def fill(key: Any, leaf: jax.Array) -> jax.Array:
        name = jax.tree_util.keystr(key)
        if ORBITALS in name:
            return leaf
        if name not in known:
            return jnp.zeros_like(leaf) if name.endswith(SILENT) else leaf
        source = known[name]
        if name.endswith(READERS):
            # New inputs are not read by old outputs; new outputs of the embedding read what they like.
            leaf = leaf.at[:, : source.shape[1]].set(0.0)
        return leaf.at[tuple(slice(size) for size in source.shape)].set(source)

    return jax.tree_util.tree_map_with_path(fill, large)


def amplitudes(orbitals: HartreeFockOrbitals, spin: int, lam: np.ndarray) -> np.ndarray:
    """z with φ = Re Σ_G z_G e^{iG·r} at some λ, ``[λ, determinants, n, waves]``; without Re for complex orbitals."""
    place = np.asarray(orbitals.hamiltonian.scaled(lam[:, None]))[:, 0]
    first, second = np.polynomial.chebyshev.chebval(place, np.asarray(orbitals.amplitudes[spin], float))
    return np.transpose(first + 1j * (second if orbitals.complex else -second), (3, 1, 2, 0))


def as_before(new: HartreeFockOrbitals, old: HartreeFockOrbitals) -> HartreeFockOrbitals:
    """``new`` with each determinant translated, and its orbitals rotated, to be closest to those of ``old``."""
    cell, turns = new.hamiltonian.supercell, new.turns
    phases = np.exp(-1j * (turns @ cell.reciprocal) @ cell.translations.T).T
    # For real orbitals G stands for −G as well, and the mean square of a cosine is ½.
    weight = np.ones(len(turns)) if new.complex else np.where((turns == 0).all(1), 1.0, 0.5)
    row = {tuple(turn): index for index, turn in enumerate(turns.tolist())}
    known = np.array([row[tuple(turn)] for turn in old.turns.tolist()])
    low, high = new.hamiltonian.ranges[0]
    lam = 0.5 * (low + high) + 0.5 * (high - low) * chebyshev_nodes(new.series.orders[0])
    tables = []
    for spin in range(len(new.amplitudes)):
        found, before = (amplitudes(orbitals, spin, lam) for orbitals in (new, old))
        for place in np.ndindex(found.shape[:2]):
            target = np.zeros_like(found[place])
            target[:, known] = before[place]
            best, nearest = -np.inf, found[place]
            for phase in phases:
                moved = found[place] * phase
                overlap = (moved.conj() * weight) @ target.T
                u, sizes, v = np.linalg.svd(overlap if new.complex else overlap.real)
                likeness = float(np.log(sizes).sum())
                if likeness > best:
                    best, nearest = likeness, (u @ v).T @ moved
            print(f"λ = {lam[place[0]]:.3f}, determinant {place[1] + 1}: overlap {np.exp(best):.4f}")
            found[place] = nearest
        parts = [found.real, found.imag if new.complex else -found.imag]
        tables.append(chebyshev_fit(np.moveaxis(np.stack(parts, axis=1), -1, 2)))
    dtype = new.amplitudes[0].dtype
    return eqx.tree_at(lambda o: o.amplitudes, new, [jnp.asarray(table, dtype) for table in tables])


def orbitals_of(wavefunction: Any) -> list[HartreeFockOrbitals]:
    """The Hartree–Fock orbitals in a wavefunction: one set, or none."""
    parts = jax.tree.leaves(wavefunction, is_leaf=lambda part: isinstance(part, HartreeFockOrbitals))
    return [part for part in parts if isinstance(part, HartreeFockOrbitals)]


def main(source: str, config_file: str, out: Path) -> None:
    """Write the run folder that training resumes from."""
    config = load_config(config_file)
    template = initial_wavefunction(config)
    small = qernel.load(source).wavefunction
    if orbitals_of(template) and orbitals_of(small):
        template = eqx.tree_at(orbitals_of, template, [as_before(orbitals_of(template)[0], orbitals_of(small)[0])])
    arrays, static = eqx.partition(template, eqx.is_inexact_array)
    start = eqx.filter(small, eqx.is_inexact_array)
    parameters = parameter_layout(eqx.combine(grown(start, arrays), static)).parameters
    state = initial_state(config, template)._replace(parameters=parameters, average=parameters)
    with new_folder(out), RunFolder(out, config, template).begin(state):
        pass


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
