"""Start a wavefunction of one determinant from one of several: a control that has only that determinant's phase.

    python studies/one_phase.py RUN CONFIG.toml OUT INDEX
    qernel train CONFIG.toml --out OUT --resume

CONFIG is that of RUN with `determinants = 1` and whatever training it is given. INDEX counts from 0: in models
with Hartree–Fock orbitals, 0 has Bloch functions and 1 the crystal. Everything else is taken over as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from qernel.runtime import configure

configure()

import equinox as eqx  # noqa: E402
import jax  # noqa: E402

import qernel  # noqa: E402
from qernel.config import load_config  # noqa: E402
from qernel.training.folder import RunFolder, new_folder  # noqa: E402
from qernel.training.run import initial_state, initial_wavefunction  # noqa: E402
from qernel.wavefunction import parameter_layout  # noqa: E402


def chosen(source: jax.Array, target: jax.Array, index: int) -> jax.Array:
    """One determinant's part of an array: along the axis in which the two differ, or all of it."""
    for axis, (several, one) in enumerate(zip(source.shape, target.shape, strict=True)):
        if several != one:
            source = jax.lax.slice_in_dim(source, index, index + 1, axis=axis)
    return source


def main(source: str, config_file: str, out: Path, index: int) -> None:
    """Write the first checkpoint of a run in ``out``."""
    config = load_config(config_file)
    template = initial_wavefunction(config, start=False)
    several = jax.tree.leaves(eqx.filter(qernel.load(source).wavefunction, eqx.is_inexact_array))
    arrays, static = eqx.partition(template, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(arrays)
    one = structure.unflatten([chosen(a, b, index) for a, b in zip(several, leaves, strict=True)])
    parameters = parameter_layout(eqx.combine(one, static)).parameters
    state = initial_state(config, template)._replace(parameters=parameters, average=parameters)
    with new_folder(out), RunFolder(out, config, template).begin(state):
        print(f"written: {out}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
