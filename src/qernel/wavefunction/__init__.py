"""Wavefunctions: one small interface, several ansätze and kinds of orbitals (`registry`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qernel.lazy import exports

if TYPE_CHECKING:
    from qernel.wavefunction.assemble import active_parameter_count, build, outline
    from qernel.wavefunction.base import (
        ParameterLayout,
        Wavefunction,
        log_psi,
        parameter_count,
        parameter_layout,
        trainable,
    )
    from qernel.wavefunction.registry import ANSATZE

_PUBLIC = {
    "ANSATZE": "qernel.wavefunction.registry",
    "ParameterLayout": "qernel.wavefunction.base",
    "Wavefunction": "qernel.wavefunction.base",
    "active_parameter_count": "qernel.wavefunction.assemble",
    "build": "qernel.wavefunction.assemble",
    "log_psi": "qernel.wavefunction.base",
    "outline": "qernel.wavefunction.assemble",
    "parameter_count": "qernel.wavefunction.base",
    "parameter_layout": "qernel.wavefunction.base",
    "trainable": "qernel.wavefunction.base",
}

__all__ = [
    "ANSATZE",
    "ParameterLayout",
    "Wavefunction",
    "active_parameter_count",
    "build",
    "log_psi",
    "outline",
    "parameter_count",
    "parameter_layout",
    "trainable",
]

__getattr__ = exports(__name__, _PUBLIC)
