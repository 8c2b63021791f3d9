"""Waves of a function with the period of a lattice, from its values. Imports no jax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qernel.errors import QernelError
from qernel.hamiltonian.terms.fourier import Wave
from qernel.lattice import FloatArray
from qernel.primitive import Lattice, lattice_vectors

_GRIDS = (32, 64, 128, 256)
"""Points along each moiré vector, tried until they resolve the function."""

_DROPPED = 1e-12
"""Amplitudes below this part of the largest are left out."""

_RESOLVED = 1e-11
"""Largest amplitude at the outer third of the waves of a grid, as a part of the largest of all."""

_PERIODIC = 1e-9
"""By how much of its largest value a periodic function may differ from itself, a moiré vector away."""


def harmonics(function: Callable[[Any], Any], lattice: Lattice = "triangular") -> tuple[Wave, ...]:
    """The waves A cos(G·r + φ) of a real function of position.

    Args:
        function: takes positions ``[n, 2]`` in a_M, returns ``[n]`` in E0, with the period of the moiré lattice.
        lattice: a key of `qernel.primitive.LATTICES`, or two vectors in a_M.

    Returns:
        Waves, the strongest first; empty for a function that is zero.

    Raises:
        QernelError: if it returns something else, is not periodic, or needs more waves than can be resolved.
    """
    primitive = lattice_vectors(lattice)
    _require_periodic(function, primitive)
    left = 0.0
    for size in _GRIDS:
        turns = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1).reshape(-1, 2)
        values = _evaluated(function, turns / size @ primitive).reshape(size, size)
        amplitudes = np.fft.fft2(values, norm="forward")
        index = np.fft.fftfreq(size, 1.0 / size).astype(int)
        strength = np.abs(amplitudes)
        largest = float(strength.max())
        outer = np.maximum(np.abs(index)[:, None], np.abs(index)[None, :]) > size // 3
        left = float(strength[outer].max()) / largest if largest else 0.0
        if left <= _RESOLVED:
            return _waves(np.where(outer, 0.0, amplitudes), index)
    raise QernelError(
        f"the potential is not resolved by {_GRIDS[-1]} points along a moiré vector, where waves of {left:.1g} of the "
        "strongest are left: use a smooth function, without jumps, kinks and wells that are narrower than a_M/50"
    )


def _waves(amplitudes: Any, index: Any) -> tuple[Wave, ...]:
    """One of each ±G that counts."""
    largest = float(np.abs(amplitudes).max())
    found = []
    for row, column in np.argwhere(np.abs(amplitudes) > _DROPPED * largest):
        turns = (int(index[row]), int(index[column]))
        c = complex(amplitudes[row, column])
        if turns == (0, 0):
            found.append(Wave(turns, c.real, 0.0))
        elif turns > (0, 0):
            found.append(Wave(turns, 2 * abs(c), float(np.rad2deg(np.angle(c)))))
    return tuple(sorted(found, key=lambda wave: (-round(abs(wave.amplitude), 9), wave.turns)))


def _evaluated(function: Callable[[Any], Any], positions: FloatArray) -> FloatArray:
    """Its values, if they are real numbers, one for each position."""
    values = np.asarray(function(positions))
    if values.shape != positions.shape[:-1]:
        raise QernelError(
            f"the potential returns the shape {list(values.shape)} for positions {list(positions.shape)}: "
            "return one number for each position, [n] for [n, 2]"
        )
    if np.iscomplexobj(values) or not np.isfinite(values.astype(float)).all():
        raise QernelError("the potential has values that are not finite real numbers: it has to be finite everywhere")
    real: FloatArray = values.astype(np.float64)
    return real


def _require_periodic(function: Callable[[Any], Any], primitive: FloatArray) -> None:
    places = np.random.default_rng(0).uniform(-1.0, 1.0, (64, 2)) @ primitive
    here = _evaluated(function, places)
    for turns in ((1, 0), (0, 1), (-3, 2)):
        off = float(np.abs(_evaluated(function, places + turns @ primitive) - here).max())
        if off > _PERIODIC * float(np.abs(here).max()):
            raise QernelError(
                f"the potential is not periodic: {turns[0]} a1 + {turns[1]} a2 away it differs by up to {off:.3g} E0; "
                f"it needs the period of the moiré lattice, a1 = {_shown(primitive[0])} and a2 = "
                f"{_shown(primitive[1])} in a_M"
            )


def _shown(vector: FloatArray) -> str:
    return f"({vector[0]:.6g}, {vector[1]:.6g})"
