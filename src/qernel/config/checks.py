"""Relations between configuration values: problems that stop a run, and remarks that do not."""

from __future__ import annotations

from collections.abc import Container, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from qernel.config import plane_waves
from qernel.config.sections import MATERIAL_KEYS, RANGE_KEYS, REDUCED_KEYS, ModelConfig

if TYPE_CHECKING:
    from qernel.config.schema import Config

MAX_FILLING = 2
"""Electrons per moiré cell beyond which the ansätze are not meant to work."""

MAX_ELECTRONS = 4000
"""Electrons whose pairs can still be listed."""

LARGE_SOLVE = 4096
"""Walkers in all beyond which the natural-gradient solve dominates a step."""

_CELL_KEYS = ("system.electrons", "system.supercell", "system.lattice")

# One rotation of each lattice in the basis of its vectors: by 120° and by 90°.
_ROTATIONS = {"triangular": ((-1, 1), (-1, 0)), "square": ((0, 1), (-1, 0))}

READERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("kv_heads", "experts", "active_experts", "expert_width", "shared_width", "expert_balance"), ("qernel",)
    ),
    "mlp_width": ("psiformer",),
    **dict.fromkeys(
        ("width", "blocks", "heads", "determinants", "harmonics", "moire_harmonics", "conditioning_width"),
        ("qernel", "psiformer"),
    ),
    **dict.fromkeys(
        ("film", "parameter_features", "crystal_seed", "symmetric_along", "envelope", "envelope_shells"),
        ("qernel", "psiformer"),
    ),
    "hf_trained": ("qernel", "psiformer"),
    "backflow": ("qernel", "psiformer"),
    **dict.fromkeys(("jastrow", "jastrow_order", "jastrow_range", "jastrow_shells"), ("qernel", "psiformer")),
}
"""[model] keys that only some ansätze read, and which."""


class Problem(NamedTuple):
    """One problem and the keys (``section.key``) it depends on."""

    keys: tuple[str, ...]
    text: str


def problems(config: Config, sections: Container[str]) -> list[Problem]:
    """Everything that keeps these sections of a configuration, their values individually valid, from being used."""
    kinds = (_cell, _strengths, _gates, _gaps, _focus, _model, _plane_waves, _train, _starts)
    found = [problem for kind in kinds for problem in kind(config)]
    return [problem for problem in found if all(key.partition(".")[0] in sections for key in problem.keys)]


def _cell(config: Config) -> Iterator[Problem]:
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


def _usable(config: Config) -> bool:
    """Whether `_cell` has nothing to say."""
    return not any(_cell(config))


def _strengths(config: Config) -> Iterator[Problem]:
    system, family = config.system, config.family
    reduced = [key for key in REDUCED_KEYS if getattr(system, key) is not None]
    laboratory = [key for key in MATERIAL_KEYS if key in system.model_fields_set]
    keys = tuple(f"system.{key}" for key in (*REDUCED_KEYS, *MATERIAL_KEYS))
    if reduced and laboratory:
        yield Problem(
            keys,
            f"system: {_listed(reduced)} (reduced units) and {_listed(laboratory)} (laboratory units) exclude each "
            "other: give either V0 and U, or the material",
        )
    elif reduced == ["V0"] and family.U is None:
        yield Problem(
            (*keys, "family.U"), "system.V0 is given without U: add system.U in E0 a_M (or a family.U interval)"
        )
    elif reduced == ["U"] and family.U is None:
        yield Problem(
            keys, "system.U is given without V0: add system.V0 in E0, or set the strength by system.dielectric"
        )
    for key in RANGE_KEYS:
        if getattr(family, key) is not None and key in system.model_fields_set and getattr(system, key) is not None:
            yield Problem(
                (f"system.{key}", f"family.{key}"),
                f"system.{key} has no effect because family.{key} makes it a parameter: remove one of the two",
            )
    depth = system.depth_meV if system.material else system.V0
    if system.lattice != "triangular" and depth:
        yield Problem(
            (*keys, "system.lattice"),
            f"system.lattice = '{system.lattice}' does not fit the moiré potential, which is triangular: "
            "use lattice = 'triangular', or a uniform system with depth_meV = 0 (or V0 = 0)",
        )


