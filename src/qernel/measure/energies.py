"""Energies per electron at one point of a family, from chains of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from qernel.along import named
from qernel.estimators.doubts import doubts_of
from qernel.estimators.order_parameter import crystal_order
from qernel.estimators.possible import impossible
from qernel.estimators.quantity import Quantity
from qernel.estimators.statistics import Summary, summarise
from qernel.estimators.weighted import ratio_of_weighted
from qernel.lattice import holds_root_three
from qernel.measure.place import known
from qernel.observables.base import Samples
from qernel.observables.phases import sampled_phase
from qernel.storage import IMPOSSIBLE, PHASE, outside
from qernel.structure import UNDECIDED

if TYPE_CHECKING:
    from qernel.estimators.chains import Record
    from qernel.measure.state import State

ENERGIES: Final = ("energy", "kinetic", "moire", "interaction")
"""Per electron in E0, with error bars."""

DIAGNOSTICS: Final = ("acceptance", "autocorrelation", "rhat", "effective_samples")

ORDER: Final = "order_parameter"
"""⟨|ρ_K|²⟩ of the same samples, where K is a wave vector of the supercell."""


class Energies(NamedTuple):
    """Energies per electron at one point, with how they were sampled.

    ``values`` has every parameter of the family at this point, ``lam`` among them.
    ``extrapolating``: outside the interval the model was trained on; ``in_gap``: in a gap of it, so interpolated.
    ``order_parameter`` is ⟨|ρ_K|²⟩ of the same samples, None where K is no wave vector of the supercell. ``direction``
    says where the chains came from: ``fresh``, carried ``up`` or ``down``, or all points together with ``exchange``;
    or ``reweighted``, from records at the value ``reweighted_from``, of which a share is effective:
    ``effective_fraction``.
    ``rhat``, ``autocorrelation`` and ``effective_samples`` are those of the energy; each number has its own ``doubts``.
    ``size_trained`` and ``twist_trained``: whether the model was trained with these electrons in this supercell, and at
    this twist of it.
    ``impossible`` says why the numbers are no answer (`qernel.estimators.possible`); empty if they may be one.
    ``phase`` is ``liquid``, ``crystal`` or ``undecided`` with ``phase_why`` (`qernel.structure.phase`).
    """

    lam: float
    energy: Quantity
    kinetic: Quantity
    moire: Quantity
    interaction: Quantity
    variance: float
    acceptance: float
    autocorrelation: float
    rhat: float
    effective_samples: float
    extrapolating: bool
    order_parameter: Quantity | None = None
    order_parameter_rhat: float = float("nan")
    direction: str = "fresh"
    reweighted_from: float = float("nan")
    effective_fraction: float = 1.0
    in_gap: bool = False
    impossible: str = ""
    size_trained: bool = True
    twist_trained: bool = True
    values: Mapping[str, float] = MappingProxyType({})
    phase: str = UNDECIDED
    phase_why: str = ""

    @property
    def doubts(self) -> dict[str, tuple[str, ...]]:
        """The numbers whose error bars may be too small, and why."""
        numbers = {name: getattr(self, name) for name in (*ENERGIES, ORDER)}
        return {name: number.doubts for name, number in numbers.items() if number is not None and number.doubts}

    def as_row(self, along: str = "lam") -> dict[str, Any]:
        """One point as plain data; energies and order parameter as ``{"value", "error"}`` per electron in E0.

        Args:
            along: the parameter that is told besides λ.
        """
        row = {along: self.values.get(along, self.lam), "lam": self.lam}
        row |= {name: getattr(self, name).as_dict() for name in ENERGIES}
        row |= {name: float(getattr(self, name)) for name in DIAGNOSTICS}
        return {
            **row,
            "extrapolating": bool(self.extrapolating),
            "in_gap": bool(self.in_gap),
            ORDER: None if self.order_parameter is None else self.order_parameter.as_dict(),
            f"{ORDER}_rhat": float(self.order_parameter_rhat),
            PHASE: self.phase,
            f"{PHASE}_why": self.phase_why,
            "direction": self.direction,
            "warnings": [f"{name}: {reason}" for name, reasons in self.doubts.items() for reason in reasons],
            IMPOSSIBLE: self.impossible,
        }

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{name}</td><td>{getattr(self, name)._repr_html_()}</td></tr>" for name in ENERGIES)
        notes = [
            text for text in (self.impossible and f"no answer: {self.impossible}", outside(self._asdict())) if text
        ]
        note = f" ({'; '.join(notes)})" if notes else ""
        place = ", ".join(named(name).at(value) for name, value in (self.values or {"lam": self.lam}).items())
        return f"<table><caption>{place}{note}, per electron</caption>{rows}</table>"


def summary(state: State, records: Sequence[Record], seed: int, log_weights: npt.ArrayLike | None = None) -> Energies:
    """What records with local energies say.

    Args:
        state: they were drawn from.
        records: of all chains.
        seed: they were drawn with.
        log_weights: log |ψ/ψ_drawn|² ``[chains, samples]`` where they were drawn from another state.
    """

    def averaged(series: npt.ArrayLike) -> Summary:
        return summarise(series) if log_weights is None else ratio_of_weighted(series, log_weights)

    count = state.model.hamiltonian.count
    chains = len(records[0].kinetic)
    source = f"{len(records)} records of {chains} chains, seed {seed}, model {state.model.name}"
    series = {
        name: np.stack([getattr(record, name) for record in records], axis=1) / count
        for name in ("kinetic", "moire", "interaction")
    }
    total = series["kinetic"] + series["moire"] + series["interaction"]
    unit, meV = "E0", state.model.config.energy_unit_meV
    summaries = {name: averaged(values) for name, values in {"energy": total, **series}.items()}
    parts: dict[str, Any] = {
        name: Quantity(s.mean, s.error, unit, source, meV, doubts_of(s, chains)) for name, s in summaries.items()
    }
    order, order_rhat, found = None, float("nan"), None
    positions = np.stack([record.positions for record in records], axis=1)
    cell = state.model.hamiltonian.supercell
    if holds_root_three(cell):
        found = averaged(np.asarray(crystal_order(positions, cell)))
        order = Quantity(found.mean, found.error, "", source, doubts=doubts_of(found, chains))
        order_rhat = found.rhat
    trained = known(state.model)
    word, why = sampled_phase(Samples(positions, state.model.hamiltonian, state.point, seed=seed), found)
    acceptance = float(np.mean([record.acceptance for record in records]))
    return Energies(
        lam=state.lam,
        **parts,
        variance=summaries["energy"].variance,
        acceptance=acceptance,
        autocorrelation=summaries["energy"].autocorrelation,
        rhat=summaries["energy"].rhat,
        effective_samples=summaries["energy"].effective_samples,
        extrapolating=state.extrapolating,
        in_gap=state.in_gap,
        order_parameter=order,
        order_parameter_rhat=order_rhat,
        size_trained=trained.size,
        twist_trained=trained.twist,
        impossible=impossible(state.model.hamiltonian, state.point, parts, acceptance),
        values=state.values,
        phase=word,
        phase_why=why,
    )
