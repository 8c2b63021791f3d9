"""A polynomial fitted to a part of a curve: what branches are continued with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from qernel.estimators.quantity import Quantity
from qernel.lattice import FloatArray
from qernel.transition.scan import Curve


@dataclass(frozen=True)
class Polynomial:
    """A polynomial in x − ``origin``, x the parameter, fitted to values with errors; energies per electron in E0.

    Attributes:
        origin: x it is expanded about.
        coefficients: lowest first.
        covariance: of the coefficients, widened by χ²/dof where that is above 1.
        chi2: of the fit.
        dof: values, and slopes, less coefficients.
    """

    origin: float
    coefficients: FloatArray
    covariance: FloatArray
    chi2: float
    dof: int

    @property
    def widened(self) -> float:
        """Factor ≥ 1 by which the errors were widened."""
        return math.sqrt(max(1.0, self.chi2 / self.dof))

    @property
    def p_value(self) -> float:
        """How often χ² would be larger by chance."""
        return float(stats.chi2.sf(self.chi2, self.dof))

    def at(self, x: float, unit: str = "") -> Quantity:
        """Value and standard error at one x."""
        powers = (x - self.origin) ** np.arange(len(self.coefficients))
        return Quantity(float(powers @ self.coefficients), float(np.sqrt(powers @ self.covariance @ powers)), unit)

    def slope_at(self, x: float, unit: str = "") -> Quantity:
        """Derivative and standard error at one x."""
        degree = np.arange(len(self.coefficients))
        powers = degree * (x - self.origin) ** np.maximum(degree - 1, 0)
        return Quantity(float(powers @ self.coefficients), float(np.sqrt(powers @ self.covariance @ powers)), unit)


def fitted(x: FloatArray, curve: Curve, degree: int, origin: float, slopes: Curve | None = None) -> Polynomial:
    """Weighted least squares, with more values than coefficients.

    Args:
        x: ``[n]``.
        curve: values and errors at these x.
        degree: of the polynomial.
        origin: x it is expanded about.
        slopes: its derivative at these x, measured independently of the values.
    """
    powers = np.arange(degree + 1)
    A = (x[:, None] - origin) ** powers / curve.errors[:, None]
    target = curve.values / curve.errors
    if slopes is not None:
        derivative = powers * (x[:, None] - origin) ** np.maximum(powers - 1, 0)
        A = np.concatenate([A, derivative / slopes.errors[:, None]])
        target = np.concatenate([target, slopes.values / slopes.errors])
    solved = np.linalg.lstsq(A, target, rcond=None)[0]
    chi2, dof = float(((target - A @ solved) ** 2).sum()), len(target) - degree - 1
    return Polynomial(origin, solved, np.linalg.inv(A.T @ A) * max(1.0, chi2 / dof), chi2, dof)
