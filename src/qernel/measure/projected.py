"""What projection finds at one point: at each time step, without one, and beside the variational energies."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from qernel.estimators.doubts import DISAGREE, FEW_SAMPLES, RHAT_LIMIT, SAMPLES
from qernel.estimators.quantity import Quantity, parenthesis
from qernel.measure.energies import Energies
from qernel.observables.base import Variable
from qernel.observables.phases import Ordered
from qernel.projection.series import Mean, Series, memory, population_bias, settled, unsettled, weighted_mean
from qernel.projection.time_steps import Extrapolated, extrapolated
from qernel.structure import LIQUID, SOLID
from qernel.text import columns

PARTS = ("moire", "interaction")
"""Energies that do not commute with the Hamiltonian: their mixed estimates are not those of the projected state."""

UNSETTLED = "still settling"

CHANGED = "in another phase than their chains"

_FAR, _SIGMAS = 0.5, 5.0
"""|ρ_K|² of walkers in the phase of their chains is nearer to that of the chains: by part of it, or by errors."""


class TimeStep(NamedTuple):
    """A projection at one time step; energies per electron in E0, mixed estimates.

    Attributes:
        tau: in 1/E0.
        energies: ``energy``, ``moire`` and ``interaction``, with products of the weights of `Mean.generations`.
        plain: the energy without these products.
        bias: plain − weighted on the same generations, and its error.
        acceptance: of steps.
        crossings: part of the steps refused at a node.
        effective: effective time step over the time step.
        left_out: part of the series before walkers had settled.
        autocorrelation: of the energy, in 1/E0.
        doubts: why its error may be too small.
    """

    tau: float
    energies: dict[str, Mean]
    plain: Mean
    bias: tuple[float, float]
    acceptance: float
    crossings: float
    effective: float
    left_out: float
    autocorrelation: float
    doubts: tuple[str, ...]

    @classmethod
    def of(cls, tau: float, series: Series, electrons: int) -> TimeStep:
        """What a series says."""
        first = settled(series)
        later = series.since(first)
        generations = memory(later)
        means = {name: weighted_mean(later, getattr(later, name), generations) for name in ("energy", *PARTS)}
        summary = means["energy"].summary
        reasons = {
            SAMPLES: not summary.effective_samples >= FEW_SAMPLES and summary.error > 0,
            DISAGREE: summary.rhat > RHAT_LIMIT,
            UNSETTLED: unsettled(series, first),
        }
        difference, error = population_bias(later, generations)
        return cls(
            tau=tau,
            energies={name: mean.over(electrons) for name, mean in means.items()},
            plain=weighted_mean(later, later.energy, 0).over(electrons),
            bias=(difference / electrons, error / electrons),
            acceptance=float(series.acceptance.mean()),
            crossings=float(series.crossings.mean()),
            effective=series.effective,
            left_out=first / len(series.weight),
            autocorrelation=summary.autocorrelation * float(later.span.mean()),
            doubts=tuple(reason for reason, holds in reasons.items() if holds),
        )

    def as_row(self) -> dict[str, Any]:
        """As plain data."""
        energy = self.energies["energy"]
        return {
            "tau": self.tau,
            **{name: {"value": mean.value, "error": mean.error} for name, mean in self.energies.items()},
            "without_weights": {"value": self.plain.value, "error": self.plain.error},
            "population_bias": {"value": self.bias[0], "error": self.bias[1]},
            "acceptance": self.acceptance,
            "crossings": self.crossings,
            "effective_tau": self.tau * self.effective,
            "left_out": self.left_out,
            "autocorrelation": self.autocorrelation,
            "weights_multiplied": energy.generations,
            "rhat": energy.summary.rhat,
            "effective_samples": energy.summary.effective_samples,
            "warnings": list(self.doubts),
        }


@dataclass(frozen=True)
class Projected:
    """Projected energies at one point.

    Attributes:
        variational: of the chains that the walkers came from.
        steps: at each time step, the largest first.
        fit: a key of `qernel.projection.time_steps.DEGREES`.
        walkers: how many there were.
        electrons: N.
        ending: order and phase of the walkers at the smallest time step (`qernel.observables.phases.ordered`).
        arrays: density and S(q) at the smallest time step (`qernel.measure.mixed.mixed_arrays`).
    """

    variational: Energies
    steps: tuple[TimeStep, ...]
    fit: str
    walkers: int
    electrons: int
    ending: Ordered
    arrays: tuple[Variable, ...] = field(default=(), repr=False)

    @cached_property
    def fits(self) -> dict[str, Extrapolated]:
        """Mixed estimates without time step: ``energy``, ``moire``, ``interaction``."""
        taus = [step.tau for step in self.steps]
        found = {}
        for name in ("energy", *PARTS):
            means = [step.energies[name] for step in self.steps]
            found[name] = extrapolated(taus, [mean.value for mean in means], [mean.error for mean in means], self.fit)
        return found

    @property
    def energy(self) -> Quantity:
        """The projected energy per electron."""
        return self.energies.energy

    @property
    def gain(self) -> Quantity:
        """How much lower it is than the variational one."""
        return self.variational.energy - self.energy

    @cached_property
    def energies(self) -> Energies:
        """As of `State.energy`: the projected energy, and parts of it as 2·mixed − variational.

        Phase and order parameter are those of the walkers at the smallest time step, a mixed estimate.
        """
        before, after = self.variational, {}
        kind = before.energy
        source = f"{self.walkers} walkers projected from {kind.source}"

        def quantity(value: float, error: float) -> Quantity:
            return Quantity(value, error, kind.unit, source, kind.E0_meV, self.doubts)

        after["energy"] = quantity(self.fits["energy"].value, self.fits["energy"].error)
        for name in PARTS:
            mixed, old = self.fits[name], getattr(before, name)
            after[name] = quantity(2 * mixed.value - old.value, float(np.hypot(2 * mixed.error, old.error)))
        value = after["energy"].value - sum(after[name].value for name in PARTS)
        after["kinetic"] = quantity(value, float(np.linalg.norm([part.error for part in after.values()])))
        last = self.steps[-1]
        summary = last.energies["energy"].summary
        said: dict[str, Any] = {**after, "acceptance": last.acceptance, "direction": "projected"}
        said |= {name: getattr(summary, name) for name in ("autocorrelation", "rhat", "effective_samples")}
        order, order_rhat, (word, why) = self.ending
        said |= {"order_parameter": order, "order_parameter_rhat": order_rhat, "phase": word, "phase_why": why}
        return before._replace(**said)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the error may be too small: of every time step, and of the phase."""
        reasons = [reason for step in self.steps for reason in step.doubts]
        return tuple(dict.fromkeys(reasons + [CHANGED] * self.changed))

    @property
    def changed(self) -> bool:
        """Whether walkers have left the phase of the chains that they began as."""
        before, after = self.variational.order_parameter, self.ending.order
        if before is None or after is None:
            return {self.variational.phase, self.ending.phase.word} == {LIQUID, SOLID}
        return abs(after.value - before.value) > max(
            _FAR * before.value, _SIGMAS * math.hypot(after.error, before.error)
        )

    def as_row(self, along: str = "lam") -> dict[str, Any]:
        """As plain data."""
        row, fit = self.energies.as_row(along), self.fits["energy"]
        names = (along, "lam", "extrapolating", "in_gap", "impossible", "moire", "interaction", "warnings")
        of_walkers = ("phase", "phase_why", "order_parameter")
        return {
            **{name: row[name] for name in names + of_walkers},
            "variational": self.variational.energy.as_dict(),
            "projected": self.energy.as_dict(),
            "gain": self.gain.as_dict(),
            "variance": self.variance,
            "fit": {"kind": self.fit if fit.coefficients else "none", **fit.as_dict()},
            "time_steps": [step.as_row() for step in self.steps],
        }

    @property
    def variance(self) -> float:
        """Var(Re E_L)/N of the variational chains in E0²."""
        return self.variational.variance * self.electrons

    def table(self) -> str:
        """A row for each time step."""
        rows = [["τ", "energy", "without weights", "accepted", "at nodes", "autocorrelation", "left out"]]
        for step in self.steps:
            energy, fractions = step.energies["energy"], (step.acceptance, step.crossings)
            numbers = [parenthesis(mean.value, mean.error) for mean in (energy, step.plain)]
            numbers += [*(f"{part:.2%}" for part in fractions), f"{step.autocorrelation:.2g}", f"{step.left_out:.0%}"]
            rows.append([f"{step.tau:g}", *numbers])
        return columns(rows)
