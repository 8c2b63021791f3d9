"""Configurations as they were drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qernel.observables.base import Coordinate, Observable, Samples, Variable


@dataclass(frozen=True)
class Snapshots(Observable):
    """The last configurations of the first chains: what one measurement of all positions would show.

    Attributes:
        count: how many; chains are independent, so one from each before a second from any.
    """

    count: int = 16
    name: ClassVar[str] = "snapshots"
    summary: ClassVar[str] = "configurations drawn from |psi|^2"

    def measure(self, samples: Samples) -> list[Variable]:
        """Positions ``[snapshot, electron, 2]``; no errors."""
        latest_first = np.moveaxis(samples.positions[:, ::-1], 1, 0)
        chosen = latest_first.reshape(-1, samples.count, 2)[: self.count]
        spins = np.concatenate([[name] * (s.stop - s.start) for name, s in samples.species.items()])
        coordinates = (
            Coordinate("electron_spin", ("electron",), spins, "1", "spin of the electron"),
            Coordinate("component", ("component",), np.array(["x", "y"]), "1", "Cartesian component"),
        )
        axes = ("snapshot", "electron", "component")
        return [Variable("snapshots", chosen, None, "a_M", "positions of all electrons", axes, coordinates)]
