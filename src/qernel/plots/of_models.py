"""Figures of compared models, from the files that comparisons leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def accuracy(data: xarray.Dataset) -> dict[str, Figure]:
    """Excess energy against parameters, active parameters and training time."""
    from qernel.plots.comparison import accuracy_curves

    below = "the exact energy" if data.attrs["reference_exact"] else "the lowest energy found"
    ylabel = f"mean energy above {below}\n(E0 per electron)"
    names = [str(name) for name in data["series"].values]
    values, errors = data["mean_excess"].values, data["mean_excess_error"].values
    figures = {}
    for cost, xlabel in (("parameters", "parameters"), ("active_parameters", "active parameters per configuration")):
        by_name = [(name, [row for row, other in enumerate(names) if other == name]) for name in dict.fromkeys(names)]
        curves = [(name, data[cost].values[rows], values[rows, -1], errors[rows, -1]) for name, rows in by_name]
        figures[cost] = accuracy_curves(curves, xlabel=xlabel, ylabel=ylabel)
    training = list(zip(names, data["seconds"].values, values, errors, strict=True))
    return {**figures, "seconds": accuracy_curves(training, xlabel="training  (s)", ylabel=ylabel)}


def interpolation(data: xarray.Dataset) -> dict[str, Figure]:
    """A model with gaps in its training beside models without."""
    import numpy as np

    from qernel.plots.interpolation import interpolation_panels

    def curves(name: str, axis: str) -> dict[str, Any]:
        columns = (data[key].transpose(axis, ...).values for key in (axis, name, f"{name}_error"))
        return {str(label): (values, errors) for label, values, errors in zip(*columns, strict=True)}

    low, high = data.attrs["trained_lam"]
    ends = [float(low), *np.atleast_1d(data.attrs.get("trained_gaps", [])).tolist(), float(high)]
    figure = interpolation_panels(
        data["lam"].values,
        curves("excess", "model"),
        curves("difference", "pair"),
        curves("order_parameter", "model"),
        trained=list(zip(ends[::2], ends[1::2], strict=True)),
        below="the exact one" if data.attrs["reference_exact"] else "the lowest found",
    )
    return {"": figure}
