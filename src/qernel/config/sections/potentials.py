"""[[system.potential]]: a one-body potential by its waves, or analysed from a function of position. Imports no jax."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field, Strict, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from qernel.config.sections.base import Section
from qernel.config.sections.entries import entries
from qernel.config.types import Expects, Flag, MoireLattice, Number
from qernel.errors import QernelError
from qernel.hamiltonian.harmonics import harmonics
from qernel.hamiltonian.terms.fourier import Fourier, Wave, star
from qernel.primitive import Lattice
from qernel.text import closest

_LATTICE: TypeAdapter[Lattice] = TypeAdapter(MoireLattice)
_Turn = Annotated[int, Strict(), Field(ge=-1000, le=1000)]


class WaveConfig(Section):
    """[[system.potential]]: λ A cos(G·r + φ), or a star of such waves."""

    wave: Annotated[tuple[_Turn, _Turn], Expects("a pair of whole numbers")] = Field(
        description="G in reciprocal vectors b1, b2 of the moiré lattice.", examples=[[0, 1]]
    )
    amplitude: Annotated[Number | None, Expects("a number")] = Field(
        default=None, description="A at λ = 1 in E0.", examples=[-8.9]
    )
    amplitude_meV: Annotated[Number | None, Expects("a number")] = Field(
        default=None, description="A at λ = 1 in meV, with the material keys of [system].", examples=[-30.0]
    )
    phase_deg: Number = Field(default=0.0, description="φ in degrees.")
    star: Flag = Field(
        default=False, description="Add the images of the wave under rotations by 120° (triangular) or 90° (square)."
    )


Waves = tuple[WaveConfig, ...]
"""All entries of [[system.potential]]."""


def named_or_waves(value: Any, names: Collection[str]) -> Any:
    """What [system] potential is: a name as it is, or a list of tables as waves.

    Raises:
        PydanticCustomError: naming the entry and its key that cannot be used.
    """
    if isinstance(value, str) and value in names:
        return value
    if not isinstance(value, list | tuple) or not value:
        near = closest(value, names) if isinstance(value, str) else None
        known = {"known": ", ".join(names), "near": f", did you mean {near}?" if near else ""}
        raise PydanticCustomError("unusable", "is neither a potential ({known}) nor a list of waves{near}", known)
    return entries(WaveConfig, value)


def term(waves: Sequence[WaveConfig], lattice: Lattice, energy_unit_meV: float | None) -> Fourier:
    """The term that these waves are.

    Args:
        waves: entries of [[system.potential]].
        lattice: a key of `qernel.primitive.LATTICES`, or two vectors in a_M.
        energy_unit_meV: E0 in meV; None in reduced units.
    """
    summed = []
    for entry in waves:
        # What `faults` refuses is zero here: other checks look at the term before all of them have been heard.
        amplitude = entry.amplitude or (entry.amplitude_meV or 0.0) / (energy_unit_meV or 1.0)
        turns = star(entry.wave, lattice) if entry.star and isinstance(lattice, str) else (entry.wave,)
        summed += [Wave(one, amplitude, entry.phase_deg) for one in turns]
    return Fourier(tuple(summed))


def faults(waves: Sequence[WaveConfig], lattice: Lattice, reduced: bool) -> Iterator[str]:
    """What is wrong between the keys of entries, a sentence each.

    Args:
        waves: entries of [[system.potential]].
        lattice: a name, or two vectors, which have no rotations.
        reduced: whether the strength of the interaction is in reduced units.
    """
    for number, entry in enumerate(waves, 1):
        where = f"system.potential, entry {number} (wave = {list(entry.wave)})"
        given = [key for key in ("amplitude", "amplitude_meV") if getattr(entry, key) is not None]
        if len(given) != 1:
            found = "has both amplitude and amplitude_meV" if given else "has no amplitude"
            yield f"{where} {found}: give one of amplitude (in E0) and amplitude_meV"
        elif reduced and given == ["amplitude_meV"]:
            yield (
                f"{where} has amplitude_meV, but system.U is in reduced units, which say nothing about meV: "
                "give amplitude in E0, or the material in place of U"
            )
        if entry.star and not isinstance(lattice, str):
            yield (
                f"{where} has star = true, but a lattice given by its vectors has no rotation by 120° or 90°: "
                "give each wave an entry of its own"
            )


def potential(
    function: Callable[[Any], Any], lattice: str | Sequence[Sequence[float]] = "triangular"
) -> list[dict[str, Any]]:
    """A potential of one's own for a configuration: a function of position, as entries of [[system.potential]].

    The configuration holds the waves and not the function: models trained with it are read without it.

    >>> import numpy as np
    >>> def square(r):
    ...     return -6.0 * (np.cos(2 * np.pi * r[..., 0]) + np.cos(2 * np.pi * r[..., 1]))
    >>> potential(square, "square")
    [{'wave': [0, 1], 'amplitude': -6.0}, {'wave': [1, 0], 'amplitude': -6.0}]

    Args:
        function: takes positions ``[n, 2]`` in a_M, returns ``[n]`` in E0 at λ = 1, with the period of the moiré
            lattice (a1 of a named one along x).
        lattice: "triangular", "square", or its two vectors in a_M.

    Returns:
        Entries for ``{"system": {"potential": …}}``, the strongest first.

    Raises:
        QernelError: for a lattice that there is not, and for a function that is not real, not periodic, or needs more
            waves than can be resolved (`qernel.hamiltonian.harmonics`).
    """
    try:
        checked = _LATTICE.validate_python(lattice)
    except ValidationError as error:
        raise QernelError(f"lattice = {lattice!r} {error.errors()[0]['msg']}") from None
    return [_entry(wave) for wave in harmonics(function, checked)]


def _entry(wave: Wave) -> dict[str, Any]:
    """In as few digits as say the same: 180° is a sign."""
    phase, amplitude = round(wave.phase_deg, 11), float(f"{wave.amplitude:.14g}")
    if abs(phase) == 180.0:
        phase, amplitude = 0.0, -amplitude
    entry = {"wave": list(wave.turns), "amplitude": amplitude}
    return entry | {"phase_deg": phase} if phase else entry
