"""A scan along a parameter as arrays, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qernel.along import LAM, Axis
from qernel.errors import RunError
from qernel.lattice import FloatArray

FEWEST = 6
"""Points below which two lines and a smooth curve cannot be told apart."""

NEEDED = ("energy", "moire", "interaction")
SWEEPS = ("up", "down")
FILES = ("energies.nc", "observables.nc", "projection.nc")
"""Files of energies that a folder may hold, the better one first."""


class Curve(NamedTuple):
    """Values at each point and their standard errors, ``[n]`` each."""

    values: FloatArray
    errors: FloatArray

    def only(self, keep: npt.NDArray[np.bool_]) -> Curve:
        """A part of the points."""
        return Curve(self.values[keep], self.errors[keep])


@dataclass(frozen=True)
class Curves:
    """Energies per electron in E0 along a parameter.

    Attributes:
        points: values of the parameter, increasing, ``[n]``.
        energy: total energy.
        moire: moiré energy ⟨λV0 Σw⟩/N.
        interaction: interaction energy.
        order: ⟨|ρ_K|²⟩, where it was measured.
        rhat: R̂ of the energy at each point, where it was measured.
        doubtful: where the measurement itself doubts an error bar, if it says so.
        sweeps: the same energies for chains carried ``up`` and ``down``, by direction and name.
        left_out: points that were measured outside the trained range and are not used.
        impossible: by point, why its energies are no answer (`qernel.estimators.possible`).
        source: where the numbers come from.
        axis: the parameter.
        others: parameters that are the same at every point.
        model: that was measured, where the file says it.
    """

    points: FloatArray
    energy: Curve
    moire: Curve
    interaction: Curve
    order: Curve | None = None
    rhat: FloatArray | None = None
    doubtful: npt.NDArray[np.bool_] | None = None
    sweeps: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    left_out: tuple[float, ...] = ()
    impossible: Mapping[float, str] = field(default_factory=dict)
    source: str = ""
    axis: Axis = LAM
    others: Mapping[str, float] = field(default_factory=dict)
    model: str = ""

    def __post_init__(self) -> None:
        for name in NEEDED:
            _check(self, name)
        symbol = self.axis.symbol
        if len(self.points) < FEWEST:
            outside = f", {len(self.left_out)} more lie outside the trained range" if self.left_out else ""
            example = "--lam 0.4:1.4:21" if self.axis.name == LAM.name else f"--along {self.axis.name} FIRST:LAST:21"
            raise RunError(
                f"{self.source or 'the scan'} has {len(self.points)} values of {symbol} to fit{outside}: "
                f"measure at least {FEWEST} of them, better 15, for instance {example}"
            )
        if not np.all(np.diff(self.points) > 0):
            raise RunError(f"{self.source or 'the scan'} has values of {symbol} more than once: keep one of each")

    def between(self, low: float, high: float) -> Curves:
        """The part from ``low`` to ``high``, both included."""
        return self._only((self.points >= low - 1e-9) & (self.points <= high + 1e-9))

    def at(self, points: FloatArray) -> Curves:
        """The part at some of its points."""
        return self._only(np.array([bool(np.isclose(points, one).any()) for one in self.points]))

    def slope(self) -> tuple[FloatArray, Curve] | None:
        """Points, without 0, and the derivative of the energy there: ⟨∂H/∂p⟩ = moire/λ, or interaction/U, per electron.

        Returns:
            None where no energy is linear in the parameter.
        """
        if not self.axis.multiplies:
            return None
        energy: Curve = getattr(self, self.axis.multiplies)
        keep = np.abs(self.points) > 1e-9
        points = self.points[keep]
        return points, Curve(energy.values[keep] / points, energy.errors[keep] / np.abs(points))

    def require_possible(self) -> None:
        """Refuse energies that no state of the Hamiltonian has.

        Raises:
            RunError: naming the points.
        """
        bad = [point for point in self.points.tolist() if self.impossible.get(point)]
        if bad:
            where = ", ".join(f"{one:g}" for one in bad[:6]) + (f" and {len(bad) - 6} more" if len(bad) > 6 else "")
            symbol = self.axis.symbol
            raise RunError(
                f"{self.source or 'the scan'} has no answer at {symbol} = {where}: at {self.axis.at(bad[0])} "
                f"{self.impossible[bad[0]]}; scan a model that has not diverged, or leave these {symbol} out with "
                "--between"
            )

    @property
    def name(self) -> str:
        """A short name: of the folder that a command wrote, or of the file."""
        path = Path(self.source)
        return path.parent.name or self.source if path.name in FILES else path.stem

    def _only(self, keep: npt.NDArray[np.bool_]) -> Curves:
        return replace(
            self,
            points=self.points[keep],
            energy=self.energy.only(keep),
            moire=self.moire.only(keep),
            interaction=self.interaction.only(keep),
            order=None if self.order is None else self.order.only(keep),
            rhat=None if self.rhat is None else self.rhat[keep],
            doubtful=None if self.doubtful is None else self.doubtful[keep],
            sweeps={
                sweep: {name: curve.only(keep) for name, curve in curves.items()}
                for sweep, curves in self.sweeps.items()
            },
        )


def _check(scan: Curves, name: str) -> None:
    points, curve, symbol = scan.points, getattr(scan, name), scan.axis.symbol
    where = f"{name} in {scan.source}" if scan.source else name
    if not points.shape == curve.values.shape == curve.errors.shape:
        raise ValueError(f"{where} has shapes {curve.values.shape}, {curve.errors.shape}: expected {points.shape}")
    for values, what in ((curve.values, "value"), (curve.errors, "error")):
        bad = points[~np.isfinite(values)]
        if bad.size:
            raise RunError(
                f"{where} has no finite {what} at {scan.axis.at(bad[0])}: measure that {symbol} again, or leave it out"
            )
    bad = points[curve.errors <= 0]
    if bad.size:
        raise RunError(
            f"{where} has the error {curve.errors[curve.errors <= 0][0]:g} at {scan.axis.at(bad[0])}: "
            "a fit needs statistical errors above 0, measure with more than one record and chain"
        )
