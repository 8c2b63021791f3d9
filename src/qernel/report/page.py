"""The page: sections in, one HTML file out that needs nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import qernel
from qernel.report.contents import sections, verdict
from qernel.text import typeset


def page(source: Path) -> str:
    """The report of a run folder, a folder of results or a file of results, as HTML without external parts.

    Raises:
        RunError: if there is nothing to report.
    """
    from jinja2 import Environment, StrictUndefined

    found = sections(source)
    text = (files("qernel.report") / "template.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters["typeset"] = typeset  # which escapes what it is given
    template = environment.from_string(text)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    note = f"Made by qernel {qernel.__version__} from {source} on {date}. "
    note += "Energies in E0 = ħ²/(m* a_M²), lengths in the moiré period a_M."
    title = f"Qernel report: {source.resolve().name}"
    return template.render(title=title, verdict=verdict(found), note=note, sections=found)
