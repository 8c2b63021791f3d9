"""The Python interface: everything public in `qernel`, as its docstrings say it."""

from __future__ import annotations

import inspect
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import qernel


def markdown() -> str:
    """A heading for functions and one for classes, and each public name below it."""
    names = [name for name in qernel.__all__ if not name.startswith("__")]
    kinds = {
        "Functions": [name for name in names if not inspect.isclass(getattr(qernel, name))],
        "Classes": [name for name in names if inspect.isclass(getattr(qernel, name))],
    }
    lines = []
    for title, members in kinds.items():
        lines += [f"## {title}", "", "```{eval-rst}"]
        for name in members:
            kind = "autofunction" if title == "Functions" else "autoclass"
            lines += [f".. {kind}:: qernel.{name}", *(["   :members:"] if kind == "autoclass" else []), ""]
        lines += ["```", ""]
    return "\n".join(lines)


class Interface(SphinxDirective):
    """``{interface}``: all public names."""

    def run(self) -> list[nodes.Node]:
        """The reference in the place of the directive."""
        return self.parse_text_to_nodes(markdown(), allow_section_headings=True)


def _escape(app: Sphinx, what: str, name: str, about: object, options: object, lines: list[str]) -> None:
    """Bars are absolute values, as in |ψ|², and no substitutions."""
    for index, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(`+[^`]*`+)", line)
            lines[index] = "".join(part if part.startswith("`") else part.replace("|", r"\|") for part in parts)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.connect("autodoc-process-docstring", _escape)
    app.add_directive("interface", Interface)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
