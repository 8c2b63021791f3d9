"""`Config`: one complete, checked description of a calculation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, Field, ModelWrapValidatorHandler, ValidationError, ValidationInfo, model_validator

from qernel.config import checks
from qernel.config.earlier import uncounted
from qernel.config.explain import explain
from qernel.config.sections import (
    EXTENT,
    MATERIAL_KEYS,
    SECTIONS,
    UNCOUNTED,
    FamilyConfig,
    ModelConfig,
    SampleConfig,
    Section,
    SystemConfig,
    TrainConfig,
    later_keys,
    range_keys,
)
from qernel.config.systems import members, resolved
from qernel.config.types import Name
from qernel.errors import ConfigError
from qernel.hamiltonian.terms import watch
from qernel.text import describe, html_facts, typeset
from qernel.wavefunction.registry import UNIVERSAL

if TYPE_CHECKING:
    from qernel.hamiltonian.family import Hamiltonian


class Config(Section):
    """A calculation: the system, the family of Hamiltonians, the model, training and measurement.

    Raises:
        ConfigError: listing every problem at once.
    """

    name: Name | None = Field(default=None, description="A label for people; it changes nothing.", examples=["n6"])
    system: SystemConfig = Field(description="Electrons, supercell and forces.")
    family: FamilyConfig = Field(
        default_factory=FamilyConfig, description="Conditioning parameters and their intervals."
    )
    model: ModelConfig = Field(default=ModelConfig(), description="The wavefunction.")
    train: TrainConfig = Field(default=TrainConfig(), description="Optimisation.")
    sample: SampleConfig = Field(default=SampleConfig(), description="Measurement.")

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Report faulty values and broken relations together, in words; the context are the sections of use."""
        sections = info.context or tuple(SECTIONS)
        try:
            config = handler(data)
        except ValidationError as error:
            sentences, suspect = explain(error, data)
            related = checks.problems(_without(data, suspect), sections)
            # A relation is only worth reporting if all values it rests on are sound.
            sentences += [problem.text for problem in related if not suspect.intersection(problem.keys)]
            raise ConfigError(sentences) from None
        found = checks.problems(config, sections)
        if found:
            raise ConfigError(problem.text for problem in found)
        return config

    def __repr__(self) -> str:
        ranges = [f"{name} from {low:g} to {high:g}" for name, (low, high) in self.family.ranges.items()]
        name = f"{self.name!r}: " if self.name else ""
        system = describe(self.system.electrons, self.system.cells)
        return f"Config({name}{system}; {', '.join(ranges)}; ansatz {self.model.ansatz})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        folded = "".join(
            f"<details><summary>[{name}]</summary>{html_facts('', [(k, str(v)) for k, v in keys.items()])}</details>"
            for name, keys in self.to_dict().items()
            if isinstance(keys, dict)
        )
        return f"<div>{typeset(repr(self))}{folded}</div>"

    @property
    def energy_unit_meV(self) -> float | None:
        """E0 in meV, or None when V0 and U are given in reduced units."""
        material = self.system.material
        return None if material is None else material.energy_unit_meV

    @property
    def is_complex(self) -> bool:
        """Whether ψ is complex: its orbitals are, or its phase turns with the twist of real ones."""
        system, model = self.system, self.model
        if model.ansatz in UNIVERSAL:
            return model.complex_orbitals(system.twisted, system.half_turns)
        return system.twisted or model.complex_orbitals(twisted=False)

    def hamiltonian(self) -> Hamiltonian:
        """The family of Hamiltonians, conditioned on λ and on every other interval given (imports jax)."""
        from qernel.hamiltonian.family import Hamiltonian
        from qernel.lattice import Supercell

        system, ranges = self.system, self.family.ranges
        terms = system.terms
        read = dict.fromkeys(parameter.name for term in terms for parameter in term.parameters)
        given = {name: system.constant(name) for name in read if name not in ranges}
        return Hamiltonian(
            supercell=Supercell(system.supercell, system.lattice),
            electrons=system.electrons,
            terms=terms,
            constants={name: value for name, value in given.items() if value is not None},
            twist=system.twist,
            twist_along=system.twist_along,
            parameters=tuple(ranges),
            ranges=tuple(ranges.values()),
            gaps=self.family.gaps or (),
            scaled_over=tuple((self.family.scaled_over or {}).items()),
        )

    @property
    def members(self) -> tuple[Config, ...]:
        """The configuration of each system alone, that of [system] first: its groups and walkers in its ``train``."""
        return members(self)

    @property
    def systems(self) -> tuple[SystemConfig, ...]:
        """Every system that the wavefunction is trained in: [system], then those of [[family.systems]]."""
        return tuple(one.system for one in self.members)

    def hamiltonians(self) -> tuple[Hamiltonian, ...]:
        """The family of Hamiltonians of each of `systems`, with the same parameters in the same intervals."""
        return tuple(one.hamiltonian() for one in self.members)

    def notes(self) -> list[str]:
        """Remarks that do not stop a run: filling, symmetry of the supercell, keys without effect."""
        return checks.notes(self)

    def to_dict(self) -> dict[str, Any]:
        """Every value in force as plain data, such that ``Config(**config.to_dict()) == config``."""
        data = _plain(self.model_dump(exclude_none=True))
        system = data["system"]
        for table in (system, *data["family"].get("systems", ())):
            if table.get("electrons", (0, 1))[1] == 0:
                table["electrons"] = table["electrons"][0]
        moire = () if self.system.reads("V0") else ("depth_meV",)
        unused = list(moire if self.system.material else MATERIAL_KEYS)
        ranges = self.family.ranges
        unused += [key for key in range_keys() if key in system and (key in ranges or not self.system.reads(key))]
        for key in unused:
            del system[key]
        result: dict[str, Any] = data
        return result

    def to_toml(self) -> str:
        """The complete configuration as TOML text, which `load_config` reads back to an equal `Config`."""
        import tomlkit

        return tomlkit.dumps(self.to_dict())

    def fingerprint(self, *sections: str, extent: bool = True) -> str:
        """SHA-256 (hex) of the values in force; equal for configurations that describe the same calculation.

        Args:
            sections: names of the sections to include; all of them if none is given. ``name`` and the keys of
                `qernel.config.sections.UNCOUNTED` never enter.
            extent: whether it matters how far a run goes (`qernel.config.sections.EXTENT`).
        """
        data = self.to_dict()
        # What there is besides the way it is written.
        data["system"]["twist"] = list(self.system.reduced_twist)
        del data["system"]["twist_along"]
        if "systems" in data["family"]:
            data["family"]["systems"] = resolved(self)
        for key in uncounted(self):
            data["model"].pop(key)
        for left_out in (UNCOUNTED,) if extent else (UNCOUNTED, EXTENT):
            for section, keys in left_out.items():
                for key in keys:
                    data[section].pop(key, None)
        chosen = {section: _without_later(section, data[section]) for section in sections or SECTIONS}
        text = json.dumps(chosen, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


@watch
def _rebuild() -> None:
    """Sections have other keys when a term is registered."""
    Config.model_rebuild(force=True)


def _plain(value: Any) -> Any:
    """Tuples as lists, throughout."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _without_later(section: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values without `later_keys` at their defaults, so that older runs keep their fingerprint."""
    fields = SECTIONS[section].model_fields
    later = later_keys(section)
    return {key: value for key, value in values.items() if key not in later or value != fields[key].default}


def _without(data: Any, suspect: set[str]) -> Config:
    """A configuration with stand-ins for the keys ``suspect``, to find what else is wrong."""
    sections: dict[str, Any] = {}
    for name, model in SECTIONS.items():
        given = data.get(name) if isinstance(data, Mapping) else None
        if isinstance(given, BaseModel):
            given = given.model_dump(exclude_unset=True)
        known = given if isinstance(given, Mapping) else {}
        values = {key: known[key] for key in model.model_fields if key in known and f"{name}.{key}" not in suspect}
        for key, field in model.model_fields.items():
            if field.is_required() and key not in values and field.examples:
                values[key] = field.examples[0]
        sections[name] = model(**values)
    return Config.model_construct(**sections)
