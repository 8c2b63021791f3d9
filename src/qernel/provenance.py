"""Where numbers come from: what a file says about the model that was measured."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import qernel
from qernel.along import NO_FACTOR, named


def weights_digest(wavefunction: Any) -> str:
    """SHA-256 (hex) of the trained numbers.

    Arrays that an ansatz got later (`Wavefunction.later`) do not count while they are zero: a model of before keeps its
    digest, and what was measured with it stays its own.
    """
    import jax
    import numpy as np

    digest = hashlib.sha256()
    later = getattr(wavefunction, "later", ())
    for path, leaf in jax.tree_util.tree_leaves_with_path(wavefunction):
        if hasattr(leaf, "dtype"):
            numbers = np.asarray(leaf)
            if numbers.any() or jax.tree_util.keystr(path, simple=True, separator=".") not in later:
                digest.update(numbers.tobytes())
    return digest.hexdigest()


def identity(model: Any) -> dict[str, str]:
    """What numbers of a model depend on besides where it is asked: version, configuration, weights."""
    return {
        "qernel": qernel.__version__,
        "config": model.config.fingerprint(),
        "weights": weights_digest(model.wavefunction),
    }


def model_attributes(model: Any, others: Mapping[str, float]) -> dict[str, Any]:
    """Attributes of a file of measurements: system, units, and everything that identifies the model.

    Args:
        model: a `qernel.Model`.
        others: values of the parameters other than λ that it was measured at.
    """
    hamiltonian, system = model.hamiltonian, model.config.system
    attributes = {
        "Conventions": "CF-1.11",
        "source": f"qernel {qernel.__version__}",
        "qernel_version": qernel.__version__,
        "model": model.name,
        "model_weights_sha256": weights_digest(model.wavefunction),
        "config_sha256": model.config.fingerprint(),
        "config": model.config.to_toml(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "electrons_up": system.electrons[0],
        "electrons_down": system.electrons[1],
        "moire_cells": system.cells,
        "supercell_vectors": hamiltonian.supercell.vectors.ravel().tolist(),
        "moire_vectors": hamiltonian.supercell.primitive.ravel().tolist(),
        "terms": " + ".join(term.label for term in hamiltonian.terms),
        **{name: float(value) for name, value in hamiltonian.described(others).items()},
        **{f"trained_{name}": [float(low), float(high)] for name, (low, high) in model.ranges.items()},
        "units": "energies in E0 = hbar^2/(m* a_M^2), lengths in the moire period a_M",
    }
    if model.config.train.started_from is not None:
        attributes["started_from"] = model.config.train.started_from
    unlike = [name for name in model.ranges if named(name).multiplies and not hamiltonian.proportional(name)]
    if unlike:
        attributes[NO_FACTOR] = " ".join(unlike)
    if hamiltonian.twisted:
        attributes["supercell_rows"] = hamiltonian.supercell.rows.ravel().tolist()
        attributes["twist"] = list(hamiltonian.row_twist)
        attributes["twist_momentum"] = hamiltonian.twist_momentum.tolist()
    if hamiltonian.gaps:
        attributes["trained_gaps"] = [float(end) for gap in hamiltonian.gaps for end in gap]
    if model.config.energy_unit_meV is not None:
        attributes["E0_meV"] = float(model.config.energy_unit_meV)
    if system.material is not None:
        attributes["a_M_nm"] = float(system.material.period_nm)
    return attributes
