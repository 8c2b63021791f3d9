"""Trained models: load one, choose a point of its family, ask.

>>> import qernel
>>> model = qernel.load("n6")                # doctest: +SKIP
>>> model.at(1.05).energy().energy           # doctest: +SKIP
"""

from __future__ import annotations

from qernel.model.card import Card
from qernel.model.density import Density
from qernel.model.energies import Energies
from qernel.model.library import configuration, load, shipped
from qernel.model.state import State
from qernel.model.trained import Model

__all__ = ["Card", "Density", "Energies", "Model", "State", "configuration", "load", "shipped"]
