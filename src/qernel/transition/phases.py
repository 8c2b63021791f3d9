"""Two scans whose chains started in different phases: where their energies cross.

Chains of a few dozen electrons stay in the phase they start in, far beyond a first-order transition. A scan that starts
spread and one that starts as crystals (``qernel scan --start``) then follow one branch of the energy each, and the
ground state is the lower one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qernel.errors import RunError
from qernel.estimators.quantity import Quantity
from qernel.lattice import FloatArray
from qernel.transition.compare import penalty
from qernel.transition.consistency import slope
from qernel.transition.polynomial import Polynomial, fitted
from qernel.transition.scan import FEWEST, Curve, Scan
from qernel.transition.verdict import WIDEST

DEGREES = (1, 2, 3)
"""Of the polynomials that the difference of two energies is fitted with."""

_APART = 3.0
"""Standard errors by which ⟨|ρ_K|²⟩ of two phases has to differ."""

_LOST = 0.05
"""Largest part of the resampled data without a crossing, above which none is given."""


@dataclass(frozen=True)
class Phases:
    """What two scans of the same Hamiltonians say about the transition between their phases.

    Attributes:
        first: the scan with the lower energy at small λ, on the λ that both have and where they differ in ⟨|ρ_K|²⟩.
        second: the other one, on the same λ.
        merged: λ that were left out because both scans are in one phase there.
        difference: fit of E(second) − E(first).
        lambda_c: where it changes its sign, None if it does not.
        reason: why there is no ``lambda_c``; empty if there is one.
    """

    first: Scan
    second: Scan
    merged: tuple[float, ...]
    difference: Polynomial
    lambda_c: Quantity | None
    reason: str

    @property
    def jumps(self) -> dict[str, Quantity]:
        """Second − first at λ_c: interaction energy and dE/dλ in E0 per electron, ⟨|ρ_K|²⟩ where it was measured."""
        if self.lambda_c is None:
            return {}
        lam, pair = self.first.lam, (self.first, self.second)
        curves = {
            "interaction": _minus(*(scan.interaction for scan in pair)),
        }
        if (slopes := _slopes(*pair)) is not None:
            curves["dE/dlam"] = slopes
        orders = [scan.order for scan in pair if scan.order is not None]
        if len(orders) == 2:
            curves["order_parameter"] = _minus(*orders)
        units = {"order_parameter": ""}
        return {
            name: _chosen(lam, curve).at(self.lambda_c.value, units.get(name, "E0/electron"))
            for name, curve in curves.items()
        }

    @property
    def evidence(self) -> list[str]:
        """Sentences that can be quoted."""
        lam, fit, place = self.first.lam, self.difference, self.lambda_c
        over = f"{len(lam)} values of λ from {lam[0]:g} to {lam[-1]:g}"
        if place is None:
            result = [f"The energies of the two scans give no λ_c ({over}): {self.reason}."]
        else:
            result = [
                f"The energies cross at λ_c = {place.number} ({over}): {self.first.name} "
                f"is lower below, {self.second.name} above.",
                *(_changes(name, jump) for name, jump in self.jumps.items()),
            ]
        if self.merged:
            where = ", ".join(f"{lam:g}" for lam in self.merged)
            result.append(f"Both scans are in one phase (equal ⟨|ρ_K|²⟩ within three errors) at λ = {where}: left out.")
        degree = len(fit.coefficients) - 1
        with_slopes = ", its slope that of moire/λ" if _slopes(self.first, self.second) else ""
        result.append(
            f"The difference of the energies is a polynomial of degree {degree}{with_slopes}: "
            f"χ²/dof = {fit.chi2:.1f}/{fit.dof} (p = {fit.p_value:.2g}"
            + (f"; errors were widened by {fit.widened:.3g})." if fit.widened > 1 else ").")
        )
        result.append("Both are variational: a phase that the model describes less well lies too high, and moves λ_c.")
        return result

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data; energies per electron in E0."""
        fit, place = self.difference, self.lambda_c
        delta = _minus(self.first.energy, self.second.energy)
        return {
            "below": self.first.source,
            "above": self.second.source,
            "lambda_c": None if place is None else place.as_dict(),
            "reason": self.reason,
            "merged": list(self.merged),
            "jumps": {name: jump.as_dict() for name, jump in self.jumps.items()},
            "energy_difference": [
                {"lam": lam, "value": value, "error": error}
                for lam, value, error in zip(self.first.lam.tolist(), *(part.tolist() for part in delta), strict=True)
            ],
            "fit": {
                "degree": len(fit.coefficients) - 1,
                "origin": fit.origin,
                "coefficients": fit.coefficients.tolist(),
                "chi2": fit.chi2,
                "dof": fit.dof,
                "p_value": fit.p_value,
            },
            "units": {"lam": "V0 (factor on the moiré depth)", "energies": "E0 per electron"},
            "evidence": self.evidence,
        }


def _changes(name: str, jump: Quantity) -> str:
    """A sentence on one of `Phases.jumps`."""
    what = {"interaction": "the interaction energy", "dE/dlam": "dE/dλ", "order_parameter": "⟨|ρ_K|²⟩"}[name]
    unit = "" if name == "order_parameter" else " E0 per electron"
    text = f"Between the phases {what} changes by {jump.number}{unit} at λ_c"
    if abs(jump.value) <= 3 * jump.error:
        return text + ", nothing beyond three errors."
    return text + (": the transition is of first order." if name == "dE/dlam" else ".")


