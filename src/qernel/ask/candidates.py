"""Which model answers for a sample, at which point of its family, and how far that is from the sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qernel.ask.materials import Setting
from qernel.errors import RunError
from qernel.lattice import Supercell
from qernel.measure.answers import on_the_shelf
from qernel.units import Material
from qernel.wavefunction.registry import UNIVERSAL

if TYPE_CHECKING:
    from qernel.config.sections.system import SystemConfig
    from qernel.measure.model import Model
    from qernel.measure.shelf import Shelf

GATED, BARE = "dual_gate", "coulomb"
"""Interactions that a sample can have."""

SCALES = {"lam": 0.1, "U": 1.0, "phase_deg": 10.0, "gate_distance": 0.05}
"""How much of each deviation counts alike: λ, U in E0 a_M, degrees, share of the interaction at the crystal's q."""

NEGLIGIBLE = 0.01
"""Relative difference of a constant, or of the interaction, that is none."""


class Deviation(NamedTuple):
    """A parameter of the sample that a model was not trained on.

    Attributes:
        name: of the parameter.
        text: which, and by how much, in words.
        size: in units of `SCALES`.
    """

    name: str
    text: str
    size: float


@dataclass(frozen=True)
class Candidate:
    """A model in one system, and the point of its family that is nearest to a sample.

    Attributes:
        shelf: the model with its results.
        opened: opens it with its wavefunction.
        system: electrons, forces and cell that are asked about.
        wanted: λ and other parameters of the sample, whatever the model was trained on.
        point: parameters of the model, inside what it was trained on.
        deviations: what is not.
    """

    shelf: Shelf
    opened: Callable[[], Model] = field(repr=False)
    system: SystemConfig = field(repr=False)
    wanted: Mapping[str, float]
    point: Mapping[str, float]
    deviations: tuple[Deviation, ...]

    @property
    def inside(self) -> bool:
        """Whether the sample is among what the model was trained on."""
        return not self.deviations

    @cached_property
    def rank(self) -> tuple[bool, float, int]:
        """Smallest for the best model: trained there, else near; and of equally good ones the largest system."""
        distance = sum(one.size for one in self.deviations)
        return not self.inside, round(distance, 1), -self.system.count

    @property
    def others(self) -> dict[str, float]:
        """All parameters of the point but λ."""
        return {name: value for name, value in self.point.items() if name != "lam"}


def candidates(runs: Sequence[str], sample: Setting, filling: Fraction) -> list[Candidate]:
    """The models that can say something about a sample, the best first.

    Args:
        runs: names of shipped models, and run folders.
        sample: the material.
        filling: electrons for each moiré cell.
    """
    found = []
    for run in runs:
        shelf, opened = on_the_shelf(run, {})
        for system, there in _systems(shelf):
            if _speaks_of(system, filling):
                moved = on_the_shelf(run, there) if there else (shelf, opened)
                found.append(candidate(*moved, system, sample))
    return sorted(found, key=lambda one: one.rank)


def _systems(shelf: Shelf) -> list[tuple[SystemConfig, dict[str, Any]]]:
    """The systems a model was trained in, with what `Model.on` needs to go there."""
    own, *further = shelf.config.systems
    if shelf.config.model.ansatz not in UNIVERSAL:
        return [(own, {})]
    # Only those that were trained: of any other size nothing is known.
    return [(own, {})] + [
        (one, {"electrons": one.electrons, "supercell": one.supercell, "twist": one.twist}) for one in further
    ]


def _speaks_of(system: SystemConfig, filling: Fraction) -> bool:
    """Whether a model is of spin-polarised electrons at this filling of a triangular moiré lattice."""
    polarised = system.electrons[1] == 0
    kind = system.lattice == "triangular" and system.potential == "moire" and system.interaction in (BARE, GATED)
    return polarised and kind and Fraction(system.count, system.cells) == filling and bool(system.constant("V0"))


def candidate(shelf: Shelf, opened: Callable[[], Model], system: SystemConfig, sample: Setting) -> Candidate:
    """The point of a model that is nearest to a sample.

    Raises:
        RunError: for a model without a moiré depth.
    """
    wanted = reduced(sample.material, system, sample)
    point: dict[str, float] = {}
    deviations: list[Deviation] = []
    for name, (low, high) in shelf.ranges.items():
        asked = wanted.get(name, 0.5 * (low + high))
        point[name] = min(max(asked, low), high)
        if abs(asked - point[name]) > 1e-9:
            deviations.append(_beyond(name, asked, (low, high), system, sample))
    deviations += _constants(shelf, system, wanted, sample)
    return Candidate(shelf, opened, system, wanted, point, tuple(deviations))


