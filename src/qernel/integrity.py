"""Whether a file still holds what was written to it: checksums, and energies that add up.

HDF5 guards its arrays and its own structure, but neither single numbers nor text. So the contents have a checksum of
their own: SHA-256 over names, axes, values and attributes as they are read, in the attribute `CHECKSUM`. It does not
depend on how a program lays the same contents out on the disk.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from qernel.errors import DamagedFile

if TYPE_CHECKING:
    import xarray

CHECKSUM = "content_sha256"
"""Attribute of a file, or key of a record, with the checksum of everything else in it."""

PARTS = ("kinetic", "moire", "interaction")
"""What an energy is the sum of."""

_ROUNDING: Final = 1e-6
"""Of single precision: energies and their sum may differ by this part of what is added."""

_DEFLATE: Final = 1032
"""The most numbers that one byte of a compressed file can hold."""

_SWEEPS: Final = ("", "_up", "_down", "_reweighted")


def content_digest(dataset: xarray.Dataset) -> str:
    """SHA-256 (hex) of a data set in memory, but for the attribute `CHECKSUM`."""
    digest = hashlib.sha256(_text(_plain_attributes(dataset.attrs)))
    for name in sorted(dataset.variables, key=str):
        variable, values = dataset.variables[name], np.asarray(dataset.variables[name].values)
        about = [str(name), list(map(str, variable.dims)), list(values.shape), name in dataset.coords]
        digest.update(_text([*about, values.dtype.kind, _plain_attributes(variable.attrs)]))
        if values.dtype.kind in "fiub":
            wide = "<f8" if values.dtype.kind == "f" else "<i8"
            digest.update(np.ascontiguousarray(values, dtype=wide).tobytes())
        else:
            digest.update(_text([str(value) for value in values.ravel()]))
    return digest.hexdigest()


def record_digest(content: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a JSON object, but for the key `CHECKSUM`; layout and order of keys do not count."""
    return hashlib.sha256(_text({key: value for key, value in content.items() if key != CHECKSUM})).hexdigest()


def check_digest(path: str | Path, stored: Any, found: str) -> None:
    """Compare the checksum that a file has, if it has one, with that of its contents.

    Raises:
        DamagedFile: if they differ, with what to do about it.
    """
    if stored is not None and stored != found:
        raise DamagedFile(
            f"{path} does not hold what was written to it: its contents do not match their checksum. Take it from a "
            f"copy or measure again; if you edited it on purpose, remove {CHECKSUM} from its attributes"
        )


def check_sums(path: str | Path, dataset: xarray.Dataset) -> None:
    """See that every energy is the sum of its parts, where all of them are there.

    Raises:
        DamagedFile: naming the first λ at which it is not.
    """
    for sweep in _SWEEPS:
        names = [name + sweep for name in ("energy", *PARTS)]
        if all(name in dataset and dataset[name].dtype.kind == "f" for name in names):
            energy, *parts = (dataset[name].values for name in names)
            if len({values.shape for values in (energy, *parts)}) == 1:
                bad = np.argwhere(~_adds_up(energy, parts))
                if bad.size:
                    _refuse(path, names, [float(values[tuple(bad[0])]) for values in (energy, *parts)])


def check_row(path: str | Path, row: Mapping[str, Any]) -> None:
    """The same for a row of a record.

    Raises:
        DamagedFile: if its energy is not the sum of its parts.
    """
    names = ["energy", *PARTS]
    values = [float(row[name]["value"] if isinstance(row[name], Mapping) else row[name]) for name in names]
    if not bool(_adds_up(np.array(values[0]), [np.array(value) for value in values[1:]])):
        _refuse(path, names, values)


def check_extent(path: str | Path) -> None:
    """See that a NetCDF file does not declare more numbers than its bytes can hold, before they are read.

    Raises:
        DamagedFile: if it does.
    """
    import h5py

    size = Path(path).stat().st_size
    with h5py.File(path, "r") as file:
        for name, item in file.items():
            count = math.prod(item.shape or ()) if isinstance(item, h5py.Dataset) else 0
            if count > _DEFLATE * size:
                raise DamagedFile(f"{path} is damaged: {name} is said to hold {count:.3g} numbers, in {size} bytes")


def _adds_up(energy: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
    """Whether they do; a value that is not finite says nothing, and is found by those who need it."""
    with np.errstate(all="ignore"):
        scale = np.abs(energy) + sum(np.abs(part) for part in parts)
        difference = np.abs(energy - sum(parts))
    result: np.ndarray = ~np.isfinite(energy) | (difference <= _ROUNDING * scale)
    return result


def _refuse(path: str | Path, names: list[str], values: list[float]) -> None:
    total, *parts = names
    raise DamagedFile(
        f"{path} is damaged: {total} = {values[0]:.9g} is not {' + '.join(parts)} = {math.fsum(values[1:]):.9g}; take "
        "it from a copy or measure again"
    )


def _plain_attributes(attributes: Mapping[Any, Any]) -> dict[str, list[Any]]:
    """Attributes as lists: a list of one number comes back from a file as a number."""
    lists = {str(name): np.ravel(value).tolist() for name, value in attributes.items() if name != CHECKSUM}
    return {name: [item if isinstance(item, int | float) else str(item) for item in lists[name]] for name in lists}


def _text(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")
