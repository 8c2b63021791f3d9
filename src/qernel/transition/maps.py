"""Densities on either side of a transition, for its figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qernel.along import LAM, Axis, axis
from qernel.errors import RunError
from qernel.estimators.quantity import Quantity
from qernel.lattice import FloatArray
from qernel.soundness import resting_on
from qernel.storage import cells
from qernel.storage import open as open_results

if TYPE_CHECKING:
    import xarray

FILE = "observables.nc"


class Map(NamedTuple):
    """A density at one point.

    Attributes:
        at: value of the parameter.
        density: electrons per a_M² on the fractional grid of the supercell, ``[nx, ny]``.
        vectors: supercell vectors as rows ``[2, 2]`` in a_M.
        primitive: moiré lattice vectors as rows ``[2, 2]`` in a_M.
        origin: fractional coordinates of element ``[0, 0]``.
        axis: the parameter.
    """

    at: float
    density: FloatArray
    vectors: FloatArray
    primitive: FloatArray
    origin: float
    axis: Axis = LAM


def read_maps(path: str | Path, *, required: bool = False) -> list[Map]:
    """The densities in a folder of ``qernel scan``, or in a .nc file, by increasing value of the parameter.

    Args:
        path: folder or file.
        required: whether to complain where there are none.

    Raises:
        RunError: if there are none and they are required.
    """
    source = Path(path)
    file = source / FILE if source.is_dir() else source
    found = []
    if file.exists() or not source.is_dir():
        data = open_results(file)
        with resting_on(file):
            found = maps_in(data)
    if required and not found:
        raise RunError(
            f"{path} holds no density along λ or another parameter: name a file or folder of qernel scan or "
            "qernel observe that measured it"
        )
    return found


def maps_in(data: xarray.Dataset) -> list[Map]:
    """The densities in an open file of results."""
    along = axis(data)
    if "density" not in data or data["density"].dims[:1] != (along.name,):
        return []
    data = data.sortby(along.name)
    vectors, primitive = cells(data)
    origin = float(data[data["density"].dims[1]][0])
    values = zip(data[along.name].values, data["density"].values, strict=True)
    return [Map(float(at), np.asarray(density, float), vectors, primitive, origin, along) for at, density in values]


def either_side(maps: Sequence[Map], place: Quantity | None) -> tuple[Map, Map] | None:
    """The nearest map below and above a transition that is more than two errors away; the outermost two without one.

    Returns:
        None where a side has none.
    """
    if place is None:
        return (maps[0], maps[-1]) if len(maps) > 1 else None
    below = [one for one in maps if one.at < place.value - 2 * place.error]
    above = [one for one in maps if one.at > place.value + 2 * place.error]
    return (below[-1], above[0]) if below and above else None
