"""Keys of [system] and [family] that the terms of the Hamiltonian bring with them.

They are made from the table of parameters (`qernel.hamiltonian.terms`), and made again whenever a term is registered: a
parameter is declared in the file of its term and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict
from pydantic.fields import FieldInfo

from qernel.config.sections.base import Section
from qernel.config.sections.counted import LATER_KEYS
from qernel.config.sections.family import FamilyConfig, range_keys
from qernel.config.sections.potentials import Waves, named_or_waves
from qernel.config.sections.system import REDUCED_KEYS, SystemConfig
from qernel.config.types import Expects, ordered
from qernel.hamiltonian.parameters import Parameter
from qernel.hamiltonian.terms import interactions, parameters, potentials
from qernel.hamiltonian.terms.base import Term

_CHOICES = ("potential", "interaction")
"""[system] keys whose value is the name of a term."""

_OWN: dict[type[Section], frozenset[str]] = {
    SystemConfig: frozenset(SystemConfig.model_fields).difference(_CHOICES),
    FamilyConfig: frozenset(FamilyConfig.model_fields),
}
"""Keys that do not change with the terms."""

_FIRST_KEYS = ("U", "phase_deg", "gate_distance", "interaction")
"""Keys of terms that the first stored runs had."""


def refresh() -> None:
    """Make the keys of the terms that there are now."""
    kinds = {
        "potential": _potential(potentials()),
        "interaction": _choice(interactions(), "coulomb", "Interaction of two electrons"),
    }
    constants = {name: _constant(one) for name, one in parameters().items() if name not in ("lam", *REDUCED_KEYS)}
    _replace(SystemConfig, kinds | constants)
    _replace(FamilyConfig, {name: _interval(parameters()[name]) for name in range_keys()})


def later_keys(section: str) -> tuple[str, ...]:
    """Keys of a section that came after the first runs were stored: at their defaults no fingerprint has them."""
    models: dict[str, type[Section]] = {"system": SystemConfig, "family": FamilyConfig}
    fields = models[section].model_fields if section in models else {}
    brought = [key for key in fields if key not in _OWN[models[section]] and key not in _FIRST_KEYS]
    return (*LATER_KEYS.get(section, ()), *brought)


def _replace(section: type[Section], fields: dict[str, FieldInfo]) -> None:
    for name in [name for name in section.model_fields if name not in _OWN[section]]:
        del section.model_fields[name]
    section.model_fields.update(fields)
    section.model_rebuild(force=True)


def _potential(terms: Mapping[str, type[Term]]) -> FieldInfo:
    kinds = "; ".join(f"{name}: {term.summary}" for name, term in terms.items())
    description = f"Potential that each electron moves in ({kinds}), or its waves as [[system.potential]]."
    parsed = BeforeValidator(lambda value: named_or_waves(value, terms))
    annotation: Any = Annotated[str | Waves, parsed, Expects("the name of a potential or a list of waves")]
    field = Field(default="moire", description=description, examples=["moire"])
    return FieldInfo.from_annotated_attribute(annotation, field)


def _choice(terms: Mapping[str, type[Term]], default: str, description: str) -> FieldInfo:
    annotation: Any = Literal.__getitem__(tuple(terms))
    kinds = "; ".join(f"{name}: {term.summary}" for name, term in terms.items())
    return FieldInfo.from_annotated_attribute(
        annotation, Field(default=default, description=f"{description} ({kinds}).")
    )


def _constant(parameter: Parameter) -> FieldInfo:
    number: Any = Annotated[float, Strict(), Field(ge=parameter.least, le=parameter.most), Expects("a number")]
    annotation: Any = number if parameter.default is not None else Annotated[number | None, Expects("a number")]
    sentence = f"{_capital(parameter.description)}."
    field = Field(default=parameter.default, description=sentence, examples=[parameter.example])
    return FieldInfo.from_annotated_attribute(annotation, field)


def _interval(parameter: Parameter) -> FieldInfo:
    number: Any = Annotated[float, Strict(), Field(ge=parameter.least, le=parameter.most), Expects("a number")]
    pair: Any = Annotated[tuple[number, number], AfterValidator(ordered)]
    annotation: Any = Annotated[pair | None, Expects("an interval [low, high]")]
    sentence = f"{_capital(parameter.description)}, [low, high]."
    field = Field(default=None, description=sentence, examples=[list(parameter.interval)])
    return FieldInfo.from_annotated_attribute(annotation, field)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
