"""Densities on either side of a transition, for its figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

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
    """A density at one λ.

    Attributes:
        lam: λ.
        density: electrons per a_M² on the fractional grid of the supercell, ``[nx, ny]``.
        vectors: supercell vectors as rows ``[2, 2]`` in a_M.
        primitive: moiré lattice vectors as rows ``[2, 2]`` in a_M.
        origin: fractional coordinates of element ``[0, 0]``.
    """

    lam: float
    density: FloatArray
    vectors: FloatArray
    primitive: FloatArray
    origin: float


def read_maps(path: str | Path, *, required: bool = False) -> list[Map]:
    """The densities in a folder of ``qernel scan``, or in a .nc file, by increasing λ.

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
            f"{path} holds no density along λ: name a file or folder of qernel scan or qernel observe that measured it"
        )
    return found


def maps_in(data: xarray.Dataset) -> list[Map]:
    """The densities in an open file of results."""
    if "density" not in data or data["density"].dims[:1] != ("lam",):
        return []
    data = data.sortby("lam")
    vectors, primitive = cells(data)
    origin = float(data[data["density"].dims[1]][0])
    values = zip(data["lam"].values, data["density"].values, strict=True)
    return [Map(float(lam), np.asarray(density, float), vectors, primitive, origin) for lam, density in values]


def either_side(maps: Sequence[Map], place: Quantity | None) -> tuple[Map, Map] | None:
    """The nearest map below and above λ_c that is more than two errors away; the outermost two without λ_c.

    Returns:
        None where a side has none.
    """
    if place is None:
        return (maps[0], maps[-1]) if len(maps) > 1 else None
    below = [one for one in maps if one.lam < place.value - 2 * place.error]
    above = [one for one in maps if one.lam > place.value + 2 * place.error]
    return (below[-1], above[0]) if below and above else None
