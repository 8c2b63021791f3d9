"""The files of a scan: energies along a parameter as a data set and as a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from qernel.along import named
from qernel.errors import QernelError
from qernel.estimators.phases import flag
from qernel.hamiltonian.terms import parameter
from qernel.measure import place
from qernel.measure.dataset import parameter_attributes
from qernel.measure.energies import DIAGNOSTICS, ENERGIES, ORDER
from qernel.observables.energy import PARTS
from qernel.provenance import model_attributes
from qernel.storage import (
    DOUBTFUL,
    DOUBTFUL_MEANING,
    IMPOSSIBLE,
    IMPOSSIBLE_MEANING,
    OUTSIDE,
    PHASE,
    PHASE_MEANING,
    SYSTEM,
)
from qernel.storage import open as open_results

if TYPE_CHECKING:
    import xarray

    from qernel.lattice import FloatArray
    from qernel.measure.energies import Energies
    from qernel.measure.model import Model

TABLE, DATA, RECORD, FIGURE, OBSERVED = (
    "energies.csv",
    "energies.nc",
    "energies.json",
    "phase_diagram",
    "observables.nc",
)
FILES = (TABLE, DATA, RECORD, f"{FIGURE}.png", f"{FIGURE}.pdf", OBSERVED)
"""Everything a scan writes."""

REWEIGHTED: Final = {
    "reweighted_from": ("1", "lam at which the records were drawn"),
    "effective_fraction": ("1", "effective share of the records, from the weights alone"),
    "effective_samples": ("1", "independent samples behind the reweighted energy"),
}
"""What is said about reweighted energies besides, with its unit."""

DIRECTION = "reweighted"
"""As in `qernel.measure.reweight`, which takes a second to import."""


def dataset(
    model: Model,
    sweeps: Mapping[str, Sequence[Energies]],
    at: Mapping[str, float],
    *,
    along: str = "lam",
    swaps: FloatArray | None = None,
    reweighted: Sequence[Energies] = (),
) -> xarray.Dataset:
    """The results along a parameter, as the file that `qernel.open` reads.

    Args:
        model: that was measured.
        sweeps: energies at each value for each kind of chains. Those of the first are stored as ``energy`` and so on,
            those carried along the parameter as ``energy_up`` and so on.
        at: parameters that are the same at each value.
        along: the parameter.
        swaps: accepted fraction between neighbours, stored along the axis ``pair``.
        reweighted: energies at other values, stored as ``energy_reweighted`` and so on along ``lam_reweighted``.
    """
    import xarray

    first = next(iter(sweeps.values()))
    rows = [result.as_row(along) for result in first]
    data = _curves(rows, along) | _flags(rows, along)
    for sweep, energies in sweeps.items():
        if sweep in ("up", "down"):
            data |= _curves([result.as_row(along) for result in energies], along, sweep)
    values = [entry[along] for entry in rows]
    about = parameter_attributes(along)
    coordinates: dict[str, Any] = {along: (along, values, about)}
    if swaps is not None:
        meaning = f"accepted fraction of swaps between two neighbouring {along}"
        data["exchange_acceptance"] = ("pair", swaps, {"units": "1", "long_name": meaning})
        coordinates |= {"pair_low": ("pair", values[:-1], about), "pair_high": ("pair", values[1:], about)}
    if reweighted:
        axis = f"{along}_{DIRECTION}"
        data |= _curves([result.as_row(along) for result in reweighted], along, DIRECTION)
        for name, (_, text) in REWEIGHTED.items():
            stored = f"{name}_{DIRECTION}" if name in DIAGNOSTICS else name
            said = {"units": _unit_of(name, along), "long_name": _of(text, along)}
            data[stored] = (axis, [float(getattr(result, name)) for result in reweighted], said)
        coordinates[axis] = (axis, [result.values[along] for result in reweighted], about)
    coordinates |= {name: ((), value, parameter_attributes(name)) for name, value in at.items()}
    attributes = model_attributes(model, at) | place.attributes(model) | {"direction": rows[0]["direction"]}
    attributes |= {} if along == "lam" else {"along": along}
    return xarray.Dataset(data, coordinates, attributes)


def _of(text: str, along: str) -> str:
    """What is said of λ, said of another parameter."""
    return text if along == "lam" else text.replace("lam ", f"{along} ")


def _unit_of(name: str, along: str) -> str:
    return named(along).unit if name == "reweighted_from" else REWEIGHTED[name][0]


def _flags(rows: Sequence[Mapping[str, Any]], along: str) -> dict[str, Any]:
    """Diagnostics, and what has to be said of each point."""
    data: dict[str, Any] = {PHASE: (along, *flag([entry[PHASE] for entry in rows]))}
    for name in DIAGNOSTICS:
        stored = name if name == "acceptance" else f"energy_{name}"
        data[stored] = (along, [entry[name] for entry in rows], {"units": "1", "long_name": f"{name} of the energy"})
    for name, meaning in OUTSIDE.items():
        data[name] = (along, [int(entry[name]) for entry in rows], {"units": "1", "long_name": meaning})
    for name, key, meaning in ((DOUBTFUL, "warnings", DOUBTFUL_MEANING), (IMPOSSIBLE, IMPOSSIBLE, IMPOSSIBLE_MEANING)):
        set_at = [int(bool(entry[key])) for entry in rows]
        data[name] = (along, set_at, {"units": "1", "long_name": meaning})
    return data


def _curves(rows: Sequence[Mapping[str, Any]], along: str, sweep: str = "") -> dict[str, Any]:
    """Energies and order parameter with their errors, as variables along the parameter."""
    axis = f"{along}_{DIRECTION}" if sweep == DIRECTION else along
    made = f"reweighted from neighbouring {along}" if sweep == DIRECTION else f"chains carried {sweep} in {along}"

    texts = {name: (PARTS[name], "E0") for name in ENERGIES}
    if all(entry[ORDER] is not None for entry in rows):
        texts[ORDER] = ("<|rho_K|^2>, rho_K = (1/N) sum_i exp(iK.r_i)", "1")
    data: dict[str, Any] = {}
    for name, (text, unit) in texts.items():
        stored = f"{name}_{sweep}" if sweep else name
        text += f", {made}" if sweep else ""
        about = {"units": unit, "long_name": text, "ancillary_variables": f"{stored}_error"}
        data[stored] = (axis, [entry[name]["value"] for entry in rows], about)
        about = {"units": unit, "long_name": f"one standard error of {stored}"}
        data[f"{stored}_error"] = (axis, [entry[name]["error"] for entry in rows], about)
    for name, rhat in (("energy", "rhat"), (ORDER, f"{ORDER}_rhat")):
        if name in texts and (sweep or name == ORDER):
            stored = f"{name}_{sweep}" if sweep else name
            about = {"units": "1", "long_name": f"rank-normalised split R-hat of {stored}"}
            data[f"{stored}_rhat"] = (axis, [entry[rhat] for entry in rows], about)
    return data


def table(
    rows: Sequence[Mapping[str, Any]],
    at: Mapping[str, float],
    more: Sequence[str],
    along: str = "lam",
    about: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The results as CSV, numbers in full precision.

    Args:
        rows: of the results.
        at: parameters that are the same in each.
        more: columns that only some rows have.
        along: the parameter.
        about: what else is the same in each (`qernel.storage.system_columns`).
    """
    names = [along, *at]
    for name in ENERGIES:
        names += [name, f"{name}_error"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    last_names = [ORDER, f"{ORDER}_error", f"{ORDER}_rhat", PHASE, "direction", "in_gap", "warnings", IMPOSSIBLE, *more]
    writer.writerow([*names, *DIAGNOSTICS, "extrapolating", *last_names, *about])
    for entry in rows:
        energies = [entry[name][part] for name in ENERGIES for part in ("value", "error")]
        diagnostics = [entry[name] for name in DIAGNOSTICS]
        flag, between = ("true" if entry[name] else "false" for name in ("extrapolating", "in_gap"))
        order = entry[ORDER] or {"value": "", "error": ""}
        last = [order["value"], order["error"], entry[f"{ORDER}_rhat"], entry[PHASE], entry["direction"], between]
        last += ["; ".join(entry["warnings"]), entry[IMPOSSIBLE], *(entry.get(name, "") for name in more)]
        writer.writerow([entry[along], *at.values(), *energies, *diagnostics, flag, *last, *about.values()])
    return text.getvalue()


def units(
    at: Mapping[str, float],
    more: Sequence[str],
    along: str = "lam",
    about: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Unit of each column of the table."""
    found = {name: parameter_unit(name) for name in (along, *at)}
    for name in ENERGIES:
        found |= {name: "E0 per electron", f"{name}_error": "E0 per electron, one standard error"}
    return found | {
        "acceptance": "fraction of moves",
        "autocorrelation": "records",
        "rhat": "1",
        "effective_samples": "independent samples",
        "extrapolating": "whether the point lies outside the trained range",
        "in_gap": "whether lam lies in a gap of the trained range",
        ORDER: "1, <|rho_K|^2>",
        f"{ORDER}_error": "1, one standard error",
        f"{ORDER}_rhat": "1",
        PHASE: PHASE_MEANING,
        IMPOSSIBLE: "why the energies are no answer, empty if they may be one",
        "direction": f"fresh chains at every {along}, carried up or down in {along}, exchange between {along}, "
        "or reweighted",
        "warnings": "why error bars may be too small",
        **{name: f"{_unit_of(name, along)}, {_of(REWEIGHTED[name][1], along)}" for name in more},
        **{name: SYSTEM[name] for name in about},
    }


def stored_request(path: Path) -> Any:
    """What a data set on the disk was asked for; None where there is none."""
    if not path.exists():
        return None
    try:
        return json.loads(open_results(path).attrs["request"])
    except (QernelError, KeyError, ValueError, TypeError, RecursionError):
        return None


def parameter_unit(name: str) -> str:
    """Unit of a parameter in a record."""
    return "V0 (factor on the moiré depth)" if name == "lam" else parameter(name).units or "1"
