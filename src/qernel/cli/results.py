"""Measuring a model at several λ, and the results as the JSON object that scripts depend on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qernel.cli.progress import MeasuringProgress
from qernel.errors import QernelError
from qernel.storage import OUTSIDE

if TYPE_CHECKING:
    import xarray

    from qernel.config import Config
    from qernel.hamiltonian.family import Hamiltonian
    from qernel.model import Energies, Model, State

ENERGIES = ("energy", "kinetic", "moire", "interaction")
"""Per electron in E0, with error bars."""

DIAGNOSTICS = ("acceptance", "autocorrelation", "rhat", "effective_samples")

ORDER = "order_parameter"
"""⟨|ρ_K|²⟩ of the same samples, where K is a wave vector of the supercell."""

RHAT_LIMIT = 1.05
"""Beyond this the chains at one λ have not come to agree."""


def measure(model: Model, points: Sequence[float], options: argparse.Namespace) -> list[Energies]:
    """Energies at each λ with the sampling settings of the command, and warnings about them."""
    return measure_sweeps(model, points, options, ["fresh"])["fresh"]


def measure_sweeps(
    model: Model, points: Sequence[float], options: argparse.Namespace, sweeps: Sequence[str], start: Any = None
) -> dict[str, list[Energies]]:
    """The same for chains that start fresh at each λ, and for those carried up or down, in increasing λ each.

    Args:
        model: the trained wavefunction.
        points: λ, increasing where chains are carried.
        options: ``samples``, ``walkers``, ``seed``, ``at``.
        sweeps: of ``fresh``, ``up``, ``down``.
        start: configurations ``[W, N, 2]`` that chains start from.
    """
    states = states_at(model, points, options)
    settings: dict[str, Any] = {"walkers": options.walkers, "seed": options.seed}
    settings |= {} if start is None else {"start": start}
    results: dict[str, list[Energies]] = {}
    with MeasuringProgress(len(states) * len(sweeps)) as progress:
        for sweep in sweeps:
            if sweep == "fresh":
                results[sweep] = []
                for state in states:
                    progress.begin(state.lam)
                    results[sweep].append(state.energy(options.samples, **settings, progress=progress))
            else:
                from qernel.estimators.sweeps import carried

                shown: dict[str, Any] = {"begin": progress.begin, "progress": progress}
                results[sweep] = carried(states, sweep, samples=options.samples, **settings, **shown)
    stuck = [result.lam for rows in results.values() for result in rows if not result.rhat <= RHAT_LIMIT]
    if stuck:
        warn(
            f"the chains disagree (rhat above {RHAT_LIMIT}) at λ = {listed(list(dict.fromkeys(stuck)))}: "
            "their error bars are too small, measure with more --samples"
        )
    return results


def states_at(model: Model, points: Sequence[float], options: argparse.Namespace) -> list[State]:
    """The states at each λ, and a warning about those outside the trained range."""
    others = other_parameters(model, options.at)
    states = [model.at(lam, **others) for lam in points]
    outside = [state.lam for state in states if state.extrapolating]
    if outside:
        warn(f"extrapolating at λ = {listed(outside)}: the model was trained on {_interval(model)}")
    between = [state.lam for state in states if state.in_gap]
    if between:
        warn(f"λ = {listed(between)} in a gap of the training: the model was trained on {_interval(model)}")
    return states


def other_parameters(model: Model, assignments: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The values of all parameters but λ: those given with ``--at``, else the middle of the trained interval."""
    middle = {name: value for name, value in model.hamiltonian.middle.items() if name != "lam"}
    names = list(middle)
    for name, _ in assignments:
        if name not in names:
            known = f"its other parameters are {', '.join(names)}" if names else "λ is its only parameter"
            raise QernelError(f"--at {name}: {model.name} is not conditioned on {name}, {known}")
    return middle | dict(assignments)


def payload(model: Model, results: Sequence[Energies], others: Mapping[str, float]) -> dict[str, Any]:
    """The object printed by ``--json``."""
    return {**system_of(model, others), "results": [row(result) for result in results]}


def system_of(model: Model, others: Mapping[str, float]) -> dict[str, Any]:
    """What was measured: the system and the model."""
    return {
        "system": system(model.config, model.hamiltonian, others),
        "model": {"name": model.name, "parameters": model.parameters},
    }


def system(config: Config, hamiltonian: Hamiltonian, others: Mapping[str, float]) -> dict[str, Any]:
    """The electrons and forces that results are for."""
    up, down = config.system.electrons
    return {
        "electrons": [up, down] if down else up,
        "cells": config.system.cells,
        "V0": hamiltonian.V0,
        "U": others.get("U", hamiltonian.U),
        "phase_deg": others.get("phase_deg", hamiltonian.phase_deg),
        "energy_unit_meV": config.energy_unit_meV,
    }


