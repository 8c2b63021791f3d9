"""Energies of several wavefunctions at one λ, extrapolated to zero variance of the local energy.

An eigenstate has no variance. Close to the ground state the excess energy of a variational state is proportional to its
variance (Kwon, Ceperley and Martin, PRB 48, 12037 (1993); Fu et al., npj Comput. Mater. 10, 27 (2024) for neural
networks), so a straight line through several states of one family, for instance the same network after more and more
training, leads to the ground state. This is an estimate and no upper bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from scipy import stats

from qernel.errors import RunError
from qernel.estimators.quantity import Quantity
from qernel.hamiltonian.terms import parameters
from qernel.lattice import FloatArray
from qernel.soundness import resting_on
from qernel.storage import open as open_results

if TYPE_CHECKING:
    import xarray

NEEDED = ("energy", "energy_error", "energy_variance", "energy_variance_error")

MADE = "qernel observe --observable energy v_score"

_SAME = ("electrons_up", "electrons_down", "moire_cells", "twist_momentum")
"""Attributes in which files of one Hamiltonian agree; one that is absent says something too."""

_SURE = 2.0
"""Standard errors by which the energy has to fall with the variance."""

_ROUNDS = 10
"""Of the slope's share in the errors; two suffice in practice."""


class States(NamedTuple):
    """Wavefunctions at one λ: energy and variance of the local energy per electron, in E0 and E0², ``[n]`` each."""

    energies: FloatArray
    energy_errors: FloatArray
    variances: FloatArray
    variance_errors: FloatArray


