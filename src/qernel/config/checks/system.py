"""Relations between values of [system] and [family]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from qernel.config import plane_waves
from qernel.config.checks.problem import CELL_KEYS, Problem, listed
from qernel.config.sections import MATERIAL_KEYS, REDUCED_KEYS, range_keys
from qernel.config.sections.potentials import faults
from qernel.hamiltonian.terms import interactions, potentials
from qernel.hamiltonian.terms import parameters as table
from qernel.hamiltonian.terms.base import OneBody, Term

if TYPE_CHECKING:
    from qernel.config.schema import Config
    from qernel.config.sections import SystemConfig

MAX_FILLING = 2
"""Electrons per moiré cell beyond which the ansätze are not meant to work."""

FARTHEST = 100.0
"""How far an interval may reach from the middle of what ψ takes it relative to, in halves of that."""

MAX_ELECTRONS = 4000
"""Electrons whose pairs can still be listed."""


def cell(config: Config) -> Iterator[Problem]:
    """A supercell with an area, and electrons that it can hold."""
    system = config.system
    if system.cells == 0:
        matrix = [list(row) for row in system.supercell]
        yield Problem(
            ("system.supercell",),
            f"system.supercell = {matrix} has no area: its rows must be independent, e.g. supercell = [[3, 0], [0, 3]]",
        )
    elif system.count > MAX_FILLING * system.cells:
        yield Problem(
            ("system.electrons", "system.supercell"),
            f"system.electrons: {system.count} electrons on {system.cells} moiré cells (det of system.supercell) is "
            f"{system.count / system.cells:.3g} per cell, more than the {MAX_FILLING} supported: "
            f"use at most {MAX_FILLING * system.cells} electrons or a larger supercell",
        )
    elif system.count > MAX_ELECTRONS:
        yield Problem(
            ("system.electrons",),
            f"system.electrons: {system.count} electrons are more than the {MAX_ELECTRONS} supported: each interacts "
            "with all others, use fewer",
        )


def usable(config: Config) -> bool:
    """Whether `cell` has nothing to say."""
    return not any(cell(config))


def strengths(config: Config) -> Iterator[Problem]:
    """Depth and interaction in one kind of units, as a constant or a parameter."""
    system, family = config.system, config.family
    reduced = [key for key in REDUCED_KEYS if getattr(system, key) is not None]
    laboratory = [key for key in MATERIAL_KEYS if key in system.model_fields_set]
    keys = tuple(f"system.{key}" for key in (*REDUCED_KEYS, *MATERIAL_KEYS))
    if reduced and laboratory:
        yield Problem(
            keys,
            f"system: {listed(reduced)} (reduced units) and {listed(laboratory)} (laboratory units) exclude each "
            "other: give either V0 and U, or the material",
        )
    elif reduced == ["V0"] and "U" not in family.ranges and system.reads("U"):
        yield Problem(
            (*keys, "family.U", "system.potential"),
            "system.V0 is given without U: add system.U in E0 a_M (or a family.U interval)",
        )
    elif reduced == ["U"] and "U" not in family.ranges and system.reads("V0"):
        yield Problem(
            (*keys, "system.potential"),
            "system.U is given without V0: add system.V0 in E0, or set the strength by system.dielectric",
        )
    if not system.reads("V0"):
        for key in ("V0", "depth_meV"):
            if key in system.model_fields_set and getattr(system, key) != type(system).model_fields[key].default:
                yield Problem(
                    (f"system.{key}", "system.potential"),
                    f"system.{key} has no effect on {_used(system, 'potential')}: remove it, or use "
                    "potential = 'moire'",
                )
    for key in range_keys():
        if key in family.ranges and key in system.model_fields_set and getattr(system, key) is not None:
            yield Problem(
                (f"system.{key}", f"family.{key}"),
                f"system.{key} has no effect because family.{key} makes it a parameter: remove one of the two",
            )
    flat = system.reads("V0") and not (system.depth_meV if system.material else system.V0)
    for term in system.terms:
        if isinstance(term, OneBody) and term.lattices and system.lattice not in term.lattices and not flat:
            shown = f"'{system.lattice}'" if isinstance(system.lattice, str) else [list(row) for row in system.lattice]
            yield Problem(
                (*keys, "system.lattice", "system.potential"),
                f"system.lattice = {shown} does not fit the potential '{term.name}', which is "
                f"{' or '.join(term.lattices)}: use lattice = '{term.lattices[0]}', waves as [[system.potential]], "
                "or a uniform system with depth_meV = 0 (or V0 = 0)",
            )


def waves(config: Config) -> Iterator[Problem]:
    """Amplitudes of [[system.potential]] in one unit that there is."""
    system = config.system
    if not isinstance(system.potential, str):
        for text in faults(system.potential, system.lattice, reduced=system.material is None):
            yield Problem(("system.potential", "system.lattice", "system.U", "system.V0"), text)


def parameters(config: Config) -> Iterator[Problem]:
    """A value for every parameter that a term reads, none for others, and none too small for a sum over waves."""
    system, ranges = config.system, config.family.ranges
    terms: dict[str, Mapping[str, type[Term]]] = {"potential": potentials(), "interaction": interactions()}
    for key in range_keys():
        parameter = table()[key]
        places = [section for section, given in (("family", key in ranges), ("system", _given(system, key))) if given]
        if not system.reads(key):
            kind = "interaction" if _readers(terms["interaction"], key) else "potential"
            others = " or ".join(f"{kind} = '{name}'" for name in _readers(terms[kind], key))
            for section in places:
                yield Problem(
                    (f"system.{kind}", f"{section}.{key}"),
                    f"{section}.{key} has no effect on {_used(system, kind)}: remove it, or use {others}",
                )
        elif key not in REDUCED_KEYS and not places and parameter.default is None:
            kind = "interaction" if system.interaction in _readers(terms["interaction"], key) else "potential"
            yield Problem(
                (f"system.{kind}", f"system.{key}", f"family.{key}"),
                f"system.{_used(system, kind)} needs the {parameter.description}: give e.g. {key} = "
                f"{parameter.example:g}",
            )
        elif parameter.reach and places and usable(config):
            least = ranges[key][0] if key in ranges else getattr(system, key)
            for text in plane_waves.reach_faults(config, f"{places[0]}.{key}", parameter, least):
                yield Problem(("system.interaction", f"{places[0]}.{key}", *CELL_KEYS), text)


def _given(system: SystemConfig, key: str) -> bool:
    return key in system.model_fields_set and getattr(system, key) is not None


def _used(system: SystemConfig, kind: str) -> str:
    """The choice of a potential or an interaction, as a file has it."""
    name = getattr(system, kind)
    return f"{kind} = '{name}'" if isinstance(name, str) else f"[[system.{kind}]]"


def _readers(terms: Mapping[str, type[Term]], key: str) -> list[str]:
    """The terms that read a parameter."""
    return [name for name, term in terms.items() if any(parameter.name == key for parameter in term.parameters)]


def scales(config: Config) -> Iterator[Problem]:
    """Scales of parameters that the family has."""
    ranges = config.family.ranges
    for name, (low, high) in (config.family.scaled_over or {}).items():
        if name not in ranges:
            yield Problem(
                ("family.scaled_over", *(f"family.{key}" for key in range_keys())),
                f"family.scaled_over names {name[:40]!r}, and [family] has intervals of {listed([*ranges])} alone: "
                "leave out what is not among them",
            )
            continue
        middle, half = 0.5 * (low + high), 0.5 * (high - low) if high > low else 1.0
        if max(abs(end - middle) for end in ranges[name]) > FARTHEST * half:
            yield Problem(
                ("family.scaled_over", f"family.{name}"),
                f"family.scaled_over has {name} = {[low, high]}, which family.{name} = {list(ranges[name])} exceeds "
                f"more than {FARTHEST:g} times: give a wider interval",
            )


def gaps(config: Config) -> Iterator[Problem]:
    """Gaps inside the range of λ, and a walker group for each part they leave."""
    gaps, (low, high), groups = config.family.gaps, config.family.lam, config.train.groups
    if not gaps:
        return
    shown = [list(gap) for gap in gaps]
    if gaps[0][0] <= low or gaps[-1][1] >= high:
        yield Problem(
            ("family.gaps", "family.lam"),
            f"family.gaps = {shown} must lie inside family.lam = {[low, high]}: to leave out an end of the range, "
            "give a smaller lam",
        )
    elif groups <= len(gaps):
        yield Problem(
            ("family.gaps", "train.groups"),
            f"train.groups = {groups} is less than the {len(gaps) + 1} parts that family.gaps = {shown} leaves of "
            f"family.lam: give e.g. groups = {2 * (len(gaps) + 1)}",
        )
