"""Measurements as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from qernel.along import axis as axis_of
from qernel.along import named
from qernel.measure.energies import ENERGIES, ORDER, SAMPLED
from qernel.measure.place import chosen, described
from qernel.observables.energy import PARTS
from qernel.storage import DOUBTFUL, DOUBTFUL_MEANING, IMPOSSIBLE, IMPOSSIBLE_MEANING, PHASE_MEANING, measured, outside
from qernel.text import columns, html_table

if TYPE_CHECKING:
    import xarray

    from qernel.measure.energies import Energies
    from qernel.measure.model import Model
    from qernel.measure.shelf import Shelf


_ENERGIES: Final = {name.replace("moire", "moiré"): meaning for name, meaning in PARTS.items()}

COLUMNS: Final = {
    **_ENERGIES,
    "|ρ_K|²": "order parameter ⟨|ρ_K|²⟩ of the √3×√3 crystal: ¼ in the perfect honeycomb, 1/N by chance",
    "phase": PHASE_MEANING,
    "acceptance": "accepted fraction of Gaussian moves",
    "autocorr.": "integrated autocorrelation time of the energy, in records",
    "rhat": "rank-normalised split R̂ of the energy: 1 where the chains agree",
    "eff. samples": "independent samples behind the energy",
}
"""Columns of a table of energies after the parameter, with their meaning."""

SWAPS: Final = {"swaps with next": "accepted fraction of the swaps between a point and the next one (--exchange)"}
"""The column that comes with replica exchange."""

REWEIGHTED: Final = {
    **_ENERGIES,
    "from": "the value of the parameter at which the records were drawn",
    "effective": "effective share of the records, from the weights alone",
    "eff. samples": "independent samples behind the reweighted energy",
}
"""Columns of the table of energies in between, after the parameter."""

MEAN_FIELD: Final = {
    **_ENERGIES,
    "|ρ_K|²": "|⟨ρ_K⟩|² of the lowest determinant: ¼ in the perfect honeycomb crystal, 0 in a liquid",
    "basis error": "how far the energy lies above that of a complete basis, in E0 per electron",
    "E KIND": "energy of the lowest state of a kind: symmetric, crystal (the order of the classical one), other",
    "agreed": "starts that led to the lowest state, of all",
    "lowest found": "what the lowest state is, with the wave vectors of its order",
}
"""Columns of a table of Hartree–Fock states, after the parameter."""

REMARKS: Final = {IMPOSSIBLE: ("no answer", IMPOSSIBLE_MEANING), DOUBTFUL: ("errors doubtful", DOUBTFUL_MEANING)}
"""Words at the end of a row for a flag that is set, and what the flag is."""


def energy_table(
    model: Model | Shelf,
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
    head = [named(along).symbol, *COLUMNS]
    shown = [f"{value:.2f}" for value in swaps] + [""] if swaps is not None else []
    head += SWAPS if shown else []
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
                _said(result, remark({**result._asdict(), DOUBTFUL: any(part.doubts for part in (*parts, *order))})),
            ]
        )
    unit = model.config.energy_unit_meV
    title = f"{model.name}: {described(model)}, "
    title += "".join(f"{named(name).at(value)}, " for name, value in others.items())
    title += "energies per electron in E0" + ("" if unit is None else f" = {unit:.6g} meV")
    return "\n".join(filter(None, (title, chosen(model), columns([[*head, ""], *rows]))))


def _said(result: Energies, remark: str) -> str:
    """A remark, before it whether the numbers were there already."""
    return ", ".join(filter(None, ("" if result.origin == SAMPLED else result.origin, remark)))


def energy_html(results: Sequence[Energies], along: str, caption: str) -> str:
    """Energies per electron with their phase and convergence as an HTML table, a row for each point."""
    energies = [f"{name} (E0)" for name in ("energy", "kinetic", "moiré", "interaction")]
    rows = [[named(along).symbol, *energies, "|ρ_K|²", "phase", "R̂", ""]]
    for one in results:
        numbers = [getattr(one, name) for name in (*ENERGIES, ORDER)]
        doubtful = any(number.doubts for number in numbers if number is not None)
        cells = ["" if number is None else number.number for number in numbers]
        note = _said(one, remark({**one._asdict(), DOUBTFUL: doubtful}))
        rows.append([f"{one.values[along]:g}", *cells, one.phase, f"{one.rhat:.3f}", note])
    return html_table(rows, caption)


def reweighted_table(results: Sequence[Energies], along: str = "lam") -> str:
    """Energies at values between those that were sampled."""
    symbol = named(along).symbol
    rows = [[symbol, *(f"from {symbol}" if name == "from" else name for name in REWEIGHTED), ""]]
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
    said = [word for flag, (word, _) in REMARKS.items() if flag in point and bool(point[flag])]
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
