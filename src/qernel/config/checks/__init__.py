"""Relations between configuration values: problems that stop a run, and remarks that do not."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from qernel.config.checks import model, system, systems, train
from qernel.config.checks.model import READERS
from qernel.config.checks.notes import notes
from qernel.config.checks.problem import Problem

if TYPE_CHECKING:
    from qernel.config.schema import Config

__all__ = ["READERS", "Problem", "notes", "problems"]

_CHECKS = (
    system.cell,
    system.strengths,
    system.waves,
    system.parameters,
    system.gaps,
    system.scales,
    train.focus,
    model.network,
    model.orbital_waves,
    model.orbital_points,
    model.real,
    train.exchange,
    train.implicit,
    train.starts,
)
"""What has to hold in every system by itself."""


def problems(config: Config, sections: Container[str]) -> list[Problem]:
    """Everything that keeps these sections of a configuration, their values individually valid, from being used."""
    first, *others = ([problem for check in _CHECKS for problem in check(one)] for one in config.members)
    found = [*first, *systems.among(first, others), *systems.together(config)]
    return [problem for problem in found if all(key.partition(".")[0] in sections for key in problem.keys)]
