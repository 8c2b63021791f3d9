"""The files of a scan: energies along λ as a data set and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qernel.cli.shared.results import DIAGNOSTICS, ENERGIES, ORDER, Measured, row
from qernel.hamiltonian.terms import parameter
from qernel.storage import DOUBTFUL, DOUBTFUL_MEANING, IMPOSSIBLE, IMPOSSIBLE_MEANING, OUTSIDE

if TYPE_CHECKING:
    import xarray

    from qernel.measure import Energies, Model

REWEIGHTED = {
    "reweighted_from": {"units": "1", "long_name": "lam at which the records were drawn"},
    "effective_fraction": {"units": "1", "long_name": "effective share of the records, from the weights alone"},
    "effective_samples": {"units": "1", "long_name": "independent samples behind the reweighted energy"},
}
"""What is said about reweighted energies besides."""

DIRECTION = "reweighted"
"""As in `qernel.measure.reweight`, which takes a second to import."""

_AXIS = f"lam_{DIRECTION}"


def dataset(
    model: Model,
    results: Sequence[Energies],
    others: Mapping[str, float],
    measured: Measured | None = None,
    reweighted: Sequence[Energies] = (),
) -> xarray.Dataset:
    """The results along λ, as the file that `qernel.open` reads.

    Args:
        model: that was measured.
        results: at each λ.
        others: parameters that are the same at each λ.
        measured: all chains. Those carried in λ are stored as ``energy_up`` and so on, accepted swaps between
            neighbours along the axis ``pair``.
        reweighted: energies at other λ, stored as ``energy_reweighted`` and so on along ``lam_reweighted``.
    """
    import xarray

    from qernel.measure.dataset import parameter_attributes
    from qernel.provenance import model_attributes

    rows = [row(result) for result in results]
    data = _curves(rows)
    for name in DIAGNOSTICS:
        stored = name if name == "acceptance" else f"energy_{name}"
        data[stored] = ("lam", [entry[name] for entry in rows], {"units": "1", "long_name": f"{name} of the energy"})
    for name, meaning in OUTSIDE.items():
        data[name] = ("lam", [int(entry[name]) for entry in rows], {"units": "1", "long_name": meaning})
    for flag, key, meaning in ((DOUBTFUL, "warnings", DOUBTFUL_MEANING), (IMPOSSIBLE, IMPOSSIBLE, IMPOSSIBLE_MEANING)):
        set_at = [int(bool(entry[key])) for entry in rows]
        data[flag] = ("lam", set_at, {"units": "1", "long_name": meaning})
    for sweep, energies in (measured.sweeps if measured else {}).items():
        if sweep in ("up", "down"):
            data |= _curves([row(result) for result in energies], sweep)
    lams = [entry["lam"] for entry in rows]
    coordinates: dict[str, Any] = {"lam": ("lam", lams, parameter_attributes("lam"))}
    if measured and measured.swaps is not None:
        about = {"units": "1", "long_name": "accepted fraction of swaps between two neighbouring lam"}
        data["exchange_acceptance"] = ("pair", measured.swaps, about)
        for name, values in (("pair_low", lams[:-1]), ("pair_high", lams[1:])):
            coordinates[name] = ("pair", values, parameter_attributes("lam"))
    if reweighted:
        data |= _curves([row(result) for result in reweighted], DIRECTION)
        for name, text in REWEIGHTED.items():
            values = [float(getattr(result, name)) for result in reweighted]
            data[f"{name}_{DIRECTION}" if name in DIAGNOSTICS else name] = (_AXIS, values, text)
        lams = [result.lam for result in reweighted]
        coordinates[_AXIS] = (_AXIS, lams, parameter_attributes("lam"))
    coordinates |= {name: ((), value, parameter_attributes(name)) for name, value in others.items()}
    attributes = model_attributes(model, others) | {"direction": rows[0]["direction"]}
    return xarray.Dataset(data, coordinates, attributes)


def _curves(rows: Sequence[Mapping[str, Any]], sweep: str = "") -> dict[str, Any]:
    """Energies and order parameter with their errors, as variables along λ."""
    from qernel.observables.energy import PARTS

    axis = _AXIS if sweep == DIRECTION else "lam"
    made = "reweighted from neighbouring lam" if sweep == DIRECTION else f"chains carried {sweep} in lam"

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


def table(rows: Sequence[Mapping[str, Any]], others: Mapping[str, float], more: Sequence[str]) -> str:
    """The results as CSV, numbers in full precision; ``more`` are columns that only some rows have."""
    names = ["lam", *others]
    for name in ENERGIES:
        names += [name, f"{name}_error"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    last_names = [ORDER, f"{ORDER}_error", f"{ORDER}_rhat", "direction", "in_gap", "warnings", IMPOSSIBLE, *more]
    writer.writerow([*names, *DIAGNOSTICS, "extrapolating", *last_names])
    for entry in rows:
        energies = [entry[name][part] for name in ENERGIES for part in ("value", "error")]
        diagnostics = [entry[name] for name in DIAGNOSTICS]
        flag, between = ("true" if entry[name] else "false" for name in ("extrapolating", "in_gap"))
        order = entry[ORDER] or {"value": "", "error": ""}
        last = [order["value"], order["error"], entry[f"{ORDER}_rhat"], entry["direction"], between]
        last += ["; ".join(entry["warnings"]), entry[IMPOSSIBLE], *(entry.get(name, "") for name in more)]
        writer.writerow([entry["lam"], *others.values(), *energies, *diagnostics, flag, *last])
    return text.getvalue()


def units(others: Mapping[str, float], more: Sequence[str]) -> dict[str, str]:
    """Unit of each column of the table."""
    found = {"lam": "V0 (factor on the moiré depth)"} | {name: parameter(name).units or "1" for name in others}
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
        IMPOSSIBLE: "why the energies are no answer, empty if they may be one",
        "direction": "fresh chains at every lam, carried up or down in lam, exchange between lam, or reweighted",
        "warnings": "why error bars may be too small",
        **{name: f"1, {REWEIGHTED[name]['long_name']}" for name in more},
    }