def _gates(config: Config) -> Iterator[Problem]:
    system, family = config.system, config.family
    if system.interaction == "coulomb":
        for section in ("system", "family"):
            if getattr(config, section).gate_distance is not None:
                yield Problem(
                    ("system.interaction", f"{section}.gate_distance"),
                    f"{section}.gate_distance has no effect on interaction = 'coulomb': remove it, "
                    "or use interaction = 'dual_gate' or 'single_gate'",
                )
    elif system.gate_distance is None and family.gate_distance is None:
        yield Problem(
            ("system.interaction", "system.gate_distance", "family.gate_distance"),
            f"system.interaction = '{system.interaction}' needs the distance to the gate in a_M: "
            "give e.g. gate_distance = 1.0",
        )
    else:
        section = "system" if family.gate_distance is None else "family"
        closest = family.gate_distance[0] if family.gate_distance else system.gate_distance
        for text in plane_waves.gate_faults(config, section, closest) if closest and _usable(config) else ():
            yield Problem(("system.interaction", f"{section}.gate_distance", *_CELL_KEYS), text)


def _gaps(config: Config) -> Iterator[Problem]:
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


def _focus(config: Config) -> Iterator[Problem]:
    focus, (low, high), groups = config.train.focus, config.family.lam, config.train.groups
    if focus is None:
        return
    least = 3 + len(config.family.gaps or ())
    if not low <= focus[0] < focus[1] <= high:
        yield Problem(
            ("train.focus", "family.lam"),
            f"train.focus = {list(focus)} must be an interval inside family.lam = {[low, high]}",
        )
    elif groups < least:
        yield Problem(
            ("train.focus", "train.groups"),
            f"train.groups = {groups} is too small for a train.focus, which divides the range of λ: give at least "
            f"groups = {least}",
        )


def _model(config: Config) -> Iterator[Problem]:
    model, system = config.model, config.system
    if model.ansatz == "slater":
        return
    if model.width % model.heads:
        yield Problem(
            ("model.width", "model.heads", "model.ansatz"),
            f"model.width = {model.width} is not a multiple of model.heads = {model.heads}: "
            f"give e.g. width = {_round_up(model.width, model.heads)}",
        )
    if model.heads % model.key_value_heads:
        yield Problem(
            ("model.heads", "model.kv_heads", "model.ansatz"),
            f"model.heads = {model.heads} is not a multiple of model.kv_heads = {model.kv_heads}: "
            "each key/value head serves the same number of query heads, give e.g. kv_heads = 1",
        )
    if model.ansatz == "qernel" and model.active_experts >= model.experts:
        yield Problem(
            ("model.experts", "model.active_experts", "model.ansatz"),
            f"model.active_experts = {model.active_experts} must be fewer than model.experts = {model.experts}: "
            f"give e.g. experts = {2 * model.active_experts}",
        )
    if model.crystal_seed:
        yield from _crystal(config)
    if model.backflow and (model.orbitals == "network" or model.crystal_seed):
        yield Problem(
            ("model.backflow", "model.orbitals", "model.crystal_seed"),
            "model.backflow = true displaces the electrons in Bloch or Hartree–Fock orbitals alone: use it with "
            "orbitals = 'hartree_fock' or 'bloch', and without crystal_seed",
        )
    most = max(system.electrons)
    if model.orbitals == "network" and model.width < most:
        yield Problem(
            ("model.width", "model.orbitals", "model.ansatz", "system.electrons"),
            f"model.width = {model.width} is less than the {most} electrons of one spin: a determinant of orbitals "
            f"from the network alone would be exactly zero; give e.g. width = {_round_up(most, model.heads)} "
            "or orbitals = 'bloch'",
        )


def _plane_waves(config: Config) -> Iterator[Problem]:
    """Orbitals made of plane waves need some for each electron, and no more than can be handled."""
    model = config.model
    key = {"hartree_fock": "hf_cutoff", "bloch": "bloch_cutoff"}.get(model.orbitals)
    if key is None and model.ansatz == "slater":  # it has no network that could make orbitals
        key = "bloch_cutoff"
    if key is None or not _usable(config):
        return
    depth = [f"system.{name}" for name in (*REDUCED_KEYS, *MATERIAL_KEYS, "twist")]
    for text in plane_waves.cutoff_faults(config, key):
        keys = (f"model.{key}", "model.orbitals", "model.ansatz", "family.lam", *_CELL_KEYS, *depth)
        yield Problem(keys, text)


def _crystal(config: Config) -> Iterator[Problem]:
    model, system = config.model, config.system
    if model.orbitals == "hartree_fock":
        yield Problem(
            ("model.crystal_seed", "model.orbitals"),
            "model.crystal_seed = true and model.orbitals = 'hartree_fock' both place the crystal: use one of them",
        )
    keys = ("model.crystal_seed", "model.determinants", *_CELL_KEYS)
    if not _crystallises(config) or system.electrons[1] or model.determinants < 2:
        yield Problem(
            keys,
            f"model.crystal_seed = true needs polarised electrons at filling 1/3 or 2/3 of a triangular supercell that "
            f"holds the √3×√3 crystal, and at least 2 determinants; here electrons = {list(system.electrons)} in "
            f"{system.cells} cells with determinants = {model.determinants}: use crystal_seed = false",
        )


