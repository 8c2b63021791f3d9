"""Where the command line asks a trained model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.cli.shared.arguments import flatten
from qernel.config.laboratory import InUnit, reduced
from qernel.errors import QernelError

if TYPE_CHECKING:
    from qernel.config.sections.system import SystemConfig
    from qernel.measure.model import Model
    from qernel.measure.points import Points


def asked_model(options: argparse.Namespace) -> Model:
    """The model RUN, in the system of ``--electrons``, ``--supercell``, ``--twist``, ``--phase`` where any is given.

    Raises:
        RunError: if there is no such model, or it cannot be asked there.
    """
    from qernel.measure import load

    model = load(options.run)
    system = asked_system(options)
    return model.on(**system) if system else model


def asked_system(options: argparse.Namespace) -> dict[str, Any]:
    """What is given of ``--electrons``, ``--supercell``, ``--twist`` and ``--phase``, as `Model.on` takes it."""
    asked = {name: getattr(options, name) for name in ("electrons", "supercell", "twist", "phase")}
    return {name: value for name, value in asked.items() if value is not None}


def system_words(options: argparse.Namespace) -> list[str]:
    """The same as words that can be typed again."""
    words = []
    for name, value in asked_system(options).items():
        flat = [value] if isinstance(value, str) else np.ravel(np.asarray(value)).tolist()
        words.append(f"--{name}={','.join(one if isinstance(one, str) else f'{one:.15g}' for one in flat)}")
    return words


def asked_values(options: argparse.Namespace, system: SystemConfig) -> tuple[str, list[float], dict[str, float]]:
    """The parameter of ``--lam``, ``--depth`` or ``--along``, its values, and those of ``--at``, in reduced units.

    Args:
        options: of a command line.
        system: whose material says what they are in the laboratory.

    Raises:
        QernelError: for one that is given twice with ``--at``, or in units that it does not have.
    """
    along, values = options.along or ("lam", flatten(options.lam or []))
    if options.depth is not None:
        values = [InUnit(value, getattr(value, "unit", "meV")) for value in flatten(options.depth)]
    twice = [name for name, _ in options.at if sum(name == other for other, _ in options.at) > 1]
    if twice:
        raise QernelError(f"--at {twice[0]} is given twice: give it once")
    at = {name: reduced(system, name, value) for name, value in options.at}
    return along, [reduced(system, along, value) for value in values], at


def asked_points(model: Model, options: argparse.Namespace) -> Points:
    """The points of ``--lam`` or ``--along``, ``--at``, and the chains at each.

    Raises:
        QernelError: for a parameter that the model does not have, or that is given twice.
        RunError: for points far outside the trained range, unless ``--extrapolate`` is given.
    """
    from qernel.measure.points import points

    along, values, at = asked_values(options, model.config.system)
    chains = {"samples": options.samples, "walkers": options.walkers, "seed": options.seed}
    return points(model, values, along=along, at=at, extrapolate=options.extrapolate, **chains)
