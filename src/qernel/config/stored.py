"""The configuration that a file of results carries: what its parameters are in the laboratory."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qernel.config.load import load_config
from qernel.errors import ConfigError

if TYPE_CHECKING:
    from qernel.units import Laboratory


def stored_laboratory(attributes: Mapping[str, Any], name: str, unit: str) -> Laboratory | None:
    """What a parameter of results is in the laboratory; None where the file does not tell the material.

    Args:
        attributes: of the file.
        name: of the parameter.
        unit: of its values.
    """
    try:
        system = load_config(tomllib.loads(attributes["config"])).system
    except (KeyError, TypeError, ValueError, ConfigError):
        return None
    return system.laboratory(name, unit)
