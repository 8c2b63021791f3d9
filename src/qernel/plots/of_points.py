"""Panels of measured data: what is drawn of a data set into one pair of axes.

A panel takes axes and the data set with the parameter as its first axis; one that is `Panel.single` shows one point.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from qernel.along import axis, gaps, named, others, trained
from qernel.errors import QernelError
from qernel.text import describe

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

Size = tuple[float, float]


class Panel(NamedTuple):
    """How a kind of figure is drawn into axes.

    Attributes:
        draw: into axes, from a data set.
        size: of a figure of its own in inches, from the same data set.
        single: whether it shows one point of the parameter.
        layout: of its own figure.
    """

    draw: Callable[[Axes, xarray.Dataset], None]
    size: Callable[[xarray.Dataset], Size]
    single: bool = False
    layout: str = "constrained"


def titled(data: xarray.Dataset, *words: str) -> str:
    """A title: the model that was measured, and what else is to be said of it."""
    from qernel.plots.style import literal

    said = ", ".join(filter(None, words))
    model = literal(str(data.attrs.get("model", "")))
    return f"{model}: {said}" if model and said else model or said


def system(data: xarray.Dataset) -> str:
    """The system that was measured, in words; empty where a file does not say it."""
    if not {"electrons_up", "electrons_down", "moire_cells"} <= set(data.attrs):
        return ""
    up, down, cells = (int(data.attrs[name]) for name in ("electrons_up", "electrons_down", "moire_cells"))
    return describe((up, down), cells)


def fixed(data: xarray.Dataset) -> str:
    """The parameters that are the same at every point; nothing where λ is the only one."""
    from qernel.plots.axes import at

    return ", ".join(at(named(name), value) for name, value in others(data, axis(data).name).items())


def here(data: xarray.Dataset) -> str:
    """The point of a data set that has one."""
    from qernel.plots.axes import at

    along = axis(data)
    if data.sizes[along.name] != 1:
        raise QernelError(
            f"this shows one {along.symbol} and there are {data.sizes[along.name]}: choose one, "
            f"for instance data.isel({along.name}=0)"
        )
    return ", ".join(filter(None, (at(along, float(data[along.name][0])), fixed(data))))


def plane(name: str, label: str, *, displacement: bool = False) -> Panel:
    """A function on the supercell, or of a displacement: then around zero, inside the cell of all displacements."""

    def draw(axes: Axes, data: xarray.Dataset) -> None:
        from qernel.plots.density import draw_density
        from qernel.storage import cells

        origin = float(data[data[name].dims[1]][0])
        options: dict[str, Any] = {"origin": origin, "label": label, "title": titled(data, here(data))}
        draw_density(axes, data[name].values[0], *cells(data), centred=displacement, **options)

    def size(data: xarray.Dataset) -> Size:
        from qernel.plots.density import figure_size
        from qernel.storage import cells

        return figure_size(*cells(data), centred=displacement)

    return Panel(draw, size, single=True, layout="compressed")


def structure_factor_map() -> Panel:
    """S(q) in the plane."""

    def draw(axes: Axes, data: xarray.Dataset) -> None:
        import numpy as np

        from qernel.plots.wave_vectors import draw_wave_vectors
        from qernel.storage import cells

        half = np.stack([data["qx"].values, data["qy"].values], axis=-1)
        values = np.tile(data["structure_factor"].values[0], 2)
        reciprocal = [2 * np.pi * np.linalg.inv(vectors).T for vectors in cells(data)]
        options = {"label": "structure factor  $S(q)$", "title": titled(data, here(data))}
        draw_wave_vectors(axes, np.concatenate([half, -half]), values, *reciprocal, **options)

    return Panel(draw, lambda _: (5.0, 4.2), single=True, layout="compressed")


def curves(name: str, x: str, **options: Any) -> Panel:
    """A function of one variable, a colour for each value of the parameter."""

    def draw(axes: Axes, data: xarray.Dataset) -> None:
        from qernel.plots.curves import draw_curves

        along = axis(data)
        columns = data[x].values, data[along.name].values, data[name].values, data[f"{name}_error"].values
        title = titled(data, here(data) if data.sizes[along.name] == 1 else fixed(data) or system(data))
        draw_curves(axes, *columns, **options, axis=along, title=title)

    return Panel(draw, lambda _: (5.2, 3.4))


def versus(variable: str | None) -> Panel:
    """A single number with its error against the parameter."""
    return Panel(partial(_versus, variable=variable), lambda _: (4.8, 3.0))


_NAMES = {
    "energy": "energy per electron",
    "kinetic": "kinetic energy per electron",
    "moire": "moiré energy per electron",
    "interaction": "interaction energy per electron",
    "order_parameter": "order parameter  ⟨|ρ_K|²⟩",
    "fidelity_susceptibility": "fidelity susceptibility  χ_F",
    "v_score": "V-score",
}
"""What single numbers are called in figures; others by their names."""


def _versus(axes: Axes, data: xarray.Dataset, variable: str | None) -> None:
    from qernel.plots.axes import printed
    from qernel.plots.curves import draw_versus_lam
    from qernel.storage import measured

    along = axis(data)
    single = [name for name in measured(data) if data[name].dims == (along.name,) and f"{name}_error" in data]
    if variable not in single:
        what = "needs --variable" if variable is None else f"cannot draw {variable}"
        raise QernelError(f"versus_lam {what}: the single numbers in the file are {', '.join(single) or 'none'}")
    unit = data[variable].attrs["units"]
    label = _NAMES.get(variable, variable.replace("_", " ")) + ("" if unit == "1" else f"  ({unit})")
    columns = data[along.name].values, data[variable].values, data[f"{variable}_error"].values
    title = titled(data, fixed(data) or system(data))
    within: dict[str, Any] = {"trained": trained(data, along.name), "gaps": gaps(data, along.name)}
    draw_versus_lam(axes, *columns, ylabel=printed(label), axis=along, title=title, **within)
