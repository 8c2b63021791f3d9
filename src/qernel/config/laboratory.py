"""Numbers with a unit of the laboratory, ``"10 nm"`` or ``"5 meV"``, where a number in reduced units is wanted.

A plain number is in reduced units, as everywhere. A length that is given so where the material is known is named in nm,
because 10 is ten moiré periods there and hardly ever meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from qernel.errors import ConfigError, warn
from qernel.hamiltonian.terms import parameters

if TYPE_CHECKING:
    from qernel.config.sections.system import SystemConfig

UNITS = ("nm", "meV")
"""Of lengths and of energies; other units are for `qernel ask`."""

_QUANTITY = re.compile(rf"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*({'|'.join(UNITS)})\s*")


class InUnit(float):
    """A number with a unit of the laboratory.

    Attributes:
        unit: one of `UNITS`.
    """

    unit: str

    def __new__(cls, value: float, unit: str) -> InUnit:
        """The number in this unit."""
        found = super().__new__(cls, value)
        found.unit = unit
        return found


def in_unit(text: str) -> InUnit | None:
    """A number with a unit; None for any other text.

    >>> in_unit("10 nm").unit, in_unit("10")
    ('nm', None)
    """
    found = _QUANTITY.fullmatch(text)
    return None if found is None else InUnit(float(found[1]), found[2])


def reduced(system: SystemConfig, name: str, value: float) -> float:
    """A value of a parameter in reduced units, of a number with or without a unit.

    Args:
        system: whose material is meant.
        name: of the parameter.
        value: in reduced units, or `InUnit`.

    Raises:
        ConfigError: if the parameter does not have this unit, or the material is not known.
    """
    about = parameters().get(name)
    scale = None if about is None else system.laboratory(name, about.unit)
    if isinstance(value, InUnit):
        if scale is None:
            lacking = "no material is known: V0 and U are in reduced units" if about else "there is no such parameter"
            raise ConfigError(f"{name} = {float(value):g} {value.unit} cannot be converted, because {lacking}")
        if scale.unit != value.unit:
            units = f"in {scale.unit} or" if scale.unit else "only"
            raise ConfigError(f"{name} = {float(value):g} {value.unit}: give {name} {units} in reduced units")
        # Rounded, so that a depth of 15.75 meV is the λ = 1.05 that was measured.
        return float(f"{scale.back(value):.12g}")
    if about is not None and about.unit == "a_M" and scale is not None:
        length = f"{scale.convert(value):.4g} nm"
        warn(f'{name} = {value:g} is in moiré periods, {length}: write "{value:g} nm" for nanometres')
    return float(value)


def reduced_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """Tables [system] and [family] of a configuration whose numbers with units are in reduced ones.

    Args:
        table: the whole configuration; what is no such number stays as it is.

    Raises:
        ConfigError: as `reduced`.
    """
    places = list(_quantities(table))
    if not places:
        return dict(table)
    sections = {section: dict(table.get(section) or {}) for section in ("system", "family")}
    material = _material(sections["system"])
    if material is None:  # it has other faults, which are said
        return dict(table)
    for section, key, value in places:
        parts = value if isinstance(value, list | tuple) else [value]
        found = [one if (number := _given(one)) is None else reduced(material, key, number) for one in parts]
        sections[section][key] = found if isinstance(value, list | tuple) else found[0]
    return {**table, **{section: content for section, content in sections.items() if content}}


def _given(value: Any) -> InUnit | None:
    return in_unit(value) if isinstance(value, str) else None


def _material(table: Mapping[str, Any]) -> SystemConfig | None:
    """A system of the same material; None where the keys of that are faulty."""
    from pydantic import ValidationError

    from qernel.config.sections.system import MATERIAL_KEYS, REDUCED_KEYS, SystemConfig

    told = {key: table[key] for key in (*MATERIAL_KEYS, *REDUCED_KEYS) if key in table}
    try:
        return SystemConfig.model_validate({"electrons": 1, "supercell": [[1, 0], [0, 1]], **told})
    except (ValidationError, ConfigError):
        return None


def _quantities(table: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Section, key and value of each number, or interval, with units."""
    for section in ("system", "family"):
        content = table.get(section)
        for key, value in content.items() if isinstance(content, Mapping) else ():
            parts = value if isinstance(value, list | tuple) else [value]
            if key in parameters() and any(_given(part) is not None for part in parts):
                yield section, key, value
