"""The outcome of a comparison as plain data, as tables and as a data set for figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qernel.comparison.accuracy import Accuracy
from qernel.comparison.conditions import Entry
from qernel.comparison.ratios import Point, ratio
from qernel.comparison.reference import Reference

if TYPE_CHECKING:
    import xarray

COSTS = {
    "parameters": "trainable real numbers",
    "active_parameters": "trainable real numbers that act on one configuration, at most",
    "seconds": "time of the training steps, compilation excluded, mean over seeds",
}
"""What accuracy is compared against."""


class Outcome(NamedTuple):
    """A finished comparison: models in order, sizes by label (all, active), accuracies by label."""

    entries: list[Entry]
    sizes: Mapping[str, tuple[int, int]]
    accuracies: Mapping[str, Accuracy]
    lam: tuple[float, ...]
    reference: Reference
    rhat: Mapping[str, float]


def models(outcome: Outcome) -> list[dict[str, Any]]:
    """One object for each model; energies per electron in E0."""
    rows = []
    for entry in outcome.entries:
        found = outcome.accuracies[entry.label]
        curve = zip(found.iterations, found.seconds, found.mean_excess, found.mean_excess_error, strict=True)
        parameters, active = outcome.sizes[entry.label]
        rows.append(
            {
                "label": entry.label,
                "series": entry.series,
                "parameters": parameters,
                "active_parameters": active,
                "iterations": float(found.iterations[-1]),
                "seconds": float(found.seconds[-1]),
                "mean_excess": _quantity(found.mean_excess[-1], found.mean_excess_error[-1]),
                "energy": [_quantity(*pair) for pair in zip(found.energy, found.energy_error, strict=True)],
                "excess": [_quantity(*pair) for pair in zip(found.excess, found.excess_error, strict=True)],
                "curve": [
                    {"iterations": float(i), "seconds": float(s), "mean_excess": _quantity(e, d)}
                    for i, s, e, d in curve
                ],
                "rhat": outcome.rhat[entry.label],
            }
        )
    return rows


def ratios(outcome: Outcome) -> list[dict[str, Any]]:
    """Every pair of series at equal accuracy, for each of `COSTS`."""
    series = list(dict.fromkeys(entry.series for entry in outcome.entries))
    pairs = [(one, other) for index, one in enumerate(series) for other in series[index + 1 :]]
    return [
        {
            "cost": cost,
            "of": one,
            "over": other,
            **ratio(_points(outcome, one, cost), _points(outcome, other, cost))._asdict(),
        }
        for one, other in pairs
        for cost in COSTS
    ]


def _points(outcome: Outcome, series: str, cost: str) -> list[Point]:
    """The models of a series at the end of their training; for seconds, all along their learning curves."""
    points = []
    for entry in outcome.entries:
        if entry.series != series:
            continue
        found = outcome.accuracies[entry.label]
        if cost == "seconds":
            columns = zip(found.seconds, found.mean_excess, found.mean_excess_error, strict=True)
            points += [Point(*(float(value) for value in row)) for row in columns]
        else:
            size = outcome.sizes[entry.label][0 if cost == "parameters" else 1]
            points.append(Point(float(size), float(found.mean_excess[-1]), float(found.mean_excess_error[-1])))
    return points


def model_table(rows: Sequence[Mapping[str, Any]], seeds: int) -> str:
    """CSV, a row for each model."""
    names = ["label", "series", "parameters", "active_parameters", "iterations", "seconds"]
    head = [*names, "seeds", "mean_excess", "mean_excess_error", "rhat"]
    return to_csv(
        head,
        [
            [
                *(row[name] for name in names),
                seeds,
                row["mean_excess"]["value"],
                row["mean_excess"]["error"],
                row["rhat"],
            ]
            for row in rows
        ],
    )


def energy_table(rows: Sequence[Mapping[str, Any]], lam: Sequence[float], reference: Reference) -> str:
    """CSV, a row for each model and λ."""
    head = ["label", "lam", "energy", "energy_error", "excess", "excess_error", "reference", "reference_error"]
    lines = []
    for row in rows:
        for index, value in enumerate(lam):
            energy, excess = row["energy"][index], row["excess"][index]
            known = [float(reference.energy[index]), float(reference.error[index])]
            lines.append(
                [row["label"], value, energy["value"], energy["error"], excess["value"], excess["error"], *known]
            )
    return to_csv(head, lines)


def dataset(outcome: Outcome, attributes: Mapping[str, Any]) -> xarray.Dataset:
    """The same for `qernel.open` and ``qernel plot accuracy``; learning curves that are shorter begin with NaN."""
    import xarray

    found = [outcome.accuracies[entry.label] for entry in outcome.entries]
    length = max(len(one.seconds) for one in found)

    def padded(name: str) -> Any:
        return np.stack(
            [np.pad(getattr(one, name), (length - len(one.seconds), 0), constant_values=np.nan) for one in found]
        )

    energies = {"energy": "energy per electron", "excess": "energy per electron above the reference"}
    data: dict[str, Any] = {}
    for name, text in energies.items():
        for suffix, meaning in (("", text), ("_error", f"one standard error of {name}")):
            values = np.stack([getattr(one, name + suffix) for one in found])
            data[name + suffix] = (("model", "lam"), values, {"units": "E0", "long_name": meaning})
    curves = {
        "mean_excess": ("E0", "energy per electron above the reference, mean over λ, along training"),
        "mean_excess_error": ("E0", "one standard error of mean_excess"),
        "seconds": ("s", COSTS["seconds"]),
        "iterations": ("1", "training iterations, mean over seeds"),
    }
    for name, (unit, text) in curves.items():
        data[name] = (("model", "point"), padded(name), {"units": unit, "long_name": text})
    for index, name in enumerate(("parameters", "active_parameters")):
        sizes = [outcome.sizes[entry.label][index] for entry in outcome.entries]
        data[name] = (("model",), sizes, {"units": "1", "long_name": COSTS[name]})
    for name, column in (("reference", outcome.reference.energy), ("reference_error", outcome.reference.error)):
        data[name] = (("lam",), column, {"units": "E0", "long_name": f"{name} energy per electron".replace("_", " ")})
    labels = {
        "model": [entry.label for entry in outcome.entries],
        "series": ("model", [entry.series for entry in outcome.entries]),
        "lam": ("lam", list(outcome.lam), {"units": "1", "long_name": "factor λ on the moiré depth V0"}),
    }
    about = {"reference": outcome.reference.source, "reference_exact": int(outcome.reference.exact)}
    return xarray.Dataset(data, labels, {**attributes, **about})


def _quantity(value: Any, error: Any) -> dict[str, float]:
    return {"value": float(value), "error": float(error)}


def to_csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """CSV text with a line of names first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
