"""Independent studies: every configuration with every combination of the values that are varied."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from qernel.config import Config, load_config
from qernel.errors import ConfigError, QernelError

MOST = 1000
"""Most studies in one array: SLURM's default limit is 1001 (MaxArraySize)."""

_UNSAFE = re.compile(r"[^A-Za-z0-9.=+-]+")

Axis = tuple[str, tuple[str, ...]]
"""A key ``section.key`` and the values it takes, as text that `load_config` understands."""


class Study(NamedTuple):
    """One calculation of an array.

    Attributes:
        name: of its files; safe in paths and scripts.
        config: complete.
        run: an existing run folder or shipped model that is measured; None if it is trained.
    """

    name: str
    config: Config
    run: str | None = None


def studies(sources: Sequence[str], axes: Sequence[Axis], overrides: Sequence[str]) -> list[Study]:
    """The product of configurations and axes, the last axis varying fastest.

    Args:
        sources: presets or files.
        axes: what is varied.
        overrides: ``section.key=value`` for all of them.

    Raises:
        ConfigError: for each configuration that cannot be used, or if two are the same calculation.
    """
    keys = [key for key, _ in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigError(f"{key} is varied twice: give all its values at once (--seeds varies train.seed)")
    combinations = list(itertools.product(sources, *(values for _, values in axes)))
    if len(combinations) > MOST:
        raise ConfigError(f"{len(combinations)} studies are more than one array holds: vary less, up to {MOST}")
    found: list[Study] = []
    problems: list[str] = []
    for source, *values in combinations:
        changes = [f"{key}={value}" for key, value in zip(keys, values, strict=True)]
        try:
            config = load_config(source, [*overrides, *changes])
        except ConfigError as error:
            where = f" ({', '.join(changes)})" if changes else ""
            problems += [f"{source}{where}: {problem}" for problem in error.problems]
            continue
        label = "-".join([Path(source).stem, *(change.rpartition(".")[2] for change in changes)])
        found.append(Study(_name(len(found), len(combinations), label), config))
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    _refuse_twins(found)
    return found


def trained(sources: Sequence[str]) -> list[Study]:
    """Trained models, to be measured.

    Raises:
        RunError: if one of them is neither a run folder nor a shipped model.
    """
    from qernel.measure import configuration

    found: list[Study] = []
    for source in dict.fromkeys(sources):
        folder = Path(source)
        run = str(folder.resolve()) if folder.is_dir() else source
        if any(character in run for character in "\t\n"):
            raise QernelError(f"{source!r} holds a tab or a line break, which a table of runs cannot: rename it")
        found.append(Study(_name(len(found), len(sources), folder.name), configuration(source), run))
    return found


def _name(index: int, count: int, label: str) -> str:
    number = str(index).zfill(len(str(count - 1)))
    return f"{number}-{_UNSAFE.sub('_', label)}"[:100]


def _refuse_twins(found: Sequence[Study]) -> None:
    first: dict[str, str] = {}
    for study in found:
        other = first.setdefault(study.config.fingerprint(), study.name)
        if other != study.name:
            raise ConfigError(f"{other} and {study.name} are the same calculation: give each value once")
