"""A run folder with a model whose crystal orbitals hop: ``python studies/every_size/hopping.py MODEL T FOLDER``.

Models of before 2026-11-30 have t = 0 (`qernel.wavefunction.orbitals.sites`), where almost no sampled configuration
tells an update that t should be something.
"""

from __future__ import annotations

import sys
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp

import qernel
from qernel.training.folder import save_model
from qernel.training.names import MODEL_FILE


def main(name: str, hopping: str, folder: str) -> None:
    """Write it."""
    model = qernel.load(name)
    start = jnp.asarray(float(hopping), model.wavefunction.sites.hopping.base.dtype)
    wavefunction = eqx.tree_at(lambda psi: psi.sites.hopping.base, model.wavefunction, start)
    Path(folder).mkdir(parents=True)
    save_model(Path(folder) / MODEL_FILE, model.config, wavefunction)


if __name__ == "__main__":
    main(*sys.argv[1:])
