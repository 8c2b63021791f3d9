"""The Python interface: everything public in `qernel`, as its docstrings say it."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util.docstrings import prepare_docstring
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature

import qernel
from qernel.observables import find, names
from qernel.observables.methods import documentation, signature

_INTRODUCTIONS = {
    "Functions": "",
    "Classes": "What functions give; none of them has to be made by hand.",
    "Observables": "Each is a method of `State`, and a name for `observe`; ones that are registered appear there too.",
}


def markdown(config: Config) -> str:
    """A heading for functions, one for classes and one for observables, and each public name below it."""
    public = [name for name in qernel.__all__ if not name.startswith("__")]
    classes = [name for name in public if inspect.isclass(getattr(qernel, name))]
    kinds = {
        "Functions": [f".. autofunction:: qernel.{name}\n" for name in public if name not in classes],
        "Classes": [f".. autoclass:: qernel.{name}\n   :members:\n" for name in classes],
        "Observables": list(_observables(config)),
    }
    lines = []
    for title, entries in kinds.items():
        lines += [f"## {title}", "", _INTRODUCTIONS[title], "", "```{eval-rst}", *entries, "```", ""]
    return "\n".join(lines)


def _observables(config: Config) -> Iterator[str]:
    """Methods that a state has without its class having them (`State.__getattr__`)."""
    for name in names():
        if hasattr(qernel.State, name):  # its own method, documented there
            continue
        about = find(name)
        lines = prepare_docstring(documentation(about))
        _escape(lines)
        text = "\n".join(GoogleDocstring(lines, config, what="method").lines())
        shown = stringify_signature(signature(about), unqualified_typehints=True)
        yield f".. py:method:: State.{name}{shown}\n   :module: qernel\n\n{textwrap.indent(text, '   ')}\n"


class Interface(SphinxDirective):
    """``{interface}``: all public names."""

    def run(self) -> list[nodes.Node]:
        """The reference in the place of the directive."""
        return self.parse_text_to_nodes(markdown(self.config), allow_section_headings=True)


def _escape(lines: list[str]) -> None:
    """Bars are absolute values, as in |ψ|², and no substitutions."""
    for index, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(`+[^`]*`+)", line)
            lines[index] = "".join(part if part.startswith("`") else part.replace("|", r"\|") for part in parts)


def _document(app: Sphinx, what: str, name: str, about: object, options: object, lines: list[str]) -> None:
    """A package that is called as its verb (`qernel.lazy.callable_as`) is documented as the verb."""
    if isinstance(about, ModuleType) and callable(about):
        lines[:] = prepare_docstring(inspect.getdoc(inspect.unwrap(about)) or "")
    _escape(lines)


def _signature(
    app: Sphinx, what: str, name: str, about: object, options: object, shown: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """What a class is made of concerns nobody who gets it from a function."""
    return ("", None) if what == "class" and shown else (shown, returned)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive, and what happens to docstrings before Napoleon reads them."""
    app.connect("autodoc-process-docstring", _document, priority=400)
    app.connect("autodoc-process-signature", _signature)
    app.add_directive("interface", Interface)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
