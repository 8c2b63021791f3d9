"""The numbers of a boundary between two phases over two parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from qernel.estimators.quantity import Quantity
from qernel.transition.consistency import Agreement
from qernel.transition.phase_map import PhaseMap
from qernel.transition.polynomial import Polynomial


class Point(NamedTuple):
    """What one scan of a map says.

    Attributes:
        value: of the second parameter.
        place: of the transition along the first one; None if there is none.
        reason: why there is none; empty if there is one.
        slope: of the boundary there by Clausius–Clapeyron; None where the jumps do not give it.
        grid: the part of the error of ``place`` that scans on the same grid may share: a sharp transition can be
            anywhere between two points; 0 where energies of two phases cross.
        source: file, or files, of the scan.
    """

    value: float
    place: Quantity | None
    reason: str
    slope: Quantity | None
    grid: float
    source: str


@dataclass(frozen=True)
class Line:
    """A boundary of two phases over two parameters, in numbers.

    Attributes:
        map: what was analysed.
        points: of each value of the second parameter, increasing.
        curve: a polynomial p_c(q) through the places, whose covariance holds the error that they share; None if none
            is justified.
        reason: why there is no curve; empty if there is one.
        clausius_clapeyron: differences of neighbouring places against the integral of the slopes; None where fewer
            than two neighbours have both.
        resamples: data sets drawn for the errors of each scan.
        seed: of these.
        against: the map of the other phase, where two were compared.
    """

    map: PhaseMap
    points: tuple[Point, ...]
    curve: Polynomial | None
    reason: str
    clausius_clapeyron: Agreement | None
    resamples: int
    seed: int
    against: PhaseMap | None = None

    @property
    def found(self) -> tuple[Point, ...]:
        """The points that have a place."""
        return tuple(point for point in self.points if point.place is not None)
