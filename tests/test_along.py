"""Which parameter a file of results was measured along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray

from qernel.along import LAM, axis, gaps, named, of, others, trained
from qernel.errors import RunError
from qernel.storage import open as open_results
from qernel.storage import save, tables


def along(name: str, values: np.ndarray) -> xarray.Dataset:
    """Energies and a curve on an axis of its own against a parameter, at λ = 1 where that is not it."""
    data = {"energy": (name, -values), "energy_error": (name, 0.1 + 0 * values), "g": ((name, "r"), np.ones((3, 2)))}
    coordinates = {name: values, "r": [0.5, 1.0]} | ({} if name == "lam" else {"lam": 1.0})
    return xarray.Dataset(data, coordinates, {f"trained_{name}": [8.0, 12.0], "trained_gaps": [9.0, 10.0]})


def test_the_axis_is_found() -> None:
    U = np.array([8.0, 9.0, 10.0])
    assert axis(along("lam", U)) == LAM and axis(along("lam", U).isel(lam=0)) == LAM
    assert axis(along("U", U)).symbol == "U" and axis(along("U", U)).multiplies == "interaction"
    mine = along("strain", U)
    mine["strain"].attrs = {"units": "percent", "long_name": "strain of one layer"}
    assert axis(mine) == named("strain", mine["strain"].attrs) and axis(mine).unit == "percent"
    # Beside a term that does not read U no energy is proportional to it, and no derivative is known.
    beside = along("U", U).assign_attrs(no_factor="lam U")
    assert axis(beside) == axis(along("U", U))._replace(multiplies="") and of(beside, "lam").multiplies == ""
    assert axis(along("U", U).assign_attrs(no_factor="lam")).multiplies == "interaction"
    assert (trained(mine, "strain"), trained(mine, "U")) == ((8.0, 12.0), None)
    assert (gaps(mine, "strain"), gaps(mine, "lam")) == ([], [(9.0, 10.0)])
    assert others(mine, "strain") == {"lam": 1.0} and others(along("lam", U), "lam") == {}


def test_files_along_any_parameter(tmp_path: Path) -> None:
    """Tables have a row for each value, and what is no value is named."""
    data = along("U", np.array([8.0, 9.0, 10.0]))
    found = tables(open_results(save(data, tmp_path / "U.nc")))
    assert found["scalars"]["U"].tolist() == [8.0, 9.0, 10.0] and len(found["g"]) == 6
    for name, wrong, words in (
        ("nan", data.assign_coords(U=[8.0, np.nan, 10.0]), "U = nan is none: U has to lie within"),
        ("text", data.assign_coords(U=["a", "b", "c"]), "U is text or objects"),
        ("range", data.assign_attrs(trained_U=[8.0]), "its attribute trained_U = 8.0 has to be 2 numbers"),
    ):
        with pytest.raises(RunError, match=words):
            open_results(save(wrong, tmp_path / f"{name}.nc"))
