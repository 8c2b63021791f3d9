"""Variational and projected energies of several wavefunctions at one λ, extrapolated to where they meet.

Projection takes a part of the error of a wavefunction that is about the same along a training:
(E_DMC − E_0)/(E_VMC − E_0) = r, so that E_DMC is a straight line of slope r in E_VMC, which meets E_DMC = E_VMC at the
ground state. An estimate and no upper bound, as zero variance is; the two have different errors, so that both together
say more than either.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from qernel.errors import RunError
from qernel.estimators.extrapolate import Line, States, by_lam, led, line
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


class Meeting(Line):
    """To where projected and variational energy meet; there is no energy where r, the slope, is not below 1."""

    slope_name: ClassVar[str] = "ratio"

    states: Pairs


def meeting(lam: float, pairs: Pairs, names: Sequence[str], *, resamples: int = 400, seed: int = 0) -> Meeting:
    """Where the line through projected against variational energies meets the diagonal.

    Weights are 1/(σ_DMC² + r² σ_VMC²), iterated; errors are as of `extrapolate.led`.

    Args:
        lam: λ of all states.
        pairs: two or more.
        names: one for each.
        resamples: sets of data drawn.
        seed: of these.

    Raises:
        ValueError: for fewer than two states.
    """
    (value, ratio, chi2), (error, ratio_error) = led(pairs, _meeting, resamples, np.random.default_rng([seed, 25]))
    energy = Quantity(value, error, "E0/electron") if 1.0 - ratio > _SURE * ratio_error else None
    dof = len(pairs.projected) - 2
    return Meeting(lam, pairs, tuple(names), energy, Quantity(ratio, ratio_error, ""), chi2, dof)


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
