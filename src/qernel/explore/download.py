"""A result as a file: NetCDF, CSV, or the figure."""

from __future__ import annotations

import re
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from qernel.along import named, point
from qernel.storage import cells, outside, save, tables

if TYPE_CHECKING:
    import xarray

_MEDIA = {"png": "image/png", "pdf": "application/pdf"}
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029/\\:*?"<>|]')
"""Characters that a file name has nowhere, or not on every system; and those that are not Unicode text."""

_MAPS = ("density", "conditional_density")
_DRAWING = threading.Lock()
"""Matplotlib draws in one thread at a time."""

KINDS = ("netcdf", "energies.csv", "density.csv", *(f"{name}.{form}" for name in _MAPS for form in _MEDIA))
"""What a result can be downloaded as."""


def download(dataset: xarray.Dataset, kind: str) -> tuple[bytes, str, str]:
    """Content, media type and file name of a result.

    Args:
        dataset: of one point.
        kind: one of `KINDS`.
    """
    stem = "-".join([dataset.attrs["model"], *(f"{name}{value:g}" for name, value in point(dataset).items())])
    if kind == "netcdf":
        with tempfile.TemporaryDirectory() as folder:
            return save(dataset, Path(folder) / "result.nc").read_bytes(), "application/x-netcdf", f"{stem}.nc"
    name, _, form = kind.partition(".")
    if form == "csv":
        table = tables(dataset)["scalars" if name == "energies" else name]
        text: str = table.to_csv(index=False, lineterminator="\n")
        return text.encode(), "text/csv", f"{stem}-{name}.csv"
    content = _figure(dataset, name if name in dataset else "density", form)
    return content, _MEDIA[form], f"{stem}-{name}.{form}"


def disposition(name: str) -> str:
    r"""The header ``Content-Disposition`` of a file, whatever its name (RFC 6266).

    >>> disposition("n6.nc"), disposition("Übung.nc")
    ('attachment; filename="n6.nc"', 'attachment; filename="_bung.nc"; filename*=UTF-8\'\'%C3%9Cbung.nc')
    """
    allowed = _FORBIDDEN.sub("_", name)
    plain = re.sub(r'[^ -~]|["%]', "_", allowed)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(allowed, safe='')}"
    return f'attachment; filename="{plain}"{extended}'


def _figure(dataset: xarray.Dataset, name: str, form: str) -> bytes:
    from qernel.plots.axes import at
    from qernel.plots.density import DENSITY, density_map
    from qernel.plots.style import literal, rendered, style

    values = dataset[name].values
    label = DENSITY if name == "density" else "density of the others  (electrons per $a_M^2$)"
    title = ", ".join(
        [literal(dataset.attrs["model"]), *(at(named(key), value) for key, value in point(dataset).items())]
    )
    note = outside(dataset)
    title += f" ({note})" if note else ""
    with _DRAWING, style():
        figure = density_map(values, *cells(dataset), origin=0.5 / len(values), label=label, title=title)
        return rendered(figure, form)
