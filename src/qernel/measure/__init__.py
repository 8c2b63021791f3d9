"""Trained models: load one, choose a point of its family, ask.

>>> import qernel
>>> model = qernel.load("n6")                # doctest: +SKIP
>>> model.at(1.05).energy().energy           # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qernel.lazy import exports

if TYPE_CHECKING:
    from qernel.measure.card import Card
    from qernel.measure.energies import Energies
    from qernel.measure.library import configuration, load
    from qernel.measure.map import Map
    from qernel.measure.model import Model
    from qernel.measure.scan import Scan
    from qernel.measure.shelf import shipped
    from qernel.measure.state import State

_PUBLIC = {
    "Card": "qernel.measure.card",
    "Energies": "qernel.measure.energies",
    "Map": "qernel.measure.map",
    "Model": "qernel.measure.model",
    "Scan": "qernel.measure.scan",
    "State": "qernel.measure.state",
    "configuration": "qernel.measure.library",
    "load": "qernel.measure.library",
    "shipped": "qernel.measure.shelf",
}

__all__ = ["Card", "Energies", "Map", "Model", "Scan", "State", "configuration", "load", "shipped"]

__getattr__ = exports(__name__, _PUBLIC)
