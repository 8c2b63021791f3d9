"""A run that starts with the network of a trained model: further training of the same function can only gain."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qernel.config import Config
from qernel.errors import ConfigError
from qernel.training.filling import family_points
from qernel.training.folder import RunFolder, new_folder, require_unused
from qernel.training.run import initial_state, initial_wavefunction
from qernel.training.state import TrainState
from qernel.wavefunction import Wavefunction, parameter_layout
from qernel.wavefunction.evaluate import PointAmplitude
from qernel.wavefunction.transfer import Overlap, misfits, one_determinant, transferred

SAME = 1e-2
"""Deviations of log|ψ| up to which two wavefunctions are called the same function: noise of single precision."""

CLOSE = 0.3
"""The same for nearly the same function: of Hartree–Fock orbitals in another basis, say."""

_GROUPS, _WALKERS = 4, 8


class Grown(NamedTuple):
    """What a run was started with.

    Attributes:
        run: its folder.
        overlaps: of the Hartree–Fock determinants with those that the network was trained with, if there are any.
        deviation: of log|ψ_new/ψ_old| among configurations of one λ, root mean square; None where the two cannot be
            the same: one determinant of several, other electrons, another cell.
        rescaled: parameters of the family with other intervals than in training: the network reads them on the scale
            of their interval.
    """

    run: Path
    overlaps: list[Overlap]
    deviation: float | None
    rescaled: list[str]

    @property
    def same(self) -> bool:
        """Whether the run starts as the same function."""
        return self.deviation is not None and self.deviation < SAME

    @property
    def word(self) -> str:
        """What the run starts as."""
        if self.deviation is None or self.deviation >= CLOSE:
            return "a start"
        return "the same function" if self.same else "nearly the same function"


def start_from(
    source: Wavefunction, source_config: Config, config: Config, out: Path, *, determinant: int | None = None
) -> Grown:
    """Write the folder of a run whose first state has the network of a trained wavefunction.

    Args:
        source: the trained wavefunction.
        source_config: what made it.
        config: of the run; its network has at least the sizes of the source.
        out: the folder, empty or absent; training goes on there with ``resume``.
        determinant: take over this one of several, counted from 0, with its orbitals; ``config`` asks for one.

    Returns:
        How close to the source the run starts.

    Raises:
        ConfigError: if the network of the source does not fit into that of the configuration.
        RunError: if the folder holds something, or cannot be written.
    """
    require_unused(out)
    config = config.model_copy(update={"train": config.train.model_copy(update={"started_from": None})})
    _require_alike(source_config, config)
    alike = determinant is None and _same_electrons(source_config, config)
    if determinant is None:
        if lacking := misfits(source, initial_wavefunction(config, start=False)):
            raise ConfigError(_smaller(source_config, config) or f"the trained network does not fit: {lacking[0]}")
        grown, overlaps = transferred(source, initial_wavefunction(config))
    else:
        grown, overlaps = _one_of(source, source_config, config, determinant), []
    parameters = parameter_layout(grown).parameters
    state = initial_state(config, grown)._replace(parameters=parameters, average=parameters)
    deviation = _deviation(source, grown, state, config) if alike else None
    with new_folder(out), RunFolder(out, config, grown).begin(state):
        pass
    return Grown(out, overlaps, deviation, _rescaled(source, grown))


def _rescaled(old: Wavefunction, new: Wavefunction) -> list[str]:
    pairs = zip(new.hamiltonian.parameters, old.hamiltonian.scales, new.hamiltonian.scales, strict=True)
    return [name for name, before, after in pairs if tuple(before) != tuple(after)]


def _require_alike(old: Config, new: Config) -> None:
    """What no network can be carried over."""
    problems = []
    if old.model.ansatz != new.model.ansatz:
        problems.append(
            f"model.ansatz = {new.model.ansatz!r}, but the trained network is a {old.model.ansatz!r}: give the same"
        )
    conditioned = [list(config.hamiltonian().parameters) for config in (old, new)]
    if conditioned[0] != conditioned[1]:
        names = [", ".join(one) or "nothing" for one in conditioned]
        problems.append(
            f"[family] conditions on {names[1]}, the trained network on {names[0]}: give intervals for the same ones"
        )
    if problems:
        raise ConfigError(problems)


def _smaller(old: Config, new: Config) -> list[str]:
    """A sentence for each key that makes the network smaller than the trained one."""
    before, after = old.model.model_dump(), new.model.model_dump()
    sizes = [key for key, value in before.items() if type(value) is int and after[key] < value]
    return [
        f"model.{key} = {after[key]} is less than the {before[key]} of the trained network: give at least as many"
        for key in sizes
    ]


def _one_of(source: Wavefunction, old: Config, new: Config, determinant: int) -> Wavefunction:
    count = old.model.determinants
    if not 0 <= determinant < count:
        raise ConfigError(
            f"determinant {determinant} is not one of the {count} of the trained network: 0 to {count - 1}"
        )
    if new.model.determinants != 1:
        raise ConfigError(f"model.determinants = {new.model.determinants}: one determinant alone needs 1")
    try:
        return one_determinant(source, initial_wavefunction(new, start=False), determinant)
    except ValueError as error:
        raise ConfigError(
            f"one determinant is taken over as it is, and {error}: change nothing but model.determinants in [model]"
        ) from error


def _same_electrons(old: Config, new: Config) -> bool:
    return (old.system.electrons, old.system.supercell) == (new.system.electrons, new.system.supercell)


def _deviation(source: Wavefunction, grown: Wavefunction, state: TrainState, config: Config) -> float:
    """See `Grown.deviation`, for some of the walkers that the run starts with."""
    train, hamiltonian = config.train, grown.hamiltonian
    points = np.asarray(family_points(hamiltonian, state.fractions, train))
    spread: list[Any] = []
    for group in np.unique(np.linspace(0, train.groups - 1, _GROUPS).astype(int)):
        x = np.asarray(state.walkers.positions[group, :_WALKERS])
        logs = [PointAmplitude(w, points[group], train.precision).log_psi(x)[1].real for w in (grown, source)]
        spread.append(np.var(logs[0] - logs[1]))
    return float(np.sqrt(np.mean(spread)))