def row(result: Energies) -> dict[str, Any]:
    """One λ; energies and order parameter as ``{"value", "error"}`` per electron in E0."""
    return {
        "lam": result.lam,
        **{name: getattr(result, name).as_dict() for name in ENERGIES},
        **{name: float(getattr(result, name)) for name in DIAGNOSTICS},
        "extrapolating": bool(result.extrapolating),
        "in_gap": bool(result.in_gap),
        ORDER: None if result.order_parameter is None else result.order_parameter.as_dict(),
        f"{ORDER}_rhat": float(result.order_parameter_rhat),
        "direction": result.direction,
    }


def dataset(
    model: Model,
    results: Sequence[Energies],
    others: Mapping[str, float],
    sweeps: Mapping[str, Sequence[Energies]] | None = None,
) -> xarray.Dataset:
    """The results along λ, as the file that `qernel.open` reads.

    Args:
        model: that was measured.
        results: at each λ.
        others: parameters that are the same at each λ.
        sweeps: chains that were carried in λ, by direction: stored as ``energy_up`` and so on.
    """
    import xarray

    from qernel.observables.dataset import parameter_attributes
    from qernel.provenance import model_attributes

    rows = [row(result) for result in results]
    data = _curves(rows)
    for name in DIAGNOSTICS:
        stored = name if name == "acceptance" else f"energy_{name}"
        data[stored] = ("lam", [entry[name] for entry in rows], {"units": "1", "long_name": f"{name} of the energy"})
    for name, text in OUTSIDE.items():
        data[name] = ("lam", [int(entry[name]) for entry in rows], {"units": "1", "long_name": text})
    for sweep, energies in (sweeps or {}).items():
        if sweep != "fresh":
            data |= _curves([row(result) for result in energies], sweep)
    coordinates: dict[str, Any] = {"lam": ("lam", [entry["lam"] for entry in rows], parameter_attributes("lam"))}
    coordinates |= {name: ((), value, parameter_attributes(name)) for name, value in others.items()}
    attributes = model_attributes(model) | {"direction": rows[0]["direction"]}
    return xarray.Dataset(data, coordinates, attributes)


def _curves(rows: Sequence[Mapping[str, Any]], sweep: str = "") -> dict[str, Any]:
    """Energies and order parameter with their errors, as variables along λ."""
    from qernel.observables.energy import PARTS

    texts = {name: (PARTS[name], "E0") for name in ENERGIES}
    if all(entry[ORDER] is not None for entry in rows):
        texts[ORDER] = ("<|rho_K|^2>, rho_K = (1/N) sum_i exp(iK.r_i)", "1")
    data: dict[str, Any] = {}
    for name, (text, unit) in texts.items():
        stored = f"{name}_{sweep}" if sweep else name
        text += f", chains carried {sweep} in lam" if sweep else ""
        about = {"units": unit, "long_name": text, "ancillary_variables": f"{stored}_error"}
        data[stored] = ("lam", [entry[name]["value"] for entry in rows], about)
        about = {"units": unit, "long_name": f"one standard error of {stored}"}
        data[f"{stored}_error"] = ("lam", [entry[name]["error"] for entry in rows], about)
    for name, rhat in (("energy", "rhat"), (ORDER, f"{ORDER}_rhat")):
        if name in texts and (sweep or name == ORDER):
            stored = f"{name}_{sweep}" if sweep else name
            about = {"units": "1", "long_name": f"rank-normalised split R-hat of {stored}"}
            data[f"{stored}_rhat"] = ("lam", [entry[rhat] for entry in rows], about)
    return data


def warn(sentence: str) -> None:
    """A warning on standard error."""
    print(f"qernel: warning: {sentence}", file=sys.stderr, flush=True)


def listed(values: Sequence[float]) -> str:
    """The first few λ, for a sentence."""
    shown = ", ".join(f"{value:g}" for value in values[:6])
    return shown if len(values) <= 6 else f"{shown} and {len(values) - 6} more"


def intervals(parts: Sequence[tuple[float, float]]) -> str:
    """Intervals of λ, for a sentence.

    >>> intervals([(0.4, 0.7), (0.9, 1.4)])
    '[0.4, 0.7] and [0.9, 1.4]'
    """
    return " and ".join(f"[{low:g}, {high:g}]" for low, high in parts)


def _interval(model: Model) -> str:
    low, high = model.ranges["lam"]
    parts = [f"λ in {intervals(model.hamiltonian.parts)}" if low < high else f"λ = {low:g} alone"]
    parts += [f"{name} in [{a:g}, {b:g}]" for name, (a, b) in model.ranges.items() if name != "lam"]
    return " and ".join(parts)
