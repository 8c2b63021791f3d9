"""The systems that one wavefunction is trained in: [system], and those of [[family.systems]]."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qernel.config.schema import Config
    from qernel.config.sections import SystemConfig

_OF_SYSTEM = ("electrons", "supercell", "twist")
_OF_TRAINING = ("groups", "walkers")

_ROUNDING = 1e-9


def members(config: Config) -> tuple[Config, ...]:
    """The configuration of each system alone, that of [system] first."""
    if not config.family.systems:
        return (config,)
    alone = config.model_copy(update={"family": config.family.model_copy(update={"systems": None})})
    found = [alone]
    for entry in config.family.systems:
        given = {key: value for key, value in entry if value is not None}
        system = {key: given[key] for key in _OF_SYSTEM if key in given}
        train = {key: given[key] for key in _OF_TRAINING if key in given}
        found.append(
            alone.model_copy(
                update={
                    "system": config.system.model_copy(update=system),
                    "train": config.train.model_copy(update=train),
                }
            )
        )
    return tuple(found)


def shared_walkers(config: Config) -> int:
    """The number that devices have to divide evenly: of walkers per group, the greatest common divisor of systems."""
    return math.gcd(*(one.train.walkers for one in members(config)))


def resolved(config: Config) -> list[dict[str, Any]]:
    """Further systems with all that they have from elsewhere, the same however they are written: for fingerprints."""
    return [
        {
            "electrons": list(one.system.electrons),
            "supercell": [list(row) for row in one.system.supercell],
            "twist": list(one.system.reduced_twist),
            "groups": one.train.groups,
            "walkers": one.train.walkers,
        }
        for one in members(config)[1:]
    ]


def same(one: SystemConfig, other: SystemConfig) -> bool:
    """Whether two systems with the same forces are one: electrons, lattice of the supercell, and twist modulo 1."""
    import numpy as np

    from qernel.lattice import Supercell

    if one.electrons != other.electrons or one.cells != other.cells:
        return False
    cells = [Supercell(system.supercell, system.lattice) for system in (one, other)]
    momenta = [
        np.asarray(system.reduced_twist) @ cell.reciprocal for system, cell in zip((one, other), cells, strict=True)
    ]
    across = cells[1].vectors @ cells[0].reciprocal.T / (2 * np.pi)
    along = (momenta[1] - momenta[0]) @ cells[0].vectors.T / (2 * np.pi)
    return all(bool(np.abs(numbers - numbers.round()).max() < _ROUNDING) for numbers in (across, along))
