"""The systems of one run: in each the same numbers make a wavefunction, which has groups of walkers of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qernel.config import Config
from qernel.config.sections import TrainConfig
from qernel.hamiltonian.family import Hamiltonian
from qernel.wavefunction import Wavefunction
from qernel.wavefunction.assemble import relocated


class Member(NamedTuple):
    """One of the systems of a run.

    Attributes:
        label: its name for people; empty for the only one.
        wavefunction: the numbers of all of them, in this system.
        train: how it is trained: its groups and walkers.
    """

    label: str
    wavefunction: Wavefunction
    train: TrainConfig


class Groups(NamedTuple):
    """The groups of walkers of all systems, one after the other.

    Attributes:
        hamiltonians: of every system.
        labels: their names; those of a single system are empty.
        system: number of the system of each group ``[G]``.
        walkers: how many a group has ``[G]``.
    """

    hamiltonians: tuple[Hamiltonian, ...]
    labels: tuple[str, ...]
    system: npt.NDArray[np.int64]
    walkers: npt.NDArray[np.int64]

    def hamiltonian(self, group: int) -> Hamiltonian:
        """Of the system of a group."""
        return self.hamiltonians[self.system[group]]

    def label(self, group: int) -> str:
        """The name of the system of a group; empty where there is one system."""
        return self.labels[self.system[group]]

    @property
    def named(self) -> tuple[str, ...]:
        """The name of the system of each group; nothing where there is one system."""
        return tuple(self.label(group) for group in range(len(self.system))) if len(self.labels) > 1 else ()

    def of(self, group: int) -> str:
        """The name in words that follow "the group"."""
        return f" of {self.label(group)}" if self.label(group) else ""


def members_of(config: Config, template: Wavefunction) -> tuple[Member, ...]:
    """Every system of a configuration.

    Args:
        config: what to train.
        template: its wavefunction in [system].
    """
    first, *others = config.members
    if not others:
        return (Member("", template, config.train),)
    found = [Member(first.system.label, template, first.train)]
    for one in others:
        there = relocated(template, one.model, one.hamiltonian())
        found.append(Member(one.system.label, there, one.train))
    return tuple(found)


def groups_of(members: tuple[Member, ...]) -> Groups:
    """The groups of walkers of all systems."""
    counts = [one.train.groups for one in members]
    return Groups(
        tuple(one.wavefunction.hamiltonian for one in members),
        tuple(one.label for one in members),
        np.repeat(np.arange(len(members)), counts),
        np.repeat([one.train.walkers for one in members], counts),
    )
