"""Public names of a package that are imported on first use: `qernel --help` must wait neither for JAX nor for NumPy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def exports(package: str, public: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package (PEP 562).

    Args:
        package: its name.
        public: where each of its public names lives; a package may be public itself.
    """

    def find(name: str) -> Any:
        if name in public:
            module = import_module(public[name])
            return module if public[name] == f"{package}.{name}" else getattr(module, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find


def callable_as(package: str, module: str, name: str) -> None:
    """Let a package be called like its main verb, which is imported on the first call: ``qernel.transition(folder)``.

    Args:
        package: its name.
        module: where the verb lives.
        name: of the verb.
    """

    class Verb(ModuleType):
        @property
        def __wrapped__(self) -> Callable[..., Any]:
            """The verb: ``inspect.signature``, and with it every notebook, shows its arguments."""
            verb: Callable[..., Any] = getattr(import_module(module), name)
            return verb

        def __call__(self, *args: Any, **options: Any) -> Any:
            return self.__wrapped__(*args, **options)

    sys.modules[package].__class__ = Verb