def _crystallises(config: Config) -> bool:
    """Whether the √3×√3 crystal fits the supercell and its filling."""
    system = config.system
    (a, b), (c, d) = system.supercell
    fits = system.lattice == "triangular" and (2 * a + b) % 3 == 0 and (2 * c + d) % 3 == 0
    return fits and 3 * system.count in (system.cells, 2 * system.cells)


def _starts(config: Config) -> Iterator[Problem]:
    system = config.system
    for section in ("train", "sample"):
        start = getattr(config, section).crystal_from
        if start is not None and not _crystallises(config):
            yield Problem(
                (f"{section}.crystal_from", *_CELL_KEYS),
                f"{section}.crystal_from = {start:g} needs filling 1/3 or 2/3 of a triangular supercell that holds the "
                f"√3×√3 crystal; here electrons = {list(system.electrons)} in {system.cells} cells: leave it out",
            )
    train = config.train
    if train.spread_until is not None and (train.crystal_from is None or train.spread_until < train.crystal_from):
        yield Problem(
            ("train.spread_until", "train.crystal_from"),
            f"train.spread_until = {train.spread_until:g} needs crystals from a smaller λ on, and train.crystal_from = "
            f"{train.crystal_from}: set train.crystal_from below it, or leave train.spread_until out",
        )


def _train(config: Config) -> Iterator[Problem]:
    system = config.system
    if config.model.complex is False and system.cells and any(turns % 1 for turns in system.reduced_twist):
        yield Problem(
            ("model.complex", "system.twist", "system.twist_along", "system.supercell", "system.lattice"),
            f"model.complex = false cannot satisfy system.twist = {list(system.twist)}: use complex = 'auto'",
        )
    if config.train.exchange and config.train.groups < 2:
        yield Problem(
            ("train.exchange", "train.groups"),
            f"train.exchange = {config.train.exchange} swaps walkers between λ groups, and train.groups = 1: "
            "use exchange = 0, or more groups",
        )


def notes(config: Config) -> list[str]:
    """Remarks on a usable configuration: true, worth knowing, and no reason to stop."""
    system, model, train = config.system, config.model, config.train
    filling = Fraction(system.count, system.cells)
    remarks = [f"filling {filling}: {system.count} electrons on {system.cells} moiré cells"]
    if not _symmetric(system.supercell, system.lattice):
        axis = "threefold" if system.lattice == "triangular" else "fourfold"
        remarks.append(f"the supercell breaks the {axis} rotation symmetry of the lattice")
    commensurate = all((a - b) % 3 == 0 for a, b in system.supercell)
    if system.lattice == "triangular" and filling in (Fraction(1, 3), Fraction(2, 3)) and not commensurate:
        remarks.append(f"the √3×√3 crystal of filling {filling} does not fit the supercell")
    if not (system.depth_meV if system.material else system.V0):
        remarks.append("λ has no effect: the moiré depth is zero")
    default = ModelConfig()
    idle = [
        key
        for key, ansatze in READERS.items()
        if model.ansatz not in ansatze and getattr(model, key) != getattr(default, key)
    ]
    if idle:
        remarks.append(f"no effect with ansatz '{model.ansatz}': model {_listed(idle)}")
    low, high = config.family.lam
    blind = model.ansatz != "slater" and model.orbitals == "network" and not (model.film or model.parameter_features)
    if blind and low < high:
        remarks.append(
            "determinants do not depend on λ: film = false, and parameter_features = false keeps λ out of the inputs"
        )
    total = train.groups * train.walkers
    if train.optimiser == "spring" and total > LARGE_SOLVE:
        remarks.append(
            f"spring solves a {total}×{total} system each step (groups × walkers): "
            f"beyond {LARGE_SOLVE} this takes most of the time"
        )
    return remarks


def _symmetric(supercell: tuple[tuple[int, int], tuple[int, int]], lattice: str) -> bool:
    """Whether S R S⁻¹ is an integer matrix: the rotated supercell is the same crystal."""
    (a, b), (c, d) = supercell
    (p, q), (r, s) = _ROTATIONS[lattice]
    determinant = a * d - b * c
    rotated = ((a * p + b * r, a * q + b * s), (c * p + d * r, c * q + d * s))
    return all((x * d - y * c) % determinant == 0 and (-x * b + y * a) % determinant == 0 for x, y in rotated)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _listed(names: list[str]) -> str:
    return ", ".join(names)
