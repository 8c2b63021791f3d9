"""Measuring a model at several λ, and the results as the JSON object that scripts depend on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qernel.cli.progress import MeasuringProgress
from qernel.errors import QernelError

if TYPE_CHECKING:
    import xarray

    from qernel.config import Config
    from qernel.hamiltonian.family import Hamiltonian
    from qernel.model import Energies, Model, State

ENERGIES = ("energy", "kinetic", "moire", "interaction")
"""Per electron in E0, with error bars."""

DIAGNOSTICS = ("acceptance", "autocorrelation", "rhat", "effective_samples")

RHAT_LIMIT = 1.05
"""Beyond this the chains at one λ have not come to agree."""


def measure(model: Model, points: Sequence[float], options: argparse.Namespace) -> list[Energies]:
    """Energies at each λ with the sampling settings of the command, and warnings about them."""
    states = states_at(model, points, options)
    results = []
    with MeasuringProgress(len(states)) as progress:
        for state in states:
            progress.begin(state.lam)
            settings = {"walkers": options.walkers, "seed": options.seed, "progress": progress}
            results.append(state.energy(options.samples, **settings))
    stuck = [result.lam for result in results if not result.rhat <= RHAT_LIMIT]
    if stuck:
        warn(
            f"the chains disagree (rhat above {RHAT_LIMIT}) at λ = {listed(stuck)}: "
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
    return states


def other_parameters(model: Model, assignments: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The values of all parameters but λ: those given with ``--at``, else the middle of the trained interval."""
    middle = {name: 0.5 * (low + high) for name, (low, high) in model.ranges.items() if name != "lam"}
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
    """One λ; energies as ``{"value", "error"}`` per electron in E0."""
    return {
        "lam": result.lam,
        **{name: getattr(result, name).as_dict() for name in ENERGIES},
        **{name: float(getattr(result, name)) for name in DIAGNOSTICS},
        "extrapolating": bool(result.extrapolating),
    }


def dataset(model: Model, results: Sequence[Energies], others: Mapping[str, float]) -> xarray.Dataset:
    """The results along λ, as the file that `qernel.open` reads."""
    import xarray

    from qernel.observables.dataset import parameter_attributes
    from qernel.observables.energy import PARTS
    from qernel.provenance import model_attributes

    rows = [row(result) for result in results]
    data: dict[str, Any] = {}
    for name in ENERGIES:
        about = {"units": "E0", "long_name": PARTS[name], "ancillary_variables": f"{name}_error"}
        data[name] = ("lam", [entry[name]["value"] for entry in rows], about)
        about = {"units": "E0", "long_name": f"one standard error of {name}"}
        data[f"{name}_error"] = ("lam", [entry[name]["error"] for entry in rows], about)
    for name in DIAGNOSTICS:
        stored = name if name == "acceptance" else f"energy_{name}"
        data[stored] = ("lam", [entry[name] for entry in rows], {"units": "1", "long_name": f"{name} of the energy"})
    flags = [int(entry["extrapolating"]) for entry in rows]
    data["extrapolating"] = ("lam", flags, {"units": "1", "long_name": "1 where a parameter is outside its range"})
    coordinates: dict[str, Any] = {"lam": ("lam", [entry["lam"] for entry in rows], parameter_attributes("lam"))}
    coordinates |= {name: ((), value, parameter_attributes(name)) for name, value in others.items()}
    return xarray.Dataset(data, coordinates, model_attributes(model))


def warn(sentence: str) -> None:
    """A warning on standard error."""
    print(f"qernel: warning: {sentence}", file=sys.stderr, flush=True)


def listed(values: Sequence[float]) -> str:
    """The first few λ, for a sentence."""
    shown = ", ".join(f"{value:g}" for value in values[:6])
    return shown if len(values) <= 6 else f"{shown} and {len(values) - 6} more"


def _interval(model: Model) -> str:
    low, high = model.ranges["lam"]
    parts = [f"λ in [{low:g}, {high:g}]" if low < high else f"λ = {low:g} alone"]
    parts += [f"{name} in [{a:g}, {b:g}]" for name, (a, b) in model.ranges.items() if name != "lam"]
    return " and ".join(parts)
