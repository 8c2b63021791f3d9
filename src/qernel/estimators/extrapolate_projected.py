"""Variational and projected energies of several wavefunctions at one λ, extrapolated to where they meet.

Projection takes a part of the error of a wavefunction that is about the same along a training:
(E_DMC − E_0)/(E_VMC − E_0) = r, so that E_DMC is a straight line of slope r in E_VMC, which meets E_DMC = E_VMC at the
ground state. An estimate and no upper bound, as zero variance is; the two have different errors, so that both together
say more than either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from qernel.errors import RunError
from qernel.estimators.extrapolate import States, by_lam, line
from qernel.estimators.quantity import Quantity
from qernel.lattice import FloatArray
from qernel.storage import open as open_results

NEEDED = ("energy", "energy_error", "variational_energy", "variational_energy_error")

_SURE = 2.0
"""Standard errors by which r has to be below 1."""


class Pairs(NamedTuple):
    """Wavefunctions at one λ: energies per electron in E0, ``[n]`` each."""

    projected: FloatArray
    projected_errors: FloatArray
    variational: FloatArray
    variational_errors: FloatArray


@dataclass(frozen=True)
class Meeting:
    """The straight line through several states at one λ.

    Attributes:
        lam: λ.
        pairs: what it goes through.
        names: of the states.
        energy: where projected and variational energy meet; None where r is not below 1.
        ratio: r.
        chi2: of the line, with errors of both energies.
        dof: states less two.
    """

    lam: float
    pairs: Pairs
    names: tuple[str, ...]
    energy: Quantity | None
    ratio: Quantity
    chi2: float
    dof: int

    @property
    def p_value(self) -> float | None:
        """How often χ² would be larger by chance; None with two states, which any line goes through."""
        return float(stats.chi2.sf(self.chi2, self.dof)) if self.dof else None

    @property
    def lowest(self) -> Quantity:
        """The lowest projected energy: the upper bound."""
        best = int(np.argmin(self.pairs.projected))
        return Quantity(self.pairs.projected[best], self.pairs.projected_errors[best], "E0/electron")

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data; energies per electron in E0."""
        return {
            "lam": self.lam,
            "energy": None if self.energy is None else self.energy.as_dict(),
            "ratio": self.ratio.as_dict(),
            "lowest": self.lowest.as_dict(),
            "chi2": self.chi2,
            "dof": self.dof,
            "p_value": self.p_value,
            "states": [
                {"name": name, **dict(zip(Pairs._fields, values, strict=True))}
                for name, values in zip(self.names, np.transpose(self.pairs).tolist(), strict=True)
            ],
        }


def meeting(lam: float, pairs: Pairs, names: Sequence[str], *, resamples: int = 400, seed: int = 0) -> Meeting:
    """Where the line through projected against variational energies meets the diagonal.

    Weights are 1/(σ_DMC² + r² σ_VMC²), iterated. Errors are the scatter of lines through data drawn from the errors,
    widened by √(χ²/dof) where that is above 1.

    Args:
        lam: λ of all states.
        pairs: two or more.
        names: one for each.
        resamples: sets of data drawn.
        seed: of these.

    Raises:
        ValueError: for fewer than two states.
    """
    if len(pairs.projected) < 2:
        raise ValueError(f"{len(pairs.projected)} states: a line needs two")
    rng = np.random.default_rng([seed, 25])
    value, ratio, chi2 = _meeting(pairs)
    draws = []
    for _ in range(resamples):
        projected, variational = (
            values + errors * rng.normal(size=len(values))
            for values, errors in (
                (pairs.projected, pairs.projected_errors),
                (pairs.variational, pairs.variational_errors),
            )
        )
        draws.append(_meeting(pairs._replace(projected=projected, variational=variational))[:2])
    dof = len(pairs.projected) - 2
    wider = np.sqrt(max(1.0, chi2 / dof)) if dof else 1.0
    # Half the central 68%: lines nearly along the diagonal meet it anywhere.
    low, high = np.quantile(draws, [0.16, 0.84], axis=0)
    error, ratio_error = wider * 0.5 * (high - low)
    below = 1.0 - ratio > _SURE * ratio_error
    energy = Quantity(value, float(error), "E0/electron") if below else None
    return Meeting(lam, pairs, tuple(names), energy, Quantity(ratio, float(ratio_error), ""), chi2, dof)


def _meeting(pairs: Pairs) -> tuple[float, float, float]:
    """Where line and diagonal meet, the slope, and χ² of the line."""
    origin = float(pairs.projected.min())  # differences are small beside the energies
    shifted = States(
        pairs.projected - origin, pairs.projected_errors, pairs.variational - origin, pairs.variational_errors
    )
    level, slope, chi2 = line(shifted)
    return origin + level / (1.0 - slope) if slope != 1.0 else float("nan"), slope, chi2


def parted(paths: Sequence[str | Path]) -> tuple[list[str | Path], list[str | Path]]:
    """Files without and with projected energies."""
    projected = [path for path in paths if "variational_energy" in open_results(path)]
    return [path for path in paths if path not in projected], projected


def read_pairs(paths: Sequence[str | Path]) -> list[tuple[float, Pairs, tuple[str, ...]]]:
    """λ, energies and names for every λ that at least two files have.

    Args:
        paths: .nc files of ``qernel project``.

    Raises:
        RunError: if a file lacks what is needed, or they are not of one Hamiltonian or have no λ in common.
    """
    made = "qernel project"
    found = by_lam(paths, NEEDED, made)
    if not found:
        raise RunError(
            f"the {len(paths)} files have no λ in common: project two or more wavefunctions at the same λ, with {made}"
        )
    return [(lam, Pairs(*np.array(rows).T), names) for lam, rows, names in found]
