"""From a scan to a verdict: is there a transition, where, and what supports it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from qernel.estimators.quantity import Quantity
from qernel.transition import branches, consistency
from qernel.transition.candidates import TRANSITIONS
from qernel.transition.compare import SMOOTH, Candidate, Errors, bootstrap, candidates, false_alarm, first
from qernel.transition.scan import Scan
from qernel.transition.verdict import CHANCE, disagreement, doubts_about, undescribed


@dataclass(frozen=True)
class Transition:
    """What a scan says about a transition. Energies per electron in E0.

    Attributes:
        scan: what was analysed.
        verdict: ``transition``; ``smooth``: a smooth curve describes the data as well or better; ``undecided``.
        reasons: why there is no λ_c, one clause each; empty if there is one.
        candidates: the curves, best AICc first.
        chosen: the best curve with a transition, None with too few points for any.
        smooth: the best smooth curve.
        errors: of ``chosen``; None without.
        model_error: what the other curves with a transition add to the error of λ_c.
        scale: s, by which χ² was divided in the criteria.
        lead: AICc of the best smooth curve minus that of ``chosen``.
        lead_bic: the same of BIC, of the best smooth curve by BIC.
        false_alarm: how often a smooth curve would give such a lead.
        resamples: data sets drawn for errors and for ``false_alarm`` each.
        seed: of these.
    """

    scan: Scan
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
    def lambda_c(self) -> Quantity | None:
        """λ of the transition with one standard error, None if the data do not show one."""
        if self.verdict != "transition" or self.chosen is None or self.errors is None:
            return None
        return Quantity(self.chosen.fit.place[0], math.hypot(self.errors.place, self.model_error))

    @property
    def jump(self) -> Quantity | None:
        """Jump of the interaction energy at λ_c; None if there is no λ_c or the curve is continuous there."""
        if self.lambda_c is None or self.chosen is None or self.errors is None or self.chosen.model == "kink":
            return None
        return Quantity(self.chosen.fit.jump[0], self.errors.jump, "E0/electron")

    @property
    def slopes(self) -> tuple[Quantity, Quantity] | None:
        """Slopes of the interaction energy left and right of λ_c."""
        if self.lambda_c is None or self.chosen is None or self.errors is None:
            return None
        one, errors = self.chosen.fit, self.errors
        return Quantity(one.left[0], errors.left, "E0/electron"), Quantity(one.right[0], errors.right, "E0/electron")

    @property
    def width(self) -> Quantity | None:
        """Width w of a rounded step."""
        if self.lambda_c is None or self.chosen is None or self.errors is None or self.chosen.model != "step":
            return None
        return Quantity(self.chosen.fit.width[0], self.errors.width)

    @property
    def inflation(self) -> float:
        """Factor √(χ²/dof) ≥ 1 by which the error bars of the scan were widened."""
        return math.sqrt(max(1.0, self.best.chi2 / self.best.dof))

    @property
    def hellmann_feynman(self) -> consistency.HellmannFeynman | None:
        """Energies against the integral of their derivative."""
        place = self.lambda_c
        return consistency.hellmann_feynman(self.scan, None if place is None else place.value)

    @property
    def moire_jump(self) -> branches.Step | None:
        """Jump of dE/dλ = moire/λ per electron at λ_c."""
        place = self.lambda_c
        return None if place is None else branches.step_at(*consistency.slope(self.scan), place.value, place.error)

    @property
    def crossing(self) -> branches.Crossing | None:
        """Where the energies of the two phases, extrapolated from both sides, cross."""
        place, width = self.lambda_c, self.width
        if place is None:
            return None
        return branches.crossing(self.scan, place.value, 0.0 if width is None else width.value)

    @property
    def order_jump(self) -> branches.Step | None:
        """Jump of ⟨|ρ_K|²⟩ at λ_c."""
        place, order = self.lambda_c, self.scan.order
        if place is None or order is None or not (np.isfinite(order.errors) & (order.errors > 0)).all():
            return None
        return branches.step_at(self.scan.lam, order, place.value, place.error)

    @property
    def evidence(self) -> list[str]:
        """Sentences that can be quoted."""
        from qernel.transition.words import sentences

        return sentences(self)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        from qernel.transition.record import record

        return record(self)


def analyse(scan: Scan, *, resamples: int = 400, seed: int = 0) -> Transition:
    """Compare the interaction energy with curves that have a transition and with smooth ones.

    A λ_c is given only where AICc and BIC both favour a transition by `LEAD`, a smooth curve would do that in at most
    `CHANCE` of all cases, no smooth curve fits (p < 0.05), and there are `SIDE` points on both sides. Nothing is said
    of data that no curve describes even with errors widened by `WIDEST`.

    Args:
        scan: energies along λ.
        resamples: data sets drawn for the errors, and as many for the false alarms; with fewer than 1/`CHANCE` of
            them no transition could be found.
        seed: of these.

    Raises:
        RunError: if the energies break a bound of their Hamiltonian.
    """
    scan.require_possible()
    if 1 + resamples < 1 / CHANCE:
        raise ValueError(f"resamples is {resamples}: at least {1 / CHANCE - 1:.0f} are needed to exclude chance")
    lam, (values, errors) = scan.lam, scan.interaction
    ranking, scale = candidates(lam, errors, values)
    chosen, smooth = first(ranking, TRANSITIONS), first(ranking, SMOOTH)
    assert smooth is not None  # two points more than a straight line needs are always there
    if chosen is None:
        few = f"{len(lam)} values of λ are too few for any curve with a transition"
        return Transition(
            scan, "undecided", (few,), (*ranking,), None, smooth, None, 0.0, scale, -math.inf, -math.inf, 1.0, 0, seed
        )
    lead = smooth.aicc - chosen.aicc
    lead_bic = min(one.bic for one in ranking if one.model in SMOOTH) - chosen.bic
    alarm = false_alarm(lam, errors, smooth, lead, scale=scale, resamples=resamples, seed=seed) if lead > 0 else 1.0
    spread = bootstrap(lam, errors, chosen, resamples=resamples, seed=seed)
    nothing = undescribed(lam, scan.interaction, ranking, scale)
    doubts = [nothing] if nothing else doubts_about(scan, ranking, scale, min(lead, lead_bic), alarm)
    verdict = "transition" if not doubts else "smooth" if lead <= 0 and not nothing else "undecided"
    return Transition(
        scan,
        verdict,
        tuple(doubts),
        (*ranking,),
        chosen,
        smooth,
        spread,
        disagreement(ranking, chosen),
        scale,
        lead,
        lead_bic,
        alarm,
        resamples,
        seed,
    )
