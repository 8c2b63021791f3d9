"""Which electrons, supercell and twist are meant where not all of them are given: those of the training decide."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from qernel.errors import RunError
from qernel.hamiltonian.shells import HALVES, closed_shells, shells
from qernel.hamiltonian.twist import Turns, row_turns, written
from qernel.lattice import Supercell

if TYPE_CHECKING:
    from qernel.config import Config, SystemConfig

Matrix: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
Spins: TypeAlias = tuple[int, int]

_NAMED, _LARGEST = 5, 60
"""How many sizes are named where one does not fit, and the largest n of the n×n cells that are looked through."""


def same_size(system: SystemConfig, electrons: Spins, cell: Supercell) -> bool:
    """Whether a system has these electrons in this supercell, however that is written."""
    own = Supercell(system.supercell, system.lattice)
    return system.electrons == electrons and bool(np.array_equal(own.reduced, cell.reduced))


def size(
    name: str, trained: Config, electrons: int | Spins | None, supercell: Sequence[Sequence[int]] | None
) -> tuple[Spins, Matrix]:
    """Electrons and supercell: where one of them is given, the other at a filling that was trained.

    Args:
        name: of the model.
        trained: the configuration it was trained with.
        electrons: N or (up, down), if given.
        supercell: its matrix, if given.

    Raises:
        RunError: for numbers that are none, and for a size that no filling of the training fits.
    """
    every = trained.systems
    count = None if electrons is None else _spins(name, every[0], electrons)
    if supercell is not None:
        matrix = _matrix(supercell)
        return (count or _electrons_in(matrix, every)), matrix
    return (every[0].electrons, every[0].supercell) if count is None else (count, _cell_of(name, count, every))


def chosen_twist(trained: Config, electrons: Spins, cell: Supercell) -> tuple[Turns, str]:
    """The twist of a system for which none is given, along the rows of its supercell, and why it is this one."""
    for system in trained.systems:
        if same_size(system, electrons, cell):
            turns = row_turns(cell, system.reduced_twist, "reduced")
            return turns, f"twist {written(turns)}, that of the training at this size"
    closed = closed_shells(cell, electrons, HALVES)
    if closed:
        turns = closed[0].twist
        return turns, f"twist {written(turns)}, at which the shell of free electrons is closed and ψ can be real"
    complex_ones = closed_shells(cell, electrons)
    instead = f"; {written(complex_ones[0].twist)} closes it with a complex ψ" if complex_ones else ""
    there = shells(cell, electrons)
    return there.twist, f"twist (0, 0), as no half turns close the shell of free electrons: {there}{instead}"


def given_twist(twist: Sequence[float]) -> Turns:
    """A twist that was asked for.

    Raises:
        RunError: if it is not two numbers.
    """
    try:
        first, second = (float(turns) for turns in twist)
    except (TypeError, ValueError) as error:
        raise RunError(f"twist = {twist!r} is not two numbers, in turns: give e.g. (0.5, 0)") from error
    return first, second


def _electrons_in(matrix: Matrix, every: Sequence[SystemConfig]) -> Spins:
    """The electrons of a supercell at a filling that was trained."""
    cells = Supercell(matrix).cells
    for system in every:
        up, down = (Fraction(count * cells, system.cells) for count in system.electrons)
        if up.denominator == down.denominator == 1:
            return int(up), int(down)
    raise RunError(
        f"supercell = {_rows(matrix)} has {cells} moiré cells, and filling {_listed(_fillings(every))} of them is no "
        "whole number of electrons: give electrons as well, or another supercell"
    )


def _cell_of(name: str, electrons: Spins, every: Sequence[SystemConfig]) -> Matrix:
    """The supercell that was trained with so many electrons, or n×n cells of a filling that was."""
    for system in every:
        if system.electrons == electrons:
            return system.supercell
    fillings = _fillings(every)
    for filling in fillings:
        cells = sum(electrons) / filling
        n = isqrt(int(cells))
        if n and n * n == cells:
            return (n, 0), (0, n)
    fitting = {n * n * filling for filling in fillings for n in range(1, _LARGEST)}
    sizes = sorted(int(count) for count in fitting if count.denominator == 1)[:_NAMED]
    raise RunError(
        f"electrons = {sum(electrons)} fill no n×n supercell at filling {_listed(fillings)}, which {name} was trained "
        f"at: {', '.join(map(str, sizes))} ... do; for another number give the supercell as well"
    )


def _fillings(every: Sequence[SystemConfig]) -> list[Fraction]:
    return list(dict.fromkeys(Fraction(system.count, system.cells) for system in every))


def _listed(fillings: Sequence[Fraction]) -> str:
    return " or ".join(map(str, fillings))


def _spins(name: str, system: SystemConfig, electrons: int | Spins) -> Spins:
    """Spin up and spin down; where their sum is given, in the proportion of a system of the training."""
    if isinstance(electrons, Sequence):
        up, down = _pair(electrons, "electrons")
        if bool(down) != bool(system.electrons[1]):
            kind = "two spins" if system.electrons[1] else "polarised electrons"
            raise RunError(
                f"electrons = {[up, down]} is none of what {name} is for, {kind}: it has no weights for others"
            )
        return up, down
    count = _whole(electrons, "electrons")
    if count < 1:
        raise RunError(f"electrons = {count} is too small: give at least 1")
    parts = [Fraction(part * count, system.count) for part in system.electrons]
    if parts[0].denominator != 1:
        raise RunError(
            f"electrons = {count} cannot be shared between the spins like the {list(system.electrons)} that {name} was "
            "trained with: give both numbers"
        )
    return int(parts[0]), int(parts[1])


def _matrix(supercell: Sequence[Sequence[int]]) -> Matrix:
    if not isinstance(supercell, Sequence) or len(supercell) != 2:
        raise RunError(f"supercell = {supercell!r} is not two rows of two whole numbers: give e.g. [[9, 0], [0, 9]]")
    matrix = _pair(supercell[0], "supercell"), _pair(supercell[1], "supercell")
    (a, b), (c, d) = matrix
    if a * d == b * c:
        raise RunError(f"supercell = {_rows(matrix)} has no area: its rows must be independent")
    return matrix


def _rows(matrix: Matrix) -> list[list[int]]:
    return [list(row) for row in matrix]


def _pair(values: Any, what: str) -> tuple[int, int]:
    if not isinstance(values, Sequence) or len(values) != 2:
        raise RunError(f"{what}: {values!r} is not two whole numbers")
    return _whole(values[0], what), _whole(values[1], what)


def _whole(value: Any, what: str) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise RunError(f"{what}: {value!r} is no whole number")
    return int(value)
