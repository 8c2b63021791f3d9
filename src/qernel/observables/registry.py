"""Which observables there are: ours, those of installed packages, and those registered by hand.

A package announces its own in its pyproject.toml:

    [project.entry-points."qernel.observables"]
    chirality = "my_package.chirality:Chirality"

and a script or notebook writes ``@register`` above the class. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from qernel.errors import QernelError
from qernel.text import meant

if TYPE_CHECKING:
    from qernel.observables.base import Observable

GROUP = "qernel.observables"
"""Entry-point group of other packages."""

BUILT_IN = {
    "energy": "qernel.observables.energy:Energy",
    "v_score": "qernel.observables.v_score:VScore",
    "density": "qernel.observables.density:Density",
    "site_charge": "qernel.observables.site_charge:SiteCharge",
    "pair_correlation": "qernel.observables.pair_correlation:PairCorrelation",
    "conditional_density": "qernel.observables.conditional_density:ConditionalDensity",
    "structure_factor": "qernel.observables.structure_factor:StructureFactor",
    "order_parameter": "qernel.observables.order_parameter:OrderParameter",
    "density_order": "qernel.observables.density_order:DensityOrder",
    "crystal_momentum": "qernel.observables.crystal_momentum:CrystalMomentum",
    "momentum_distribution": "qernel.observables.momentum_distribution:MomentumDistribution",
    "natural_occupations": "qernel.observables.natural_occupations:NaturalOccupations",
    "fidelity_susceptibility": "qernel.observables.fidelity:FidelitySusceptibility",
    "routing": "qernel.observables.routing:Routing",
    "snapshots": "qernel.observables.snapshots:Snapshots",
}
"""Ours: where each lives. A new one is a file and a line here."""

SCANNED = ("density", "structure_factor", "fidelity_susceptibility")
"""Measured by ``qernel scan`` on the samples of its energies, unless it is told otherwise."""

_registered: dict[str, type[Observable]] = {}


def register(observable: type[Observable]) -> type[Observable]:
    """Make an `Observable` class known under its ``name`` in this process (a class decorator).

    Raises:
        QernelError: if the name is taken by another class, or is no name.
    """
    name = observable.name
    if not name.isidentifier():
        raise QernelError(f"{name!r} cannot be the name of an observable: use letters, digits and underscores")
    before = _registered.get(name)
    same = before is not None and (before.__module__, before.__qualname__) == (
        observable.__module__,
        observable.__qualname__,
    )
    # The same class again is a notebook cell that was run twice.
    if name in BUILT_IN or (before is not None and not same):
        raise QernelError(f"the observable {name} exists already: give {observable.__qualname__} another name")
    _registered[name] = observable
    return observable


def names() -> list[str]:
    """Names of all observables: ours first."""
    others = {entry.name for entry in entry_points(group=GROUP)} | set(_registered)
    return [*BUILT_IN, *sorted(others - set(BUILT_IN))]


def find(name: str) -> type[Observable]:
    """The class of an observable.

    Raises:
        QernelError: if there is none of that name, or its package does not load.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        found: type[Observable] = getattr(import_module(module), attribute)
        return found
    if name in _registered:
        return _registered[name]
    for entry in entry_points(group=GROUP, name=name):
        try:
            loaded: type[Observable] = entry.load()
        except Exception as error:
            raise QernelError(f"the observable {name} of {entry.value} does not load: {error}") from error
        return loaded
    raise QernelError(f"there is no observable {name}: choose from {', '.join(names())}{meant(name, names())}")


def make(name: str, options: Mapping[str, Any] | None = None) -> Observable:
    """An observable with options in place of its defaults.

    Raises:
        QernelError: if there is none of that name, or an option is unknown or of the wrong kind.
    """
    found = find(name)
    given = dict(options or {})
    known: Any = fields(found)
    for key, value in given.items():
        field = next((field for field in known if field.name == key), None)
        if field is None:
            takes = [field.name for field in known]
            there = (", ".join(takes) or "none") + meant(key, takes)
            raise QernelError(f"{name}.{key} = {value!r}: {name} has no such option; its options: {there}")
        given[key] = _like(f"{name}.{key}", value, field.default)
    return found(**given)


def made(wanted: str | Observable | Sequence[str | Observable]) -> list[Observable]:
    """Observables by name or as they are, each once; one alone may be given without a list.

    Raises:
        QernelError: if there is none of a name.
    """
    from qernel.observables.base import Observable

    several = [wanted] if isinstance(wanted, str | Observable) else wanted
    return [make(item) if isinstance(item, str) else item for item in dict.fromkeys(several)]


def _like(name: str, value: Any, default: Any) -> Any:
    """``value`` as the type of the default: what a configuration file or a command line can say is checked here."""
    if isinstance(default, bool) or isinstance(value, bool):
        fits = isinstance(value, bool) and isinstance(default, bool)
    elif isinstance(default, int):
        fits = isinstance(value, int)
    elif isinstance(default, float):
        fits = isinstance(value, int | float)
        value = float(value) if fits else value
    elif isinstance(default, tuple):
        fits = (
            isinstance(value, list | tuple)
            and len(value) == len(default)
            and all(isinstance(item, int | float) for item in value)
        )
        value = tuple(float(item) for item in value) if fits else value
    else:
        fits = isinstance(value, type(default))
    if not fits:
        raise QernelError(f"{name} = {value!r} must be like its default, {default!r}")
    return value
