"""The file of a projection: what a scan has along the parameter, and every time step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.measure import files
from qernel.storage import to_json

if TYPE_CHECKING:
    import xarray

    from qernel.measure.projections import Projections

STEP = "step"
"""Axis of the time steps, which may be others at another point; the largest first."""


def dataset(found: Projections) -> xarray.Dataset:
    """Projected energies like a scan, with moiré and interaction energy, density and S(q) as 2·mixed − variational;
    beside them ``variational_*``, and ``time_step_*`` along `STEP`."""
    where, along = found.points, found.points.axis.name
    whole = files.dataset(where.model, {"projected": [one.energies for one in found.found]}, where.at, along=along)
    data: dict[str, Any] = {}

    def add(name: str, dims: Any, values: Any, errors: Any, text: str, unit: str = "E0") -> None:
        data[name] = (dims, values, {"units": unit, "long_name": text, "ancillary_variables": f"{name}_error"})
        data[f"{name}_error"] = (dims, errors, {"units": unit, "long_name": f"one standard error of {name}"})

    for name in ("energy", "moire", "interaction"):
        numbers = [getattr(one.variational, name) for one in found.found]
        text = f"{name} per electron of the wavefunction itself"
        add(f"variational_{name}", along, [q.value for q in numbers], [q.error for q in numbers], text)
        steps = [[step.energies[name] for step in one.steps] for one in found.found]
        values, errors = ([[getattr(mean, part) for mean in row] for row in steps] for part in ("value", "error"))
        add(f"time_step_{name}", (along, STEP), values, errors, f"mixed estimate of {name} per electron")
    plain = [[step.plain for step in one.steps] for one in found.found]
    values, errors = ([[getattr(mean, part) for mean in row] for row in plain] for part in ("value", "error"))
    add("time_step_unweighted", (along, STEP), values, errors, "energy per electron without products of weights")
    gains = [one.gain for one in found.found]
    add("gain", along, [q.value for q in gains], [q.error for q in gains], "variational less projected energy")
    orders = [one.variational.order_parameter for one in found.found]
    known = [order for order in orders if order is not None]
    if len(known) == len(orders):
        text = "<|rho_K|^2> of the wavefunction itself"
        add("variational_order_parameter", along, [q.value for q in known], [q.error for q in known], text, "1")
    variances = [one.variance for one in found.found]
    about = {"units": "E0^2", "long_name": "Var(Re E_L)/N of the wavefunction itself"}
    data["variational_variance"] = (along, variances, about)
    for name, unit, text in _DETAILS:
        rows = [[getattr(step, name) for step in one.steps] for one in found.found]
        data[f"time_step_{name}"] = ((along, STEP), rows, {"units": unit, "long_name": text})
    coefficients = [one.fits["energy"].coefficients for one in found.found]
    if any(coefficients):
        power = {"units": "E0^(1 + power)", "long_name": "coefficients of tau^power in the fitted energy"}
        data["fit_coefficient"] = ((along, "power"), np.array(coefficients), power)
    data |= _arrays(found, along)
    origin = {"request": to_json(found.request), "history": found.command, "fit": found.fit}
    labels = {axis.name: axis for array in found.found[0].arrays for axis in array.coordinates}
    coordinates = {
        name: (axis.axes, axis.values, {"units": axis.unit, "long_name": axis.description})
        for name, axis in labels.items()
    }
    return whole.assign(data).assign_coords(coordinates).assign_attrs(origin)


def _arrays(found: Projections, along: str) -> dict[str, Any]:
    """Densities and structure factors along the parameter, as ``qernel observe`` stores them."""
    data: dict[str, Any] = {}
    for same in zip(*(one.arrays for one in found.found), strict=True):
        first, dims = same[0], (along, *same[0].axes)
        about = {"units": first.unit, "long_name": first.description, "ancillary_variables": f"{first.name}_error"}
        data[first.name] = (dims, np.stack([one.values for one in same]), about)
        about = {"units": first.unit, "long_name": f"one standard error of {first.name}"}
        data[f"{first.name}_error"] = (dims, np.stack([one.errors for one in same]), about)
    return data


_DETAILS = (
    ("tau", "1/E0", "time step"),
    ("acceptance", "1", "accepted fraction of the steps"),
    ("crossings", "1", "fraction of the steps refused at a node"),
    ("left_out", "1", "fraction of the series before walkers had settled"),
    ("autocorrelation", "1/E0", "autocorrelation time of the energy"),
)
