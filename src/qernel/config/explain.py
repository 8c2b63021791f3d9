"""From pydantic's error list to sentences that name the key, its value and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from qernel.config.sections import SECTIONS
from qernel.config.sections.base import Section
from qernel.config.sections.entries import BAD_ENTRY
from qernel.config.types import Expects
from qernel.hamiltonian.terms import parameters
from qernel.text import closest, meant

TOP_LEVEL = ("name", "preset")
"""Keys outside sections."""

_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}

# Names other codes and papers use, for the did-you-mean; those of parameters are in their own descriptions.
_ALIASES = {
    "n": "electrons",
    "particles": "electrons",
    "cell": "supercell",
    "mass": "effective_mass",
    "m": "effective_mass",
    "epsilon": "dielectric",
    "eps": "dielectric",
    "period": "period_nm",
    "depth": "depth_meV",
    "dim": "width",
    "layers": "blocks",
    "dets": "determinants",
    "lr": "learning_rate",
    "steps": "iterations",
    "epochs": "iterations",
    "batch": "walkers",
    "batch_size": "walkers",
    "optimizer": "optimiser",
    "chains": "walkers",
    "dtype": "precision",
}


class Explained(NamedTuple):
    """Sentences for the user, and the keys (``section.key``) that cannot be trusted."""

    sentences: list[str]
    keys: set[str]


def explain(error: ValidationError, data: Any) -> Explained:
    """One sentence for each faulty key of ``data``, in the order pydantic found them."""
    sentences: dict[str, str] = {}
    keys: set[str] = set()
    for detail in error.errors(include_url=False, include_context=True):
        location = [str(part) for part in detail["loc"]]
        place = ".".join(location[: 2 if location and location[0] in SECTIONS else 1])
        if place in sentences:
            continue
        sentences[place] = _sentence(detail, location, data, keys)
    return Explained(list(sentences.values()), keys)


def _sentence(detail: ErrorDetails, location: list[str], data: Any, keys: set[str]) -> str:
    if not location:
        return f"a configuration is a table of sections ({', '.join(SECTIONS)}), not {show(data)}"
    head = location[0]
    if detail["type"] in ("extra_forbidden", "invalid_key") and (len(location) == 1 or head in SECTIONS):
        return _unknown(location, detail["input"], keys)
    if head not in SECTIONS:
        return f"{head} = {show(detail['input'])} is not a line of 1 to 200 printable characters: give e.g. name = 'n6'"
    fields = SECTIONS[head].model_fields
    if len(location) == 1:
        keys.update(f"{head}.{key}" for key in fields)
        if detail["type"] == "missing":
            needed = " and ".join(key for key, field in fields.items() if field.is_required())
            return f"section [{head}] is missing: it needs {needed}, or start from a preset, e.g. preset = 'n6'"
        return f"{head} = {show(detail['input'])} is not a section: write its keys under a line [{head}]"
    return _value(head, location, detail, data, keys)


def _value(section: str, location: list[str], detail: ErrorDetails, data: Any, keys: set[str]) -> str:
    key = location[1]
    path = f"{section}.{key}"
    keys.add(path)
    if detail["type"] == BAD_ENTRY:
        return _entry(path, **detail["ctx"])
    value = _get(_get(data, section), key)
    return _wrong(path, SECTIONS[section].model_fields[key], detail, location[1:], value)


def _entry(path: str, number: int, entry: Any, fault: ErrorDetails, model: type[Section]) -> str:
    """What is wrong with one table of an array of tables."""
    where, fields = f"{path}, entry {number}", model.model_fields
    location = [str(part) for part in fault["loc"]]
    if not location:
        example = ", ".join(f"{key} = {show(_example(fields[key]))}" for key in list(fields)[:2])
        return f"{where} = {show(entry)} is not a table: give e.g. {{{example}}}"
    key = location[0]
    if key not in fields:
        close = _closest(key, tuple(fields))
        hint = f"did you mean {close}?" if close else f"it takes {', '.join(fields)}"
        return f"{where} has an unknown key {clean(key)}: {hint}"
    return _wrong(f"{where}: {key}", fields[key], fault, location, _get(entry, key))


def _wrong(path: str, field: FieldInfo, detail: ErrorDetails, location: list[str], value: Any) -> str:
    """What is wrong with the value of a key, whose name is first in ``location``."""
    advice = f"give e.g. {location[0]} = {show(_example(field))}"
    if detail["type"] == "missing" and len(location) == 1:
        return f"{path} is missing: {advice}"
    shown = f"{path} = {show(value)}"
    choices = _choices(field)
    if choices:
        near = meant(value, choices) if isinstance(value, str) else ""
        return f"{shown} is not one of {', '.join(choices)}: {advice}{near}"
    if detail["type"] == "unusable":
        return f"{shown} {detail['msg']}: {advice}"
    if detail["type"] in _BOUNDS:
        words, name = _BOUNDS[detail["type"]]
        bound = detail.get("ctx", {}).get(name)
        entry = "" if len(location) == 1 or not isinstance(value, list | tuple) else "have every entry "
        verb = "must be" if not entry else "must"
        return f"{shown} {verb} {entry}{words} {_plain(bound)}: {advice}"
    if detail["type"] == "finite_number":
        return f"{shown} is not finite: {advice}"
    return f"{shown} is not {_expected(field)}: {advice}"


def _unknown(location: list[str], value: Any, keys: set[str]) -> str:
    """A key that does not exist: what was meant, or everything that could be."""
    name = location[-1]
    path = clean(".".join(location))
    if len(location) == 1:
        if name == "preset":
            return "preset is resolved by load_config: pass the table to load_config instead"
        if isinstance(value, Mapping):
            close = _closest(name, tuple(SECTIONS))
            hint = f"did you mean [{close}]?" if close else f"sections are {', '.join(SECTIONS)}"
            keys.update(f"{close}.{key}" for key in (SECTIONS[close].model_fields if close else ()))
            return f"section [{clean(name)}] is unknown: {hint}"
        close = _closest(name, TOP_LEVEL)
        homes = _homes(name)
        if close or not homes:
            hint = f"did you mean {close}?" if close else f"outside sections only {' and '.join(TOP_LEVEL)} are allowed"
            return f"{path} = {show(value)} is an unknown key: {hint}"
    else:
        allowed = tuple(SECTIONS[location[0]].model_fields)
        close = _closest(name, allowed)
        if close:
            keys.add(f"{location[0]}.{close}")
            return f"{path} = {show(value)} is an unknown key: did you mean {location[0]}.{close}?"
        homes = _homes(name)
        if not homes:
            return f"{path} = {show(value)} is an unknown key: [{location[0]}] takes {', '.join(allowed)}"
    keys.update(homes)
    return f"{path} = {show(value)} is in the wrong place: did you mean {' or '.join(homes)}?"


def _homes(name: str) -> list[str]:
    """Where a key of this name lives."""
    target = _aliases().get(name.lower(), name)
    return [f"{section}.{target}" for section, model in SECTIONS.items() if target in model.model_fields]


def _aliases() -> dict[str, str]:
    return _ALIASES | {alias: name for name, parameter in parameters().items() for alias in parameter.aliases}


def _closest(name: Any, options: tuple[str, ...]) -> str | None:
    """The option a misspelt name most likely meant."""
    if not isinstance(name, str) or len(name) > 60:
        return None
    alias = _aliases().get(name.lower())
    return alias if alias in options else closest(name, options)


def _choices(field: FieldInfo) -> tuple[str, ...]:
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def _expected(field: FieldInfo) -> str:
    return next((item.text for item in field.metadata if isinstance(item, Expects)), "valid")


def _example(field: FieldInfo) -> Any:
    return field.examples[0] if field.examples else field.default


def _get(container: Any, key: str) -> Any:
    return container.get(key) if isinstance(container, Mapping) else getattr(container, key, None)


def _plain(number: Any) -> str:
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


def show(value: Any, depth: int = 0) -> str:
    """A value as one would write it in the file, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        if depth > 2 or len(value) > 8:
            return "[…]"
        return f"[{', '.join(show(item, depth + 1) for item in value)}]"
    if isinstance(value, Mapping):
        return "{…}" if value else "{}"
    if isinstance(value, int) and abs(value) > 10**40:
        return "a huge number"
    text = repr(value)
    if not isinstance(value, str):
        text = clean(text)
    return text if len(text) <= 80 else text[:77] + "…" + text[-1]


def clean(text: str, limit: int = 80) -> str:
    """Foreign text on one line, with control characters escaped, shortened."""
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"
