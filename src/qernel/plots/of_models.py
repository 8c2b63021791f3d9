"""Figures of compared models, from the files that comparisons leave."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from qernel.text import describe

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


_WORDS = {
    "crystal_seed": "crystal orbitals to start from",
    "jastrow": "Jastrow factor",
    "film": "FiLM layers",
    "hf_trained": "trained Hartree–Fock amplitudes",
    "parameter_features": "λ among the features",
    "kv_heads": "heads of keys and values",
    "harmonics": "shells of supercell waves",
    "moire_harmonics": "shells of moiré waves",
}
"""What keys of [model] are called in figures; others are named as they are, without underscores."""

_ORBITALS = {"hartree_fock": "Hartree–Fock orbitals", "bloch": "Bloch orbitals", "network": "orbitals of the network"}


def in_words(series: str) -> str:
    """The name of a series of models for readers of a figure: what sets it apart in words, not in keys.

    >>> in_words("psiformer (orbitals = hartree_fock, determinants = 2, kv_heads = 1, jastrow = false)")
    'psiformer with Hartree–Fock orbitals, 2 determinants, 1 head of keys and values, without Jastrow factor'
    """
    name, _, apart = series.partition(" (")
    said: dict[str, list[str]] = {"with": [], "without": []}
    for key, value in re.findall(r"(\w+) = ((?:[\[(][^\])]*[\])]|[^,()])+)", apart):
        word = _WORDS.get(key, key.replace("_", " "))
        if value in ("true", "false"):
            said["with" if value == "true" else "without"].append(word)
        elif key == "orbitals":
            said["with"].append(_ORBITALS.get(value, f"{value} orbitals"))
        else:
            said["with"].append(_counted(value, word))
    parts = [f"{how} {', '.join(words)}" for how, words in said.items() if words]
    return " ".join(filter(None, (name, ", ".join(parts))))


def _counted(value: str, word: str) -> str:
    """A number of things: "no shells", "1 shell", "2 shells"; what is no number stands behind its name."""
    if not value.replace(".", "").isdigit():
        return f"{word} {value}"
    first, *rest = word.split(" ")
    if value == "1" and first.endswith("s"):
        first = first[:-1]
    return " ".join(["no" if value == "0" else value, first, *rest])


def _system(data: xarray.Dataset) -> str:
    """The system that was compared in, in words; empty where a file does not say it."""
    request = json.loads(data.attrs.get("request", "{}"))
    if not {"electrons", "cells"} <= set(request):
        return ""
    given = request["electrons"]
    up, down = given if isinstance(given, list) else (given, 0)
    return describe((up, down), request["cells"])


_MODELS = {
    "gaps": "gaps: trained with gaps",
    "whole": "whole: trained without",
    "single": "single: one for each $\\lambda$",
}
"""The models of `qernel interpolate`."""


def accuracy(data: xarray.Dataset) -> dict[str, Figure]:
    """Excess energy against parameters, active parameters and training time."""
    from qernel.plots.comparison import accuracy_curves

    below = "the exact energy" if data.attrs["reference_exact"] else "the lowest energy found"
    ylabel = f"mean energy above {below}\n($E_0$ per electron)"
    lam = data["lam"].values
    title = ", ".join(filter(None, (_system(data), f"mean over $\\lambda$ from {lam.min():g} to {lam.max():g}")))
    names = [in_words(str(name)) for name in data["series"].values]
    values, errors = data["mean_excess"].values, data["mean_excess_error"].values
    figures = {}
    for cost, xlabel in (("parameters", "parameters"), ("active_parameters", "active parameters per configuration")):
        by_name = [(name, [row for row, other in enumerate(names) if other == name]) for name in dict.fromkeys(names)]
        curves = [(name, data[cost].values[rows], values[rows, -1], errors[rows, -1]) for name, rows in by_name]
        figures[cost] = accuracy_curves(curves, xlabel=xlabel, ylabel=ylabel, title=title)
    training = list(zip(names, data["seconds"].values, values, errors, strict=True))
    return {**figures, "seconds": accuracy_curves(training, xlabel="training  (s)", ylabel=ylabel, title=title)}


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
        {_MODELS.get(name, name): columns for name, columns in curves("excess", "model").items()},
        curves("difference", "pair"),
        curves("order_parameter", "model"),
        trained=list(zip(ends[::2], ends[1::2], strict=True)),
        title=_system(data),
        below="the exact one" if data.attrs["reference_exact"] else "the lowest found",
    )
    return {"": figure}
