"""What has to hold before a transition is given a place, and by how much the curves disagree about it."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import chi2

from qernel.transition.candidates import TRANSITIONS
from qernel.transition.compare import SMOOTH, Candidate
from qernel.transition.scan import Curves

LEAD = 6.0
"""By how much AICc and BIC of a transition have to be lower than those of every smooth curve ("strong evidence" on
the scale of Kass and Raftery, J. Am. Stat. Assoc. 90, 773 (1995))."""

CHANCE = 0.01
"""Largest probability with which a smooth curve may lead to such a lead."""

SIDE = 3
"""Fewest points on either side of a transition."""


WIDEST = 5.0
"""Largest factor by which error bars may be too small. Beyond it the curves do not describe the data, whatever the
criteria say when all errors are widened: some value is wrong, or the curve is of another kind."""


def undescribed(scan: Curves, ranking: list[Candidate], scale: float) -> str:
    """Why nothing can be said about the data, a clause that names the value furthest off; empty if there is a curve."""
    if math.sqrt(scale) <= WIDEST:
        return ""
    curve = scan.interaction
    off = np.abs(curve.values - ranking[0].fit.curve(scan.points)) / curve.errors
    worst = scan.axis.at(scan.points[np.argmax(off)])
    return (
        f"no curve tried describes the data: their errors would have to be widened by {math.sqrt(scale):.3g} "
        f"({WIDEST:g} at most); furthest off, by {off.max():.3g} errors, is {worst}: "
        "measure there again"
    )


def doubts_about(scan: Curves, ranking: list[Candidate], scale: float, lead: float, alarm: float) -> list[str]:
    """Why the data do not show a transition, where there is a curve that describes them (see `undescribed`)."""
    chosen = next(one for one in ranking if one.model in TRANSITIONS)
    place = chosen.fit.place[0]
    left, right = int(np.sum(scan.points < place)), int(np.sum(scan.points > place))
    doubts = []
    if lead <= 0:
        return ["a smooth curve is as good by AICc or BIC"]
    if lead < LEAD:
        doubts.append(
            f"a transition is favoured over a smooth curve by only {lead:.1f} in AICc or BIC ({LEAD:g} needed)"
        )
    if alarm > CHANCE:
        doubts.append(f"a smooth curve would look as much like a transition in {alarm:.1%} of all scans")
    chances = {one.model: float(chi2.sf(one.chi2 / scale, one.dof)) for one in ranking if one.model in SMOOTH}
    passing = [model for model, chance in chances.items() if chance > 0.05]
    if passing:
        widened = f" with errors widened by {math.sqrt(scale):.2f}" if scale > 1 else ""
        chance = f"(p = {chances[passing[0]]:.2g}{widened})"
        doubts.append(f"a polynomial of degree {passing[0][-1]} describes the data {chance}")
    if min(left, right) < SIDE:
        side, count = ("below", left) if left < right else ("above", right)
        doubts.append(f"only {count} values of {scan.axis.symbol} lie {side} the place that fits best ({SIDE} needed)")
    if chosen.model == "step" and 4 * chosen.fit.width[0] > 0.49 * np.ptp(scan.points):
        doubts.append(f"the change is spread over half of the scan or more: no transition at a {scan.axis.symbol}")
    return doubts


def disagreement(ranking: list[Candidate], chosen: Candidate) -> float:
    """Spread of the place over the curves with a transition, weighted by exp(−ΔAICc/2)."""
    total = spread = 0.0
    for one in ranking:
        if one.model in TRANSITIONS:
            weight = math.exp(-0.5 * (one.aicc - chosen.aicc))
            total += weight
            spread += weight * float(one.fit.place[0] - chosen.fit.place[0]) ** 2
    return math.sqrt(spread / total)
