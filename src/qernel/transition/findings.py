"""What the comparison of curves has found in a scan, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qernel.along import LAM
from qernel.estimators.quantity import Quantity
from qernel.transition import branches, consistency
from qernel.transition.compare import Candidate, Errors
from qernel.transition.scan import Curves


@dataclass(frozen=True)
class Findings:
    """What a scan says about a transition. Energies per electron in E0.

    Attributes:
        scan: what was analysed.
        verdict: ``transition``; ``smooth``: a smooth curve describes the data as well or better; ``undecided``.
        reasons: why there is no place, one clause each; empty if there is one.
        candidates: the curves, best AICc first.
        chosen: the best curve with a transition, None with too few points for any.
        smooth: the best smooth curve.
        errors: of ``chosen``; None without.
        model_error: what the other curves with a transition add to the error of the place.
        scale: s, by which χ² was divided in the criteria.
        lead: AICc of the best smooth curve minus that of ``chosen``.
        lead_bic: the same of BIC, of the best smooth curve by BIC.
        false_alarm: how often a smooth curve would give such a lead.
        resamples: data sets drawn for errors and for ``false_alarm`` each.
        seed: of these.
    """

    scan: Curves
    verdict: str
    reasons: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    chosen: Candidate | None
    smooth: Candidate
    errors: Errors | None
    model_error: float
    scale: float
    lead: float
    lead_bic: float
    false_alarm: float
    resamples: int
    seed: int

    @property
    def best(self) -> Candidate:
        """The curve that the verdict stands on: the transition if there is one, else the best of all."""
        return self.chosen if self.verdict == "transition" and self.chosen else self.candidates[0]

    @property
    def place(self) -> Quantity | None:
        """Where the transition is along the parameter, with one standard error; None if the data do not show one."""
        if self.verdict != "transition" or self.chosen is None or self.errors is None:
            return None
        return Quantity(self.chosen.fit.place[0], math.hypot(self.errors.place, self.model_error))

    @property
    def lambda_c(self) -> Quantity | None:
        """The λ of the transition: `place` of a scan along λ.

        Raises:
            AttributeError: for a scan along another parameter.
        """
        if self.scan.axis.name != LAM.name:
            raise AttributeError(f"the scan is along {self.scan.axis.name}, not λ: ask for place")
        return self.place

    @property
    def jump(self) -> Quantity | None:
        """Jump of the interaction energy at `place`; None if there is none or the curve is continuous there."""
        if self.place is None or self.chosen is None or self.errors is None or self.chosen.model == "kink":
            return None
        return Quantity(self.chosen.fit.jump[0], self.errors.jump, "E0/electron")

    @property
    def slopes(self) -> tuple[Quantity, Quantity] | None:
        """Slopes of the interaction energy left and right of `place`."""
        if self.place is None or self.chosen is None or self.errors is None:
            return None
        one, errors = self.chosen.fit, self.errors
        return Quantity(one.left[0], errors.left, "E0/electron"), Quantity(one.right[0], errors.right, "E0/electron")

    @property
    def width(self) -> Quantity | None:
        """Width w of a rounded step."""
        if self.place is None or self.chosen is None or self.errors is None or self.chosen.model != "step":
            return None
        return Quantity(self.chosen.fit.width[0], self.errors.width)

    @property
    def inflation(self) -> float:
        """Factor √(χ²/dof) ≥ 1 by which the error bars of the scan were widened."""
        return math.sqrt(max(1.0, self.best.chi2 / self.best.dof))

    @property
    def hellmann_feynman(self) -> consistency.Agreement | None:
        """Energies against the integral of their derivative."""
        place = self.place
        return consistency.hellmann_feynman(self.scan, None if place is None else place.value)

    @property
    def slope_jump(self) -> branches.Step | None:
        """Jump of ⟨∂H/∂p⟩ per electron at `place`: of moire/λ, or interaction/U; None where neither is a
        factor p of H."""
        place, known = self.place, self.scan.slope()
        return None if place is None or known is None else branches.step_at(*known, place.value, place.error)

    @property
    def crossing(self) -> branches.Crossing | None:
        """Where the energies of the two phases, extrapolated from both sides, cross."""
        place, width = self.place, self.width
        if place is None:
            return None
        return branches.crossing(self.scan, place.value, 0.0 if width is None else width.value)

    @property
    def order_jump(self) -> branches.Step | None:
        """Jump of ⟨|ρ_K|²⟩ at `place`."""
        place, order = self.place, self.scan.order
        if place is None or order is None or not (np.isfinite(order.errors) & (order.errors > 0)).all():
            return None
        return branches.step_at(self.scan.points, order, place.value, place.error)

    def jump_of(self, name: str) -> Quantity | None:
        """Jump of ``moire`` or ``interaction`` per electron at `place`, from lines through the points on both sides.

        A step that is rounded counts for two widths on either side: points there belong to neither phase.
        """
        place, width = self.place, self.width
        if place is None:
            return None
        margin = 0.0 if width is None else 2 * width.value
        step = branches.step_at(self.scan.points, getattr(self.scan, name), place.value, place.error, margin)
        return None if step is None else Quantity(step.jump, step.error, "E0/electron")
