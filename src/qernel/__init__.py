"""Qernel: one neural wavefunction for a family of many-electron Hamiltonians.

>>> import qernel
>>> state = qernel.load("n6").at(1.0)        # doctest: +SKIP
>>> state.energy()                           # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("qernel")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"

_PUBLIC = {
    "load": "qernel.model",
    "open": "qernel.storage",
    "shipped": "qernel.model",
    "Model": "qernel.model",
    "State": "qernel.model",
    "train": "qernel.training.run",
    "load_config": "qernel.config",
    "Config": "qernel.config",
    "Quantity": "qernel.estimators.quantity",
    "QernelError": "qernel.errors",
}

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `qernel --help` must not wait for JAX.
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'qernel' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
