"""Parameters: what a Hamiltonian has a number for, and everything the rest of Qernel knows about it.

A term declares the parameters it reads (`qernel.hamiltonian.terms`). Configuration, command line, files, pages and
error sentences read this description and nothing else. Imports no jax.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LARGEST = 1e6
"""No value lies beyond ±`LARGEST`."""


@dataclass(frozen=True)
class Parameter:
    """A named number of a Hamiltonian: a constant, or what a family of them is conditioned on.

    Attributes:
        name: key in configurations, on the command line and in files; letters, digits and underscores.
        symbol: what a figure or slider calls it.
        unit: as in files: ``1``, ``E0``, ``E0 a_M``, ``a_M``, ``degree``.
        meaning: what it is, without its unit, as in files: "distance to the gate(s)".
        least: smallest value that makes sense.
        most: largest value that makes sense.
        default: value where none is given; None: it has to be given where a term reads it.
        example: a value to show.
        interval: an interval to show.
        conditioned: whether a family can be conditioned on it.
        reach: if it is above 0, what the parameter enters is summed over waves up to q = ``reach``/value. The smallest
            value decides how many these are, and smaller ones are refused.
        multiplies: the part of the energy that it is a factor of, ``moire`` or ``interaction``; empty: of none. With p
            the parameter, dE/dp of the ground state is that part over p, and E is concave in p.
        aliases: what other codes and papers call it, for the did-you-mean of configurations.
    """

    name: str
    symbol: str
    unit: str
    meaning: str
    least: float = -LARGEST
    most: float = LARGEST
    default: float | None = None
    example: float = 1.0
    interval: tuple[float, float] = (0.5, 2.0)
    conditioned: bool = True
    reach: float = 0.0
    multiplies: str = ""
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"{self.name!r} cannot name a parameter: use letters, digits and underscores")
        if not self.least <= self.most:
            raise ValueError(f"parameter {self.name}: its bounds {self.least:g} and {self.most:g} leave no value")
        shown = [("default", self.default), ("example", self.example)]
        shown += [("interval", end) for end in self.interval if self.conditioned]
        for field, value in shown:
            if value is not None and not self.least <= value <= self.most:
                raise ValueError(
                    f"parameter {self.name}: its {field} has {value:g}, which is not between its bounds {self.least:g} "
                    f"and {self.most:g}: give another {field}"
                )

    @property
    def units(self) -> str:
        """The unit in words that follow a number; empty for a pure number."""
        return {"1": "", "degree": "degrees"}.get(self.unit, self.unit)

    @property
    def description(self) -> str:
        """Meaning and unit in words.

        >>> Parameter("range", "ℓ", "a_M", "screening length").description
        'screening length in a_M'
        """
        return f"{self.meaning} in {self.units}" if self.units else self.meaning

    def squared(self) -> str:
        """The unit of 1/value², for second derivatives."""
        return {"1": "1"}.get(self.unit, f"1/({self.unit})^2" if " " in self.unit else f"1/{self.unit}^2")


LAM = Parameter(
    "lam",
    "λ",
    "1",
    "factor λ on the moiré depth V0",
    least=0.0,
    default=1.0,
    interval=(0.4, 1.4),
    multiplies="moire",
    aliases=("lambda",),
)
"""The factor on every potential, and the first parameter of every family."""

DEPTH = Parameter("V0", "V0", "E0", "moiré depth at λ = 1", least=0.0, example=4.44, conditioned=False, aliases=("v",))
"""The depth of the moiré potential; λ is what a family varies."""

STRENGTH = Parameter(
    "U",
    "U",
    "E0 a_M",
    "interaction strength",
    least=0.0,
    example=10.6,
    interval=(8.0, 12.0),
    multiplies="interaction",
)
"""The factor on every interaction."""


class Constants(Mapping[str, float]):
    """Named numbers that do not change: equal ones hash alike, so that a compiled function may depend on them."""

    def __init__(self, values: Mapping[str, float] | None = None) -> None:
        self._values = {name: float(value) for name, value in sorted((values or {}).items())}

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Mapping) and self._values == dict(other)

    def __repr__(self) -> str:
        return repr(self._values)
