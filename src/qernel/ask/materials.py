"""The materials of ``materials.toml``: numbers with their sources, each of which can be given instead."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from qernel.ask.quantities import KINDS, value
from qernel.errors import QernelError
from qernel.units import Material

KEYS = {
    "effective_mass": "mass",
    "dielectric": "epsilon",
    "period_nm": "period",
    "depth_meV": "depth",
    "phase_deg": "phase",
}
"""Keys of the table, and the arguments that replace them."""

WORDS = {
    "effective_mass": ("m*", "m_e"),
    "dielectric": ("ε", ""),
    "period_nm": ("period", "nm"),
    "depth_meV": ("depth", "meV"),
    "phase_deg": ("φ", "degrees"),
    "gate_nm": ("gates", "nm"),
}
"""What a line says for each number, and its unit."""

YOURS = "as given"

_SUBSCRIPTS = str.maketrans("₂", "2")


class Sourced(NamedTuple):
    """A number and where it is from."""

    value: float
    source: str


@dataclass(frozen=True)
class Setting:
    """A sample in the laboratory.

    Attributes:
        name: of the material.
        about: what it is.
        numbers: by the keys of `KEYS`, and ``gate_nm`` where there are gates.
        notes: sentences about what was taken for granted.
    """

    name: str
    about: str
    numbers: Mapping[str, Sourced]
    notes: tuple[str, ...] = field(default=())

    def __getitem__(self, key: str) -> float:
        return self.numbers[key].value

    @property
    def gate_nm(self) -> float | None:
        """Distance of the two metallic gates; None where there are none."""
        return self.numbers["gate_nm"].value if "gate_nm" in self.numbers else None

    @property
    def material(self) -> Material:
        """The same for the dimensionless Hamiltonian: λ = 1 is the depth of this sample."""
        return Material(self["effective_mass"], self["dielectric"], self["period_nm"], self["depth_meV"])

    def lines(self) -> list[list[str]]:
        """A row for each number: what, how much, from where."""
        rows = []
        for key, (symbol, unit) in WORDS.items():
            if key in self.numbers:
                number, source = self.numbers[key]
                rows.append([symbol, f"{number:g} {unit}".strip(), source])
        return rows


@cache
def table() -> dict[str, Any]:
    """The table as it is in the file."""
    return tomllib.loads(files("qernel.ask").joinpath("materials.toml").read_text("utf-8"))


def names() -> list[str]:
    """The materials there are."""
    return list(table())


def find(name: str) -> str:
    """The material that is meant, however its layers are ordered and its name is written.

    Raises:
        QernelError: if there is none, with the nearest name.
    """
    known = {_plain(one): one for one in names()}
    known |= {_plain(alias): one for one in names() for alias in table()[one]["aliases"]}
    if _plain(name) in known:
        return known[_plain(name)]
    close = difflib.get_close_matches(_plain(name), known, n=1, cutoff=0.5)
    meant = f"did you mean {known[close[0]]}? " if close else ""
    raise QernelError(
        f"--material {name[:60]!r} is not in the table: {meant}There are {', '.join(names())}; for any other give "
        "--mass, --epsilon, --period, --depth and --phase"
    )


def _plain(name: str) -> str:
    return "".join(letter for letter in name.translate(_SUBSCRIPTS).casefold() if letter.isalnum() or letter == "/")


def setting(name: str | None, **given: Any) -> Setting:
    """A material with what is given in place of its numbers.

    Args:
        name: of a material; None: the five numbers have to be given.
        given: ``mass``, ``epsilon``, ``period``, ``depth``, ``phase`` and ``gate``, as `value` takes them; None: not.

    Raises:
        QernelError: for a material or a number that is none, and for what neither says.
    """
    entry = {} if name is None else table()[find(name)]
    shown = "your material" if name is None else find(name)
    numbers: dict[str, Sourced] = {}
    notes: list[str] = []
    for key, argument in {**KEYS, "gate_nm": "gate"}.items():
        if given.get(argument) is not None:
            number, note = value(KINDS[argument], given[argument])
            numbers[key], notes = Sourced(number, YOURS), [*notes, note]
        elif key in entry:
            numbers[key] = Sourced(*entry[key])
    missing = [f"--{argument}" for key, argument in KEYS.items() if key not in numbers]
    if missing:
        why = entry.get("about", "no material was named")
        raise QernelError(f"{' and '.join(missing)} must be given ({shown}: {why}), e.g. {_example(missing)}")
    return Setting(shown, entry.get("about", "all numbers as given"), numbers, tuple(filter(None, notes)))


def _example(missing: list[str]) -> str:
    return " ".join(f"{option} {KINDS[option[2:]].example}" for option in missing)
