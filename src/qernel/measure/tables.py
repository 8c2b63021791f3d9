"""Measurements as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qernel.along import axis as axis_of
from qernel.along import named
from qernel.measure.place import chosen, described
from qernel.storage import DOUBTFUL, IMPOSSIBLE, measured, outside
from qernel.text import columns

if TYPE_CHECKING:
    import xarray

    from qernel.measure.energies import Energies
    from qernel.measure.model import Model


def energy_table(
    model: Model,
    results: Sequence[Energies],
    others: Mapping[str, float],
    *,
    along: str = "lam",
    swaps: Sequence[float] | None = None,
) -> str:
    """Energies per electron in E0, a row for each point.

    Args:
        model: that was measured.
        results: at each point.
        others: parameters that are the same at each.
        along: the parameter that is not.
        swaps: accepted fraction of the swaps between each point and the next one.
    """
    head = [
        named(along).symbol,
        "energy",
        "kinetic",
        "moiré",
        "interaction",
        "|ρ_K|²",
        "phase",
        "acceptance",
        "autocorr.",
        "rhat",
        "eff. samples",
    ]
    shown = [f"{value:.2f}" for value in swaps] + [""] if swaps is not None else []
    head += ["swaps with next"] if shown else []
    rows = []
    for index, result in enumerate(results):
        parts = (result.energy, result.kinetic, result.moire, result.interaction)
        order = () if result.order_parameter is None else (result.order_parameter,)
        rows.append(
            [
                f"{result.values[along]:g}",
                *(part.number for part in parts),
                "" if result.order_parameter is None else result.order_parameter.number,
                result.phase,
                f"{result.acceptance:.2f}",
                f"{result.autocorrelation:.1f}",
                f"{result.rhat:.3f}",
                f"{result.effective_samples:.0f}",
                *shown[index : index + 1],
                remark({**result._asdict(), DOUBTFUL: any(part.doubts for part in (*parts, *order))}),
            ]
        )
    unit = model.config.energy_unit_meV
    title = f"{model.name}: {described(model)}, "
    title += "".join(f"{named(name).at(value)}, " for name, value in others.items())
    title += "energies per electron in E0" + ("" if unit is None else f" = {unit:.6g} meV")
    return "\n".join(filter(None, (title, chosen(model), columns([[*head, ""], *rows]))))


def reweighted_table(results: Sequence[Energies], along: str = "lam") -> str:
    """Energies at values between those that were sampled."""
    symbol = named(along).symbol
    rows = [[symbol, "energy", "kinetic", "moiré", "interaction", f"from {symbol}", "effective", "eff. samples", ""]]
    for result in results:
        parts = (result.energy, result.kinetic, result.moire, result.interaction)
        share = f"{result.effective_fraction:.1%}"
        cells = [
            *(part.number for part in parts),
            f"{result.reweighted_from:g}",
            share,
            f"{result.effective_samples:.0f}",
        ]
        rows.append(
            [
                f"{result.values[along]:g}",
                *cells,
                remark({**result._asdict(), DOUBTFUL: any(part.doubts for part in parts)}),
            ]
        )
    return columns(rows)


def remark(point: Mapping[Any, Any]) -> str:
    """What has to be said beside the numbers at one point (a row, or a data set); empty if nothing has.

    >>> remark({"doubtful": True, "extrapolating": True})
    'errors doubtful, extrapolating'
    """
    words = {IMPOSSIBLE: "no answer", DOUBTFUL: "errors doubtful"}
    said = [word for flag, word in words.items() if flag in point and bool(point[flag])]
    return ", ".join(filter(None, (*said, outside(point))))


def observed_table(dataset: xarray.Dataset) -> str:
    """The single numbers at every point, then the arrays that are only in the file."""
    from qernel.estimators.phases import stored_phase
    from qernel.estimators.quantity import parenthesis

    single, along = singles(dataset), axis_of(dataset)
    rows = [[along.symbol, *(_headed(dataset, name) for name in single), "phase", ""]]
    for index, value in enumerate(dataset[along.name].values):
        numbers = [parenthesis(float(dataset[name][index]), float(dataset[f"{name}_error"][index])) for name in single]
        here = dataset.isel({along.name: index})
        rows.append([f"{value:g}", *numbers, stored_phase(here).word, remark(here)])
    lines = [*filter(None, [dataset.attrs.get("twist_chosen")]), columns(rows)]
    for name in measured(dataset):
        if name not in single:
            axes = " × ".join(f"{size} {axis}" for axis, size in dataset[name].sizes.items())
            lines.append(f"{name}: {axes} ({dataset[name].attrs['units']})")
    return "\n".join(lines)


def singles(dataset: xarray.Dataset) -> list[str]:
    """What is one number at each point."""
    return [name for name in measured(dataset) if dataset[name].dims == (axis_of(dataset).name,)]


def _headed(dataset: xarray.Dataset, name: str) -> str:
    unit = dataset[name].attrs["units"]
    return name if unit == "1" else f"{name} ({unit})"
