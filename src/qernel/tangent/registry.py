"""Which terms the tangent test knows; a new one is a class in a file and a line here."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from qernel.errors import QernelError
from qernel.text import meant

if TYPE_CHECKING:
    from qernel.hamiltonian.family import Hamiltonian
    from qernel.tangent.base import Term

TERMS = {
    "one_body": "qernel.tangent.waves:OneBody",
    "pair": "qernel.tangent.pairs:PairSums",
    "density_waves": "qernel.tangent.waves:DensityWaves",
    "three_body": "qernel.tangent.pairs:ThreeBody",
    "many_body": "qernel.tangent.pairs:ManyBody",
    "one_body_backflow": "qernel.tangent.waves:OneBodyBackflow",
    "pair_backflow": "qernel.tangent.pairs:PairBackflow",
}
"""Terms by name: where each lives."""


def chosen(names: Sequence[str] | None) -> list[str]:
    """The names of terms, each once; all of them if none are given.

    Raises:
        QernelError: if there is no term of a name.
    """
    wanted = list(TERMS) if names is None else list(dict.fromkeys([names] if isinstance(names, str) else names))
    unknown = [name for name in wanted if name not in TERMS]
    if unknown:
        raise QernelError(
            f"there is no term {', '.join(map(str, unknown))}: choose from {', '.join(TERMS)}"
            + meant(str(unknown[0]), TERMS)
        )
    return wanted


def terms(names: Sequence[str], model: Any, hamiltonian: Hamiltonian) -> list[Term]:
    """The terms of names for a wavefunction, without those that one electron alone does not have.

    Args:
        names: from `chosen`.
        model: its ``[model]`` section.
        hamiltonian: its family.
    """
    found = []
    for name in names:
        module, _, attribute = TERMS[name].partition(":")
        found.append(getattr(import_module(module), attribute)(model, hamiltonian))
    return [term for term in found if term.size]
