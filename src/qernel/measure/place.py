"""The system that a model is asked in: the one it was trained in, or another one with the same weights (`on`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qernel.config import Config
from qernel.config.checks.model import crystallises
from qernel.config.systems import same
from qernel.config.twist import doubts
from qernel.errors import RunError, warn
from qernel.hamiltonian.twist import Turns, half_turns, reduced_turns, row_turns, written
from qernel.lattice import Supercell
from qernel.measure.sizes import Matrix, chosen_twist, given_twist, same_size, size
from qernel.text import describe
from qernel.wavefunction.registry import BY_PHASE, PHASES, UNIVERSAL

if TYPE_CHECKING:
    from qernel.measure.model import Model
    from qernel.measure.shelf import Shelf


@dataclass(frozen=True)
class Moved:
    """How a model came into another system.

    Attributes:
        trained: the configuration its weights were trained with.
        reason: which twist was chosen, and why; empty where it was asked for.
    """

    trained: Config
    reason: str


class Known(NamedTuple):
    """Whether a model was trained with this number of electrons in this supercell, and whether at this twist of it."""

    size: bool
    twist: bool

    def __str__(self) -> str:
        """What was not; empty if both were."""
        return "" if self.twist else "twist not trained" if self.size else "size not trained"

    @property
    def flags(self) -> dict[str, bool]:
        """Both, as results have them."""
        return {"size_trained": self.size, "twist_trained": self.twist}


def on(
    model: Model,
    *,
    electrons: int | tuple[int, int] | None = None,
    supercell: Sequence[Sequence[int]] | None = None,
    twist: Sequence[float] | None = None,
    phase: str | None = None,
) -> Model:
    """The same weights in another system: of ansätze whose weights belong to no size, such as ``lem``.

    Args:
        model: to ask there.
        electrons: N, of the polarisation that was trained, or (up, down); default: as many as have the filling that was
            trained, in the supercell.
        supercell: integer matrix over the moiré lattice vectors; default: the one trained with so many electrons, or
            the n×n cells in which they have the filling that was trained.
        twist: in turns along the rows of the supercell; default: the one trained at this size, else the half turns at
            which the shell of free electrons is closed, else none.
        phase: with the determinants of the ``liquid`` or of the ``crystal`` alone, in which chains begin; default: with
            all that were trained. So each branch of the energy can be followed beyond the transition.

    Raises:
        RunError: if the weights belong to one system, there is no such supercell or number of electrons, or the twist
            makes ψ complex where it is to be real.
        ConfigError: for a system that no configuration can have.

    >>> import qernel
    >>> qernel.load("runs/lem").on(electrons=54)  # doctest: +SKIP
    Model('lem': 54 electrons on 81 moiré cells, twist (0, 0), size not trained)
    """
    config, moved = _destination(model, electrons, supercell, twist, phase)
    wavefunction = _relocated(model, config)
    there = replace(model, config=config, wavefunction=wavefunction, card=None, journal=None, moved=moved, _samplers={})
    return there if model.start is None else there.with_start(model.start)


def shelf_on(shelf: Shelf, **system: Any) -> Shelf:
    """The same without opening the model: where its results in another system are looked for; arguments as of `on`.

    Raises:
        RunError: as `on`.
        ConfigError: as `on`.
    """
    config, moved = _destination(shelf, **system)
    return replace(shelf, config=config, moved=moved)


def _destination(
    model: Model | Shelf,
    electrons: int | tuple[int, int] | None = None,
    supercell: Sequence[Sequence[int]] | None = None,
    twist: Sequence[float] | None = None,
    phase: str | None = None,
) -> tuple[Config, Moved]:
    """The configuration of another system, and how a model comes there."""
    trained = origin(model)
    if phase is not None:
        _require_phase(model.name, trained, phase)
    if not _universal(model):
        system = trained.system
        raise RunError(
            f"{model.name} belongs to {describe(system.electrons, system.cells)}, as do all weights of ansatz "
            f"'{trained.model.ansatz}': ask it without another size or twist, or train ansatz = '{UNIVERSAL[0]}', "
            "whose weights serve every system"
        )
    count, matrix = size(model.name, trained, electrons, supercell)
    cell = Supercell(matrix, trained.system.lattice)
    turns, reason = chosen_twist(trained, count, cell) if twist is None else (given_twist(twist), "")
    if trained.model.complex is False and not half_turns(reduced_turns(cell, turns)):
        raise RunError(
            f"the twist {written(turns)} makes ψ complex, and model.complex = false keeps that of {model.name} real: "
            "give a twist of half turns, such as (1/2, 0)"
        )
    config = _configured(trained, count, matrix, turns, phase)
    for sentence in doubts(config):
        warn(sentence)
    return config, Moved(trained, reason)


def _require_phase(name: str, trained: Config, phase: str) -> None:
    """Refuse a phase that there is not, or of an ansatz whose determinants belong to no phase."""
    if phase not in PHASES:
        raise RunError(f"phase = {phase!r} is none that can be asked alone: give {' or '.join(PHASES)}")
    if trained.model.ansatz not in BY_PHASE:
        raise RunError(
            f"the determinants of {name}, of ansatz '{trained.model.ansatz}', are not those of one phase each: ask it "
            f"without a phase, or a model of ansatz = '{BY_PHASE[0]}'"
        )


def origin(model: Model | Shelf) -> Config:
    """The configuration that the weights of a model were trained with."""
    return model.config if model.moved is None else model.moved.trained


def known(model: Model | Shelf) -> Known:
    """What a model was trained on; all there is of one whose weights belong to one system."""
    if not _universal(model):
        return Known(True, True)
    system = model.config.system
    cell = Supercell(system.supercell, system.lattice)
    trained = origin(model).systems
    return Known(
        any(same_size(one, system.electrons, cell) for one in trained), any(same(one, system) for one in trained)
    )


def described(model: Model | Shelf) -> str:
    """The system a model is asked in, in a few words; where the weights serve others, with what was not trained."""
    system = model.config.system
    if not _universal(model):
        return describe(system.electrons, system.cells)
    alone = alone_in(model)
    words = describe(system.electrons, system.cells), f"twist {written(_turns(model))}", str(known(model))
    return ", ".join(filter(None, (*words, alone and f"{alone} alone")))


def chosen(model: Model | Shelf) -> str:
    """Which twist was chosen in another system, and why; empty where none was."""
    return model.moved.reason if _universal(model) and model.moved is not None else ""


def placed(model: Model | Shelf) -> dict[str, Any]:
    """The system a model is asked in as plain data; empty for one whose weights belong to one system."""
    if not _universal(model):
        return {}
    (up, down), reason = model.config.system.electrons, chosen(model)
    return {
        "electrons": [up, down] if down else up,
        "supercell": [list(row) for row in model.config.system.supercell],
        "twist": list(_turns(model)),
        **known(model).flags,
        **({"twist_chosen": reason} if reason else {}),
        **({"phase_alone": alone} if (alone := alone_in(model)) else {}),
    }


def alone_in(model: Model | Shelf) -> str:
    """The phase whose determinants alone are asked; empty for all of them."""
    phase = model.config.model.phase
    return "" if phase == "both" else phase


def attributes(model: Model) -> dict[str, Any]:
    """The same as attributes of a file: flags are 0 and 1, and a matrix is written row by row."""

    return {key: _flat(value) for key, value in placed(model).items()}


def _flat(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return np.ravel(value).tolist() if isinstance(value, list) else value


def _turns(model: Model | Shelf) -> Turns:
    """The twist along the rows of the supercell, without the Hamiltonian, which would start JAX."""
    system = model.config.system
    return row_turns(Supercell(system.supercell, system.lattice), system.twist, system.twist_along)


def _universal(model: Model | Shelf) -> bool:
    return model.config.model.ansatz in UNIVERSAL


def _configured(trained: Config, electrons: tuple[int, int], matrix: Matrix, turns: Turns, phase: str | None) -> Config:
    """The configuration of the training in another system; chains start spread where that holds no crystal.

    Those of one phase alone start in it. In a system larger than all that were trained, burn-in grows with the number
    of electrons: all move at once, by steps whose squares go as 1/N.
    """
    there = {"electrons": electrons, "supercell": matrix, "twist": turns, "twist_along": "rows"}
    alone = trained.members[0]
    config = alone.model_copy(update={"system": alone.system.model_copy(update=there)})
    data = config.to_dict()
    larger = sum(electrons) / max(system.count for system in trained.systems)
    if larger > 1.0:
        data["sample"]["burn_in"] = math.ceil(larger * trained.sample.burn_in)
    if not crystallises(config):
        for section, key in (("train", "crystal_from"), ("train", "spread_until"), ("sample", "crystal_from")):
            data[section].pop(key, None)
    if phase is not None:
        data["model"]["phase"] = phase
        data["sample"]["crystal_from"] = 0.0 if phase == "crystal" and crystallises(config) else None
    return Config.model_validate(data)


def _relocated(model: Model, config: Config) -> Any:
    from qernel.wavefunction.assemble import relocated

    return relocated(model.wavefunction, config.model, config.hamiltonian())
