"""Measured variables as an xarray data set with units, errors and provenance in its attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.along import named
from qernel.errors import QernelError
from qernel.estimators.doubts import stored_doubts
from qernel.estimators.phases import flag
from qernel.estimators.possible import impossible_in
from qernel.measure import place
from qernel.observables.base import Samples, Variable
from qernel.observables.phases import sampled_phase
from qernel.provenance import model_attributes
from qernel.storage import DOUBTFUL, DOUBTFUL_MEANING, IMPOSSIBLE, IMPOSSIBLE_MEANING, OUTSIDE, PHASE

if TYPE_CHECKING:
    import xarray

    from qernel.measure.state import State


def to_dataset(state: State, variables: Sequence[Variable], samples: Samples, *, acceptance: float) -> xarray.Dataset:
    """The variables measured at one point.

    Raises:
        QernelError: if two observables use one name for different things.
    """
    import xarray

    data: dict[str, Any] = {}
    coordinates: dict[str, Any] = {}
    for variable in variables:
        _add(data, variable.name, _value(variable))
        if variable.errors is not None:
            about = {"units": variable.unit, "long_name": f"one standard error of {variable.name}"}
            data[f"{variable.name}_error"] = (variable.axes, variable.errors, about)
        if variable.summary is not None:
            for name, unit, text in _DIAGNOSTICS:
                value = getattr(variable.summary, name)
                data[f"{variable.name}_{name}"] = ((), value, {"units": unit, "long_name": f"{text} {variable.name}"})
        for axis in variable.coordinates:
            about = {"units": axis.unit, "long_name": axis.description}
            _add(coordinates, axis.name, (axis.axes, axis.values, about))
    data["acceptance"] = ((), acceptance, {"units": "1", "long_name": "accepted fraction of Gaussian moves"})
    for name, text in OUTSIDE.items():
        data[name] = ((), np.int8(getattr(state, name)), {"units": "1", "long_name": text})
    data[PHASE] = ((), *flag(sampled_phase(samples).word))
    for name, value in zip(state.model.ranges, state.point, strict=True):
        coordinates[name] = ((), float(value), parameter_attributes(name))
    chains, records = samples.positions.shape[:2]
    attributes = {
        **model_attributes(state.model, dict(zip(state.model.ranges, state.point, strict=True))),
        **place.attributes(state.model),
        "walkers": chains,
        "samples": records,
        "moves": state.model.config.sample.moves,
        "burn_in": state.model.config.sample.burn_in,
        "seed": samples.seed,
    }
    dataset = xarray.Dataset(data, coordinates, attributes)
    doubtful = any(stored_doubts(dataset, variable.name) for variable in variables if variable.errors is not None)
    (why,) = impossible_in(dataset, state.model.hamiltonian).values()
    flags = {DOUBTFUL: (doubtful, DOUBTFUL_MEANING), IMPOSSIBLE: (bool(why), IMPOSSIBLE_MEANING)}
    about = {"units": "1"}
    return dataset.assign({name: ((), np.int8(on), about | {"long_name": text}) for name, (on, text) in flags.items()})


def parameter_attributes(name: str) -> dict[str, str]:
    """Unit and description of a parameter of the family."""
    axis = named(name)
    return {"units": axis.unit, "long_name": axis.meaning}


def joined(points: Sequence[xarray.Dataset], along: str) -> xarray.Dataset:
    """Data sets of several points of one model, measured alike, joined along the parameter in which they differ."""
    import xarray

    first = points[0]
    # Everything else that does not have this axis is the same by construction.
    whole = xarray.concat(points, along, data_vars="all", coords="minimal", compat="override", combine_attrs="override")
    return whole.assign_attrs({**first.attrs, **({} if along == "lam" else {"along": along})})


_DIAGNOSTICS = (
    ("autocorrelation", "1", "integrated autocorrelation time, in records, of"),
    ("rhat", "1", "rank-normalised split R-hat of"),
    ("effective_samples", "1", "independent samples behind"),
)


def _value(variable: Variable) -> tuple[tuple[str, ...], Any, dict[str, str]]:
    about = {"units": variable.unit, "long_name": variable.description}
    if variable.errors is not None:
        about["ancillary_variables"] = f"{variable.name}_error"
    return variable.axes, variable.values, about


def _add(table: dict[str, Any], name: str, entry: tuple[tuple[str, ...], Any, dict[str, str]]) -> None:
    before = table.get(name)
    if before is not None and not (before[0] == entry[0] and np.array_equal(before[1], entry[1])):
        raise QernelError(f"two observables give different things the name {name}: measure them one after the other")
    table[name] = entry
