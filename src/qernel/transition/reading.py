"""Scans read from the files of ``qernel scan`` and ``qernel observe``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qernel.along import axis, others
from qernel.config import load_config
from qernel.errors import ConfigError, RunError
from qernel.estimators.possible import impossible_in
from qernel.lattice import FloatArray
from qernel.soundness import resting_on
from qernel.storage import DOUBTFUL
from qernel.storage import open as open_results
from qernel.transition.scan import FILES, NEEDED, SWEEPS, Curve, Curves

if TYPE_CHECKING:
    import xarray


def read_scan(path: str | Path) -> Curves:
    """The scan in a folder or file of results.

    Args:
        path: a folder of ``qernel scan`` or ``qernel project``, or a .nc file with the energies at several points.

    Raises:
        RunError: if there is none, or its numbers cannot be fitted.
    """
    source = Path(path)
    if source.is_dir():
        present = [source / name for name in FILES if (source / name).exists()]
        if (source / "hartree_fock.json").exists():
            raise RunError(
                f"{path} is a folder of qernel hf, whose numbers have no statistical error: "
                "where its crystal becomes the lowest state is in hartree_fock.json under transition"
            )
        if not present:
            raise RunError(f"{path} holds no {FILES[0]}: name the folder that qernel scan or qernel project wrote")
        source = present[0]
    data = open_results(source)
    with resting_on(source):
        return from_dataset(data, str(source))


def from_dataset(data: xarray.Dataset, source: str = "") -> Curves:
    """The scan in an open file of results; points outside the trained range are left out.

    Raises:
        RunError: if it holds no energies along a parameter.
    """
    along = axis(data)
    wanted = [part for name in NEEDED for part in (name, f"{name}_error")]
    missing = [name for name in wanted if name not in data or data[name].dims != (along.name,)]
    if missing:
        raise RunError(
            f"{source or 'the data'} is no scan over {along.symbol}: it lacks {', '.join(missing)}; "
            "use a file of qernel scan, or of qernel observe --observable energy order_parameter"
        )
    data = data.sortby(along.name)
    outside = np.zeros(data.sizes[along.name], bool)
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
    return Curves(
        column(along.name),
        curves["energy"],
        curves["moire"],
        curves["interaction"],
        order=curves.get("order_parameter"),
        rhat=np.max([column(name) for name in rhats], axis=0) if rhats else None,
        doubtful=column(DOUBTFUL) > 0 if DOUBTFUL in data else None,
        sweeps=sweeps,
        left_out=tuple(data[along.name].values[outside].tolist()),
        impossible=_impossible(data),
        source=source,
        axis=along,
        others=others(data, along.name),
        model=str(data.attrs.get("model", "")),
    )


def _impossible(data: xarray.Dataset) -> dict[float, str]:
    """Why the energies at each point are no answer; nothing is known where the file does not tell its Hamiltonian."""
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
