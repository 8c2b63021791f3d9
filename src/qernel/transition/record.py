"""What ``qernel transition --json`` prints."""

from __future__ import annotations

from typing import Any

from qernel.along import LAM, Axis
from qernel.estimators.quantity import Quantity
from qernel.transition import branches, consistency
from qernel.transition.candidates import TRANSITIONS
from qernel.transition.compare import Candidate
from qernel.transition.findings import Findings
from qernel.transition.words import sentences


def record(found: Findings) -> dict[str, Any]:
    """The analysis as plain data; energies per electron in E0, null for what the data do not show.

    Keys that belong to the parameter of the scan have its name: ``lambda_c`` for λ, ``U_c`` for U.
    """
    scan, slopes = found.scan, found.slopes
    heat, bent = found.hellmann_feynman, consistency.concavity(scan)
    axis = scan.axis
    return {
        "source": scan.source,
        "along": axis.name,
        "at": dict(scan.others),
        "points": len(scan.points),
        f"{axis.stem}_range": [float(scan.points[0]), float(scan.points[-1])],
        "left_out": list(scan.left_out),
        "verdict": found.verdict,
        "reasons": list(found.reasons),
        f"{axis.stem}_c": _pair(found.place),
        "interval_95": list(found.errors.interval) if found.place is not None and found.errors else None,
        "error_parts": {"statistics_and_grid": found.errors.place, "choice_of_curve": found.model_error}
        if found.place is not None and found.errors
        else None,
        "model": found.best.model,
        "slopes": None if slopes is None else {"left": _pair(slopes[0]), "right": _pair(slopes[1])},
        "jump": _pair(found.jump),
        "width": _pair(found.width),
        "goodness": {"chi2": found.best.chi2, "dof": found.best.dof, "p_value": found.best.p_value},
        "error_inflation": found.inflation,
        "lead_over_smooth": {"aicc": found.lead, "bic": found.lead_bic} if found.chosen else None,
        "false_alarm": found.false_alarm,
        "resamples": found.resamples,
        "seed": found.seed,
        "chi2_scale": found.scale,
        "candidates": [_candidate(one, found.candidates[0]) for one in found.candidates],
        "hellmann_feynman": None if heat is None else heat._asdict(),
        "concavity": None if bent is None else bent._asdict(),
        **({f"{axis.multiplies}_jump": _step(found.slope_jump)} if axis.multiplies else {}),
        "energy_crossing": None if found.crossing is None else found.crossing._asdict(),
        "order_parameter_jump": _step(found.order_jump),
        "hysteresis": [one._asdict() for one in consistency.hysteresis(scan)],
        "units": {axis.name: unit(axis), "energies": "E0 per electron", "slopes": "E0 per electron"},
        "evidence": sentences(found),
    }


def unit(axis: Axis) -> str:
    """The unit of a parameter, as records say it."""
    return "V0 (factor on the moiré depth)" if axis.name == LAM.name else axis.unit


def _pair(quantity: Quantity | None) -> dict[str, float] | None:
    return None if quantity is None else quantity.as_dict()


def _step(step: branches.Step | None) -> dict[str, float] | None:
    return None if step is None else {"value": step.jump, "error": step.error, "left": step.left, "right": step.right}


def _candidate(one: Candidate, best: Candidate) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        "model": one.model,
        "parameters": one.parameters,
        "chi2": one.chi2,
        "dof": one.dof,
        "p_value": one.p_value,
        "aicc": one.aicc,
        "bic": one.bic,
        "delta_aicc": one.aicc - best.aicc,
    }
    if one.model in TRANSITIONS:
        numbers["at"] = float(one.fit.place[0])
        numbers["slopes"] = [float(one.fit.left[0]), float(one.fit.right[0])]
        numbers["jump"] = float(one.fit.jump[0])
        numbers["width"] = float(one.fit.width[0])
    return numbers
