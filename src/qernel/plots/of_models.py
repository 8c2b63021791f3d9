"""Figures of compared models, from the files that comparisons leave."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


_WORDS = {
    "crystal_seed": "crystal orbitals",
    "jastrow": "Jastrow factor",
    "envelope": "envelope",
    "film": "FiLM layers",
    "kv_heads": "heads of keys and values",
    "moire_harmonics": "moiré harmonics",
}
"""What keys of [model] are called in figures; others are named as they are, without underscores."""


def in_words(series: str) -> str:
    """The name of a series of models for readers of a figure: what sets it apart in words, not in keys.

    >>> in_words("psiformer (crystal_seed = true, moire_harmonics = 1, jastrow = false)")
    'psiformer with crystal orbitals, 1 moiré harmonics, without Jastrow factor'
    """
    name, _, apart = series.partition(" (")
    said: dict[str, list[str]] = {"with": [], "without": []}
    for key, value in re.findall(r"(\w+) = ((?:[\[(][^\])]*[\])]|[^,()])+)", apart):
        word = _WORDS.get(key, key.replace("_", " "))
        if value in ("true", "false"):
            said["with" if value == "true" else "without"].append(word)
        else:
            said["with"].append(f"{value} {word}" if value.replace(".", "").isdigit() else f"{word} {value}")
    parts = [f"{how} {', '.join(words)}" for how, words in said.items() if words]
    return " ".join(filter(None, (name, ", ".join(parts))))


def accuracy(data: xarray.Dataset) -> dict[str, Figure]:
    """Excess energy against parameters, active parameters and training time."""
    from qernel.plots.comparison import accuracy_curves

    below = "the exact energy" if data.attrs["reference_exact"] else "the lowest energy found"
    ylabel = f"mean energy above {below}\n(E0 per electron)"
    names = [in_words(str(name)) for name in data["series"].values]
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
