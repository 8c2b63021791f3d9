"""Which parameter a file of results was measured along, and how it is called in figures and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from qernel.hamiltonian import parameters, terms
from qernel.hamiltonian.parameters import Parameter

if TYPE_CHECKING:
    import xarray


MAP = "map.json"
"""Index of a folder that has a scan for each value of a second parameter."""


class Axis(NamedTuple):
    """A parameter as an axis.

    Attributes:
        name: in configurations, files and on the command line.
        symbol: in sentences and figures.
        unit: of its values, ``1`` for a pure number.
        meaning: in words.
        multiplies: the energy that is linear in it (``moire`` or ``interaction``), so that ⟨∂H/∂p⟩ = energy/p and the
            ground-state energy is concave in p; empty where there is none.
    """

    name: str
    symbol: str
    unit: str = "1"
    meaning: str = ""
    multiplies: str = ""

    @property
    def stem(self) -> str:
        """How names of keys begin that belong to it: ``lambda_c`` is the λ of a transition, ``U_c`` the U of one."""
        return "lambda" if self.name == "lam" else self.name

    def at(self, value: float) -> str:
        """One of its values in a sentence."""
        return f"{self.symbol} = {value:g}"

    @classmethod
    def of(cls, parameter: Parameter) -> Axis:
        """A parameter of the Hamiltonian."""
        return cls(parameter.name, parameter.symbol, parameter.unit, parameter.meaning, parameter.multiplies)


LAM = Axis.of(parameters.LAM)


NO_FACTOR = "no_factor"
"""Attribute of a file with the names of parameters, apart by spaces, that one of the terms does not read: no energy in
it is proportional to them, whatever their `Parameter.multiplies`."""


def named(name: str, attributes: Mapping[str, Any] | None = None) -> Axis:
    """The parameter of a name.

    Args:
        name: of the parameter.
        attributes: ``units`` and ``long_name`` of its values in a file, which say what nothing here knows.
    """
    if name in terms.parameters():
        return Axis.of(terms.parameters()[name])
    said = {} if attributes is None else attributes
    return Axis(name, name, str(said.get("units", "1")), str(said.get("long_name", "")))


def axis(dataset: xarray.Dataset) -> Axis:
    """The parameter that results were measured along; λ where they are of one point."""
    name = str(dataset.attrs.get("along", "lam"))
    if name not in dataset.dims and "lam" not in dataset.dims:
        known = terms.parameters()
        found = [str(dim) for dim in dataset.dims if dim in known or f"trained_{dim}" in dataset.attrs]
        name = found[0] if found else "lam"
    return of(dataset, name)


def of(dataset: xarray.Dataset, name: str) -> Axis:
    """A parameter of results, as those who measured them know it."""
    found = named(name, dataset[name].attrs if name in dataset.variables else None)
    return found._replace(multiplies="") if name in str(dataset.attrs.get(NO_FACTOR, "")).split() else found


def trained(dataset: xarray.Dataset, name: str) -> tuple[float, float] | None:
    """The interval of a parameter that the measured model was trained on, where the file says it."""
    if f"trained_{name}" not in dataset.attrs:
        return None
    low, high = dataset.attrs[f"trained_{name}"]
    return float(low), float(high)


def gaps(dataset: xarray.Dataset, name: str) -> list[tuple[float, float]]:
    """Intervals inside that were left out of training: of λ alone there are any."""
    ends = [float(end) for end in dataset.attrs.get("trained_gaps", [])] if name == "lam" else []
    return list(zip(ends[::2], ends[1::2], strict=True))


def point(dataset: xarray.Dataset) -> dict[str, float]:
    """The parameters of results at one point, λ first."""
    return {"lam": float(dataset["lam"]), **others(dataset, "lam")}


def others(dataset: xarray.Dataset, name: str) -> dict[str, float]:
    """The parameters that are the same at every point: those of the model, and λ, beside the one along the axis."""
    there = [str(key) for key, array in dataset.coords.items() if array.dims == () and array.dtype.kind in "fiu"]
    return {
        key: float(dataset[key])
        for key in there
        if key != name and (key in terms.parameters() or f"trained_{key}" in dataset.attrs)
    }
