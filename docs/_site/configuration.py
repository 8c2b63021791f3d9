"""The configuration reference, made from the schema that checks every configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any

from docutils import nodes
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from qernel.config import Config, load_config
from qernel.config.explain import show
from qernel.config.sections import SECTIONS
from qernel.config.sections.base import Section
from qernel.config.sections.potentials import WaveConfig
from qernel.config.sections.systems import FurtherSystem
from qernel.config.types import Expects
from qernel.text import describe

TABLES: dict[str, type[Section]] = {
    **{f"[{name}]": model for name, model in SECTIONS.items()},
    "[[family.systems]]": FurtherSystem,
    "[[system.potential]]": WaveConfig,
}
"""Every table of a configuration, with its keys."""

_LOWER = {"minimum": ("≥", "ge"), "exclusiveMinimum": (">", "gt")}
_UPPER = {"maximum": ("≤", "le"), "exclusiveMaximum": ("<", "lt")}


def rows(section: type[Section]) -> Iterator[tuple[str, str, str, str]]:
    """Key, what it takes, default and meaning of everything in a section."""
    properties = section.model_json_schema(mode="validation")["properties"]
    for key, field in section.model_fields.items():
        default = "required" if field.is_required() else "" if field.default is None else f"`{show(field.default)}`"
        expects = next((item.text for item in field.metadata if isinstance(item, Expects)), "")
        takes = ", ".join(filter(None, (_choices(properties[key]) or expects, *bounds(field, properties[key]))))
        yield f"`{key}`", takes, default, field.description or ""


def bounds(field: FieldInfo, schema: Mapping[str, Any]) -> list[str]:
    """The tightest bounds of a value, or of each number in it: of its JSON schema, and of what is checked after."""
    limits = list(_limits(schema))
    for name, (sign, attribute) in (_LOWER | _UPPER).items():
        limits += [(name, sign, getattr(item, attribute)) for item in field.metadata if hasattr(item, attribute)]
    lower = [(value, sign) for name, sign, value in limits if name in _LOWER]
    upper = [(value, sign) for name, sign, value in limits if name in _UPPER]
    # Of equal values the strict one.
    ends = [max(lower, key=lambda end: (end[0], end[1] == ">"))] if lower else []
    ends += [min(upper, key=lambda end: (end[0], end[1] == "≤"))] if upper else []
    return [f"{sign}\N{NO-BREAK SPACE}{value:.10g}".replace("-", "−") for value, sign in ends]


def _limits(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    yield from ((name, sign, schema[name]) for name, (sign, _) in (_LOWER | _UPPER).items() if name in schema)
    inside = [*schema.get("anyOf", ()), *schema.get("prefixItems", ())]
    inside += [schema["items"]] if isinstance(schema.get("items"), Mapping) else []
    for part in inside:
        yield from _limits(part)


def _choices(schema: Mapping[str, Any]) -> str:
    return " or ".join(f"`{show(value)}`" for value in schema.get("enum", ()))


def presets() -> Iterator[tuple[str, str, str]]:
    """Name, system and trained λ of every preset."""
    for path in sorted((files("qernel.config") / "presets").iterdir(), key=lambda path: (len(path.name), path.name)):
        name = path.name.removesuffix(".toml")
        config = load_config(name)
        low, high = config.family.lam
        yield f"`{name}`", describe(config.system.electrons, config.system.cells), f"{low:g} to {high:g}"


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> list[str]:
    """A table in Markdown."""
    ruled = [head, ("---",) * len(head), *lines]
    return ["", *(f"| {' | '.join(_cell(text) for text in row)} |" for row in ruled), ""]


def _cell(text: str) -> str:
    """Text of a cell: bars would end it, and angles be taken for HTML."""
    return text.replace("|", r"\|") if "`" in text else text.replace("|", r"\|").replace("<", "&lt;")


def markdown() -> str:
    """The whole reference."""
    lines = ["## Presets", *table(("preset", "system", "trained λ"), presets())]
    for title, section in TABLES.items():
        words = (section.__doc__ or "").partition(":")[2].strip().partition("\n")[0]
        lines += [f"## {title}", "", words if words[0] == "λ" else words[:1].upper() + words[1:]]
        lines += table(("key", "takes", "default", "meaning"), rows(section))
    return "\n".join(lines)


class Configuration(SphinxDirective):
    """``{configuration}``: a table for each section."""

    def run(self) -> list[nodes.Node]:
        """The reference in the place of the directive."""
        return self.parse_text_to_nodes(markdown(), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    assert set(Config.model_fields) == {"name", *SECTIONS}, "a part of the configuration is not in its reference"
    app.add_directive("configuration", Configuration)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
