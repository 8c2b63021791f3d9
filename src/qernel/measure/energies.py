"""Energies per electron at one point of a family; importing this does not import JAX."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from qernel.along import named
from qernel.estimators.quantity import Quantity
from qernel.storage import IMPOSSIBLE, PHASE, outside
from qernel.structure import UNDECIDED

ENERGIES: Final = ("energy", "kinetic", "moire", "interaction")
"""Per electron in E0, with error bars."""

DIAGNOSTICS: Final = ("acceptance", "autocorrelation", "rhat", "effective_samples")

STORED, INTERPOLATED, SAMPLED = "stored", "interpolated", "sampled"
"""Where numbers are from: measured earlier at this point, or at points around it, or now."""

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
    ``origin`` is ``sampled``, ``stored`` or ``interpolated`` between stored points, ``source`` says of what.
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
    origin: str = SAMPLED
    source: str = ""

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
            "origin": self.origin,
            "source": self.source,
            "warnings": [f"{name}: {reason}" for name, reasons in self.doubts.items() for reason in reasons],
            IMPOSSIBLE: self.impossible,
        }

    def __repr__(self) -> str:
        shown = [f"{named(name).symbol}={value:g}" for name, value in (self.values or {"lam": self.lam}).items()]
        numbers = {name: getattr(self, name) for name in (*ENERGIES, ORDER)}
        shown += [f"{name}={number.number}" for name, number in numbers.items() if number is not None]
        return f"Energies({', '.join(shown)}; E0 per electron{', errors doubtful' if self.doubts else ''})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{name}</td><td>{getattr(self, name)._repr_html_()}</td></tr>" for name in ENERGIES)
        notes = [
            text for text in (self.impossible and f"no answer: {self.impossible}", outside(self._asdict())) if text
        ]
        note = f" ({'; '.join(notes)})" if notes else ""
        place = ", ".join(named(name).at(value) for name, value in (self.values or {"lam": self.lam}).items())
        return f"<table><caption>{place}{note}, per electron</caption>{rows}</table>"
