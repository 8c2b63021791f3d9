"""Two scans whose chains started in different phases: where their energies cross.

Chains of a few dozen electrons stay in the phase they start in, far beyond a first-order transition. A scan that starts
spread and one that starts as crystals (``qernel scan --start``) then follow one branch of the energy each, and the
ground state is the lower one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qernel.along import LAM
from qernel.errors import RunError
from qernel.estimators.quantity import Quantity
from qernel.lattice import FloatArray
from qernel.transition.compare import penalty
from qernel.transition.polynomial import Polynomial, fitted
from qernel.transition.record import unit
from qernel.transition.scan import FEWEST, Curve, Curves
from qernel.transition.shown import Evident
from qernel.transition.verdict import WIDEST

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEGREES = (1, 2, 3)
"""Of the polynomials that the difference of two energies is fitted with."""

_APART = 3.0
"""Standard errors by which ⟨|ρ_K|²⟩ of two phases has to differ."""

_LOST = 0.05
"""Largest part of the resampled data without a crossing, above which none is given."""


@dataclass(frozen=True, repr=False)
class Phases(Evident):
    """What two scans of the same Hamiltonians say about the transition between their phases.

    Attributes:
        first: the scan with the lower energy at small values, on the points that both have and where they differ in
            ⟨|ρ_K|²⟩.
        second: the other one, on the same points.
        merged: points that were left out because both scans are in one phase there.
        difference: fit of E(second) − E(first).
        place: where it changes its sign, None if it does not.
        reason: why there is no ``place``; empty if there is one.
    """

    first: Curves
    second: Curves
    merged: tuple[float, ...]
    difference: Polynomial
    place: Quantity | None
    reason: str

    @property
    def lambda_c(self) -> Quantity | None:
        """The λ of the crossing: `place` of scans along λ.

        Raises:
            AttributeError: for scans along another parameter.
        """
        if self.first.axis.name != LAM.name:
            raise AttributeError(f"the scans are along {self.first.axis.name}, not λ: ask for place")
        return self.place

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The difference of the energies of both phases with its fit; into ``ax``, or a figure of its own."""
        from qernel.plots.style import axes_of
        from qernel.plots.transition import draw_phases

        axes = axes_of(ax, 4.8, 3.4)
        draw_phases(axes, self)
        return axes

    @property
    def jumps(self) -> dict[str, Quantity]:
        """Second − first at `place`: interaction energy and dE/dp in E0 per electron, and ⟨|ρ_K|²⟩ if it is known."""
        if self.place is None:
            return {}
        pair = self.first, self.second
        curves = {"interaction": _minus(*(scan.interaction for scan in pair))}
        if (slopes := _slopes(*pair)) is not None:
            curves[f"dE/d{self.first.axis.name}"] = slopes
        orders = [scan.order for scan in pair if scan.order is not None]
        if len(orders) == 2:
            curves["order_parameter"] = _minus(*orders)
        units = {"order_parameter": ""}
        place = self.place.value
        return {
            name: _chosen(self.first.points, curve).at(place, units.get(name, "E0/electron"))
            for name, curve in curves.items()
        }

    def jump_of(self, name: str) -> Quantity | None:
        """Second − first at `place` of ``moire`` or ``interaction``, per electron."""
        if self.place is None:
            return None
        curve = _minus(getattr(self.first, name), getattr(self.second, name))
        return _chosen(self.first.points, curve).at(self.place.value, "E0/electron")

    @property
    def evidence(self) -> list[str]:
        """Sentences that can be quoted."""
        points, fit, place = self.first.points, self.difference, self.place
        symbol = self.first.axis.symbol
        over = f"{len(points)} values of {symbol} from {points[0]:g} to {points[-1]:g}"
        if place is None:
            result = [f"The energies of the two scans give no {symbol}_c ({over}): {self.reason}."]
        else:
            result = [
                f"The energies cross at {symbol}_c = {place.number} ({over}): {self.first.name} "
                f"is lower below, {self.second.name} above.",
                *(_changes(name, jump, symbol) for name, jump in self.jumps.items()),
            ]
        if self.merged:
            where = ", ".join(f"{point:g}" for point in self.merged)
            result.append(
                f"Both scans are in one phase (equal ⟨|ρ_K|²⟩ within three errors) at {symbol} = {where}: left out."
            )
        degree = len(fit.coefficients) - 1
        with_slopes = (
            f", its slope that of {self.first.axis.multiplies}/{symbol}" if _slopes(self.first, self.second) else ""
        )
        result.append(
            f"The difference of the energies is a polynomial of degree {degree}{with_slopes}: "
            f"χ²/dof = {fit.chi2:.1f}/{fit.dof} (p = {fit.p_value:.2g}"
            + (f"; errors were widened by {fit.widened:.3g})." if fit.widened > 1 else ").")
        )
        result.append(
            f"Both are upper bounds: a phase that the model, or its nodes, describe less well lies too high, and moves "
            f"{symbol}_c."
        )
        return result

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data; energies per electron in E0."""
        fit, place, axis = self.difference, self.place, self.first.axis
        delta = _minus(self.first.energy, self.second.energy)
        return {
            "along": axis.name,
            "at": dict(self.first.others),
            "below": self.first.source,
            "above": self.second.source,
            f"{axis.stem}_c": None if place is None else place.as_dict(),
            "reason": self.reason,
            "merged": list(self.merged),
            "jumps": {name: jump.as_dict() for name, jump in self.jumps.items()},
            "energy_difference": [
                {axis.name: point, "value": value, "error": error}
                for point, value, error in zip(
                    self.first.points.tolist(), *(part.tolist() for part in delta), strict=True
                )
            ],
            "fit": {
                "degree": len(fit.coefficients) - 1,
                "origin": fit.origin,
                "coefficients": fit.coefficients.tolist(),
                "chi2": fit.chi2,
                "dof": fit.dof,
                "p_value": fit.p_value,
            },
            "units": {axis.name: unit(axis), "energies": "E0 per electron"},
            "evidence": self.evidence,
        }


def _changes(name: str, jump: Quantity, symbol: str) -> str:
    """A sentence on one of `Phases.jumps`."""
    what = {"interaction": "the interaction energy", "order_parameter": "⟨|ρ_K|²⟩"}.get(name, f"dE/d{symbol}")
    unit = "" if name == "order_parameter" else " E0 per electron"
    text = f"Between the phases {what} changes by {jump.number}{unit} at {symbol}_c"
    if abs(jump.value) <= 3 * jump.error:
        return text + ", nothing beyond three errors."
    return text + (": the transition is of first order." if name.startswith("dE/d") else ".")


def compare_phases(one: Curves, other: Curves, *, resamples: int = 400, seed: int = 0) -> Phases:
    """Where the energies of two scans cross.

    The difference of the energies is fitted, together with its slope (Hellmann–Feynman, where H is linear in the
    parameter), with the polynomial of `DEGREES` that has the smallest AICc. The place and its error come from its root
    and from coefficients drawn from their covariance.

    Args:
        one: a scan in one phase.
        other: a scan in another phase; points that only one of them has are ignored.
        resamples: sets of coefficients drawn for the error.
        seed: of these.

    Raises:
        RunError: if the scans are along different parameters, too few points are left to fit, or energies break a
            bound of their Hamiltonian.
    """
    one.require_possible()
    other.require_possible()
    if one.axis != other.axis:
        raise RunError(f"{one.source} is along {one.axis.symbol}, {other.source} along {other.axis.symbol}: scan alike")
    points = one.points[np.isclose(one.points[:, None], other.points).any(1)]
    _require(points, one, other, "in common")
    one, other = one.at(points), other.at(points)
    together = _together(one, other)
    _require(points[~together], one, other, "in common at which ⟨|ρ_K|²⟩ tells them apart")
    kept = [scan.at(points[~together]) for scan in (one, other)]
    slant = np.polynomial.polynomial.polyfit(kept[0].points, kept[1].energy.values - kept[0].energy.values, 1)[1]
    first, second = kept if slant < 0 else kept[::-1]
    fit = _chosen(first.points, _minus(first.energy, second.energy), _slopes(first, second))
    place, reason = _root(fit, first, resamples, seed)
    if fit.widened > WIDEST:
        reason = f"no polynomial describes their difference: its errors would have to be widened by {fit.widened:.3g}"
        place = None
    return Phases(first, second, tuple(points[together].tolist()), fit, place, reason)


def _require(points: FloatArray, one: Curves, other: Curves, what: str) -> None:
    if len(points) < FEWEST:
        symbol, pair = one.axis.symbol, f"{one.source or 'one scan'} and {other.source or 'the other'}"
        raise RunError(
            f"{pair} have {len(points)} values of {symbol} {what}: measure at least {FEWEST} such {symbol} near the "
            "transition, with --start spread and with --start registries"
        )


def _minus(first: Curve, second: Curve) -> Curve:
    """Second − first, of independent chains."""
    return Curve(second.values - first.values, np.hypot(first.errors, second.errors))


def _slopes(first: Curves, second: Curves) -> Curve | None:
    """Second − first of ⟨∂H/∂p⟩; None if they are not known at every point: one is 0, or H is not linear in p."""
    known = first.slope(), second.slope()
    if known[0] is None or known[1] is None:
        return None
    difference = _minus(known[0][1], known[1][1])
    return difference if len(difference.values) == len(first.points) else None


def _together(one: Curves, other: Curves) -> npt.NDArray[np.bool_]:
    """Where both scans are in the same phase, judged by ⟨|ρ_K|²⟩; nowhere if that was not measured."""
    if one.order is None or other.order is None:
        return np.zeros(len(one.points), bool)
    gap = _minus(one.order, other.order)
    return np.abs(gap.values) < _APART * gap.errors


def _chosen(x: FloatArray, curve: Curve, slopes: Curve | None = None) -> Polynomial:
    """The polynomial of the smallest AICc."""
    origin = float(x.mean())
    fits = [fitted(x, curve, degree, origin, slopes) for degree in DEGREES if len(x) > degree + 2]
    count = len(x) * (1 if slopes is None else 2)
    return min(fits, key=lambda fit: fit.chi2 + penalty(len(fit.coefficients), count))


def _root(fit: Polynomial, scan: Curves, resamples: int, seed: int) -> tuple[Quantity | None, str]:
    """Where a difference that is positive at small values becomes negative, and why nowhere."""
    points, symbol = scan.points, scan.axis.symbol
    places = _roots(fit.coefficients, fit.origin, points)
    if not places:
        return None, f"one of them is lower at every {symbol}"
    if len(places) > 1:
        where = ", ".join(f"{place:.3g}" for place in places)
        return None, f"the energies cross more than once, at {symbol} = {where}"
    (place,) = places
    rng = np.random.default_rng([seed, 7])
    draws = rng.multivariate_normal(fit.coefficients, fit.covariance, resamples)
    # The fit outside of the scan is no use, but a draw whose root is just outside must count.
    wide = np.array([2 * points[0] - points[-1], 2 * points[-1] - points[0]])
    roots = [min(found, key=lambda x: abs(x - place)) for draw in draws if (found := _roots(draw, fit.origin, wide))]
    if len(roots) < (1 - _LOST) * resamples:
        lost = 1 - len(roots) / resamples
        return None, f"they cross near {symbol} = {place:.3g}, but in {lost:.0%} of resampled data they do not"
    low, high = np.quantile(roots, [0.16, 0.84])
    return Quantity(place, 0.5 * float(high - low)), ""


def _roots(coefficients: FloatArray, origin: float, x: FloatArray) -> list[float]:
    """Where in the range of ``x`` a polynomial is zero."""
    roots = np.polynomial.polynomial.polyroots(coefficients)
    real = origin + np.real(roots[np.abs(np.imag(roots)) < 1e-9])
    return sorted(float(root) for root in real if x[0] <= root <= x[-1])
