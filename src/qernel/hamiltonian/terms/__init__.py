"""Which terms a Hamiltonian can have: ours, those of installed packages, and those registered by hand.

A package announces its own in its pyproject.toml:

    [project.entry-points."qernel.terms"]
    stripes = "my_package.stripes:Stripes"

and a script or notebook writes ``@register`` above the class. The name is then a potential or an interaction of
configurations, and its parameters are keys of [system] and [family]. Imports no jax.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TypeVar

from qernel.errors import QernelError, QernelWarning
from qernel.hamiltonian.parameters import DEPTH, LAM, STRENGTH, Parameter
from qernel.hamiltonian.terms.base import OneBody, Pair, Term

GROUP = "qernel.terms"
"""Entry-point group of other packages."""

BUILT_IN = {
    "moire": "qernel.hamiltonian.terms.moire:Moire",
    "coulomb": "qernel.hamiltonian.terms.coulomb:Coulomb",
    "dual_gate": "qernel.hamiltonian.terms.gates:DualGate",
    "single_gate": "qernel.hamiltonian.terms.gates:SingleGate",
    "yukawa": "qernel.hamiltonian.terms.yukawa:Yukawa",
    "rytova_keldysh": "qernel.hamiltonian.terms.rytova_keldysh:RytovaKeldysh",
    "dipolar": "qernel.hamiltonian.terms.dipolar:Dipolar",
}
"""Ours: where each lives. A new one is a file and a line at the end: the order is that of parameters in a point."""

T = TypeVar("T", bound=type[Term])

_registered: dict[str, type[Term]] = {}
_watchers: list[Callable[[], None]] = []


def register(term: T) -> T:
    """Make a term known under its ``name`` in this process (a class decorator).

    Raises:
        QernelError: if the name is taken by another class or is no name, or one of its parameters is described
            otherwise by another term.
    """
    name = term.name
    if not name.isidentifier():
        raise QernelError(f"{name!r} cannot be the name of a term: use letters, digits and underscores")
    before = catalogue().get(name)
    same = before is not None and (before.__module__, before.__qualname__) == (term.__module__, term.__qualname__)
    # The same class again is a notebook cell that was run twice.
    if before is not None and not same:
        raise QernelError(f"the term {name} exists already: give {term.__qualname__} another name")
    others = {parameter.name: parameter for parameter in _parameters(exclude=name)}
    for parameter in term.parameters:
        if others.get(parameter.name, parameter) != parameter:
            raise QernelError(
                f"{term.__qualname__} describes the parameter {parameter.name} otherwise than another term: use the "
                "same Parameter, or another name"
            )
    _registered[name] = term
    for watcher in _watchers:
        watcher()
    return term


def watch(watcher: Callable[[], None]) -> Callable[[], None]:
    """Call a function whenever a term has been registered (a function decorator)."""
    _watchers.append(watcher)
    return watcher


def catalogue() -> dict[str, type[Term]]:
    """Every term by name, ours first; a package whose term does not load is left out with a warning."""
    return _installed() | _registered


@cache
def _installed() -> dict[str, type[Term]]:
    found: dict[str, type[Term]] = {}
    for name, place in BUILT_IN.items():
        module, _, attribute = place.partition(":")
        found[name] = getattr(import_module(module), attribute)
    for entry in entry_points(group=GROUP):
        try:
            found.setdefault(entry.name, entry.load())
        except Exception as error:
            warnings.warn(f"the term {entry.name} of {entry.value} does not load: {error}", QernelWarning, stacklevel=3)
    return found


def potentials() -> dict[str, type[OneBody]]:
    """The one-body terms by name."""
    return {name: term for name, term in catalogue().items() if issubclass(term, OneBody)}


def interactions() -> dict[str, type[Pair]]:
    """The pair terms by name."""
    return {name: term for name, term in catalogue().items() if issubclass(term, Pair)}


def parameters() -> dict[str, Parameter]:
    """Every parameter by name: the table that all of Qernel reads. λ first, then in the order of the terms."""
    return {parameter.name: parameter for parameter in _parameters()}


def _parameters(exclude: str = "") -> Iterator[Parameter]:
    yield from (LAM, DEPTH, STRENGTH)
    for name, term in catalogue().items():
        if name != exclude:
            yield from term.parameters


def parameter(name: str) -> Parameter:
    """The description of a parameter; of one that no term here has (a file from elsewhere), its bare name."""
    return parameters().get(name) or Parameter(name, name, "", name)
