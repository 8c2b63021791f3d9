"""A scan over λ as arrays: read from the files of ``qernel scan`` and ``qernel observe``, checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from qernel.config import load_config
from qernel.errors import ConfigError, RunError
from qernel.estimators.possible import impossible_in
from qernel.lattice import FloatArray
from qernel.soundness import resting_on
from qernel.storage import DOUBTFUL
from qernel.storage import open as open_results

if TYPE_CHECKING:
    import xarray

FEWEST = 6
"""Values of λ below which two lines and a smooth curve cannot be told apart."""

NEEDED = ("energy", "moire", "interaction")
SWEEPS = ("up", "down")
_FILES = ("energies.nc", "observables.nc")


class Curve(NamedTuple):
    """Values at each λ and their standard errors, ``[n]`` each."""

    values: FloatArray
    errors: FloatArray

    def only(self, keep: npt.NDArray[np.bool_]) -> Curve:
        """A part of the points."""
        return Curve(self.values[keep], self.errors[keep])


@dataclass(frozen=True)
class Scan:
    """Energies per electron in E0 along λ.

    Attributes:
        lam: increasing, ``[n]``.
        energy: total energy.
        moire: moiré energy ⟨λV0 Σw⟩/N.
        interaction: interaction energy.
        V0: moiré depth at λ = 1 in E0.
        order: ⟨|ρ_K|²⟩, where it was measured.
        rhat: R̂ of the energy at each λ, where it was measured.
        doubtful: where the measurement itself doubts an error bar, if it says so.
        sweeps: the same energies for chains carried ``up`` and ``down`` in λ, by direction and name.
        left_out: λ that were measured outside the trained range and are not used.
        impossible: by λ, why its energies are no answer (`qernel.estimators.possible`).
        source: where the numbers come from.
    """

    lam: FloatArray
    energy: Curve
    moire: Curve
    interaction: Curve
    V0: float
    order: Curve | None = None
    rhat: FloatArray | None = None
    doubtful: npt.NDArray[np.bool_] | None = None
    sweeps: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    left_out: tuple[float, ...] = ()
    impossible: Mapping[float, str] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        for name in NEEDED:
            _check(name, self.lam, getattr(self, name), self.source)
        if len(self.lam) < FEWEST:
            outside = f", {len(self.left_out)} more lie outside the trained range" if self.left_out else ""
            raise RunError(
                f"{self.source or 'the scan'} has {len(self.lam)} values of λ to fit{outside}: "
                f"measure at least {FEWEST} of them, better 15, for instance --lam 0.4:1.4:21"
            )
        if not np.all(np.diff(self.lam) > 0):
            raise RunError(f"{self.source or 'the scan'} has values of λ more than once: keep one of each")

    def between(self, low: float, high: float) -> Scan:
        """The part with ``low`` ≤ λ ≤ ``high``."""
        return self._only((self.lam >= low - 1e-9) & (self.lam <= high + 1e-9))

    def at(self, lam: FloatArray) -> Scan:
        """The part at some of its λ."""
        return self._only(np.array([bool(np.isclose(lam, one).any()) for one in self.lam]))

    def require_possible(self) -> None:
        """Refuse energies that no state of the Hamiltonian has.

        Raises:
            RunError: naming the λ.
        """
        bad = [lam for lam in self.lam.tolist() if self.impossible.get(lam)]
        if bad:
            where = ", ".join(f"{lam:g}" for lam in bad[:6]) + (f" and {len(bad) - 6} more" if len(bad) > 6 else "")
            raise RunError(
                f"{self.source or 'the scan'} has no answer at λ = {where}: at λ = {bad[0]:g} "
                f"{self.impossible[bad[0]]}; scan a model that has not diverged, or leave these λ out with --between"
            )

    @property
    def name(self) -> str:
        """A short name: of the folder that ``qernel scan`` wrote, or of the file."""
        path = Path(self.source)
        return path.parent.name or self.source if path.name in _FILES else path.stem

    def _only(self, keep: npt.NDArray[np.bool_]) -> Scan:
        return replace(
            self,
            lam=self.lam[keep],
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


def read_scan(path: str | Path) -> Scan:
    """The scan in a folder or file of results.

    Args:
        path: a folder written by ``qernel scan``, or a .nc file that holds the energies at several λ.

    Raises:
        RunError: if there is none, or its numbers cannot be fitted.
    """
    source = Path(path)
    if source.is_dir():
        present = [source / name for name in _FILES if (source / name).exists()]
        if (source / "hartree_fock.json").exists():
            raise RunError(
                f"{path} is a folder of qernel hf, whose numbers have no statistical error: "
                "where its crystal becomes the lowest state is in hartree_fock.json under transition"
            )
        if not present:
            raise RunError(f"{path} holds no {_FILES[0]}: name the folder that qernel scan wrote")
        source = present[0]
    data = open_results(source)
    with resting_on(source):
        return from_dataset(data, str(source))


def from_dataset(data: xarray.Dataset, source: str = "") -> Scan:
    """The scan in an open file of results; points outside the trained range are left out.

    Raises:
        RunError: if it holds no energies along λ.
    """
    wanted = [part for name in NEEDED for part in (name, f"{name}_error")]
    missing = [name for name in wanted if name not in data or data[name].dims != ("lam",)]
    if missing or "V0" not in data.attrs:
        lacks = ", ".join(missing) if missing else "the attribute V0"
        raise RunError(
            f"{source or 'the data'} is no scan over λ: it lacks {lacks}; "
            "use a file of qernel scan, or of qernel observe --observable energy order_parameter"
        )
    data = data.sortby("lam")
    outside = np.zeros(data.sizes["lam"], bool)
    for flag in ("extrapolating", "in_gap"):
        if flag in data:
            outside |= np.asarray(data[flag].values, dtype=bool)

    def column(name: str) -> FloatArray:
        return np.asarray(data[name].values, dtype=np.float64)[~outside]

    def curve(name: str) -> Curve | None:
        if name not in data or f"{name}_error" not in data:
            return None
        pair = Curve(column(name), column(f"{name}_error"))
        return pair if np.isfinite(pair.values).all() else None

    sweeps = {}
    for sweep in SWEEPS:
        found = {name: pair for name in (*NEEDED, "order_parameter") if (pair := curve(f"{name}_{sweep}")) is not None}
        if all(name in found for name in NEEDED):
            sweeps[sweep] = found
    rhats = [name for name in ("energy_rhat", *(f"energy_{sweep}_rhat" for sweep in sweeps)) if name in data]
    curves = {name: Curve(column(name), column(f"{name}_error")) for name in NEEDED}
    order = curve("order_parameter")
    if order is not None:
        curves["order_parameter"] = order
    if len(sweeps) == 2:
        curves = merged(*sweeps.values())
    return Scan(
        column("lam"),
        curves["energy"],
        curves["moire"],
        curves["interaction"],
        V0=float(data.attrs["V0"]),
        order=curves.get("order_parameter"),
        rhat=np.max([column(name) for name in rhats], axis=0) if rhats else None,
        doubtful=column(DOUBTFUL) > 0 if DOUBTFUL in data else None,
        sweeps=sweeps,
        left_out=tuple(data["lam"].values[outside].tolist()),
        impossible=_impossible(data),
        source=source,
    )


def _impossible(data: xarray.Dataset) -> dict[float, str]:
    """Why the energies at each λ are no answer; nothing is known where the file does not tell its Hamiltonian."""
    try:
        hamiltonian = load_config(tomllib.loads(data.attrs["config"])).hamiltonian()
    except (KeyError, TypeError, ValueError, ConfigError):
        return {}
    if any(name not in data for name in hamiltonian.parameters):
        return {}
    return impossible_in(data, hamiltonian)


def merged(up: Mapping[str, Curve], down: Mapping[str, Curve]) -> dict[str, Curve]:
    """One curve of chains that were carried in both directions.

    Where the energies are within three errors of each other, the weighted mean; where they are not, the direction with
    the lower energy: the other one is a state that has outlived its phase.
    """
    difference = up["energy"].values - down["energy"].values
    apart = np.abs(difference) > 3 * np.hypot(up["energy"].errors, down["energy"].errors)
    result = {}
    for name in [name for name in up if name in down]:
        pair = up[name], down[name]
        # An error of zero is left for the check that follows.
        weights = [np.maximum(curve.errors, 1e-100) ** -2.0 for curve in pair]
        share = np.where(apart, difference < 0, weights[0] / (weights[0] + weights[1]))
        errors = np.sqrt((share * pair[0].errors) ** 2 + ((1 - share) * pair[1].errors) ** 2)
        result[name] = Curve(share * pair[0].values + (1 - share) * pair[1].values, errors)
    return result


def _check(name: str, lam: FloatArray, curve: Curve, source: str) -> None:
    where = f"{name} in {source}" if source else name
    if not lam.shape == curve.values.shape == curve.errors.shape:
        raise ValueError(f"{where} has shapes {curve.values.shape}, {curve.errors.shape}: expected {lam.shape}")
    for values, what in ((curve.values, "value"), (curve.errors, "error")):
        bad = lam[~np.isfinite(values)]
        if bad.size:
            raise RunError(f"{where} has no finite {what} at λ = {bad[0]:g}: measure that λ again, or leave it out")
    bad = lam[curve.errors <= 0]
    if bad.size:
        raise RunError(
            f"{where} has the error {curve.errors[curve.errors <= 0][0]:g} at λ = {bad[0]:g}: "
            "a fit needs statistical errors above 0, measure with more than one record and chain"
        )
