"""Hartree–Fock solutions on the disk while a search is under way, so that one that was stopped goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qernel import outputs
from qernel.hartree_fock import MeanField, Parts, Solution
from qernel.lattice import FloatArray
from qernel.measure.folder import UNFINISHED
from qernel.measure.journal import Journal

_REQUEST = "request.json"


class Solved:
    """What a search calls for each solution, in the order in which it needs them.

    Args:
        folder: of the solutions.
        request: everything they depend on.
    """

    def __init__(self, folder: Path, request: Mapping[str, Any]) -> None:
        self._journal, self._count = Journal(folder, request), 0

    def __call__(
        self, field: MeanField, origin: str, momenta: list[FloatArray] | None, make: Callable[[], Solution]
    ) -> Solution:
        """The solution that an earlier call left here, number for number, else the one that is made and kept."""
        about = {"number": self._count, "origin": origin}
        self._count += 1
        stored = self._journal.kept(about)
        if stored is not None:
            return _restored(stored, field, origin, momenta)
        found = make()
        numbers = np.array([*found.parts, found.residual, found.tolerance, float(found.field.real)])
        # The format has no complex numbers.
        blocks = {str(index): block.view(np.float64) for index, block in enumerate(found.orbitals)}
        self._journal.keep(about, {"numbers": numbers, "orbitals": blocks})
        return found

    def clear(self) -> None:
        """Remove them."""
        self._journal.clear()


@contextmanager
def remembering(out: Path | None, request: Mapping[str, Any], command: str) -> Iterator[Solved | None]:
    """Keep the solutions of a search in its folder until all of it is written.

    Args:
        out: the folder; None: nothing is kept.
        request: everything they depend on.
        command: what goes on with it.

    Raises:
        RunError: if the folder holds a search of something else.
        Interrupted: when it is stopped, with the command that goes on.
    """
    if out is None:
        yield None
        return
    folder = out / UNFINISHED
    with outputs.resumable(out, command):
        outputs.claim(folder, _REQUEST, request, "search")
        solved = Solved(folder, request)
        yield solved
        (folder / _REQUEST).unlink(missing_ok=True)
        solved.clear()


def _restored(
    stored: Mapping[str, npt.NDArray[Any]], field: MeanField, origin: str, momenta: list[FloatArray] | None
) -> Solution:
    kinetic, moire, interaction, residual, tolerance, real = stored["numbers"].tolist()
    orbitals = [stored[name].view(np.complex128) for name in sorted(stored) if name != "numbers"]
    parts = Parts(kinetic, moire, interaction)
    return Solution(replace(field, real=bool(real)), orbitals, parts, residual, tolerance, origin, momenta)
