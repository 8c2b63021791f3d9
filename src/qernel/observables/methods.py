"""An observable as a method: a function with the signature and the documentation that its class has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from qernel.observables.registry import find, make

if TYPE_CHECKING:
    import xarray

    from qernel.observables.base import Observable

_CHAINS = """\
    samples: records per chain; default from the model's ``[sample]`` section.
    walkers: independent chains; default likewise.
    seed: of the chains; default likewise.
    progress: called with the fraction of the sampling done.

Returns:
    A data set with ``X`` and its standard error ``X_error`` for everything measured, units in ``attrs``."""

_OF_CHAINS = ("samples", "walkers", "seed")


def method(name: str, observe: Callable[..., xarray.Dataset]) -> Callable[..., xarray.Dataset]:
    """A function that measures an observable: its options are arguments, and so are those of the chains.

    Args:
        name: of the observable.
        observe: measures an instance, such as `State.observe`.

    Raises:
        QernelError: if there is none of that name, or its package does not load.
    """
    found = find(name)

    def measured(**options: Any) -> xarray.Dataset:
        chains = {key: options.pop(key) for key in (*_OF_CHAINS, "progress") if key in options}
        return observe(make(name, options), **chains)

    measured.__name__ = measured.__qualname__ = name
    measured.__doc__ = documentation(found)
    measured.__signature__ = signature(found)  # type: ignore[attr-defined]
    return measured


def signature(observable: type[Observable]) -> inspect.Signature:
    """The options of an observable and those of the chains, all by name."""

    def option(name: str, default: Any, annotation: Any) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    options = [option(field.name, _default(field), field.type) for field in fields(observable)]
    options += [option(name, None, "int | None") for name in _OF_CHAINS]
    options.append(option("progress", None, "Callable[[float], None] | None"))
    return inspect.Signature(options, return_annotation="xarray.Dataset")


def documentation(observable: type[Observable]) -> str:
    """What its class says, with the arguments of the chains and what comes back."""
    text, heading, options = (inspect.getdoc(observable) or observable.summary).partition("Attributes:\n")
    said = options.rstrip() + "\n" if heading else ""
    return f"{text.rstrip()}\n\nArgs:\n{said}{_CHAINS}"


def _default(field: Any) -> Any:
    if field.default is not MISSING:
        return field.default
    return inspect.Parameter.empty if field.default_factory is MISSING else field.default_factory()
