"""Where the command line asks a trained model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from qernel.cli.shared.arguments import flatten
from qernel.errors import QernelError

if TYPE_CHECKING:
    from qernel.measure.model import Model
    from qernel.measure.points import Points


def asked_model(options: argparse.Namespace) -> Model:
    """The model RUN, in the system of ``--electrons``, ``--supercell`` and ``--twist`` where any of them is given.

    Raises:
        RunError: if there is no such model, or it cannot be asked there.
    """
    from qernel.measure import load

    model = load(options.run)
    asked = {name: getattr(options, name) for name in ("electrons", "supercell", "twist")}
    system = {name: value for name, value in asked.items() if value is not None}
    return model.on(**system) if system else model


def asked_values(options: argparse.Namespace) -> tuple[str, list[float], dict[str, float]]:
    """The parameter of ``--lam`` or ``--along``, its values, and those of ``--at``.

    Raises:
        QernelError: for one that is given twice with ``--at``.
    """
    along, values = options.along or ("lam", flatten(options.lam))
    twice = [name for name, _ in options.at if sum(name == other for other, _ in options.at) > 1]
    if twice:
        raise QernelError(f"--at {twice[0]} is given twice: give it once")
    return along, list(values), dict(options.at)


def asked_points(model: Model, options: argparse.Namespace) -> Points:
    """The points of ``--lam`` or ``--along``, ``--at``, and the chains at each.

    Raises:
        QernelError: for a parameter that the model does not have, or that is given twice.
        RunError: for points far outside the trained range, unless ``--extrapolate`` is given.
    """
    from qernel.measure.points import points

    along, values, at = asked_values(options)
    chains = {"samples": options.samples, "walkers": options.walkers, "seed": options.seed}
    return points(model, values, along=along, at=at, extrapolate=options.extrapolate, **chains)
