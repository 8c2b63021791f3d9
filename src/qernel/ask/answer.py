"""The answer: one sentence first, then the numbers with their errors, sources and limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from qernel.along import named
from qernel.ask.evidence import Evidence, MeanField
from qernel.ask.gap import FILLINGS, point_charges
from qernel.ask.materials import Setting
from qernel.ask.training import command
from qernel.estimators.quantity import Quantity, parenthesis
from qernel.measure.energies import ENERGIES
from qernel.structure import LIQUID, SOLID, UNDECIDED
from qernel.text import columns, describe
from qernel.wavefunction.registry import UNIVERSAL

LIMITS = (
    "one band of spin-polarised carriers in a smooth moiré potential, at temperature 0, without disorder; one finite "
    "cell with periodic boundaries",
)


@dataclass(frozen=True)
class Answer:
    """What is known about a sample.

    Attributes:
        sample: the material, with sources.
        filling: electrons for each moiré cell.
        said: what models say, the best one first; empty where none is of this filling.
        mean_field: what Hartree–Fock says; None where it was not asked.
    """

    sample: Setting
    filling: Fraction
    said: Sequence[Evidence]
    mean_field: MeanField | None

    def __repr__(self) -> str:
        return f"Answer({self.sentence!r})"

    @property
    def inside(self) -> bool:
        """Whether the best model was trained on the sample."""
        return bool(self.said) and self.said[0].candidate.inside

    @property
    def word(self) -> str:
        """Liquid, crystal or undecided.

        Outside of what was trained Hartree–Fock has to agree with the nearest model; a liquid of Hartree–Fock counts
        more than its crystal, because it is biased towards the crystal.
        """
        if not self.said:
            liquid = self.mean_field is not None and self.mean_field.word == LIQUID
            return LIQUID if liquid else UNDECIDED
        word = self.said[0].word
        if self.inside:
            return word
        agrees = self.mean_field is not None and self.mean_field.word == word
        return word if agrees else UNDECIDED

    @property
    def sure(self) -> str:
        """How sure, in words."""
        if not self.inside:
            return "outside of what any model was trained on, so an estimate only"
        best = self.said[0]
        if best.word == UNDECIDED:
            return "inside of what was trained"
        doubts = best.answer is not None and bool(best.answer.doubts)
        others = [one for one in self.said[1:] if one.candidate.inside]
        if unlike := [one for one in others if one.word not in (best.word, UNDECIDED)]:
            return f"{_names(unlike)} say{'s' * (len(unlike) == 1)} otherwise"
        alike = [one for one in others if one.word == best.word]
        agreed = f"{_names(alike)} agree{'s' * (len(alike) == 1)}" if alike else "no second size to compare with"
        return f"{agreed}, error bars doubtful" if doubts else agreed

    @property
    def sentence(self) -> str:
        """Liquid, crystal or undecided: how sure, and why."""
        where = f"{self.sample.name} at filling {self.filling}"
        if not self.said:
            told = "" if self.mean_field is None else ", Hartree–Fock alone"
            return f"{self.word}: {where}; {self.sure} (no model of this filling{told})."
        best = self.said[0]
        system = best.candidate.system
        words = [f"{best.candidate.shelf.name}, {describe(system.electrons, system.cells)}"]
        if not self.inside:
            words.append(f"at the nearest point it was trained on is {_called(best.word)}")
        text = f"{self.word}: {where}; {self.sure}. {', '.join(words)}: {best.why}"
        return f"{text}; {best.distance}." if best.distance and best.answer is not None else f"{text}."

    @property
    def point_charge_gap_meV(self) -> float | None:
        """The charge gap of point charges at rest, above that of a crystal; None at fillings of another crystal."""
        if self.filling not in FILLINGS:
            return None
        gates = None if self.sample.gate_nm is None else self.sample.gate_nm / self.sample["period_nm"]
        return point_charges(self.sample.material.U, gates) * self.sample.material.energy_unit_meV

    @property
    def gap(self) -> str:
        """What is known of the charge gap: none of a liquid, and what bounds it in a crystal."""
        if self.word == LIQUID:
            return "Charge gap: none, as a liquid conducts"
        known = "Charge gap: not computed, as it takes energies of one electron more and one less"
        if (bound := self.point_charge_gap_meV) is None:
            return known
        state = "" if self.word == SOLID else "if it is the crystal, "
        text = f"{known}; {state}at most about {bound:.3g} meV, that of point charges at rest, which motion lowers"
        mean = None if self.mean_field is None else self.mean_field.gap_meV
        if mean is None:
            return text
        return f"{text}; Hartree–Fock has {mean:.3g} meV with frozen orbitals, biased upwards: nothing screens a charge"

    def text(self) -> str:
        """The sentence, then everything behind it."""
        parts = [self.sentence, "", "Taken for granted:", _indented(columns(self.sample.lines()))]
        parts += [f"  ({note})" for note in self.sample.notes]
        parts += [f"  {self._density()}"]
        for index, one in enumerate(self.said):
            parts += _of_model(one, self.sample.material.energy_unit_meV, main=index == 0)
        parts += ["", f"{self.gap}."]
        if not self.inside:
            parts += ["", "Outside of training:", *_outside(self.said[:1], self.filling)]
        if self.mean_field is not None:
            parts += ["", self.mean_field.sentence + "."]
        if not self.inside:
            parts += ["", "To have an answer, train it and ask again:", f"  {command(self.sample, self.filling)}"]
        return "\n".join([*parts, "", "Limits:", *(f"- {limit}" for limit in self._limits)])

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        numbers = {key: {"value": one.value, "source": one.source} for key, one in self.sample.numbers.items()}
        return {
            "answer": self.word,
            "sentence": self.sentence,
            "inside": self.inside,
            "sure": self.sure,
            "material": {"name": self.sample.name, "about": self.sample.about, **numbers},
            "filling": str(self.filling),
            "notes": list(self.sample.notes),
            "energy_unit_meV": self.sample.material.energy_unit_meV,
            "models": [_data(one) for one in self.said],
            "hartree_fock": None if self.mean_field is None else {**self.mean_field._asdict(), "biased": True},
            "charge_gap": {
                "said": self.gap,
                "point_charges_meV": self.point_charge_gap_meV,
                "hartree_fock_meV": None if self.mean_field is None else self.mean_field.gap_meV,
            },
            "train": None if self.inside else command(self.sample, self.filling),
            "limits": self._limits,
        }

    @property
    def _limits(self) -> list[str]:
        card = self.said[0].candidate.shelf.card if self.said else None
        # What lies outside of its training is said above.
        return [*LIMITS, *(() if card is None else card.not_good_for[1:])]

    def _density(self) -> str:
        """Carriers for each area, their distance, and r_s."""
        period = self.sample["period_nm"]
        density = float(self.filling) / (math.sqrt(3) / 2 * period**2)
        mean = 1 / math.sqrt(math.pi * density)
        radius = mean / period * self.sample.material.U
        return (
            f"so E0 = {self.sample.material.energy_unit_meV:.4g} meV, U = {self.sample.material.U:.4g} E0 a_M, "
            f"{density * 100:.3g}·10¹² carriers per cm², r_s = {radius:.3g}"
        )


def _of_model(one: Evidence, meV: float, *, main: bool) -> list[str]:
    """What one model says, in lines; of those beside the best one a single line.

    Args:
        one: of the model.
        meV: E0 of the sample, which need not be that of the material that the model was trained for.
        main: whether it is the best one.
    """
    system = one.candidate.system
    place = ", ".join(named(name).at(float(f"{value:.4g}")) for name, value in one.candidate.point.items())
    head = f"{one.candidate.shelf.name} ({describe(system.electrons, system.cells)}) at {place}: {one.word}"
    if not main:
        return [f"  {head}; {one.why}"]
    if one.answer is None:
        return ["", head]
    answer, rows = one.answer, [["", "E0 per electron", f"meV per electron (E0 = {meV:.4g} meV)"]]
    rows += [[name, *_both(getattr(answer, name), meV)] for name in ENERGIES]
    order = "" if answer.order_parameter is None else f"  density order |ρ_K|² = {answer.order_parameter.number}"
    return ["", head, _indented(columns(rows)), order, f"  {answer.source or answer.energy.source}"]


def _names(said: Sequence[Evidence]) -> str:
    return " and ".join(map(_named, said))


def _named(one: Evidence) -> str:
    """A model; of weights that serve several systems, with this one."""
    name, system = one.candidate.shelf.name, one.candidate.system
    return f"{name} ({system.count} electrons)" if one.candidate.shelf.config.model.ansatz in UNIVERSAL else name


def _both(number: Quantity, meV: float) -> tuple[str, str]:
    return number.number, parenthesis(number.value * meV, number.error * meV)


def _outside(said: Sequence[Evidence], filling: Fraction) -> list[str]:
    if not said:
        return [f"- no model was trained at filling {filling}"]
    return [f"- {deviation.text}" for deviation in said[0].candidate.deviations]


def _called(word: str) -> str:
    return {LIQUID: "a liquid", SOLID: "a crystal"}.get(word, word)


def _data(one: Evidence) -> dict[str, Any]:
    system = one.candidate.system
    return {
        "model": one.candidate.shelf.name,
        "electrons": system.count,
        "cells": system.cells,
        "phase": one.word,
        "why": one.why,
        "point": dict(one.candidate.point),
        "asked": dict(one.candidate.wanted),
        "outside": [deviation.text for deviation in one.candidate.deviations],
        "changes_between": None if one.change is None else list(one.change),
        "energies": None if one.answer is None else one.answer.as_row(),
    }


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
