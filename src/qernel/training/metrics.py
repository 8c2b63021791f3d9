"""The metrics file: one tidy CSV row per recorded iteration and λ group.

``pandas.read_csv("RUN/metrics.csv")`` opens it. Energies are per electron in E0; the error of a row is
that of the mean over the group's independent walkers at that iteration.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

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
    """Appends rows to a CSV file; opening it drops rows newer than the state training continues from."""

    def __init__(self, path: Path, parameters: tuple[str, ...], iteration: int):
        self._parameters = parameters
        kept = list(self._kept(path, iteration)) if path.exists() else []
        temporary = path.with_name(path.name + ".partial")
        with temporary.open("w", newline="") as handle:
            csv.writer(handle).writerow(["iteration", "group", *parameters, *_COLUMNS])
            csv.writer(handle).writerows(kept)
        os.replace(temporary, path)
        self._handle = path.open("a", newline="")

    @staticmethod
    def _kept(path: Path, iteration: int) -> Iterator[list[str]]:
        with path.open(newline="") as handle:
            rows = csv.reader(handle)
            width = len(next(rows, []))
            for row in rows:
                # A run killed while writing leaves at most one short row at the end.
                if len(row) == width and row[0].isdigit() and int(row[0]) <= iteration:
                    yield row

    def append(self, iteration: int, info: StepInfo) -> None:
        """Write one row per group."""
        writer = csv.writer(self._handle)
        columns = [np.asarray(getattr(info, name)) for name in _COLUMNS]
        for group, point in enumerate(np.asarray(info.point)):
            values = [f"{column[group]:.7g}" for column in columns]
            writer.writerow([iteration, group, *(f"{p:.7g}" for p in point), *values])

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._handle.flush()

    def close(self) -> None:
        """Flush and close."""
        self._handle.close()
