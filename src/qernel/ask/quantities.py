"""Numbers with units as people write them, at the one boundary where any unit is taken (`pint`)."""

from __future__ import annotations

import math
from contextlib import suppress
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

from qernel.errors import QernelError

LARGEST_DENOMINATOR = 12
"""Of fillings: decimals such as 0.667 are taken as the nearest such fraction."""

_NEAR = 0.004
_LONGEST = 60


class Kind(NamedTuple):
    """What is asked for.

    Attributes:
        name: of the argument.
        unit: in which it is used; empty for a pure number.
        example: of a value.
        positive: whether 0 and less is refused.
        instead: what to give where that was meant.
    """

    name: str
    unit: str
    example: str
    positive: bool = True
    instead: str = ""


KINDS = {
    "period": Kind("period", "nm", "8nm"),
    "gate": Kind("gate", "nm", "10nm"),
    "depth": Kind("depth", "meV", "5meV", instead=", and a potential of the other sign by --phase, 180 degrees on"),
    "epsilon": Kind("epsilon", "", "7"),
    "mass": Kind("mass", "", "0.45"),
    "phase": Kind("phase", "degree", "45", positive=False),
}
"""Arguments that are numbers."""


@cache
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry()
    registry.define("Å = angstrom")
    return registry


def value(kind: Kind, given: Any) -> tuple[float, str]:
    """A number in the unit of its kind, and a sentence about what was taken for granted; empty if nothing was.

    Args:
        kind: what is asked for.
        given: a number (in that unit), text, or a ``pint.Quantity``.

    Raises:
        QernelError: if it is none, has another dimension, or makes no sense.
    """
    shown = str(given)[:_LONGEST]
    try:
        number, bare = _parsed(kind, given)
    except QernelError:
        raise
    except Exception as error:  # pint raises a dozen kinds for what is no quantity
        raise QernelError(
            f"--{kind.name} {shown!r} is no {'number' if not kind.unit else 'quantity'}: give e.g. {kind.example}"
        ) from error
    if not math.isfinite(number) or abs(number) > 1e6:
        raise QernelError(f"--{kind.name} {shown} is out of all bounds: give e.g. {kind.example}")
    if kind.positive and number <= 0:
        raise QernelError(f"--{kind.name} {shown} is not above 0: give e.g. {kind.example}{kind.instead}")
    return number, f"--{kind.name} {shown} is taken in {kind.unit}" if bare and kind.unit else ""


def _parsed(kind: Kind, given: Any) -> tuple[float, bool]:
    quantity = hasattr(given, "to") and hasattr(given, "magnitude")
    if isinstance(given, bool) or len(str(given)) > _LONGEST or not (quantity or isinstance(given, str | int | float)):
        raise ValueError
    with suppress(TypeError, ValueError):
        return float(given), True
    found = given if quantity else _registry()(str(given))
    try:
        # Temperatures are energies: k_B T.
        return float(found.to(kind.unit or "", "boltzmann").magnitude), False
    except Exception as error:
        unit = f"is no {'length' if kind.unit == 'nm' else 'energy' if kind.unit == 'meV' else 'angle'}"
        wanted = unit if kind.unit else "is no pure number"
        raise QernelError(f"--{kind.name} {str(given)[:_LONGEST]} {wanted}: give e.g. {kind.example}") from error


def filling(given: Any) -> tuple[Fraction, str]:
    """Electrons for each moiré cell, and a sentence about how it was read.

    Args:
        given: ``"2/3"``, a decimal or a fraction.

    Raises:
        QernelError: if it is no such number between 0 and 2.
    """
    shown = str(given)[:_LONGEST]
    try:
        exact = Fraction(shown.replace(" ", ""))
    except (ValueError, ZeroDivisionError) as error:
        raise QernelError(f"--filling {shown!r} is no fraction: give e.g. 2/3") from error
    found = exact.limit_denominator(LARGEST_DENOMINATOR)
    if not 0 < exact <= 2 or found == 0:
        raise QernelError(f"--filling {shown} is not above 0 and at most 2 for each moiré cell: give e.g. 2/3")
    if abs(found - exact) > _NEAR:
        raise QernelError(
            f"--filling {shown} is no fraction with a denominator of at most {LARGEST_DENOMINATOR}: no small cell has "
            f"it; give one, e.g. {found}"
        )
    return found, "" if found == exact else f"--filling {shown} is taken as {found}"
