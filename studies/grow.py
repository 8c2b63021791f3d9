"""Start a larger network from a trained smaller one, as the same function: further training can only gain.

    python studies/grow.py n6 CONFIG.toml RUN
    qernel train CONFIG.toml --out RUN --resume

Arrays of the smaller network fill the leading corner of the larger one's. What is new starts silent: added blocks have
zero output, and nothing reads the added entries of the condition vector yet. Hartree–Fock orbitals are solved for the
new configuration: with another cut-off or order of theirs it is not the same function.
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

import qernel  # noqa: E402
from qernel.config import load_config  # noqa: E402
from qernel.training.folder import RunFolder, new_folder  # noqa: E402
from qernel.training.run import initial_state, initial_wavefunction  # noqa: E402
from qernel.wavefunction import parameter_layout  # noqa: E402

SILENT = (".attention.output", ".experts.shared_out", ".experts.experts_out")
"""What a block adds to the features passes through these."""

READERS = (".embedding.second", ".experts.router.condition")
"""Read the condition vector, or its hidden layer, and are not zero at the start."""

ORBITALS = ".hartree_fock."
"""Not taken over."""


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


def main(source: str, config_file: str, out: Path) -> None:
    """Write the run folder that training resumes from."""
    config = load_config(config_file)
    template = initial_wavefunction(config)
    arrays, static = eqx.partition(template, eqx.is_inexact_array)
    start = eqx.filter(qernel.load(source).wavefunction, eqx.is_inexact_array)
    parameters = parameter_layout(eqx.combine(grown(start, arrays), static)).parameters
    state = initial_state(config, template)._replace(parameters=parameters, average=parameters)
    with new_folder(out), RunFolder(out, config, template).begin(state):
        pass


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
