"""Observables: what can be measured in a sampled state, one file each, every number with an error bar and a unit.

They differ from `qernel.estimators`, which holds what they are made with (chains, local energies, statistics), in
being open to extension: see `registry`.
"""

from __future__ import annotations

from qernel.lazy import exports

_PUBLIC = {
    "Coordinate": "qernel.observables.base",
    "Observable": "qernel.observables.base",
    "Samples": "qernel.observables.base",
    "Variable": "qernel.observables.base",
    "averaged": "qernel.observables.base",
    "register": "qernel.observables.registry",
    "find": "qernel.observables.registry",
    "make": "qernel.observables.registry",
    "names": "qernel.observables.registry",
}

__all__ = [*_PUBLIC]

__getattr__ = exports(__name__, _PUBLIC)
