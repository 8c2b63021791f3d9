"""Which terms a Hamiltonian can have: ours, those of installed packages, and those registered by hand.

A package announces its own in its pyproject.toml:

    [project.entry-points."qernel.terms"]
    stripes = "my_package.stripes:Stripes"

and a script or notebook writes ``@register`` above the class. The name is then a potential or an interaction of
configurations, and its parameters are keys of [system] and [family]. Imports no jax.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
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
        QernelError: if the name is taken by another class or is no name, the class lacks what a term has, or one of its
            parameters is described otherwise by another term.
    """
    _require_whole(term)
    name = term.name
    before = catalogue().get(name)
    same = before is not None and (before.__module__, before.__qualname__) == (term.__module__, term.__qualname__)
    # The same class again is a notebook cell that was run twice.
    if before is not None and not same:
        raise QernelError(f"the term {name} exists already: give {term.__qualname__} another name")
    _require_agreeing(term, _parameters({key: one for key, one in catalogue().items() if key != name}))
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
            term = entry.load()
            _require_whole(term)
            if term.name != entry.name:
                raise QernelError(f"it calls itself {term.name}, use one name for both")
            _require_agreeing(term, _parameters(found))
            found.setdefault(entry.name, term)
        except Exception as error:
            warnings.warn(f"the term {entry.name} of {entry.value} does not load: {error}", QernelWarning, stacklevel=3)
    return found


def _require_whole(term: type[Term]) -> None:
    """Refuse a class that lacks something: configurations read every term, and none of them could be read with it."""
    for attribute, example in (("name", '"stripes"'), ("summary", '"one line"'), ("parameters", "(LAM,)")):
        if not hasattr(term, attribute):
            raise QernelError(f"{term.__qualname__} has no {attribute}: give it e.g. {attribute} = {example}")
    if not term.name.isidentifier():
        raise QernelError(f"{term.name!r} cannot be the name of a term: use letters, digits and underscores")
    try:
        term()
    except TypeError as error:
        raise QernelError(f"{term.__qualname__} cannot be made without arguments: {error}") from error


def _require_agreeing(term: type[Term], others: Iterable[Parameter]) -> None:
    known = {parameter.name: parameter for parameter in others}
    for parameter in term.parameters:
        if known.get(parameter.name, parameter) != parameter:
            raise QernelError(
                f"{term.__qualname__} describes the parameter {parameter.name} otherwise than another term: use the "
                "same Parameter, or another name"
            )


def potentials() -> dict[str, type[OneBody]]:
    """The one-body terms by name."""
    return {name: term for name, term in catalogue().items() if issubclass(term, OneBody)}


def interactions() -> dict[str, type[Pair]]:
    """The pair terms by name."""
    return {name: term for name, term in catalogue().items() if issubclass(term, Pair)}


def parameters() -> dict[str, Parameter]:
    """Every parameter by name: the table that all of Qernel reads. λ first, then in the order of the terms."""
    return {parameter.name: parameter for parameter in _parameters(catalogue())}


def _parameters(terms: Mapping[str, type[Term]]) -> Iterator[Parameter]:
    yield from (LAM, DEPTH, STRENGTH)
    for term in terms.values():
        yield from term.parameters


def parameter(name: str) -> Parameter:
    """The description of a parameter; of one that no term here has (a file from elsewhere), its bare name."""
    return parameters().get(name) or Parameter(name, name, "", name)