def reduced(material: Material, system: SystemConfig, sample: Setting) -> dict[str, float]:
    """λ, U, φ and the distance of the gates of a sample, in the units of a model.

    Args:
        material: of the sample.
        system: of the model, whose V0 says what λ is.
        sample: for φ and the gates.
    """
    depth = system.constant("V0")
    if not depth:
        raise RunError("a model without a moiré depth has no λ")
    gate = {} if sample.gate_nm is None else {"gate_distance": sample.gate_nm / sample["period_nm"]}
    return {"lam": material.V0 / depth, "U": material.U, "phase_deg": sample["phase_deg"], **gate}


def _beyond(name: str, asked: float, trained: tuple[float, float], system: SystemConfig, sample: Setting) -> Deviation:
    """A parameter outside the interval of its training."""
    low, high = trained
    if name == "gate_distance":
        said = f"trained with gates from {low:g} to {high:g} a_M"
        return _gates(asked, min(max(asked, low), high), system, sample, said)
    end = low if asked < low else high
    symbol, shown = {"lam": ("λ", _depth(asked, sample)), "U": ("U", _epsilon(asked, sample))}.get(name, (name, ""))
    text = f"{symbol} = {asked:.3g}{shown} is {abs(asked - end):.2g} beyond [{low:g}, {high:g}]"
    return Deviation(name, text, abs(asked - end) / SCALES.get(name, abs(high - low) or 1.0))


def _depth(lam: float, sample: Setting) -> str:
    return f" (depth {sample['depth_meV']:g} meV)"


def _epsilon(strength: float, sample: Setting) -> str:
    return f" (ε = {sample['dielectric']:g})"


def _constants(shelf: Shelf, system: SystemConfig, wanted: Mapping[str, float], sample: Setting) -> list[Deviation]:
    """Numbers that a model has one value of, where the sample has another."""
    found = []
    strength = system.constant("U")
    if "U" not in shelf.ranges and strength and abs(wanted["U"] / strength - 1) > NEGLIGIBLE:
        share = f"{wanted['U'] / strength - 1:+.0%}"
        text = f"U = {wanted['U']:.3g}{_epsilon(wanted['U'], sample)}, trained at {strength:.4g} alone ({share})"
        found.append(Deviation("U", text, abs(wanted["U"] - strength) / SCALES["U"]))
    angle = system.constant("phase_deg")
    if "phase_deg" not in shelf.ranges and angle is not None:
        turned = turn(wanted["phase_deg"], angle)
        if turned > 1.0:
            text = f"φ = {wanted['phase_deg']:g}° of the potential, trained at {angle:g}° alone"
            found.append(Deviation("phase_deg", text, turned / SCALES["phase_deg"]))
    if "gate_distance" not in shelf.ranges:
        trained = system.constant("gate_distance") if system.interaction == GATED else math.inf
        asked = wanted.get("gate_distance", math.inf)
        if trained is not None and asked != trained:
            said = "trained without gates" if trained == math.inf else f"trained with gates at {trained:g} a_M alone"
            gates = _gates(asked, trained, system, sample, said)
            found += [gates] if max(_changed(asked, trained, system)) > NEGLIGIBLE else []
    elif "gate_distance" not in wanted:
        high = shelf.ranges["gate_distance"][1]
        if max(_changed(math.inf, high, system)) > NEGLIGIBLE:
            found.append(_gates(math.inf, high, system, sample, f"trained with gates up to {high:g} a_M"))
    return found


def turn(one: float, other: float) -> float:
    """Between two φ in degrees: the potential is the same for φ + 120°, shifted, and for −φ, inverted.

    >>> turn(-94.0, 26.0), turn(45.0, -45.0), turn(-94.0, 45.0)
    (0.0, 0.0, 19.0)
    """
    return min(abs((difference + 60.0) % 120.0 - 60.0) for difference in (one - other, one + other))


def _changed(asked: float, trained: float, system: SystemConfig) -> tuple[float, float]:
    """Relative difference of the interaction at the q of the crystal, and at the longest wavelength of the cell."""
    cell = Supercell(system.supercell, system.lattice)
    waves = float(np.linalg.norm(cell.k_point)), float(np.linalg.norm(cell.shortest_reciprocal, axis=1).min())
    smallest = 2 * math.pi / float(np.linalg.norm(cell.vectors, axis=1).max())
    first, second = (abs(math.tanh(q * asked) - math.tanh(q * trained)) for q in (waves[0], smallest))
    return first, second


def _gates(asked: float, trained: float, system: SystemConfig, sample: Setting, said: str) -> Deviation:
    near, far = _changed(asked, trained, system)
    what = "no gates" if asked == math.inf else f"gates at {sample.gate_nm:g} nm ({asked:.3g} a_M)"
    text = (
        f"{what}, {said}: the interaction differs by {100 * near:.2g} % at the wave vector of the crystal and by "
        f"{100 * far:.2g} % at the longest wavelength of the {system.cells} cells"
    )
    return Deviation("gate_distance", text, near / SCALES["gate_distance"])
