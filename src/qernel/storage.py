"""Results in an open format: NetCDF-4 files that ``xarray.open_dataset`` opens as well as `qernel.open`.

A variable ``X`` comes with its standard error ``X_error``; units and meanings are attributes of the variables,
the origin of the numbers and a checksum of all contents (`qernel.integrity`) are in the attributes of the file.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qernel import soundness
from qernel.along import axis
from qernel.errors import DamagedFile, RunError
from qernel.files import PARTIAL, regular
from qernel.integrity import CHECKSUM, check_digest, check_extent, check_sums, content_digest

if TYPE_CHECKING:
    import pandas
    import xarray

    from qernel.lattice import FloatArray

SUFFIX = ".nc"
_ENGINE: Final = "h5netcdf"


OUTSIDE = {
    "extrapolating": "1 where a parameter is outside its range",
    "in_gap": "1 where lam is in a gap of the trained range",
}
"""Flags of points that a model was not trained on, with their meaning; files of earlier versions lack the second."""

DOUBTFUL = "doubtful"
"""Flag of points where an error bar may be too small, absent from files of earlier versions."""

DOUBTFUL_MEANING = "1 where an error bar may be too small: few chains, few independent samples, R-hat large or unknown"


IMPOSSIBLE = "impossible"
"""Flag of points whose energies break a bound of the Hamiltonian, or whose chains did not move."""

IMPOSSIBLE_MEANING = "1 where the energies break a bound of the Hamiltonian, or no chain moved"


PHASE = "phase"
"""Flag of every point: 0 liquid, 1 crystal, 2 undecided (`qernel.structure.phase`); earlier versions have none."""

PHASE_MEANING = "liquid, crystal or undecided, from the sampled <|rho_q|^2> against its error and 1/N"


SYSTEM: Final = {
    "electrons": "number of electrons, of two spins both",
    "supercell": "its matrix over the moiré lattice vectors, row by row",
    "twist": "in turns along the rows of the supercell",
    "size_trained": "whether the model was trained with these electrons in this supercell",
    "twist_trained": "whether at this twist",
}
"""Columns of tables of models whose weights serve several systems, which have them as attributes of files too."""

OUTSIDE_WORDS: Final = {"extrapolating": "extrapolating", "in_gap": "in a gap"}
"""Words at the end of a row for the flags `OUTSIDE`."""

UNTRAINED: Final = {
    "size": "the model was trained in other numbers of electrons or supercells",
    "twist": "the model was trained in this supercell with other twists",
}
"""What is said as "size not trained" and "twist not trained" at the end of a row."""


def outside(point: Mapping[Any, Any]) -> str:
    """In words what a model was not trained on of a point (a row or a data set): its parameters (`OUTSIDE`), and its
    number of electrons, supercell or twist; empty if that is nothing."""
    said = next((OUTSIDE_WORDS[name] for name in OUTSIDE if name in point and bool(point[name])), "")
    system = getattr(point, "attrs", point)
    untrained = next((what for what in UNTRAINED if not system.get(f"{what}_trained", True)), "")
    return ", ".join(filter(None, (said, untrained and f"{untrained} not trained")))


def save(dataset: xarray.Dataset, path: str | Path, *, compact: bool = False) -> Path:
    """Write a NetCDF-4 file that is either complete or absent; folders are made as needed.

    Every array has the checksums of HDF5 (fletcher32), which other programs check too, and the file has one of all its
    contents as they are read.

    Args:
        dataset: what to write.
        path: the file; an existing one is replaced.
        compact: write arrays (not single numbers against a parameter) compressed and in single precision, the
            rounding of which is far below any statistical error.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + PARTIAL)
    try:
        dataset.to_netcdf(partial, engine=_ENGINE, encoding=_encoding(dataset, compact))
        _seal(partial)
        os.replace(partial, target)
    except OSError:
        partial.unlink(missing_ok=True)  # on a full disk the useless half would keep others from writing
        raise
    return target


def _encoding(dataset: xarray.Dataset, compact: bool) -> dict[Any, dict[str, Any]]:
    """How each variable is written. HDF5 has no checksum for single numbers and for text."""
    packed = {"dtype": "float32", "compression": "gzip", "compression_opts": 6, "shuffle": True}
    result: dict[Any, dict[str, Any]] = {}
    along = axis(dataset).name
    for name, array in dataset.variables.items():
        pack = compact and name in dataset.data_vars and set(array.dims) - {along} and array.dtype.kind == "f"
        checked = {"fletcher32": True} if array.size and array.ndim and array.dtype.kind in "fiub" else {}
        if pack or checked:
            result[name] = {**(packed if pack else {}), **checked}
    return result


def _seal(path: Path) -> None:
    """Add the checksum of what is read from a file to its attributes, and push it to the disk."""
    import h5netcdf

    digest = content_digest(_read(path))
    with h5netcdf.File(path, "r+") as file:
        file.attrs[CHECKSUM] = digest
    with regular(path).open("rb") as handle:
        os.fsync(handle.fileno())


