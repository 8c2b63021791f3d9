"""A file of results that costs nothing: numbers with a known place for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray

from qernel.lattice import Supercell
from qernel.observables.structure_factor import q_coordinates

CELL = Supercell(((3, 0), (0, 3)))
LAM = [0.4, 1.0, 1.4]


def dataset() -> xarray.Dataset:
    """Numbers with a known place for each: nothing measured."""
    rng = np.random.default_rng(0)
    q = CELL.shells(4)
    grid = (np.arange(8) + 0.5) / 8
    sizes: dict[str, dict[str, int]] = {
        "energy": {},
        "interaction": {},
        "order_parameter": {},
        "density": {"a1": 8, "a2": 8},
        "conditional_density": {"c1": 8, "c2": 8},
        "pair_correlation_map": {"d1": 8, "d2": 8},
        "structure_factor": {"q": len(q)},
        "pair_correlation": {"r": 5},
        "gate": {"block": 2, "expert": 3},
        "gate_active": {"block": 2, "expert": 3},
        "momentum_distribution": {"spin": 2, "k": 6},
        "variational_energy": {},
        "gain": {},
        "variational_variance": {},
        "time_step_energy": {"step": 3},
        "time_step_tau": {"step": 3},
        "fit_coefficient": {"power": 2},
    }
    data: dict[str, Any] = {}
    for name, axes in sizes.items():
        values = rng.uniform(0.5, 1.5, (3, *axes.values()))
        unit = "E0" if name in ("energy", "interaction") else "1"
        data[name] = (("lam", *axes), values, {"units": unit})
        data[f"{name}_error"] = (("lam", *axes), 0.05 * values, {"units": unit})
    labels = {c.name: (c.axes, c.values) for c in q_coordinates(q)}
    middles = {"a1": grid, "a2": grid, "c1": grid, "c2": grid, "d1": grid - 0.5, "d2": grid - 0.5}
    others = {"lam": LAM, "r": np.arange(5) * 0.3, "spin": ["up", "down"], "k_length": ("k", np.arange(6.0)[::-1])}
    attributes = {
        "supercell_vectors": CELL.vectors.ravel(),
        "moire_vectors": CELL.primitive.ravel(),
        "trained_lam": [0.3, 1.2],
        "E0_meV": 3.4,
        "electrons_up": 6,
        "electrons_down": 0,
        "moire_cells": 9,
    }
    return xarray.Dataset(data, labels | middles | others, attributes)