@dataclass(frozen=True)
class Line:
    """The straight line through several states at one λ, and the energy that it leads to.

    Attributes:
        lam: λ.
        states: what it goes through; a named tuple of energies, their errors, what they are drawn against, its errors.
        names: of the states.
        energy: at the end; None where the line does not lead there.
        slope: of the line, called `slope_name` in files.
        chi2: of the line, with errors of both quantities.
        dof: states less two.
    """

    slope_name: ClassVar[str] = "slope"

    lam: float
    states: Any
    names: tuple[str, ...]
    energy: Quantity | None
    slope: Quantity
    chi2: float
    dof: int

    @property
    def p_value(self) -> float | None:
        """How often χ² would be larger by chance; None with two states, which any line goes through."""
        return float(stats.chi2.sf(self.chi2, self.dof)) if self.dof else None

    @property
    def lowest(self) -> Quantity:
        """The lowest of the energies: the upper bound."""
        energies, errors = self.states[:2]
        best = int(np.argmin(energies))
        return Quantity(energies[best], errors[best], "E0/electron")

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data; energies per electron in E0."""
        return {
            "lam": self.lam,
            "energy": None if self.energy is None else self.energy.as_dict(),
            self.slope_name: self.slope.as_dict(),
            "lowest": self.lowest.as_dict(),
            "chi2": self.chi2,
            "dof": self.dof,
            "p_value": self.p_value,
            "states": [
                {"name": name, **dict(zip(self.states._fields, values, strict=True))}
                for name, values in zip(self.names, np.transpose(self.states).tolist(), strict=True)
            ],
        }


class Extrapolation(Line):
    """To zero variance; there is no energy where it does not fall with the variance. The slope is dE/dVar in 1/E0."""

    states: States


def extrapolate(
    lam: float, states: States, names: Sequence[str], *, resamples: int = 400, seed: int = 0
) -> Extrapolation:
    """A weighted line E = E_0 + s Var with errors in both: weights 1/(σ_E² + s² σ_Var²), iterated.

    Errors are as of `led`. Energy and variance of one state are taken as independent, though they come from the same
    samples.

    Args:
        lam: λ of all states.
        states: two or more.
        names: one for each.
        resamples: sets of data drawn.
        seed: of these.

    Raises:
        ValueError: for fewer than two states.
    """
    (level, slope, chi2), (level_error, slope_error) = led(states, line, resamples, np.random.default_rng([seed, 8]))
    energy = Quantity(level, level_error, "E0/electron") if slope > _SURE * slope_error else None
    dof = len(states.energies) - 2
    return Extrapolation(lam, states, tuple(names), energy, Quantity(slope, slope_error, "1/E0"), chi2, dof)


def led(
    states: Any, fit: Callable[[Any], tuple[float, float, float]], resamples: int, rng: np.random.Generator
) -> tuple[tuple[float, float, float], tuple[float, float]]:
    """A fit, and the errors of its first two numbers.

    They are the scatter of fits to data drawn from the errors of all states, widened by √(χ²/dof) where it exceeds 1.

    Args:
        states: as of `Line`.
        fit: states → two numbers and χ².
        resamples: sets of data drawn.
        rng: of these.

    Raises:
        ValueError: for fewer than two states.
    """
    count = len(states[0])
    if count < 2:
        raise ValueError(f"{count} states: a line needs two")
    found = fit(states)
    draws = []
    for _ in range(resamples):
        moved = [states[k] + states[k + 1] * rng.normal(size=count) for k in (0, 2)]
        draws.append(fit(type(states)(moved[0], states[1], moved[1], states[3]))[:2])
    dof = count - 2
    wider = np.sqrt(max(1.0, found[2] / dof)) if dof else 1.0
    # Half the central 68%: states that nearly agree can give a line that leads anywhere.
    low, high = np.quantile(draws, [0.16, 0.84], axis=0)
    errors = wider * 0.5 * (high - low)
    return found, (float(errors[0]), float(errors[1]))


def line(states: States) -> tuple[float, float, float]:
    """Value at zero, slope and χ² of the line through energies against variances, with errors of both."""
    slope = 0.0
    for _ in range(_ROUNDS):
        errors = np.hypot(states.energy_errors, slope * states.variance_errors)
        A = np.stack([np.ones_like(errors), states.variances], axis=1) / errors[:, None]
        target = states.energies / errors
        level, slope = np.linalg.lstsq(A, target, rcond=None)[0].tolist()
    return level, slope, float(((target - A @ np.array([level, slope])) ** 2).sum())


def read_states(paths: Sequence[str | Path]) -> list[tuple[float, States, tuple[str, ...]]]:
    """λ, states and their names for every λ that at least two files have.

    Args:
        paths: .nc files of ``qernel observe --observable energy v_score``.

    Raises:
        RunError: if a file lacks what is needed, or they are not of one Hamiltonian or have no λ in common.
    """
    found = by_lam(paths, NEEDED, MADE)
    if not found:
        raise RunError(
            f"the {len(paths)} files have no λ in common: measure two or more wavefunctions at the same λ, with {MADE}"
        )
    return [(lam, States(*np.array(rows).T), names) for lam, rows, names in found]


def by_lam(
    paths: Sequence[str | Path], needed: Sequence[str], made: str
) -> list[tuple[float, list[list[float]], tuple[str, ...]]]:
    """λ, and for each of at least two files that have it the numbers needed there, and their names.

    Args:
        paths: .nc files.
        needed: two numbers along λ, each followed by its error.
        made: the command that makes such files.

    Raises:
        RunError: if a file lacks what is needed, or they are not of one Hamiltonian.
    """
    files = [open_results(path) for path in paths]
    for path, data in zip(paths, files, strict=True):
        with resting_on(path):
            _check(path, data, files[0], paths[0], needed, made)
    names = [_name(path) for path in paths]
    table: dict[float, list[tuple[str, list[float]]]] = {}
    for path, name, data in zip(paths, names, files, strict=True):
        with resting_on(path):
            depths = np.atleast_1d(data["lam"].values).tolist()
            columns = [np.broadcast_to(data[part].values, len(depths)).tolist() for part in needed]
        for index, lam in enumerate(depths):
            row = [float(column[index]) for column in columns]
            if not np.isfinite(row).all() or min(row[1::2]) <= 0:
                first, second = (name.removeprefix("energy_").replace("_", " ") for name in needed[::2])
                raise RunError(f"{path} has no {first} and {second} with errors at λ = {lam:g}: measure it again")
            table.setdefault(round(lam, 9), []).append((name, row))
    return [
        (lam, [row for _, row in rows], tuple(name for name, _ in rows))
        for lam, rows in sorted(table.items())
        if len(rows) > 1
    ]


def _name(path: str | Path) -> str:
    """The folder of a file that a command named, else the file."""
    path = Path(path)
    return path.parent.name if path.stem in ("observables", "projection") and path.parent.name else path.stem


def _check(
    path: str | Path,
    data: xarray.Dataset,
    reference: xarray.Dataset,
    first: str | Path,
    needed: Sequence[str],
    made: str,
) -> None:
    missing = [name for name in needed if name not in data or set(data[name].dims) - {"lam"}]
    if missing or "lam" not in data:
        raise RunError(f"{path} lacks {', '.join(missing) or 'lam'}: use files of {made}")
    # Files of earlier versions do not say every term and parameter.
    said = [name for name in (*parameters(), "terms") if name in data.attrs and name in reference.attrs]
    for name in (*said, *_SAME):
        if not np.array_equal(data.attrs.get(name, ()), reference.attrs.get(name, ())):
            raise RunError(
                f"{path} has {name} = {data.attrs.get(name)} and {first} {reference.attrs.get(name)}: wavefunctions of "
                "one Hamiltonian are needed"
            )
