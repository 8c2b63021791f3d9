"""One point out of files of results: as it was measured there, or from points around it, in a map along both axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qernel.along import axis, named
from qernel.estimators.phases import flag, stored_phases
from qernel.measure.energies import ENERGIES, ORDER
from qernel.measure.interpolate import between
from qernel.storage import IMPOSSIBLE, OUTSIDE, PHASE
from qernel.structure import UNDECIDED

if TYPE_CHECKING:
    import xarray

_WORST = {"acceptance": "min", "energy_effective_samples": "min", "energy_autocorrelation": "max"}
_WORST |= {"energy_rhat": "max", f"{ORDER}_rhat": "max"}
"""What is said of several points together."""


SAME = 1e-6
"""Relative difference of values that are one: U is typed with seven digits, and energies have four."""


class Slice(NamedTuple):
    """A point.

    Attributes:
        here: its numbers, with all parameters as scalar coordinates.
        between: the points that it was interpolated from, in words; empty where it was measured.
    """

    here: xarray.Dataset
    between: str = ""

    @property
    def error(self) -> float:
        """Of the energy, in E0 per electron."""
        return float(self.here["energy_error"])


def fitting(
    files: Sequence[tuple[Path, xarray.Dataset]], along: str, others: Mapping[str, float]
) -> list[tuple[Path, xarray.Dataset]]:
    """Those of the files that have results along a parameter, at values of others."""
    return [(path, data) for path, data in files if axis(data).name == along and same_elsewhere(data, others)]


def same_elsewhere(data: xarray.Dataset, others: Mapping[str, float]) -> bool:
    """Whether results were measured at these values of all parameters but the one along them."""
    return all(name in data.coords and math.isclose(data[name], value, rel_tol=SAME) for name, value in others.items())


def exact(data: xarray.Dataset, along: str, value: float) -> Slice | None:
    """What was measured at a value; None where it was not, or where nothing is to be concluded from it."""
    places = np.flatnonzero(np.isclose(data[along].values, value, rtol=SAME, atol=1e-12))
    if not len(places) or _useless(data)[places[0]]:
        return None
    return Slice(data.isel({along: int(places[0])}))


def interpolated(data: xarray.Dataset, along: str, value: float, *, alike: bool = False) -> Slice | None:
    """What follows from the points around a value (`qernel.measure.interpolate.between`); None where nothing does.

    Args:
        data: results along the parameter, increasing.
        along: the parameter.
        value: of it, between two points.
        alike: whether errors of the points may have one sign, so that they do not average out.
    """
    phases = zip(_useless(data), stored_phases(data, along), strict=True)
    # Where an order parameter does not decide, chains may be in one phase at one point and in another at the next.
    split = UNDECIDED if ORDER in data else None
    words = ["" if bad or one.word in ("", split) else one.word for bad, one in phases]
    rule = between(np.asarray(data[along].values, np.float64), value, words)
    if rule is None:
        return None
    used, near = data.isel({along: sorted(rule.used)}), data.isel({along: rule.used[0]})
    names = [name for name in (*ENERGIES, ORDER) if name in data and f"{name}_error" in data]
    numbers: dict[str, float] = {}
    for name in names:
        number = rule.of(data[name].values, data[f"{name}_error"].values, alike=alike)
        numbers[name], numbers[f"{name}_error"] = number
    numbers |= {name: float(getattr(used[name], how)()) for name, how in _WORST.items() if name in used}
    here = near.assign({name: ((), number) for name, number in numbers.items()})
    here = here.assign({PHASE: ((), *flag(words[rule.used[0]]))}).assign_coords({along: value})
    return Slice(here, f"{named(along).symbol} = {', '.join(f'{float(place):g}' for place in used[along].values)}")


def across(places: Mapping[float, Slice | None], over: str, value: float) -> Slice | None:
    """The same between points at several values of a second parameter; None where nothing follows from them.

    Args:
        places: at increasing values of the second parameter, all at one value of the first; None where nothing
            follows, because of a change of phase perhaps: no polynomial goes through there.
        over: the second parameter.
        value: of it.
    """
    from qernel.measure.dataset import joined

    holes = [there for there, one in places.items() if one is None]
    low = max((there for there in holes if there <= value), default=-math.inf)
    high = min((there for there in holes if there >= value), default=math.inf)
    row = [one for there, one in places.items() if one is not None and low < there < high]
    if len(row) < 2:
        return None
    shared = [
        name for name in row[0].here.data_vars if all(name in one.here and not one.here[name].dims for one in row)
    ]
    data = joined([one.here[shared] for one in row], over)
    # What a polynomial misses at one value of the second parameter it misses likewise at the next.
    found = interpolated(data, over, value, alike=any(one.between for one in row))
    inner = next((one.between for one in row if one.between), "")
    return found and found._replace(between=" and ".join(filter(None, (found.between, inner))))


def _useless(data: xarray.Dataset) -> list[bool]:
    """Which points nothing is to be concluded from."""
    flags = [data[name].values.astype(bool) for name in (IMPOSSIBLE, *OUTSIDE) if name in data]
    broken = ~np.isfinite(data["energy_error"].values)
    every: list[bool] = np.logical_or.reduce([broken, *flags]).tolist()
    return every
