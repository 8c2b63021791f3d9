"""Qernel: one neural wavefunction for a family of many-electron Hamiltonians.

>>> import qernel
>>> state = qernel.load("n6").at(1.0)        # doctest: +SKIP
>>> state.energy()                           # doctest: +SKIP
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from qernel import runtime
from qernel.lazy import exports

runtime.require_x64()

try:
    __version__ = version("qernel")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"

_PUBLIC = {
    "ask": "qernel.ask",
    "load": "qernel.measure",
    "open": "qernel.storage",
    "shipped": "qernel.measure",
    "Model": "qernel.measure",
    "State": "qernel.measure",
    "train": "qernel.measure.train",
    "hartree_fock": "qernel.hartree_fock",
    "transition": "qernel.transition",
    "Scan": "qernel.measure",
    "Map": "qernel.measure",
    "plot": "qernel.plots.kinds",
    "grow": "qernel.measure.grow",
    "load_config": "qernel.config",
    "potential": "qernel.config.sections.potentials",
    "Config": "qernel.config",
    "Quantity": "qernel.estimators.quantity",
    "QernelError": "qernel.errors",
}

__all__ = [*_PUBLIC, "__version__"]

__getattr__ = exports(__name__, _PUBLIC)


def __dir__() -> list[str]:
    return sorted(__all__)
