"""Remarks on a configuration that can be used."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from qernel.config.checks.model import READERS
from qernel.config.checks.problem import listed
from qernel.config.sections import ModelConfig
from qernel.hamiltonian.terms import parameters
from qernel.wavefunction.registry import UNIVERSAL

if TYPE_CHECKING:
    from qernel.config.schema import Config

LARGE_SOLVE = 4096
"""Walkers in all beyond which the natural-gradient solve dominates a step."""

# One rotation of each lattice in the basis of its vectors: by 120° and by 90°.
_ROTATIONS = {"triangular": ((-1, 1), (-1, 0)), "square": ((0, 1), (-1, 0))}


def notes(config: Config) -> list[str]:
    """Remarks on a usable configuration: true, worth knowing, and no reason to stop."""
    system, model, train = config.system, config.model, config.train
    filling = Fraction(system.count, system.cells)
    remarks = [f"filling {filling}: {system.count} electrons on {system.cells} moiré cells"]
    if isinstance(system.lattice, str) and not _symmetric(system.supercell, system.lattice):
        axis = "threefold" if system.lattice == "triangular" else "fourfold"
        remarks.append(f"the supercell breaks the {axis} rotation symmetry of the lattice")
    commensurate = all((a - b) % 3 == 0 for a, b in system.supercell)
    if system.lattice == "triangular" and filling in (Fraction(1, 3), Fraction(2, 3)) and not commensurate:
        remarks.append(f"the √3×√3 crystal of filling {filling} does not fit the supercell")
    if system.reads("V0") and not (system.depth_meV if system.material else system.V0):
        remarks.append("λ has no effect: the moiré depth is zero")
    else:
        remarks += _crystal_places(config)
    remarks += _lengths(config)
    default = ModelConfig()
    idle = [
        key
        for key, ansatze in READERS.items()
        if model.ansatz not in ansatze and getattr(model, key) != getattr(default, key)
    ]
    if idle:
        remarks.append(f"no effect with ansatz '{model.ansatz}': model {listed(idle)}")
    low, high = config.family.lam
    framed = model.ansatz in READERS["parameter_features"]
    blind = framed and model.orbitals == "network" and not (model.film or model.parameter_features)
    if blind and low < high:
        remarks.append(
            "determinants do not depend on λ: film = false, and parameter_features = false keeps λ out of the inputs"
        )
    remarks += _other_fillings(config)
    if train.implicit and train.started_from is None and model.ansatz not in UNIVERSAL:
        remarks.append(
            "train.implicit lowers the variance as well, which every eigenstate has none of: it is for weights that "
            "have been trained without it (qernel train --from MODEL)"
        )
    total = sum(one.train.groups * one.train.walkers for one in config.members)
    if train.optimiser == "spring" and total > LARGE_SOLVE:
        remarks.append(
            f"spring solves a {total}×{total} system each step (groups × walkers): "
            f"beyond {LARGE_SOLVE} this takes most of the time"
        )
    return remarks


def _other_fillings(config: Config) -> list[str]:
    """Further systems of another density: one set of weights has to hold both."""
    fillings = [Fraction(system.count, system.cells) for system in config.systems]
    return [
        f"filling {filling} in {system.label}: its density is not that of [system], and the same weights hold both"
        for system, filling in zip(config.systems, fillings, strict=True)
        if filling != fillings[0]
    ]


def _crystal_places(config: Config) -> list[str]:
    """Where crystal orbitals are not in the wells: they stay at r = 0, the deepest one for phases up to 60° only."""
    system, phases = config.system, config.family.ranges.get("phase_deg")
    phase = sum(phases) / 2 if phases else system.constant("phase_deg")
    if not (config.model.crystal_seed and system.potential == "moire") or phase is None:
        return []
    same = 120.0 * round(phase / 120.0)
    if not same:
        return []
    low, high = (f"{end - same:g}" for end in phases or (phase, phase))
    meant = f"[{low}, {high}]" if phases else low
    return [
        f"crystal orbitals are at r = 0 of each cell, and with phase_deg = {phase:g} the deepest wells are elsewhere: "
        f"phase_deg = {meant} is the same potential with wells at r = 0"
    ]


def _symmetric(supercell: tuple[tuple[int, int], tuple[int, int]], lattice: str) -> bool:
    """Whether S R S⁻¹ is an integer matrix: the rotated supercell is the same crystal."""
    (a, b), (c, d) = supercell
    (p, q), (r, s) = _ROTATIONS[lattice]
    determinant = a * d - b * c
    rotated = ((a * p + b * r, a * q + b * s), (c * p + d * r, c * q + d * s))
    return all((x * d - y * c) % determinant == 0 and (-x * b + y * a) % determinant == 0 for x, y in rotated)


def _lengths(config: Config) -> list[str]:
    """What lengths in moiré periods are in nm: 10 is hardly ever meant to be ten of them."""
    found = []
    for name, about in parameters().items():
        scale = config.system.laboratory(name, about.unit) if about.unit == "a_M" else None
        if scale is None or not config.system.reads(name):
            continue
        ends = config.family.ranges.get(name) or (config.system.constant(name),)
        numbers = [f"{scale.convert(end):.4g}" for end in dict.fromkeys(ends) if end is not None]
        found += [f'{name} is {" to ".join(numbers)} nm (write "10 nm" for a length in nm)'] if numbers else []
    return found
