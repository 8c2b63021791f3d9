"""Where an analysis goes: its record and its figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qernel.outputs import refuse_existing, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def analysis_paths(out: str | None, name: str) -> list[Path]:
    """Where an analysis is written, its record first and then its figure; nowhere without a folder.

    Raises:
        RunError: see `refuse_existing`.
    """
    paths = [Path(out) / f"{name}.{suffix}" for suffix in ("json", "png", "pdf")] if out else []
    refuse_existing(paths)
    return paths


def write_analysis(paths: Sequence[Path], data: str, fig: Figure) -> None:
    """Write what `analysis_paths` names; the record comes last."""
    from qernel.plots.style import save

    save(fig, paths[0].with_suffix(""))
    write_text(paths[0], data + "\n")
