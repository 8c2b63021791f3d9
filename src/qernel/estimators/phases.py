"""The phase of a state from its order as it was sampled: the word of `qernel.structure.phase` for rows and files."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from qernel.storage import PHASE, PHASE_MEANING
from qernel.structure import PHASES, UNDECIDED, Phase, phase

if TYPE_CHECKING:
    import xarray

ORDERS = {"order_parameter": "|ρ_K|²", "density_order": "the largest |ρ_q|²"}
"""Observables that tell the phase, and what a sentence calls them."""


def told_by_k(electrons: int, cells: int, *, uniform: bool) -> bool:
    """Whether the crystal is the one of K: at fillings 1/3 and 2/3 of a moiré lattice, where there is a potential.

    >>> told_by_k(24, 36, uniform=False), told_by_k(18, 36, uniform=False)
    (True, False)
    """
    return not uniform and Fraction(electrons, cells) % 1 in (Fraction(1, 3), Fraction(2, 3))


def stored_phase(point: xarray.Dataset) -> Phase:
    """The phase at one point of a data set: as it was found when it was sampled, else from the stored order.

    Files without the number of chains are taken to have chains that are alike.
    """
    found = _derived(point)
    if PHASE in point and int(point[PHASE]) in range(len(PHASES)):
        word = PHASES[int(point[PHASE])]
        return found if found.word == word else Phase(word, f"as it was sampled; from what is stored, {found.why}")
    return found


def _derived(point: xarray.Dataset) -> Phase:
    attributes = point.attrs
    if not {"electrons_up", "electrons_down", "moire_cells"} <= set(attributes):
        return Phase(UNDECIDED, "the file does not say how many electrons there are")
    electrons = int(attributes["electrons_up"]) + int(attributes["electrons_down"])
    flat = float(attributes.get("V0", 1.0)) == 0.0 or ("lam" in point.coords and float(point["lam"]) == 0.0)
    by_k = told_by_k(electrons, int(attributes["moire_cells"]), uniform=flat)
    name = "order_parameter" if by_k and "order_parameter" in point else "density_order"
    if name not in point or f"{name}_error" not in point:
        return Phase(UNDECIDED, "no order that tells it is stored: observe density_order")
    return phase(
        float(point[name]),
        float(point[f"{name}_error"]),
        electrons,
        rhat=float(point[f"{name}_rhat"]) if f"{name}_rhat" in point else math.nan,
        chains=int(attributes.get("walkers", 0)),
        name=ORDERS[name],
    )


def stored_phases(data: xarray.Dataset, along: str) -> list[Phase]:
    """The phase at every point of a data set along a parameter."""
    return [stored_phase(data.isel({along: index})) for index in range(data.sizes[along])]


def flag(words: Any) -> tuple[Any, dict[str, Any]]:
    """The variable ``phase`` of files: numbers of words ``[...]``, and its attributes (those of a CF flag).

    Args:
        words: of `PHASES`, one or a list of them.
    """
    import numpy as np

    numbers = PHASES.index(words) if isinstance(words, str) else [PHASES.index(word) for word in words]
    about = {"units": "1", "long_name": PHASE_MEANING, "flag_meanings": " ".join(PHASES)}
    return np.asarray(numbers, np.int8), {**about, "flag_values": np.arange(len(PHASES), dtype=np.int8)}
