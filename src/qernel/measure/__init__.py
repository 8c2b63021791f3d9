"""Trained models: load one, choose a point of its family, ask.

>>> import qernel
>>> model = qernel.load("n6")                # doctest: +SKIP
>>> model.at(1.05).energy().energy           # doctest: +SKIP
"""

from __future__ import annotations

from qernel.measure.card import Card
from qernel.measure.density import Density
from qernel.measure.energies import Energies
from qernel.measure.library import configuration, load, shipped
from qernel.measure.model import Model
from qernel.measure.state import State

__all__ = ["Card", "Density", "Energies", "Model", "State", "configuration", "load", "shipped"]
