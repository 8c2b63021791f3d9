"""Whether a file of results holds numbers where numbers belong, whoever wrote or edited it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from qernel.along import LAM, Axis, axis
from qernel.errors import QernelError, RunError
from qernel.hamiltonian.parameters import LARGEST
from qernel.hamiltonian.terms import parameters
from qernel.integrity import PARTS

if TYPE_CHECKING:
    import xarray

_LARGEST: Final = 1e30
"""No result lies beyond it; the square of a larger number would not be representable in single precision."""

_FLAGS: Final = ("extrapolating", "in_gap")
_NUMBERS: Final = {"supercell_vectors": 4, "moire_vectors": 4} | dict.fromkeys(
    ("E0_meV", "electrons_up", "electrons_down", "moire_cells"), 1
)
"""Attributes that are numbers, and how many."""


def check(path: str | Path, data: xarray.Dataset) -> None:
    """See that parameters, measured values, their errors and the attributes that are numbers can be computed with.

    Values may be nan, which stands for what could not be measured. Which variables there are is not checked: that is
    up to those who need them.

    Raises:
        RunError: naming the file, what is wrong in it and what would be right.
    """
    try:
        _check_axis(data, LAM)
        if (along := axis(data)).name != LAM.name:
            _check_axis(data, along)
        _check_values(data)
        _check_attributes(data)
    except _Unsound as problem:
        raise RunError(f"{path}: {problem}") from None


@contextmanager
def resting_on(path: str | Path) -> Iterator[None]:
    """Whatever fails while a figure or a table is made of one file and nothing else is the fault of that file.

    Raises:
        RunError: naming the file.
    """
    try:
        yield
    except OSError:  # the disk may be full that the figure is written to
        raise
    except QernelError as error:
        if str(path) in str(error):
            raise
        raise RunError(f"{path}: {error}") from error
    except KeyError as error:
        raise RunError(f"{path} lacks {str(error)[:200]}, which this needs") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"{path} does not hold what is needed, or not in the form that Qernel writes: "
            f"{type(error).__name__}{': ' if reason else ''}{reason}"
        ) from error


class _Unsound(Exception):
    """What is wrong, without the name of the file."""


def _check_axis(data: xarray.Dataset, along: Axis) -> None:
    name, symbol = along.name, along.symbol
    if name not in data.variables:
        if name in data.dims:
            raise _Unsound(f"its axis {name} has no values: add {name} as a coordinate")
        return
    values = data[name]
    if values.dims not in ((), (name,)) or values.dtype.kind not in "fiu":
        raise _Unsound(f"{name} is {_shape(values)}: it has to be one number or a list of numbers")
    if values.size == 0:
        raise _Unsound(f"its axis {name} is empty: there is nothing in it")
    bad = ~(np.abs(np.ravel(values.values).astype(np.float64)) <= LARGEST)  # also nan
    if bad.any():
        raise _Unsound(f"{along.at(np.ravel(values)[bad][0])} is none: {symbol} has to lie within ±{LARGEST:g}")


def _check_values(data: xarray.Dataset) -> None:
    names = {str(name) for name in data.data_vars}
    measured = {name for name in names if f"{name}_error" in names}
    numeric = measured | {f"{name}_error" for name in measured} | names.intersection(("energy", *PARTS, *_FLAGS))
    for name in sorted(numeric):
        values = data[name]
        if values.dtype.kind not in "fiub":
            raise _Unsound(f"{name} is {_shape(values)}: it has to hold numbers")
        if values.dtype.kind == "f" and bool((np.abs(values.values) > _LARGEST).any()):
            raise _Unsound(f"{name} holds {float(np.nanmax(np.abs(values.values))):g}: no result is as large")
    for name in sorted(measured):
        values, errors = data[name], data[f"{name}_error"]
        if values.dims != errors.dims:
            raise _Unsound(f"{name}_error is {_shape(errors)}, and {name} {_shape(values)}: they have to be alike")
        if bool((errors.values < 0).any()):
            raise _Unsound(f"{name}_error holds {float(np.nanmin(errors.values)):g}: an error is at least 0")


def _check_attributes(data: xarray.Dataset) -> None:
    ranges = [str(name) for name in data.attrs if str(name).startswith("trained_") and name != "trained_gaps"]
    for name, count in (_NUMBERS | dict.fromkeys(parameters(), 1) | dict.fromkeys(ranges, 2)).items():
        if name in data.attrs:
            values = _floats(data.attrs[name])
            if len(values) != count or not (np.abs(values) <= _LARGEST).all():
                what = "a number" if count == 1 else f"{count} numbers"
                raise _Unsound(f"its attribute {name} = {_brief(data.attrs[name])} has to be {what}")
    gaps = _floats(data.attrs.get("trained_gaps", []))
    if len(gaps) % 2 or not np.isfinite(gaps).all():
        raise _Unsound(f"its attribute trained_gaps = {_brief(data.attrs['trained_gaps'])} has to be pairs of numbers")
    for name in ("supercell_vectors", "moire_vectors"):
        if name in data.attrs and abs(np.linalg.det(np.reshape(_floats(data.attrs[name]), (2, 2)))) < 1e-9:
            raise _Unsound(f"its attribute {name} = {_brief(data.attrs[name])} spans no area")


def _floats(value: Any) -> np.ndarray:
    """An attribute as numbers; nan where it is something else."""
    array = np.ravel(value)
    return array.astype(np.float64) if array.dtype.kind in "fiu" else np.full(array.size, np.nan)


def _shape(array: xarray.DataArray) -> str:
    kind = {"f": "numbers", "i": "numbers", "u": "numbers", "b": "flags"}.get(array.dtype.kind, "text or objects")
    return f"{kind} on the axes {', '.join(map(str, array.dims))}" if array.dims else f"{kind} without axes"


def _brief(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:60]}…"
