"""Relations between values of [model], and what [system] asks of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from qernel.config import plane_waves
from qernel.config.checks.problem import CELL_KEYS, Problem, round_up
from qernel.config.checks.system import usable
from qernel.config.orbitals import followed, following, kind_of_orbitals
from qernel.config.sections import MATERIAL_KEYS, REDUCED_KEYS
from qernel.wavefunction.registry import BY_PHASE, UNIVERSAL

if TYPE_CHECKING:
    from qernel.config.schema import Config

_FRAMED = ("qernel", "psiformer")

READERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("kv_heads", "experts", "active_experts", "expert_width", "shared_width", "expert_balance"), ("qernel", "lem")
    ),
    "mlp_width": ("psiformer",),
    **dict.fromkeys(("width", "blocks", "heads", "determinants", "film", "many_body_range"), (*_FRAMED, "lem")),
    **dict.fromkeys(("jastrow_order", "jastrow_range", "conditioning_width"), (*_FRAMED, "lem", "slater_jastrow")),
    **dict.fromkeys(("harmonics", "moire_harmonics", "parameter_features", "symmetric_along"), _FRAMED),
    **dict.fromkeys(("crystal_seed", "hf_trained", "backflow"), _FRAMED),
    **dict.fromkeys(("envelope", "envelope_shells"), (*_FRAMED, "slater_jastrow")),
    **dict.fromkeys(("jastrow", "jastrow_shells", "many_body"), _FRAMED),
    "orbitals": (*_FRAMED, "slater"),
    "phase": BY_PHASE,
}
"""[model] keys that only some ansätze read, and which."""


def network(config: Config) -> Iterator[Problem]:
    """Widths, heads and experts that fit together, and orbitals they can make."""
    model, system = config.model, config.system
    if model.ansatz not in READERS["width"]:
        return
    if model.width % model.heads:
        yield Problem(
            ("model.width", "model.heads", "model.ansatz"),
            f"model.width = {model.width} is not a multiple of model.heads = {model.heads}: "
            f"give e.g. width = {round_up(model.width, model.heads)}",
        )
    if model.heads % model.key_value_heads:
        yield Problem(
            ("model.heads", "model.kv_heads", "model.ansatz"),
            f"model.heads = {model.heads} is not a multiple of model.kv_heads = {model.kv_heads}: "
            "each key/value head serves the same number of query heads, give e.g. kv_heads = 1",
        )
    if model.ansatz in READERS["experts"] and 0 < model.experts <= model.active_experts:
        yield Problem(
            ("model.experts", "model.active_experts", "model.ansatz"),
            f"model.active_experts = {model.active_experts} must be fewer than model.experts = {model.experts}: "
            f"give e.g. experts = {2 * model.active_experts}",
        )
    if model.ansatz in UNIVERSAL:
        if model.phase == "crystal":
            yield from _room_for_crystal(config, "phase", "'crystal'", "'both'")
        return
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
            f"from the network alone would be exactly zero; give e.g. width = {round_up(most, model.heads)} "
            "or orbitals = 'bloch'",
        )


def orbital_waves(config: Config) -> Iterator[Problem]:
    """Orbitals made of plane waves need some for each electron, and no more than can be handled."""
    key = {"hartree_fock": "hf_cutoff", "bloch": "bloch_cutoff"}.get(kind_of_orbitals(config))
    if key is None or not usable(config):
        return
    depth = [f"system.{name}" for name in (*REDUCED_KEYS, *MATERIAL_KEYS, "twist")]
    for text in plane_waves.cutoff_faults(config, key):
        keys = (f"model.{key}", "model.orbitals", "model.ansatz", "family.lam", *CELL_KEYS, *depth)
        yield Problem(keys, text)


def orbital_points(config: Config) -> Iterator[Problem]:
    """Orbitals that follow many parameters closely are computed at as many points as there are combinations."""
    model, key, names = config.model, following(config), followed(config)
    if key is None:
        return
    along, others = getattr(model, key.removesuffix("_others")), getattr(model, key)
    points = along * others ** len(names)
    if points > MOST_POINTS and others > 1:
        most = max(1, int((MOST_POINTS / along) ** (1 / len(names)) + 1e-9))
        yield Problem(
            (f"model.{key}", "model.orbitals", "model.ansatz", *(f"family.{name}" for name in names)),
            f"model.{key} = {others} computes orbitals at {points:,} points, of λ and {', '.join(names)}, more than "
            f"the {MOST_POINTS:,} supported: give at most {most}",
        )


MOST_POINTS = 1000
"""Points of a family at which orbitals are computed."""


def _crystal(config: Config) -> Iterator[Problem]:
    model = config.model
    if model.orbitals == "hartree_fock":
        yield Problem(
            ("model.crystal_seed", "model.orbitals"),
            "model.crystal_seed = true and model.orbitals = 'hartree_fock' both place the crystal: use one of them",
        )
    yield from _room_for_crystal(config, "crystal_seed", "true", "false")


def _room_for_crystal(config: Config, key: str, value: str, instead: str) -> Iterator[Problem]:
    """A determinant of the crystal needs electrons and cells that hold it."""
    system, model = config.system, config.model
    if not crystallises(config) or system.electrons[1] or model.determinants < 2:
        yield Problem(
            (f"model.{key}", "model.determinants", *CELL_KEYS),
            f"model.{key} = {value} needs polarised electrons at filling 1/3 or 2/3 of a triangular supercell that "
            f"holds the √3×√3 crystal, and at least 2 determinants; here electrons = {list(system.electrons)} in "
            f"{system.cells} cells with determinants = {model.determinants}: use {key} = {instead}",
        )


def crystallises(config: Config) -> bool:
    """Whether the √3×√3 crystal fits the supercell and its filling."""
    system = config.system
    (a, b), (c, d) = system.supercell
    fits = system.lattice == "triangular" and (2 * a + b) % 3 == 0 and (2 * c + d) % 3 == 0
    return fits and 3 * system.count in (system.cells, 2 * system.cells)


def real(config: Config) -> Iterator[Problem]:
    """ψ cannot be real at a twist, but at one of half turns if it is in the orbitals."""
    system, model = config.system, config.model
    if model.complex is not False or not system.cells or (model.ansatz in UNIVERSAL and system.half_turns):
        return
    if any(turns % 1 for turns in system.reduced_twist):
        yield Problem(
            ("model.complex", "system.twist", "system.twist_along", "system.supercell", "system.lattice"),
            f"model.complex = false cannot satisfy system.twist = {list(system.twist)}: use complex = 'auto'",
        )
