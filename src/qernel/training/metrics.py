"""The metrics file: one tidy CSV row per recorded iteration and λ group.

Where one wavefunction is trained in several systems, their groups follow each other, and ``system`` is 0 for [system]
and the number of the entry for those of [[family.systems]].

``pandas.read_csv("RUN/metrics.csv")`` opens it. Energies are per electron in E0; the error of a row is
that of the mean over the group's independent walkers at that iteration. For wavefunctions with experts,
``load_bB_eE`` is the fraction of walkers that expert E of block B acts on, and ``dropped`` the number of walkers whose
local energy left an active expert out (0, or ``active_experts`` is too small).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from qernel.files import keep_copy, read_bytes, write_atomically
from qernel.rows import read_rows, row_number
from qernel.sampling.moves import MOVES, Gaussian
from qernel.training.expert_load import Routing
from qernel.training.step import StepInfo

COLUMNS: Final = {
    "energy": "energy per electron in E0, mean over the walkers of the group",
    "error": "its standard error in E0, of that iteration alone",
    "deviation": "standard deviation of the clipped local energy per electron among the walkers, in E0",
    "kinetic": "kinetic energy per electron in E0",
    "moire": "potential energy per electron in E0",
    "interaction": "interaction energy per electron in E0",
    "order_parameter": "mean of |ρ_K|²; means nothing where K is no wave vector of the supercell",
    "acceptance": "accepted fraction of Gaussian moves",
    "translation_acceptance": "accepted fraction of moves of all electrons by one moiré lattice vector",
    "hop_acceptance": "accepted fraction of moves of one electron by a moiré lattice vector",
    "width": "width of Gaussian moves in a_M",
    "bad_walkers": "walkers without a finite local energy, left out of the update",
}
"""Columns after those that say where a row belongs, with their meaning."""

PLACES: Final = {"iteration": "of the training, the first is 1", "group": "of walkers, the first is 0"}
"""The first columns; the parameters of the group follow."""

SOMETIMES: Final = {
    "system": "which one the group is in, with [[family.systems]]; the first, [system], is 0",
    "exchange_acceptance": "accepted fraction of swaps with the next group, with train.exchange",
    "load_bB_eE": "fraction of walkers that expert E of block B acts on",
    "dropped": "walkers whose local energy left an active expert out; 0, or active_experts is too small",
}
"""Columns of runs with replica exchange, and of wavefunctions with experts."""

_COLUMNS = tuple(COLUMNS)


def _later() -> list[str]:
    """Columns of kinds of moves that came after the first files: they are the last, so that those files go on."""
    names = [f"{kind.name}_acceptance" for kind in MOVES if kind is not Gaussian]
    return [name for name in names if name not in _COLUMNS]


class MetricsFile:
    """Appends rows to a CSV file; opening it drops rows newer than the state training continues from.

    A file that another program has changed is kept beside it, and rows of it that can be read go on in it.

    Attributes:
        notices: sentences about what was found that is not as it was written.

    Args:
        path: of the file.
        parameters: names of the family parameters.
        iteration: of that state.
        exchange: whether walkers are swapped between groups. The acceptance with the next group is then a column,
            empty in the last group and in iterations without swaps.
        experts: how many there are in each block.
        every: iterations between those that are recorded.
        systems: number of the system of each group, where there are several; it is a column then.
    """

    def __init__(
        self,
        path: Path,
        parameters: tuple[str, ...],
        iteration: int,
        *,
        exchange: bool = False,
        experts: Sequence[int] = (),
        every: int | None = None,
        systems: Sequence[int] = (),
    ):
        self.notices: list[str] = []
        self._path = path
        self._columns = (*_COLUMNS, "exchange_acceptance") if exchange else _COLUMNS
        routing = [f"load_b{b}_e{e}" for b, count in enumerate(experts, 1) for e in range(1, count + 1)]
        self._later = _later()
        routing += ["dropped"] if routing else []
        self._systems = [[number] for number in systems]
        names = [*PLACES, *["system"] * bool(self._systems), *parameters]
        names += [*self._columns, *routing, *self._later]
        header = ",".join(names).encode() + b"\r\n"
        write_atomically(path, header + b"".join(self._kept(names, iteration, every)))
        self._open()

    def _open(self) -> None:
        self._handle = self._path.open("a+", newline="")

    def _kept(self, names: Sequence[str], iteration: int, every: int | None) -> list[bytes]:
        """Complete lines up to an iteration, byte for byte; a killed run may leave part of one at the end."""
        lines: list[bytes] = []
        if self._path.exists():
            data = read_bytes(self._path)
            found = read_rows(
                data, names, needed=names[: names.index("energy") + 1], optional=("exchange_acceptance",), cut=iteration
            )
            lines = found.lines
            if found.foreign:
                lines = sorted(lines, key=row_number)
                self.notices.append(
                    f"{self._path} is not as it was written: {len(lines)} of its {len(lines) + found.unread} rows can "
                    f"be read and are taken over, all of it is kept as {keep_copy(self._path, data).name}"
                )
        numbers = [row_number(line) for line in lines]
        recorded = iteration // every if every else 0
        missing = recorded - len({number for number in numbers if number <= iteration})
        if missing > 0:
            self.notices.append(f"{self._path} lacks {missing} of the {recorded} iterations that were recorded")
        return [line for line, number in zip(lines, numbers, strict=True) if number <= iteration]

    def append(self, iteration: int, info: StepInfo, routing: Routing | None = None) -> None:
        """Write one row per group; the routing where there are experts."""
        writer = csv.writer(self._handle)
        others = {f"{name}_acceptance": accepted for name, accepted in info.other_acceptance.items()}
        known = info._asdict() | others
        columns = [np.asarray(known[name]) for name in self._columns]
        later = [np.asarray(known[name]) for name in self._later]
        for group, point in enumerate(np.asarray(info.point)):
            values = [_number(name, column[group]) for name, column in zip(self._columns, columns, strict=True)]
            if routing is not None:
                load = np.asarray(routing.load)[group].ravel()
                values += [*(f"{part:.4g}" for part in load), f"{int(np.asarray(routing.dropped)[group])}"]
            values += [f"{column[group]:.7g}" for column in later]
            system = self._systems[group] if self._systems else []
            writer.writerow([iteration, group, *system, *(f"{p:.7g}" for p in point), *values])
        self._handle.flush()  # whoever watches the training reads whole iterations, as they come

    def flush(self) -> None:
        """Push everything to the disk: a checkpoint written after it finds its rows there."""
        self._handle.flush()
        os.fsync(self._handle.fileno())
        if not self._in_place():
            self._write_again()

    def _in_place(self) -> bool:
        """Whether the file is still the one that rows go to."""
        try:
            return os.path.samestat(os.fstat(self._handle.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def _write_again(self) -> None:
        """Put the rows of this run back where somebody has removed or replaced them."""
        self._handle.seek(0)
        data = self._handle.read().encode()
        kept = keep_copy(self._path, read_bytes(self._path)).name if self._path.exists() else None
        write_atomically(self._path, data)
        self._handle.close()
        self._open()
        what = "removed" if kept is None else "replaced"
        self.notices.append(
            f"{self._path} was {what} while the run went on: it is written again"
            + ("" if kept is None else f", what was there is kept as {kept}")
        )

    def close(self) -> None:
        """Flush and close."""
        self._handle.close()


def _number(name: str, value: float) -> str:
    """A value of a column; what was not attempted has none."""
    return "" if name == "exchange_acceptance" and np.isnan(value) else f"{value:.7g}"
