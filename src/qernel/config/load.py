"""Reading configurations: TOML files, presets, mappings, and ``section.key=value`` overrides."""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from qernel.config.earlier import as_stored
from qernel.config.explain import clean, show
from qernel.config.laboratory import reduced_table
from qernel.config.schema import Config
from qernel.config.sections import MATERIAL_KEYS, REDUCED_KEYS, SECTIONS, range_keys
from qernel.config.twist import belongs_to_run, doubts
from qernel.errors import ConfigError, QernelWarning
from qernel.files import read_bytes
from qernel.text import meant

MAX_BYTES = 1_000_000
"""A larger file is not a configuration."""

_POSITION = re.compile(r"^(.*?)\s*\(at (?:line (\d+), column (\d+)|end of document)\)$", re.DOTALL)

Table = dict[str, Any]


@cache
def presets() -> tuple[str, ...]:
    """Names of the configurations that come with Qernel, smallest first."""
    from importlib.resources import files

    names = [entry.name[:-5] for entry in files("qernel.config").joinpath("presets").iterdir() if _is_toml(entry.name)]
    return tuple(sorted(names, key=lambda name: (len(name), name)))


def preset_text(name: str) -> str:
    """The commented TOML text of a preset, to copy from.

    Raises:
        ConfigError: if there is no preset of this name.
    """
    from importlib.resources import files

    if name not in presets():
        raise ConfigError(
            f"preset = {show(name)} does not exist: use {', '.join(presets())}{meant(str(name), presets())}"
        )
    return files("qernel.config").joinpath("presets", f"{name}.toml").read_text("utf-8")


def load_config(
    source: str | Path | Mapping[str, Any] | Config,
    overrides: Sequence[str] = (),
    *,
    sections: Sequence[str] = tuple(SECTIONS),
) -> Config:
    """Read and check a configuration.

    A later layer wins: preset, then source, then overrides. Giving V0 or U drops the material of an
    earlier layer and the other way round; a [family] interval drops the constant of an earlier layer; a twist drops
    what that of an earlier layer refers to.

    Args:
        source: name of a preset, path of a TOML file, or the equivalent mapping. A mapping or file may
            start from a preset with the key ``preset``.
        overrides: ``"section.key=value"`` with the value in TOML; text needs no quotes, and ``none``
            removes a key.
        sections: those that are of use; what the others say is neither read nor checked, they have their defaults.

    Returns:
        The checked configuration; the one in a run folder as it was understood when it was written. A
        `QernelWarning` says so, or that a twist looks like an angle in other units.

    Raises:
        ConfigError: listing every problem at once.
    """
    faults: list[str] = []
    changes, removed = _parse_overrides(overrides, faults)
    table = _read_source(source)
    preset = changes.pop("preset", table.pop("preset", None))
    if preset is not None:
        try:
            table = _merge(tomllib.loads(preset_text(preset)), table)
        except ConfigError as error:
            faults += error.problems
    table = _merge(table, changes)
    for section, key in removed:
        if isinstance(table.get(section), dict):
            table[section].pop(key, None)
    table = {key: value for key, value in table.items() if key in sections or key not in SECTIONS}
    try:
        table = reduced_table(table)
        config = Config.model_validate(table, context=sections)
    except ConfigError as error:
        # Without its preset a table lacks what the preset would have given: say only what is certain.
        known = [text for text in error.problems if preset is None or not faults or " is missing" not in text]
        raise ConfigError([*faults, *known]) from None
    if faults:
        raise ConfigError(faults)
    if isinstance(source, str | Path) and belongs_to_run(Path(source).expanduser()):
        given = {f"{section}.{key}" for section in SECTIONS for key in changes.get(section, {})}
        config = as_stored(config, clean(str(source), 200), given)
    for sentence in doubts(config):
        warnings.warn(sentence, QernelWarning, stacklevel=2)
    return config


def _is_toml(name: str) -> bool:
    return name.endswith(".toml")


def _read_source(source: object) -> Table:
    if isinstance(source, Config):
        return source.to_dict()
    if isinstance(source, Mapping):
        # Copied two levels deep, so that merging never writes to the caller's mapping.
        return {key: dict(value) if isinstance(value, Mapping) else value for key, value in source.items()}
    if isinstance(source, str) and source in presets():
        return tomllib.loads(preset_text(source))
    if isinstance(source, str | Path):
        return _read_file(Path(source))
    raise ConfigError(f"a configuration is a file, a preset or a mapping, not {show(source)}")


