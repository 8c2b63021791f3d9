"""The question people come with, in their own units: ``qernel.ask(...)`` is `qernel.ask.verb.ask`."""

from qernel.lazy import callable_as

__all__: list[str] = []

callable_as(__name__, "qernel.ask.verb", "ask")
