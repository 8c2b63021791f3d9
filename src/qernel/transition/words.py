"""The findings in sentences that say no more than the data do."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import chi2

from qernel.along import Axis
from qernel.estimators.doubts import RHAT_LIMIT
from qernel.estimators.quantity import parenthesis
from qernel.transition import consistency
from qernel.transition.candidates import TRANSITIONS
from qernel.transition.findings import Findings
from qernel.transition.scan import SWEEPS
from qernel.transition.verdict import WIDEST

NAMES = {
    "kink": "two lines that meet in a kink",
    "jump": "two lines with a jump",
    "step": "two lines joined by a rounded step",
    "smooth1": "one straight line",
} | {f"smooth{degree}": f"one polynomial of degree {degree}" for degree in (2, 3, 4)}


def sentences(found: Findings) -> list[str]:
    """The verdict, what it rests on, and the checks."""
    return [*_verdict(found), *_fit(found), *_warnings(found), *_checks(found), *_hysteresis(found)]


def _verdict(found: Findings) -> list[str]:
    scan, place = found.scan, found.place
    symbol = scan.axis.symbol
    over = f"{len(scan.points)} values of {symbol} from {scan.points[0]:g} to {scan.points[-1]:g}"
    if place is None:
        what = "shows no transition" if found.verdict == "smooth" else "does not decide whether there is a transition"
        return [f"The interaction energy {what} ({over}): {'; '.join(found.reasons)}."]
    assert found.errors is not None and found.slopes is not None
    low, high = found.errors.interval
    first = f"The interaction energy per electron has a {_kind(found)} at {symbol}_c = {place.number} ({over}; "
    first += f"95% of the resampled {symbol}_c lie in [{low:.4g}, {high:.4g}])."
    left, right = found.slopes
    second = f"Its slope is {left.number} E0 per unit of {symbol} below and {right.number} above"
    if found.jump is not None:
        second += f", and it jumps by {found.jump.number} E0"
    if found.width is not None:
        second += f" within a width of {found.width.number}"
    return [first, second + "."]


def _kind(found: Findings) -> str:
    return {"kink": "kink", "jump": "jump", "step": "rounded step"}[found.best.model]


def _fit(found: Findings) -> list[str]:
    best, result, symbol = found.best, [], found.scan.axis.symbol
    if found.place is not None:
        result.append(
            f"Against the best smooth curve ({NAMES[found.smooth.model]}) it leads by {found.lead:.1f} in AICc and "
            f"{found.lead_bic:.1f} in BIC; {_chance(found)}."
        )
        # A step much narrower than the gaps is a jump by another name.
        narrow = 0.5 * float(np.diff(found.scan.points).min())
        others = [one for one in found.candidates if one.model in TRANSITIONS and one is not best]
        rivals = [one for one in others if one.model != "step" or one.fit.width[0] > narrow]
        rivals = [one for one in rivals if one.p_value > min(0.01, best.p_value)]
        close = [
            f"{NAMES[one.model]}, at {symbol} = {one.fit.place[0]:.4g}" for one in rivals if one.aicc - best.aicc < 6
        ]
        if close:
            result.append(
                f"The data do not tell it from {' or '.join(close)} (less than 6 apart in AICc): whether the curve is "
                "continuous, and so the order of the transition, is open."
            )
        elif best.model == "kink":
            result.append("A kink of this curve alone does not say that the transition is of first order.")
    else:
        result.append(f"The best of all curves by AICc is {NAMES[best.model]}.")
    return [*result, _goodness(found)]


def _goodness(found: Findings) -> str:
    """How well the best curve describes the data: p with the errors as they are, and as they were widened."""
    best = found.best
    text = f"χ²/dof = {best.chi2:.1f}/{best.dof} (p = {best.p_value:.2g}"
    if found.inflation > 1:
        after = float(chi2.sf(best.chi2 / found.inflation**2, best.dof))
        text += f"; with errors widened by {found.inflation:.3g}, as they are here, p = {after:.2g}"
    text += ")"
    if best.p_value < 0.01 and math.sqrt(found.scale) <= WIDEST:
        text += (
            ": no curve tried describes the data within their errors as they are; where the branches bend, fit a "
            f"narrower range of {found.scan.axis.symbol} (--between)"
        )
    return text + "."


def _chance(found: Findings) -> str:
    if found.false_alarm <= 1.5 / (1 + found.resamples):
        return f"none of {found.resamples} scans drawn from that curve gave such a lead"
    return f"{found.false_alarm:.2g} of scans drawn from that curve give such a lead"


def _warnings(found: Findings) -> list[str]:
    scan, result, symbol = found.scan, [], found.scan.axis.symbol
    if scan.left_out:
        result.append(f"{len(scan.left_out)} values of {symbol} outside the trained range were left out.")
    # Also where R̂ is nan.
    stuck = np.zeros(len(scan.points), bool) if scan.rhat is None else ~(scan.rhat <= RHAT_LIMIT)
    if stuck.any():
        bad = ", ".join(f"{point:g}" for point in scan.points[stuck])
        result.append(
            f"Chains had not mixed (R̂ > {RHAT_LIMIT}, or unknown) at {symbol} = {bad}: errors are too small there."
        )
    doubtful = np.zeros(len(scan.points), bool) if scan.doubtful is None else scan.doubtful
    if (doubtful & ~stuck).any():
        bad = ", ".join(f"{point:g}" for point in scan.points[doubtful & ~stuck])
        result.append(
            f"Few chains, few independent samples or a large R̂: error bars may be too small at {symbol} = {bad}."
        )
    return result


def _checks(found: Findings) -> list[str]:
    return [*_jumps(found), *_crossing(found), *_slopes(found), *_concavity(found)]


def derivative(axis: Axis) -> str:
    """⟨∂H/∂p⟩ per electron in terms of what scans measure."""
    return {"λ": "V0⟨Σw⟩/N"}.get(axis.symbol, f"{axis.multiplies}/{axis.symbol}")


def _jumps(found: Findings) -> list[str]:
    result, axis = [], found.scan.axis
    slope = f"dE/d{axis.symbol} = {derivative(axis)}"
    for name, unit, step in ((slope, " E0", found.slope_jump), ("⟨|ρ_K|²⟩", "", found.order_jump)):
        if step is not None:
            by = f"goes from {step.left:.4g} to {step.right:.4g}{unit} at {axis.symbol}_c, "
            by += f"by {parenthesis(step.jump, step.error)}"
            says = f": a jump of the slope of E({axis.symbol})." if unit else "."
            result.append(f"{name} {by}{says if abs(step.jump) > 3 * step.error else ', no jump beyond three errors.'}")
    return result


def _crossing(found: Findings) -> list[str]:
    crossing, place, symbol = found.crossing, found.place, found.scan.axis.symbol
    if crossing is None or place is None:
        return []
    text = f"Parabolas through E({symbol}) on both sides cross at {symbol} = "
    text += parenthesis(crossing.value, crossing.error)
    if crossing.right > crossing.left:
        return [text + ", with the smaller slope above, as ground states cannot have it."]
    if abs(crossing.value - place.value) > 3 * float(np.hypot(crossing.error, place.error)):
        return [
            f"{text}, not at {symbol}_c: if parabolas continue both phases, the wavefunction changes at another "
            f"{symbol} than its own energies call for, and is not the ground state between the two."
        ]
    return [text + ", the same within three errors."]


def _slopes(found: Findings) -> list[str]:
    heat, axis = found.hellmann_feynman, found.scan.axis
    if heat is None:
        return []
    worst = f"{parenthesis(heat.largest, heat.largest_error)} E0 near {axis.symbol} = {heat.at:.4g}"
    bad = heat.p_value < 0.01
    return [
        f"Hellmann–Feynman: E({axis.symbol}) {'does not agree' if bad else 'agrees'} with the integral of "
        f"{axis.multiplies}/{axis.symbol} (χ² = {heat.chi2:.1f} for {heat.dof} gaps, p = {heat.p_value:.2g}; largest "
        f"deviation {worst})"
        + ("; a transition that the spline knows nothing of would do that." if bad and found.place is None else ".")
    ]


def _concavity(found: Findings) -> list[str]:
    bent, symbol = consistency.concavity(found.scan), found.scan.axis.symbol
    if bent is None:
        return [f"No energy is proportional to {symbol}: no test of Hellmann–Feynman, nor of E({symbol}) as concave."]
    if bent.violations:
        return [
            f"E({symbol}) is not concave at {bent.violations} of {bent.tested} {symbol} (worst: {bent.worst:.1f} "
            f"errors, {symbol} = {bent.at:g}): these are not all ground states, or errors are too small."
        ]
    return [f"E({symbol}) is concave within errors, as ground-state energies are."]


def _hysteresis(found: Findings) -> list[str]:
    loops, symbol = consistency.hysteresis(found.scan), found.scan.axis.symbol
    if not loops:
        how = f"qernel scan --sweeps {' '.join(SWEEPS)}"
        return [f"The scan has no chains carried in both directions ({how}): no test of hysteresis."]
    result = []
    for one in loops:
        name = one.name.replace("_", " ")
        size = f"largest difference up − down {parenthesis(one.largest, one.largest_error)} at {symbol} = {one.at:g}"
        if one.loop is None:
            result.append(f"No hysteresis in the {name}: {size}, p = {one.p_value:.2g} for {one.dof} {symbol}.")
        else:
            low, high = one.loop
            result.append(f"The {name} depends on the direction between {symbol} = {low:g} and {high:g}: {size}.")
    return result