def _read_file(path: Path) -> Table:
    shown = clean(str(path), 200)
    try:
        path = path.expanduser()
        if path.is_dir():
            raise ConfigError(f"{shown} is a directory: give a configuration file in it")
        if not path.exists():
            raise ConfigError(
                f"there is no configuration file {shown}, and no preset of that name: "
                f"presets are {', '.join(presets())}{meant(path.name, presets())}"
            )
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{shown} is not a configuration: a TOML text file is expected")
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{shown} is not a text file: a configuration is TOML text in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{shown} cannot be read: {error.strerror or error}") from None
    except (ValueError, RuntimeError) as error:  # a name with NUL or surrogates, an unknown ~user
        raise ConfigError(f"{shown} is not a usable path: {clean(str(error))}") from None
    return _parse(text, shown)


def _parse(text: str, origin: str) -> Table:
    """TOML text as a table; a syntax error names the line and quotes it."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{origin} is nested too deeply: a configuration has sections of plain values") from None
    except ValueError as error:
        match = _POSITION.match(str(error))
        if match is None:
            raise ConfigError(f"{origin} is not valid TOML: {clean(str(error))}") from None
        reason, line, column = match.groups()
        if line is None:
            raise ConfigError(f"{origin} is not valid TOML: {clean(reason)} at the end of the file") from None
        lines = text.split("\n")
        quoted = lines[int(line) - 1].strip() if int(line) <= len(lines) else ""
        reason = clean(reason[:1].lower() + reason[1:])
        raise ConfigError(
            f"{origin}, line {line}, column {column}: not valid TOML, {reason}: {clean(quoted)}"
        ) from None


def _parse_overrides(overrides: Sequence[str], faults: list[str]) -> tuple[Table, list[tuple[str, str]]]:
    """Overrides as a table, and the keys to remove; unusable ones are added to ``faults``."""
    changes: Table = {}
    removed: list[tuple[str, str]] = []
    for override in overrides:
        path, separator, text = override.partition("=")
        path = path.strip()
        section, dot, key = path.partition(".")
        if not separator or not section or (dot and not key):
            faults.append(f"override {show(override)} is not section.key=value: write e.g. train.iterations=500")
            continue
        if dot and section not in SECTIONS:
            faults.append(
                f"override {show(override)}: section [{clean(section)}] is unknown, use {', '.join(SECTIONS)}"
                + meant(section, SECTIONS)
            )
            continue
        if not dot and section in SECTIONS:
            faults.append(f"override {show(override)} replaces a whole section: name a key, e.g. {section}.key=value")
            continue
        if dot and text.strip() == "none" and key in SECTIONS[section].model_fields:
            changes.get(section, {}).pop(key, None)
            removed.append((section, key))
            continue
        value = _parse_value(text)
        if dot:
            changes.setdefault(section, {})[key] = value
            removed = [pair for pair in removed if pair != (section, key)]
        else:
            changes[section] = value
    return changes, removed


def _parse_value(text: str) -> Any:
    """A TOML value; anything that is not one is text."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text.strip()
    return table["value"] if list(table) == ["value"] else text.strip()


def _merge(base: Table, top: Table) -> Table:
    """``top`` over ``base``, section by section; see `load_config` for what it drops from ``base``."""
    merged = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    system = merged.get("system")
    if isinstance(system, dict):
        given = top.get("system")
        new = set(given) if isinstance(given, dict) else set()
        ranges = top.get("family")
        dropped = set(range_keys()).intersection(ranges if isinstance(ranges, dict) else ())
        dropped |= {"twist_along"} if "twist" in new else set()
        if new.intersection(REDUCED_KEYS):
            dropped |= set(MATERIAL_KEYS)
        elif new.intersection(MATERIAL_KEYS):
            dropped |= set(REDUCED_KEYS)
        merged["system"] = {key: value for key, value in system.items() if key not in dropped}
    for key, value in top.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] |= value
        else:
            merged[key] = value
    return merged
