"""What ``qernel compare`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qernel.cli.tables import columns
from qernel.estimators.quantity import parenthesis


def report(data: Mapping[str, Any], out: Path) -> str:
    """The table of models and the ratios between their series, for people."""
    seeds, reference = len(data["conditions"]["seeds"]), data["reference"]
    head = ["model", "parameters", "active", "iterations", "seconds", "mean excess", "series"]
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
        columns([head, *rows]),
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
