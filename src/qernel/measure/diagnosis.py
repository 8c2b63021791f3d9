"""What the tangent test finds: tables, plain data, a record on the disk."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from qernel import outputs
from qernel.estimators.quantity import parenthesis
from qernel.measure.energies import Energies
from qernel.measure.place import chosen, described
from qernel.measure.points import Points, about
from qernel.records import stored_request, to_record
from qernel.tangent.regression import Share
from qernel.text import columns

RECORD = "diagnosis.json"

UNITS = {
    "energy": "E0 per electron",
    "variance": "E0^2 per electron, Var(E_L)/N",
    "v_score": "1, N Var(E_L)/(E - E_inf)^2",
    "clipped": "share of the variance that clipping of the local energy takes off before the fits",
    "r2": "1, share of the variance explained on chains not fitted to",
    "v_score_left": "1, v_score (1 - r2)",
}

COLUMNS: Final = {
    "": "own: parameters of the model; added: of a term that it does not have",
    "group": "which parameters",
    "parameters": "how many; above 256 they are represented by random combinations",
    "R²": "share of the variance of the local energy that they explain on chains not fitted to",
    "V-score left": "V-score × (1 − R²): what they leave to first order",
}
"""Columns of the table of one tangent test, with their meaning."""

_NOTE = """\
R²: share of the variance of the local energy that the columns ∂log ψ/∂α explain on chains not fitted to; ± by the
jackknife over chains. It is how far these parameters can follow imaginary time: 0 for what has nothing to give,
1 if to first order nothing is left. Parameters of the model should be at 0: more means that it is not converged
here, or gives way to other points of its family. Terms together may explain more than each of them alone. Few samples
for many columns make R² too small. The error of what is left is that of R² alone."""


class Part(NamedTuple):
    """What one group of parameters could remove.

    Attributes:
        name: of a module of the wavefunction, or of a term (`qernel.tangent.registry.TERMS`).
        added: whether it is a term that is not, or not like this, in the wavefunction.
        parameters: how many numbers it has.
        share: of the variance.
    """

    name: str
    added: bool
    parameters: int
    share: Share

    def left(self, total: float) -> tuple[float, float]:
        """What would be left of a variance or V-score to first order, and its error from that of the share."""
        return total * (1.0 - max(self.share.value, 0.0)), abs(total) * self.share.error

    def as_row(self, v_score: float) -> dict[str, Any]:
        """As plain data."""
        value, error = self.left(v_score)
        return {
            "group": self.name,
            "added": self.added,
            "parameters": self.parameters,
            "columns": self.share.columns,
            "r2": {"value": self.share.value, "error": self.share.error},
            "ridge": self.share.ridge,
            "v_score_left": {"value": value, "error": error},
        }


@dataclass(frozen=True)
class Diagnosis:
    """The tangent test at one point.

    Attributes:
        energies: of the same samples.
        variance: Var(E_L)/N in E0², with its error.
        v_score: likewise.
        clipped: share of the variance that clipping takes off.
        configurations: how many there were.
        parts: the model's own parameters by module, then terms that could be added.
    """

    energies: Energies
    variance: tuple[float, float]
    v_score: tuple[float, float]
    clipped: float
    configurations: int
    parts: tuple[Part, ...] = field(repr=False)

    def __getitem__(self, name: str) -> Part:
        """The part of a name; KeyError if there is none."""
        return {part.name: part for part in self.parts}[name]

    def as_row(self, along: str = "lam") -> dict[str, Any]:
        """As plain data."""
        energies = self.energies.as_row(along)
        names = (along, "lam", "energy", "autocorrelation", "extrapolating", "in_gap", "warnings", "impossible")
        row = {name: energies[name] for name in names}
        for name in ("variance", "v_score"):
            value, error = getattr(self, name)
            row[name] = {"value": value, "error": error}
        row |= {"clipped": self.clipped, "configurations": self.configurations}
        return row | {"groups": [part.as_row(self.v_score[0]) for part in self.parts]}

    def table(self) -> str:
        """A row for each group, for people."""
        rows = [list(COLUMNS)]
        for part in self.parts:
            value, error, *_ = part.share
            known = np.isfinite(value)
            left = parenthesis(*part.left(self.v_score[0])) if known else "nothing to explain"
            number = f"{value:.3f} ± {error:.3f}" if known else ""
            rows.append(["added" if part.added else "own", part.name, str(part.parameters), number, left])
        head = f"V-score {parenthesis(*self.v_score)}, Var(E_L)/N = {parenthesis(*self.variance)} E0²; "
        head += f"{self.configurations} configurations, τ = {self.energies.autocorrelation:.1f} records"
        return f"{head}\n{columns(rows)}"


@dataclass(frozen=True, eq=False, repr=False)
class Diagnoses:
    """The tangent test over values of one parameter.

    Attributes:
        points: where it was made.
        found: at each value.
        request: everything the numbers depend on.
        command: what was typed, or the name of the function.
    """

    points: Points
    found: list[Diagnosis]
    request: dict[str, Any] = field(default_factory=dict, repr=False)
    command: str = field(default="Model.diagnose", repr=False)

    def __repr__(self) -> str:
        axis = self.points.axis
        values = [one.energies.values[axis.name] for one in self.found]
        return f"Diagnoses(model={self.points.model.name!r}, {axis.name}={values})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.table())}</pre>"

    @property
    def impossible(self) -> dict[float, str]:
        """Why numbers are no answer, at the values where they are not."""
        name = self.points.axis.name
        return {one.energies.values[name]: one.energies.impossible for one in self.found if one.energies.impossible}

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data, which ``--json`` prints."""
        results = [one.as_row(self.points.axis.name) for one in self.found]
        return {**about(self.points.model, self.points.at), "results": results}

    def table(self) -> str:
        """A table for each value, and what it means."""
        model, axis = self.points.model, self.points.axis
        title = "\n".join(filter(None, (f"{model.name}, {described(model)}", chosen(model))))
        blocks = [f"{axis.at(one.energies.values[axis.name])}: {one.table()}" for one in self.found]
        return "\n\n".join([title, *blocks, _NOTE])

    def save(self, folder: str | Path) -> Path:
        """Write the record, replacing that of an equal test; returns its path.

        Raises:
            RunError: if the folder has another test, or cannot be written.
        """
        out = Path(folder)
        with outputs.held(out, [RECORD]):
            outputs.refuse_overwriting(out, [RECORD], self.request, stored_request(out / RECORD), "tangent test")
            return self._write(out)

    def _write(self, out: Path) -> Path:
        date = datetime.now(UTC).isoformat(timespec="seconds")
        provenance = {"request": self.request, "command": self.command, "date": date}
        record = {**self.as_dict(), "units": UNITS, "provenance": provenance}
        outputs.write_text(out / RECORD, to_record(record, indent=1) + "\n")
        return out / RECORD
