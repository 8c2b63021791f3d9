"""The metrics file: one tidy CSV row per recorded iteration and λ group.

``pandas.read_csv("RUN/metrics.csv")`` opens it. Energies are per electron in E0; the error of a row is
that of the mean over the group's independent walkers at that iteration. For wavefunctions with experts,
``load_bB_eE`` is the fraction of walkers that expert E of block B acts on, and ``dropped`` the number of walkers whose
local energy left an active expert out (0, or ``active_experts`` is too small).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from qernel.files import write_atomically
from qernel.training.balance import Routing
from qernel.training.step import StepInfo

_COLUMNS = (
    "energy",
    "error",
    "deviation",
    "kinetic",
    "moire",
    "interaction",
    "order_parameter",
    "acceptance",
    "translation_acceptance",
    "hop_acceptance",
    "width",
    "bad_walkers",
)


class MetricsFile:
    """Appends rows to a CSV file; opening it drops rows newer than the state training continues from.

    Args:
        path: of the file.
        parameters: names of the family parameters.
        iteration: of that state.
        exchange: whether walkers are swapped between groups. The acceptance with the next group is then a column,
            empty in the last group and in iterations without swaps.
        experts: how many there are in each block.
    """

    def __init__(
        self,
        path: Path,
        parameters: tuple[str, ...],
        iteration: int,
        *,
        exchange: bool = False,
        experts: Sequence[int] = (),
    ):
        self._columns = (*_COLUMNS, "exchange_acceptance") if exchange else _COLUMNS
        routing = [f"load_b{b}_e{e}" for b, count in enumerate(experts, 1) for e in range(1, count + 1)]
        names = ["iteration", "group", *parameters, *self._columns, *routing, *(["dropped"] if routing else [])]
        header = ",".join(names).encode() + b"\r\n"
        write_atomically(path, header + b"".join(self._kept(path, iteration, header.count(b","))))
        self._handle = path.open("a", newline="")

    @staticmethod
    def _kept(path: Path, iteration: int, commas: int) -> Iterator[bytes]:
        """Complete lines up to an iteration, byte for byte; a killed run may leave part of one at the end.

        Columns that came after a file was begun are nan in its lines.
        """
        if not path.exists():
            return
        header, *lines = path.read_bytes().splitlines(keepends=True) or [b""]
        for line in lines:
            number = line.partition(b",")[0]
            whole = line.endswith(b"\n") and line.count(b",") == header.count(b",")
            if whole and number.isdigit() and int(number) <= iteration:
                later = commas - header.count(b",")
                yield line if later <= 0 else line.rstrip(b"\r\n") + later * b",nan" + b"\r\n"

    def append(self, iteration: int, info: StepInfo, routing: Routing | None = None) -> None:
        """Write one row per group; the routing where there are experts."""
        writer = csv.writer(self._handle)
        columns = [np.asarray(getattr(info, name)) for name in self._columns]
        for group, point in enumerate(np.asarray(info.point)):
            values = [_number(name, column[group]) for name, column in zip(self._columns, columns, strict=True)]
            if routing is not None:
                load = np.asarray(routing.load)[group].ravel()
                values += [*(f"{part:.4g}" for part in load), f"{int(np.asarray(routing.dropped)[group])}"]
            writer.writerow([iteration, group, *(f"{p:.7g}" for p in point), *values])
        self._handle.flush()  # whoever watches the training reads whole iterations, as they come

    def flush(self) -> None:
        """Push everything to the disk: a checkpoint written after it finds its rows there."""
        self._handle.flush()
        os.fsync(self._handle.fileno())

    def close(self) -> None:
        """Flush and close."""
        self._handle.close()


def _number(name: str, value: float) -> str:
    """A value of a column; what was not attempted has none."""
    return "" if name == "exchange_acceptance" and np.isnan(value) else f"{value:.7g}"
