"""Tables of what was found about transitions, from records or from what has just been analysed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qernel.report.parts import Table
from qernel.transition.words import NAMES


def curves_table(data: Mapping[str, Any]) -> Table:
    """The curves that were compared, the best one first.

    Args:
        data: the record of an analysis.
    """
    rows = []
    for one in data["candidates"]:
        place = f"{one['at']:.4g}" if "at" in one else ""
        fit = f"{one['chi2']:.1f}/{one['dof']}", f"{one['p_value']:.2g}"
        rows.append([NAMES.get(one["model"], str(one["model"])), f"{one['delta_aicc']:.1f}", *fit, place])
    caption = "Curves that were compared, the best one first; p: how often χ² would be larger by chance"
    return Table(caption, ["curve", "ΔAICc", "χ²/dof", "p", "transition at"], rows)
