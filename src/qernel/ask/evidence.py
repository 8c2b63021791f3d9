"""What a model and Hartree–Fock say about the phase at the point nearest to a sample."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qernel.ask.candidates import BARE, GATED, Candidate
from qernel.ask.materials import Setting
from qernel.estimators.phases import stored_phases
from qernel.measure.answers import Wanted, answered
from qernel.measure.energies import Energies
from qernel.measure.stored import Results
from qernel.structure import LIQUID, SOLID, UNDECIDED

if TYPE_CHECKING:
    import xarray

    from qernel.progress import Told

CUTOFF = 100.0
"""Kinetic cut-off of Hartree–Fock in E0: energies of moiré bands are converged far below it."""


class Change(NamedTuple):
    """Between which λ the stored states of a model pass from liquid to crystal."""

    liquid: float
    crystal: float


@dataclass(frozen=True)
class Evidence:
    """What one model says at its point nearest to a sample.

    Attributes:
        candidate: the model and the point.
        answer: its energies there; None where nothing is stored and nothing was to be sampled.
        change: where its stored states change phase; None where they do not.
    """

    candidate: Candidate
    answer: Energies | None
    change: Change | None

    @property
    def lam(self) -> float:
        """λ of the point."""
        return self.candidate.point["lam"]

    @property
    def word(self) -> str:
        """Liquid, crystal or undecided."""
        if self.answer is not None:
            return self.answer.phase
        if self.change is None:
            return UNDECIDED
        low, high = self.change
        return LIQUID if self.lam <= low else SOLID if self.lam >= high else UNDECIDED

    @property
    def why(self) -> str:
        """The numbers behind the word."""
        if self.answer is None:
            if self.change is None:
                return "nothing is stored of it: --fresh samples it"
            low, high = self.change
            return f"λ = {self.lam:.3g} lies where it changes, between {low:g} (liquid) and {high:g} (crystal)"
        rhat = self.answer.order_parameter_rhat
        told = "" if rhat != rhat else f", R̂ = {rhat:.2f}"
        return f"{self.answer.phase_why}{told} ({self.answer.origin})"

    @property
    def distance(self) -> str:
        """How far the point is from the change of phase, in words; empty where that is not known."""
        if self.change is None:
            return ""
        low, high = self.change
        where = f"its phase changes between λ = {low:g} and {high:g}"
        if low < self.lam < high:
            return where
        return f"{where}, {min(abs(self.lam - low), abs(self.lam - high)):.2g} or more from λ = {self.lam:.3g}"


def evidence(candidate: Candidate, *, sample: bool, fresh: bool = False, tell: Told | None = None) -> Evidence:
    """What a model says.

    Args:
        candidate: the model and the point.
        sample: draw configurations where nothing is stored.
        fresh: draw them in any case.
        tell: called with what is measured and the fraction done.
    """
    results = Results(candidate.shelf)
    change = _change(results, candidate)
    stored = None if fresh else results.at("lam", candidate.point["lam"], candidate.others)
    if stored is not None:
        return Evidence(candidate, stored, change)
    inside = change is not None and change.liquid < candidate.point["lam"] < change.crystal
    if not fresh and (not sample or inside):
        return Evidence(candidate, None, change)
    wanted = Wanted([candidate.point["lam"]], at=candidate.others, fresh=fresh)
    found = answered(candidate.shelf, wanted, candidate.opened, tell=tell).results[0]
    return Evidence(candidate, found, change)


def _change(results: Results, candidate: Candidate) -> Change | None:
    """Where the stored states pass from liquid to crystal, in the file that has them closest together.

    In a map, between two values of a second parameter: from the first change to the end of the last one of both.
    """
    found = [_change_in(data) for data in results.along("lam", candidate.others)]
    for pair in results.around("lam", candidate.others):
        low, high = map(_change_in, pair)
        found += [low and high and Change(min(low.liquid, high.liquid), max(low.crystal, high.crystal))]
    return min(filter(None, found), key=lambda one: one.crystal - one.liquid, default=None)


def _change_in(data: xarray.Dataset) -> Change | None:
    """The last λ that is a liquid and the first that is a crystal."""
    words = [one.word for one in stored_phases(data, "lam")]
    x = np.asarray(data["lam"].values, np.float64)
    liquids, crystals = ([p for p, word in zip(x, words, strict=True) if word == kind] for kind in (LIQUID, SOLID))
    if not liquids or not crystals or max(liquids) >= min(crystals):
        return None
    return Change(float(max(liquids)), float(min(crystals)))


class MeanField(NamedTuple):
    """What Hartree–Fock says at the very parameters of a sample.

    Attributes:
        word: crystal where the lowest state has the order of the crystal of this filling, else liquid.
        label: its own word for the state.
        energy_meV: of the lowest state, per electron.
        electrons: how many.
        gap_meV: the charge gap of a crystal with frozen orbitals (`qernel.hartree_fock.gap`), without images of the
            cell; None of other states.
    """

    word: str
    label: str
    energy_meV: float
    electrons: int
    gap_meV: float | None = None

    @property
    def sentence(self) -> str:
        """The estimate, and how far it is off where the truth is known."""
        known = bias()
        value, error = known["exact"]
        state = (
            "the crystal of this filling" if self.word == SOLID else f"not the crystal of this filling ({self.label})"
        )
        return (
            f"Hartree–Fock at exactly these parameters, {self.electrons} electrons: the lowest state is {state}, "
            f"{self.energy_meV:.2f} meV per electron. It is biased towards the crystal: for {known['electrons']} "
            f"electrons of the default material it orders from λ = {known['hartree_fock']:.2f} on, where the truth is "
            f"{value:g} ± {error:g} ({known['source']})"
        )


@cache
def bias() -> dict[str, Any]:
    """Where Hartree–Fock orders, and where the truth does."""
    return tomllib.loads(files("qernel.ask").joinpath("bias.toml").read_text("utf-8"))


def system_of(sample: Setting, electrons: int, side: int) -> dict[str, Any]:
    """[system] of a sample on side × side moiré cells."""
    gates = {} if sample.gate_nm is None else {"gate_distance": f"{sample.gate_nm:.10g} nm"}
    return {
        "electrons": electrons,
        "supercell": [[side, 0], [0, side]],
        "interaction": BARE if sample.gate_nm is None else GATED,
        **gates,
        **{key: sample[key] for key in ("effective_mass", "dielectric", "period_nm", "depth_meV", "phase_deg")},
    }


def mean_field(sample: Setting, electrons: int, side: int, tell: Told | None = None) -> MeanField:
    """Hartree–Fock of a sample on side × side moiré cells, without any model."""
    from qernel.hartree_fock.gap import gap
    from qernel.measure.mean_field import hartree_fock

    config = {"system": system_of(sample, electrons, side), "family": {"lam": 1.0}, "model": {"orbitals": "bloch"}}
    found = hartree_fock(config, 1.0, cutoff=CUTOFF, progress=tell or False)
    (lowest,) = found.solutions
    unit, solid = sample.material.energy_unit_meV, lowest.kind == SOLID
    gap_meV = gap(lowest).value * unit if solid else None
    return MeanField(SOLID if solid else LIQUID, lowest.order.label, lowest.energy * unit, electrons, gap_meV)
