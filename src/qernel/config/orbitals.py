"""Which parameters of the family the orbitals of a configuration follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qernel.hamiltonian.terms.base import OneBody
from qernel.wavefunction.registry import UNIVERSAL

if TYPE_CHECKING:
    from qernel.config.schema import Config

FOLLOWING = {"bloch": "bloch_order_others", "hartree_fock": "hf_order_others"}
"""By the kind of orbitals: the [model] key that says how closely they follow parameters other than λ.

At 1 they follow λ alone, as all did before there were these keys; so 1 does not enter a fingerprint, and no other value
does where there is nothing to follow.
"""


def kind_of_orbitals(config: Config) -> str:
    """The orbitals of the determinants: a single one without a network has Bloch orbitals if nothing else is said, and
    those of a universal ansatz are Bloch functions."""
    model = config.model
    bands = model.ansatz in UNIVERSAL or (model.ansatz == "slater" and model.orbitals == "network")
    return "bloch" if bands else model.orbitals


def followed(config: Config) -> list[str]:
    """Parameters besides λ that orbitals depend on: for Bloch orbitals those of the one-body terms."""
    names = [name for name, (low, high) in config.family.scales.items() if name != "lam" and low < high]
    if kind_of_orbitals(config) == "bloch":
        potentials = [term for term in config.system.terms if isinstance(term, OneBody)]
        read = {parameter.name for term in potentials for parameter in term.parameters}
        names = [name for name in names if name in read]
    return names


def following(config: Config) -> str | None:
    """The key of `FOLLOWING` that matters to a configuration; None where orbitals depend on λ alone at any value."""
    return FOLLOWING.get(kind_of_orbitals(config)) if followed(config) else None
