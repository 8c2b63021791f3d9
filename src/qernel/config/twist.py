"""Twists as people write them, and as earlier versions stored them."""

from __future__ import annotations

import warnings
from math import pi
from pathlib import Path
from typing import TYPE_CHECKING

from qernel.errors import QernelWarning

if TYPE_CHECKING:
    from qernel.config.schema import Config

_DEGREES = 10.0
"""Nobody counts so many turns: 90 is an angle in degrees."""

_STEP, _CLOSE = pi / 12, 6e-4
"""Angles in radians are mostly multiples of 15°, and are rounded: 3.14 is one, relative to its size."""


def doubts(config: Config) -> list[str]:
    """A sentence if the twist looks like an angle in degrees or radians; it is taken in turns all the same."""
    twist = config.system.twist
    if any(abs(turns) >= _DEGREES for turns in twist):
        unit, full = "degrees", 360.0
    elif any(_is_radian(abs(turns)) for turns in twist):
        unit, full = "radians", 2 * pi
    else:
        return []
    meant = ", ".join(f"{turns / full:.4g}" for turns in twist)
    return [
        f"system.twist = {list(twist)} is in turns, of which whole ones do not count: if it is meant in {unit}, "
        f"give twist = [{meant}]"
    ]


def _is_radian(turns: float) -> bool:
    step = _STEP * max(1, round(turns / _STEP))
    return abs(turns - step) < _CLOSE * step


def earlier_meaning(config: Config) -> Config | None:
    """The configuration as versions without ``system.twist_along`` understood it; None if that is no other."""
    system = config.system
    if system.twist_along == "reduced" or system.reduced_twist == system.twist:
        return None
    return config.model_copy(update={"system": system.model_copy(update={"twist_along": "reduced"})})


def twist_as_stored(config: Config, origin: str) -> Config:
    """A configuration that Qernel has stored, with the meaning its twist had when it was written; says so if that is
    not the one it would have today."""
    from qernel.hamiltonian.twist import row_turns
    from qernel.lattice import Supercell

    earlier = None if "twist_along" in config.system.model_fields_set else earlier_meaning(config)
    if earlier is None:
        return config
    system = earlier.system
    cell = Supercell(system.supercell, system.lattice)
    first, second = cell.vectors.round(4).tolist()
    rows = ", ".join(f"{turns:.6g}" for turns in row_turns(cell, system.twist, system.twist_along))
    warnings.warn(
        f"{origin} was written by an earlier version, whose system.twist = {list(config.system.twist)} belongs to the "
        f"reduced supercell vectors {first} and {second}: it keeps that meaning (twist_along = 'reduced'); along "
        f"the rows of system.supercell this twist is [{rows}]",
        QernelWarning,
        stacklevel=4,
    )
    return earlier


def belongs_to_run(path: Path) -> bool:
    """Whether a file is the configuration that Qernel stored in a run folder, not one that a person wrote."""
    beside = (path.parent.glob(pattern) for pattern in ("model.safetensors", "checkpoint*.safetensors"))
    return path.name == "config.toml" and any(any(files) for files in beside)
