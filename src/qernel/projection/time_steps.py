"""The time step: which one to begin with, and what energies at several of them say about none.

The steps of drift and diffusion are accepted by |ψ|², so that what is left of the time-step error comes from branching
and goes as the part of the steps that is refused, or faster. Statistical model: energies at different time steps are
independent and normal with their own errors around

    E(τ) = E_0 + a τ              (linear)
    E(τ) = E_0 + a τ + b τ²       (quadratic)

fitted by weighted least squares. Errors are widened by √(χ²/dof) where that is above 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from qernel.errors import QernelError
from qernel.lattice import FloatArray

DEGREES = {"linear": 1, "quadratic": 2}
"""Fits by name."""

ACCEPTANCE = 0.99
"""Of the largest time step, where none is given."""

HALVINGS = 3
"""Time steps where none is given: τ, τ/2, τ/4."""

_TRIALS = 3


class Extrapolated(NamedTuple):
    """A quantity at time step 0.

    Attributes:
        value: E_0.
        error: one standard error.
        coefficients: a, b of the powers of τ.
        chi2: of the fit.
        dof: time steps less numbers fitted; 0 where any would fit.
    """

    value: float
    error: float
    coefficients: tuple[float, ...]
    chi2: float
    dof: int

    def at(self, tau: FloatArray | float) -> FloatArray:
        """The fitted curve."""
        powers = [coefficient * np.asarray(tau) ** (1 + k) for k, coefficient in enumerate(self.coefficients)]
        return self.value + sum(powers, np.zeros(np.shape(tau)))

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {"coefficients": list(self.coefficients), "chi2": self.chi2, "dof": self.dof}


def require(taus: Sequence[float], fit: str) -> tuple[float, ...]:
    """Time steps, the largest first, if they suffice for a fit.

    Raises:
        QernelError: for a fit that there is not, time steps that are none, or too few of them.
    """
    if fit not in DEGREES:
        raise QernelError(f"fit = {fit!r} is none: use {' or '.join(DEGREES)}")
    found = tuple(sorted({float(tau) for tau in taus}, reverse=True))
    bad = [tau for tau in found if not 0 < tau < math.inf]
    if bad:
        raise QernelError(f"a time step of {bad[0]:g} is none: give positive numbers in 1/E0, for instance 0.004 0.002")
    if 1 < len(found) <= DEGREES[fit]:
        raise QernelError(
            f"{len(found)} time steps leave nothing to a {fit} fit: give at least {DEGREES[fit] + 1}, or one alone"
        )
    return found


def extrapolated(taus: Sequence[float], values: Sequence[float], errors: Sequence[float], fit: str) -> Extrapolated:
    """A quantity at time step 0, or as it is where there is one time step alone.

    Args:
        taus: time steps in 1/E0.
        values: at each.
        errors: of these; where all are 0 the fit is not weighted.
        fit: a key of `DEGREES`.
    """
    x, y, sigma = (np.asarray(column, np.float64) for column in (taus, values, errors))
    if len(x) == 1:
        return Extrapolated(float(y[0]), float(sigma[0]), (), 0.0, 0)
    degree = DEGREES[fit]
    scale = np.where(sigma > 0, sigma, sigma[sigma > 0].min(initial=1.0))
    # Powers of τ/τ_max: those of τ differ by orders of magnitude.
    largest = x.max()
    design = (x[:, None] / largest) ** np.arange(degree + 1) / scale[:, None]
    found = np.linalg.lstsq(design, y / scale, rcond=None)[0]
    covariance = np.linalg.inv(design.T @ design)
    chi2, dof = float(np.square(y / scale - design @ found).sum()), len(x) - degree - 1
    wider = math.sqrt(max(1.0, chi2 / dof)) if dof else 1.0
    error = wider * math.sqrt(covariance[0, 0]) if sigma.any() else 0.0
    slopes = tuple(float(found[k] / largest**k) for k in range(1, degree + 1))
    return Extrapolated(float(found[0]), error, slopes, chi2, dof)


def chosen(acceptance: Callable[[float], float], first: float) -> float:
    """The largest time step that accepts 99% of the steps, rounded down to two digits.

    Steps are refused where they meet a node or change the drift, so their number goes as τ^(3/2); tried three times.

    Args:
        acceptance: of a time step.
        first: to begin with.
    """
    tau = first
    for _ in range(_TRIALS):
        refused = max(1.0 - acceptance(tau), 0.1 * (1.0 - ACCEPTANCE))
        tau *= min(((1.0 - ACCEPTANCE) / refused) ** (2.0 / 3.0), 10.0)
    digits = 1 - math.floor(math.log10(tau))
    return math.floor(tau * 10.0**digits * (1 + 1e-9)) / 10.0**digits