def compare_phases(one: Scan, other: Scan, *, resamples: int = 400, seed: int = 0) -> Phases:
    """Where the energies of two scans cross.

    The difference of the energies is fitted, together with its slope ⟨moire⟩/λ (Hellmann–Feynman), with the polynomial
    of `DEGREES` that has the smallest AICc. λ_c and its error come from its root and from coefficients drawn from their
    covariance.

    Args:
        one: a scan in one phase.
        other: a scan in another phase; λ that only one of them has are ignored.
        resamples: sets of coefficients drawn for the error.
        seed: of these.

    Raises:
        RunError: if too few λ are left to fit, or energies break a bound of their Hamiltonian.
    """
    one.require_possible()
    other.require_possible()
    lam = one.lam[np.isclose(one.lam[:, None], other.lam).any(1)]
    _require(lam, one, other, "in common")
    one, other = one.at(lam), other.at(lam)
    together = _together(one, other)
    _require(lam[~together], one, other, "in common at which ⟨|ρ_K|²⟩ tells them apart")
    kept = [scan.at(lam[~together]) for scan in (one, other)]
    slant = np.polynomial.polynomial.polyfit(kept[0].lam, kept[1].energy.values - kept[0].energy.values, 1)[1]
    first, second = kept if slant < 0 else kept[::-1]
    fit = _chosen(first.lam, _minus(first.energy, second.energy), _slopes(first, second))
    place, reason = _root(fit, first.lam, resamples, seed)
    if fit.widened > WIDEST:
        reason = f"no polynomial describes their difference: its errors would have to be widened by {fit.widened:.3g}"
        place = None
    return Phases(first, second, tuple(lam[together].tolist()), fit, place, reason)


def _require(lam: FloatArray, one: Scan, other: Scan, what: str) -> None:
    if len(lam) < FEWEST:
        raise RunError(
            f"{one.source or 'one scan'} and {other.source or 'the other'} have {len(lam)} values of λ {what}: "
            f"measure at least {FEWEST} such λ near the transition, with --start spread and with --start registries"
        )


def _minus(first: Curve, second: Curve) -> Curve:
    """Second − first, of independent chains."""
    return Curve(second.values - first.values, np.hypot(first.errors, second.errors))


def _slopes(first: Scan, second: Scan) -> Curve | None:
    """Second − first of dE/dλ = ⟨moire⟩/λ; None if they are not known at every λ, because one is 0."""
    difference = _minus(slope(first)[1], slope(second)[1])
    return difference if len(difference.values) == len(first.lam) else None


def _together(one: Scan, other: Scan) -> npt.NDArray[np.bool_]:
    """Where both scans are in the same phase, judged by ⟨|ρ_K|²⟩; nowhere if that was not measured."""
    if one.order is None or other.order is None:
        return np.zeros(len(one.lam), bool)
    gap = _minus(one.order, other.order)
    return np.abs(gap.values) < _APART * gap.errors


def _chosen(lam: FloatArray, curve: Curve, slopes: Curve | None = None) -> Polynomial:
    """The polynomial of the smallest AICc."""
    origin = float(lam.mean())
    fits = [fitted(lam, curve, degree, origin, slopes) for degree in DEGREES if len(lam) > degree + 2]
    count = len(lam) * (1 if slopes is None else 2)
    return min(fits, key=lambda fit: fit.chi2 + penalty(len(fit.coefficients), count))


def _root(fit: Polynomial, lam: FloatArray, resamples: int, seed: int) -> tuple[Quantity | None, str]:
    """Where a difference that is positive at small λ becomes negative, and why nowhere."""
    places = _roots(fit.coefficients, fit.origin, lam)
    if not places:
        return None, "one of them is lower at every λ"
    if len(places) > 1:
        return None, f"the energies cross more than once, at λ = {', '.join(f'{place:.3g}' for place in places)}"
    (place,) = places
    rng = np.random.default_rng([seed, 7])
    draws = rng.multivariate_normal(fit.coefficients, fit.covariance, resamples)
    # The fit outside of the scan is no use, but a draw whose root is just outside must count.
    wide = np.array([2 * lam[0] - lam[-1], 2 * lam[-1] - lam[0]])
    roots = [min(found, key=lambda x: abs(x - place)) for draw in draws if (found := _roots(draw, fit.origin, wide))]
    if len(roots) < (1 - _LOST) * resamples:
        lost = 1 - len(roots) / resamples
        return None, f"they cross near λ = {place:.3g}, but in {lost:.0%} of resampled data they do not"
    low, high = np.quantile(roots, [0.16, 0.84])
    return Quantity(place, 0.5 * float(high - low)), ""


def _roots(coefficients: FloatArray, origin: float, lam: FloatArray) -> list[float]:
    """λ in the range of ``lam`` at which a polynomial is zero."""
    roots = np.polynomial.polynomial.polyroots(coefficients)
    real = origin + np.real(roots[np.abs(np.imag(roots)) < 1e-9])
    return sorted(float(x) for x in real if lam[0] <= x <= lam[-1])
