"""Whether measured energies can be true: against the bounds of the Hamiltonian, and by whether the chains moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qernel.along import axis
from qernel.estimators.quantity import Quantity
from qernel.hamiltonian.bounds import SLACK, bounds

if TYPE_CHECKING:
    import xarray

    from qernel.hamiltonian.family import Hamiltonian

STUCK = 0.01
"""Acceptance, or its distance from 1, below which chains do not sample."""

_SIGMAS = 5.0
_ABSURD = 100.0
"""So many times the scale of the Hamiltonian below a bound no error bar excuses a number."""

_WORDS = {
    "kinetic": "kinetic energy",
    "moire": "moiré energy",
    "interaction": "interaction energy",
    "energy": "energy",
}


def impossible(
    hamiltonian: Hamiltonian, point: npt.ArrayLike, energies: Mapping[str, Quantity], acceptance: float | None = None
) -> str:
    """Why energies are no answer; empty if they may be one.

    Args:
        hamiltonian: the family.
        point: family parameters ``[p]``.
        energies: per electron in E0, of the names ``kinetic``, ``moire``, ``interaction`` and ``energy``.
        acceptance: accepted fraction of the moves of the chains.

    Returns:
        A clause for each number that breaks its bound (moiré and interaction energy: by any amount beyond rounding,
        the others: beyond their error), and one for chains that stand still.
    """
    least = bounds(hamiltonian, point)
    limits = {**least._asdict(), "energy": least.total}
    clauses = [
        f"{_WORDS[name]} {quantity.number} cannot be below {limits[name]:.4g}"
        for name, quantity in energies.items()
        if _below(name, quantity, limits[name], least.scale)
    ]
    if acceptance is not None and (said := _standing(hamiltonian, acceptance)):
        clauses.append(said)
    return ", ".join(clauses)


def impossible_in(dataset: xarray.Dataset, hamiltonian: Hamiltonian) -> dict[float, str]:
    """The same for everything measured along a parameter in a data set: by its value, why it is no answer.

    Args:
        dataset: of `qernel scan` or `qernel observe`; energies and acceptance count where they are in it.
        hamiltonian: that it was measured for.
    """
    found = {}
    along = axis(dataset).name
    for index, here in enumerate(np.atleast_1d(dataset[along].values).tolist()):

        def value(name: str, index: int = index) -> float:
            return float(np.atleast_1d(dataset[name].values)[index])

        point = [here if name == along else float(dataset[name]) for name in hamiltonian.parameters]
        names = [name for name in _WORDS if name in dataset and f"{name}_error" in dataset]
        energies = {name: Quantity(value(name), abs(value(f"{name}_error"))) for name in names}
        acceptance = value("acceptance") if "acceptance" in dataset else None
        found[here] = impossible(hamiltonian, point, energies, acceptance)
    return found


def _below(name: str, quantity: Quantity, limit: float, scale: float) -> bool:
    under = limit - quantity.value
    if not under > SLACK * scale:
        return False
    if name in ("moire", "interaction"):  # every configuration keeps these bounds, whatever the error
        return True
    known = np.isfinite(quantity.error)
    return bool((known and under > _SIGMAS * quantity.error) or under > _ABSURD * scale)


def _standing(hamiltonian: Hamiltonian, acceptance: float) -> str:
    if acceptance < STUCK:
        return f"the chains stand still (acceptance {acceptance:.1%})"
    # Alone of its spin and without forces, an electron is everywhere alike.
    if acceptance > 1 - STUCK and max(hamiltonian.electrons) > 1:
        return f"the wavefunction hardly changes where the chains go (acceptance {acceptance:.1%})"
    return ""