def open(path: str | Path) -> xarray.Dataset:
    """A file of results, read into memory; in Python ``qernel.open(path)``.

    Raises:
        RunError: if there is no such file, or it is something else.
        DamagedFile: if it is damaged: it cannot be read, does not match its checksum (files of earlier versions have
            none), or has energies that are not the sum of their parts.
        RunError: if what it holds cannot be computed with (see `qernel.soundness`).
    """
    file = Path(path)
    if file.is_dir():
        inside = ", ".join(sorted(str(item) for item in file.glob(f"*{SUFFIX}")))
        raise RunError(f"{path} is a folder: name a file" + (f", for instance {inside}" if inside else ""))
    if not file.exists():
        raise RunError(f"{path} does not exist")
    if not file.is_file():
        raise RunError(f"{path} is no file but a device or a pipe: name a {SUFFIX} file")
    try:
        check_extent(file)
        loaded = _read(file)
        found = content_digest(loaded)
    except DamagedFile:
        raise
    except Exception as error:  # broken files have made HDF5 and the two libraries above it raise fourteen kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DamagedFile(f"{path} is damaged or no NetCDF file: {reason}") from error
    check_digest(path, loaded.attrs.get(CHECKSUM), found)
    soundness.check(path, loaded)
    check_sums(path, loaded)
    return loaded


def _read(path: Path) -> xarray.Dataset:
    import xarray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong with a file is said once, by `open`
        with xarray.open_dataset(regular(path), engine=_ENGINE, decode_times=False) as dataset:
            loaded: xarray.Dataset = dataset.load()
    return loaded


def cells(dataset: xarray.Dataset) -> tuple[FloatArray, FloatArray]:
    """Vectors of the supercell and of the moiré cell that results belong to, rows ``[2, 2]`` in a_M each."""
    import numpy as np

    supercell, moire = (np.reshape(dataset.attrs[key], (2, 2)) for key in ("supercell_vectors", "moire_vectors"))
    return supercell, moire


def measured(dataset: xarray.Dataset) -> list[str]:
    """Names of what was measured, without errors and diagnostics."""
    suffixes = ("_error", "_autocorrelation", "_rhat", "_effective_samples")
    names = [str(name) for name in dataset.data_vars]
    derived = {name + suffix for name in names for suffix in suffixes}
    flags = ("acceptance", DOUBTFUL, IMPOSSIBLE, PHASE, *OUTSIDE)
    return [name for name in names if name not in derived and name not in flags]


def system_columns(about: Mapping[str, Any]) -> dict[str, str]:
    """The system of results whose weights serve several, for each row of a table: electrons, supercell, twist, and
    whether size and twist were trained; empty for any other.

    Args:
        about: attributes of a file.
    """
    if "size_trained" not in about:
        return {}
    found = {}
    for name in SYSTEM:
        value = _plain(about[name])
        shown = " ".join(f"{number:g}" for number in value) if isinstance(value, list | tuple) else str(value)
        found[name] = ("true" if value else "false") if name.endswith("_trained") else shown
    return found


def tables(dataset: xarray.Dataset) -> dict[str, pandas.DataFrame]:
    """The data set as tables: one of all single numbers (a row for each point), and one for each array.

    Returns:
        ``scalars`` and the names of the arrays → data frames; an array has a row for each element, with its
        coordinates, value and error.
    """
    along = axis(dataset).name
    arrays = [name for name in measured(dataset) if set(dataset[name].dims) - {along}]
    flat = [name for name in dataset.data_vars if not set(dataset[name].dims) - {along}]
    result = {}
    if flat:
        frame = dataset[flat]
        rows = frame if along in frame.dims else frame.expand_dims(along if along in frame.coords else "point")
        result["scalars"] = rows.to_dataframe().reset_index().assign(**system_columns(dataset.attrs))
    for name in arrays:
        pair = [name, *([f"{name}_error"] if f"{name}_error" in dataset else [])]
        result[name] = dataset[pair].to_dataframe().reset_index()
    return result


def to_object(dataset: xarray.Dataset) -> dict[str, Any]:
    """The data set as plain data for JSON: attributes, coordinates and variables, each with axes, unit and values."""

    def entry(array: Any) -> dict[str, Any]:
        about = {"axes": list(array.dims), "unit": array.attrs.get("units", "1")}
        return about | {"description": array.attrs.get("long_name", ""), "values": array.values.tolist()}

    return {
        "attributes": {key: _plain(value) for key, value in dataset.attrs.items()},
        "coordinates": {str(name): entry(array) for name, array in dataset.coords.items()},
        "variables": {str(name): entry(array) for name, array in dataset.data_vars.items()},
    }


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON text; numbers that are not finite, which JSON does not have, become null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    """An attribute as plain data."""
    return value.tolist() if hasattr(value, "tolist") else value
