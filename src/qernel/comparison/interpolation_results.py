"""What interpolation, extrapolation and sharing cost, as plain data, tables and a data set for the figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.comparison.accuracy import Accuracy, combined
from qernel.comparison.densities import squared_difference
from qernel.comparison.interpolation import KINDS, REGIONS, Plan
from qernel.comparison.points import Point
from qernel.comparison.reference import Reference
from qernel.comparison.results import to_csv
from qernel.lattice import FloatArray

if TYPE_CHECKING:
    import xarray

Points = Mapping[str, list[list[Point]]]
"""By kind of model: for each seed, every λ."""

PAIRS = (("gaps", "whole"), ("gaps", "single"), ("whole", "single"))
"""Models whose densities and energies are compared: the first against the second."""


def energies(
    plan: Plan, accuracies: Mapping[str, Accuracy], reference: Reference, points: Points
) -> list[dict[str, Any]]:
    """A row for each kind of model and λ; energies per electron in E0."""
    rows = []
    for kind in KINDS:
        found = accuracies[kind]
        order, order_error = combined(_column(points[kind], "order"), _column(points[kind], "order_error"))
        rhat = _column(points[kind], "rhat").max(0)
        for index, lam in enumerate(plan.lam):
            rows.append(
                {
                    "model": kind,
                    "lam": lam,
                    "region": plan.regions[index],
                    "energy": float(found.energy[index]),
                    "energy_error": float(found.energy_error[index]),
                    "excess": float(found.excess[index]),
                    "excess_error": float(found.excess_error[index]),
                    "order_parameter": float(order[index]),
                    "order_parameter_error": float(order_error[index]),
                    "rhat": float(rhat[index]),
                    "reference": float(reference.energy[index]),
                    "reference_error": float(reference.error[index]),
                }
            )
    return rows


def densities(plan: Plan, points: Points) -> list[dict[str, Any]]:
    """A row for each pair of models and λ: the squared difference of their densities over the squared mean."""
    rows = []
    for first, second in PAIRS:
        pairs = list(zip(points[first], points[second], strict=True))
        table = np.array(
            [[squared_difference(a.density, b.density) for a, b in zip(*pair, strict=True)] for pair in pairs]
        )
        value, error = combined(table[..., 0], table[..., 1])
        for index, lam in enumerate(plan.lam):
            about = {"model": first, "against": second, "lam": lam, "region": plan.regions[index]}
            rows.append({**about, "difference": float(value[index]), "difference_error": float(error[index])})
    return rows


def summary(plan: Plan, points: Points) -> list[dict[str, Any]]:
    """For each pair of models and region: the mean over its λ of the difference of their energies per electron in E0.

    Seeds are compared one by one, so that the error holds the scatter between trainings; where there is no λ in a
    region there is no row.
    """
    regions = np.array(plan.regions)
    rows = []
    for first, second in PAIRS:
        difference = _column(points[first], "energy") - _column(points[second], "energy")
        error = np.hypot(_column(points[first], "error"), _column(points[second], "error"))
        for name, chosen in [*((name, regions == name) for name in REGIONS), ("all", regions != "")]:
            count = int(chosen.sum())
            if count:
                sampling = np.sqrt((error[:, chosen] ** 2).sum(1)) / count
                value, total = combined(difference[:, chosen].mean(1), sampling)
                about = {"model": first, "against": second, "region": name, "points": count}
                rows.append({**about, "value": float(value), "error": float(total)})
    return rows


def dataset(
    plan: Plan, rows: Sequence[Mapping[str, Any]], pairs: Sequence[Mapping[str, Any]], attributes: Mapping[str, Any]
) -> xarray.Dataset:
    """The tables for `qernel.open` and ``qernel plot interpolation``."""
    import xarray

    texts = {
        "energy": ("E0", "energy per electron"),
        "excess": ("E0", "energy per electron above the reference"),
        "order_parameter": ("1", "<|rho_K|^2>, rho_K = (1/N) sum_i exp(iK.r_i)"),
    }
    data: dict[str, Any] = {}
    shape = (len(KINDS), len(plan.lam))
    for name, (unit, text) in texts.items():
        data |= _with_error(name, rows, ("model", "lam"), shape, unit, text)
    text = "mean of (n - n')^2 over the moire cell, over the squared mean density"
    shape = (len(PAIRS), len(plan.lam))
    data |= _with_error("difference", pairs, ("pair", "lam"), shape, "1", text)
    about = {"units": "1", "long_name": "factor λ on the moiré depth V0"}
    labels = {
        "model": list(KINDS),
        "pair": [f"{first} against {second}" for first, second in PAIRS],
        "lam": ("lam", list(plan.lam), about),
        "region": ("lam", list(plan.regions)),
    }
    family = plan.shared[0].config.family
    extra: dict[str, Any] = {"trained_lam": list(family.lam)}
    if family.gaps:
        extra["trained_gaps"] = [end for gap in family.gaps for end in gap]
    return xarray.Dataset(data, labels, {**attributes, **extra})


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV of rows with equal keys."""
    return to_csv(list(rows[0]), [list(row.values()) for row in rows])


def _with_error(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    axes: tuple[str, ...],
    shape: tuple[int, ...],
    unit: str,
    text: str,
) -> dict[str, Any]:
    texts = {name: text, f"{name}_error": f"one standard error of {name}"}
    return {
        key: (axes, np.reshape([row[key] for row in rows], shape), {"units": unit, "long_name": words})
        for key, words in texts.items()
    }


def _column(seeds: Sequence[Sequence[Point]], name: str) -> FloatArray:
    """One number of every point, ``[seeds, L]``."""
    return np.array([[getattr(point, name) for point in points] for points in seeds], dtype=np.float64)
