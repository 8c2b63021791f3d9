"""What ``qernel compare`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from qernel.estimators.quantity import parenthesis
from qernel.text import columns

COLUMNS: Final = {
    "model": "label of the configuration",
    "parameters": "trainable real numbers",
    "active": "those that act on one configuration, at most",
    "iterations": "training iterations, mean over seeds",
    "seconds": "time of the training steps, compilation excluded, mean over seeds",
    "mean excess": "energy per electron above the reference in E0, mean over λ and seeds",
    "series": "models that differ in size alone",
}
"""Columns of the table of compared models, with their meaning."""


def report(data: Mapping[str, Any], out: Path) -> str:
    """The table of models and the ratios between their series, for people."""
    seeds, reference = len(data["conditions"]["seeds"]), data["reference"]
    rows = [
        [
            model["label"],
            str(model["parameters"]),
            str(model["active_parameters"]),
            f"{model['iterations']:.0f}",
            f"{model['seconds']:.0f}",
            parenthesis(model["mean_excess"]["value"], model["mean_excess"]["error"]),
            model["series"],
        ]
        for model in data["models"]
    ]
    what = "exact energies" if reference["exact"] else "NOT exact:"
    lines = [
        f"excess energy per electron in E0, mean over {len(data['lam'])} λ and {seeds} seed{'s' * (seeds != 1)}, "
        f"above the reference ({what} {reference['source']})",
        columns([list(COLUMNS), *rows]),
        "",
        *(ratio_line(ratio) for ratio in data["ratios"]),
    ]
    return "\n".join([*lines, f"written: {out}"])


def ratio_line(ratio: Mapping[str, Any]) -> str:
    """One ratio in words."""
    name = {"parameters": "parameters", "active_parameters": "active parameters", "seconds": "time"}[ratio["cost"]]
    pair = f"{name} at equal accuracy, {ratio['of']} over {ratio['over']}:"
    if ratio["value"] is None:
        return f"{pair} none, {ratio['reason']}"
    interval = f"{ratio['value']:.3g} (68 %: {ratio['low']:.3g} to {ratio['high']:.3g})"
    return f"{pair} {interval} at {ratio['accuracy']:.2g} E0 per electron"


def interpolation_report(data: Mapping[str, Any], out: Path) -> str:
    """Excess energies at every λ, and what gaps, edges and sharing cost, for people."""
    conditions, reference = data["conditions"], data["reference"]
    seeds, cost = len(conditions["seeds"]), data["cost"]
    kinds = list(cost)
    by_model = {kind: [row for row in data["energies"] if row["model"] == kind] for kind in kinds}
    rows = [["λ", "", *kinds, ""]]
    for index, lam in enumerate(conditions["lam"]):
        found = [by_model[kind][index] for kind in kinds]
        numbers = [parenthesis(row["excess"], row["excess_error"]) for row in found]
        rows.append([f"{lam:g}", conditions["regions"][index], *numbers, ""])
    what = "exact energies" if reference["exact"] else "NOT exact:"
    lines = [
        f"excess energy per electron in E0, {seeds} seed{'s' * (seeds != 1)}, above the reference "
        f"({what} {reference['source']})",
        columns(rows),
        "updates × walkers: " + ", ".join(f"{kind} {cost[kind]['updates_times_walkers']}" for kind in kinds),
        "",
    ]
    for row in data["summary"]:
        where = f"all {row['points']} λ" if row["region"] == "all" else f"{row['points']} λ ({row['region']})"
        number = parenthesis(row["value"], row["error"])
        lines.append(f"{row['model']} − {row['against']}, mean over {where}: {number} E0 per electron")
    return "\n".join([*lines, f"written: {out}"])
